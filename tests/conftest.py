"""What every test runs under: asyncio, no key, nobody's configuration, and no network but loopback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

_KEPT = {"PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PATHEXT", "COMSPEC"}
_FOR_TOOLS = ("PYTEST_", "COV_", "COVERAGE_", "HYPOTHESIS_", "PYTHON")


_SLOW = (
    "chaos",
    "e2e",
    "scripts",
    "docs",
    "ledger",
    "http",
    "server",
    "operations/test_batching.py",
    "operations/test_delegating.py",
    "routing/test_discovery.py",
    "operations/test_install.py",
    "operations/test_replay.py",
    "operations/test_task_store.py",
    "providers/test_embedded.py",
    "providers/test_providers.py",
    "providers/test_proxies.py",
    "providers/test_wires.py",
    "routing/test_frames.py",
    "routing/test_inference.py",
    "cli/test_eval.py",
)
"""Folders and files of tests that start processes, databases or browsers, or read much data."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, so `make check` can leave them out."""
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).as_posix().startswith(_SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _nobodys_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - _KEPT:
            if not name.startswith(_FOR_TOOLS):
                patch.delenv(name)
        for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
            patch.setenv(name, home)
        yield


@pytest.fixture(autouse=True)
def _back_to_the_same_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path.cwd())  # undone after the test, wherever it went


def _loopback_only(event: str, arguments: tuple[object, ...]) -> None:
    match event, arguments:
        case (("socket.connect" | "socket.sendto"), (_, (str(host), *_))):
            pass
        case "socket.getaddrinfo", (str(host), *_):
            pass
        case _:
            return
    if not _is_loopback(host):
        raise RuntimeError(f"{event} {host}: tests reach loopback only")  # no OSError: those are caught


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "", "0.0.0.0", "::"):  # noqa: S104 -- what one may bind to leads nowhere else
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


# A hook sees what no patched socket module would: connections that libraries make on their own.
sys.addaudithook(_loopback_only)
