"""Makes the picture of a delegated task anew, from what `make demo` really prints: `make pictures`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "pictures" / "delegated.svg"
_WIDTH = 104
_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Where the fonts would be fetched from: a picture needs nothing from elsewhere."""


def main() -> None:
    """Run the demo and draw the part that delegates."""
    environ = {**os.environ, "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(_WIDTH)}
    demo = [sys.executable, "-P", str(ROOT / "examples" / "demo.py")]
    done = subprocess.run(demo, env=environ, check=True, capture_output=True, encoding="utf-8")
    console = Console(record=True, width=_WIDTH, file=StringIO())
    for line in delegated(done.stdout.splitlines()):
        console.print(Text.from_ansi(line))
    drawn = console.export_svg(title="an agent delegates", theme=MONOKAI, unique_id="delegated")
    PICTURE.write_text(_FONT_FACE.sub("", drawn), "utf-8")
    print(PICTURE)


def delegated(lines: list[str]) -> list[str]:
    """Take the lines of the classification out of what the demo prints, and the bill at its end."""
    plain = [Text.from_ansi(line).plain for line in lines]
    start = next(number for number, line in enumerate(plain) if line.startswith("generate: classification"))
    end = next(number for number, line in enumerate(plain) if line.startswith("router://"))
    return lines[start:end]


if __name__ == "__main__":
    main()
