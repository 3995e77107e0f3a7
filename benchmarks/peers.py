"""Makes the environments of what this project is measured against, one each, so that nothing of theirs touches ours.

`python -P benchmarks/peers.py` makes what is missing in .cache/peers, from PyPI and npm. One that cannot be had here is
said to be, and left out.
"""

from __future__ import annotations

import shutil
import subprocess
import venv
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".cache" / "peers"
PEERS = {
    "litellm": ("litellm[proxy]==1.106.2",),
    "pydantic-ai": ("pydantic-ai-slim[openai]==2.68.0",),
    # It asks for any mcp from 1 on, and does not start with 2.
    "llm-router": ("claude-code-llm-router==7.6.1", "mcp<2"),
}
PORTKEY = "@portkey-ai/gateway@1.15.2"
COMMANDS = {
    "litellm": FOLDER / "litellm" / "bin" / "litellm",
    "pydantic-ai": FOLDER / "pydantic-ai" / "bin" / "python",
    "llm-router": FOLDER / "llm-router" / "bin" / "llm-router",
    "portkey": FOLDER / "portkey" / "node_modules" / ".bin" / "gateway",
}
"""By peer: what is there once its environment is whole."""


def there(name: str) -> bool:
    """Whether a peer can be run here."""
    return COMMANDS[name].exists()


def python(name: str) -> str:
    """Return the interpreter of a peer's environment."""
    return str(FOLDER / name / "bin" / "python")


def missing() -> list[str]:
    """Say who cannot be measured here."""
    return [f"Not measured: {name}; `python -P benchmarks/peers.py` says why." for name in COMMANDS if not there(name)]


def main() -> None:
    """Make what is not there yet."""
    for name in COMMANDS:
        if not there(name):
            print(f"making {FOLDER / name}", flush=True)
            made = _from_npm(name) if name == "portkey" else _from_pypi(name)
            if not made or not there(name):
                print(f"{name} cannot be installed here; it is left out", flush=True)


def _from_pypi(name: str) -> bool:
    venv.create(FOLDER / name, with_pip=True, clear=True)
    pip = [python(name), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    return subprocess.run([*pip, *PEERS[name]], check=False).returncode == 0


def _from_npm(name: str) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        return False
    options = ["--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", str(FOLDER / name)]
    return subprocess.run([npm, "install", *options, PORTKEY], check=False).returncode == 0


if __name__ == "__main__":
    main()
