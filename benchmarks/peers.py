"""Makes the environments of what we are measured against, one each, so that nothing of theirs touches ours.

`python -P benchmarks/peers.py FOLDER`
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

PEERS = {
    "litellm": ("litellm[proxy]==1.106.2",),
    "pydantic-ai": ("pydantic-ai-slim[openai]==2.68.0",),
    # It asks for any mcp from 1 on, and does not start with 2.
    "llm-router": ("claude-code-llm-router==7.6.1", "mcp<2"),
}


def main(folder: Path) -> None:
    """Make what is not there yet."""
    for name, wanted in PEERS.items():
        if not (folder / name / "bin" / "python").exists():
            print(f"making {folder / name}: {', '.join(wanted)}", flush=True)
            venv.create(folder / name, with_pip=True)
            pip = [str(folder / name / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
            subprocess.run([*pip, *wanted], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
