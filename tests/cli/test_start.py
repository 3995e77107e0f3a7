"""What a command of the command line loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NEVER = {"mcp", "mcp_types", "starlette", "uvicorn", "httpx2", "openai", "anthropic", "groq", "mistralai", "xllamacpp"}
PER_COMMAND = {"costs": {"jsonschema", "regex", "tomlkit"}, "providers": {"jsonschema"}}


@pytest.mark.parametrize("command", [["costs"], ["explain", "Hi"], ["providers"], ["install", "codex", "--dry-run"]])
def test_command_that_needs_no_mcp_loads_none(command: list[str], tmp_path: Path) -> None:
    script = (
        "import json, sys\n"
        "from mcp_router.cli import main\n"
        f"code = main({command!r})\n"
        "print(json.dumps([code, *{name.partition('.')[0] for name in sys.modules}]))"
    )
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True, env=environ, cwd=tmp_path
    )

    code, *loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert set(loaded) & (NEVER | PER_COMMAND.get(command[0], set())) == set()
