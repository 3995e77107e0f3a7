"""Text of an answer in blocks, with a line break where another block, such as a search, stands between two texts."""

from __future__ import annotations

from collections.abc import Iterable

_BREAK = "\n"


def join_texts(blocks: Iterable[str | None]) -> str:
    """Return the joined texts; None is another kind of block."""
    pieces: list[str] = []
    is_apart = False
    for block in blocks:
        if block is None:
            is_apart = bool(pieces)
        elif block:
            if is_apart:
                pieces.append(choose_separator(pieces[-1], block))
            pieces.append(block)
            is_apart = False
    return "".join(pieces)


def choose_separator(before: str, after: str) -> str:
    """Return a line break, unless one of the two texts has it already."""
    return "" if before.endswith(_BREAK) or after.startswith(_BREAK) else _BREAK


def find_separator(blocks_backwards: Iterable[str | None], after: str) -> str:
    """Return what `join_texts` will put between these blocks, the last one first, and the next text."""
    is_apart = False
    for block in blocks_backwards:
        if block:
            return choose_separator(block, after) if is_apart else ""
        is_apart = is_apart or block is None
    return ""
