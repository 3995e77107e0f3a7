"""Fences around files in a prompt, and around answers that are code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from mcp_router.files.reading import SourceFile
from providers.completion import Attachment

_PROSE = frozenset({".md", ".markdown", ".mdx", ".qmd", ".rmd", ".txt", ".text", ".rst", ".adoc", ".asciidoc", ".org"})
"""Files in which a fence can be part of the text; every other file is code or data."""
_OPENING = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})")


def fence_files(files: Iterable[SourceFile]) -> str:
    """Return each file under its name, in a fence longer than any within it; the same files give the same text.

    Images and PDFs are only named: they are sent as attachments.
    """
    return "\n".join(_fence_file(file) for file in files)


def _fence_file(file: SourceFile) -> str:
    if isinstance(file.content, Attachment):
        return f"File: {file.name} (attached, {file.content.media_type})\n"
    longest = max(map(len, re.findall("`+", file.content)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if not file.content or file.content.endswith("\n") else "\n"
    return f"File: {file.name}\n{fence}\n{file.content}{end}{fence}\n"


def unwrap_code(text: str, target: PurePath) -> str:
    """Return the code alone if the whole answer is one fenced block and the target is a code or data file."""
    if target.suffix.lower() in _PROSE:
        return text
    lines = text.strip().split("\n")
    opening = _OPENING.match(lines[0].rstrip())
    if opening is None or len(lines) == 1:
        return text
    fence = opening["fence"]
    closing = re.compile(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t\r]*$")
    ends = [number for number, line in enumerate(lines) if number and closing.match(line)]
    # A fence that ends earlier makes several blocks, or prose between blocks.
    if ends != [len(lines) - 1]:
        return text
    inner = lines[1:-1]
    return "\n".join(inner) + "\n" if inner else ""
