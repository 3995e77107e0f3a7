"""Draws the picture of a delegated job from the output of `make demo`: `make pictures`."""

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
"""Addresses of web fonts: the picture must not fetch anything."""


def main() -> None:
    """Run the demo and draw its output."""
    environ = {**os.environ, "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(_WIDTH)}
    demo = [sys.executable, "-P", str(ROOT / "examples" / "demo.py")]
    done = subprocess.run(demo, env=environ, check=True, capture_output=True, encoding="utf-8")
    console = Console(record=True, width=_WIDTH, file=StringIO())
    for line in without_steps(done.stdout.splitlines()):
        console.print(Text.from_ansi(line))
    drawn = console.export_svg(title="an agent delegates", theme=MONOKAI, unique_id="delegated")
    PICTURE.write_text(_FONT_FACE.sub("", drawn), "utf-8")
    print(PICTURE)


def without_steps(lines: list[str]) -> list[str]:
    """Return the lines between the start-up message and the closing advice, without the names of the steps."""
    plain = [Text.from_ansi(line).plain for line in lines]
    start = next(number for number, line in enumerate(plain) if line.startswith("the plan"))
    end = next(number for number, line in enumerate(plain) if number > start and line.strip("─ ") == "" and "─" in line)
    return [line for line, text in zip(lines[start:end], plain[start:end], strict=True) if not text.startswith("· ")]


if __name__ == "__main__":
    main()
