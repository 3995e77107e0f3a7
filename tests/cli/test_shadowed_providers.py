"""A `providers` package of someone else beside the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("place", ["pythonpath", "working folder"])
def test_foreign_providers_package_does_not_stop_the_server(place: str, tmp_path: Path) -> None:
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers" / "__init__.py").write_text("raise SystemExit('foreign')\n")
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    if place == "pythonpath":
        environ["PYTHONPATH"] = str(tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "mcp_router", "providers", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        cwd=tmp_path,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert '"providers":[{"name":"claude"' in done.stdout
