"""Names of projects: a folder's name with a few digits of its path's hash, and the folders that have budgets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from mcp_router.ledger.origin import MARK
from mcp_router.text import strip_controls

_MAX_NAME_CHARS = 64
_HASH_DIGITS = 6


def is_folder(key: str) -> bool:
    """Return whether a key of `[projects]` is a folder, not a name that a client sends."""
    return Path(key).expanduser().is_absolute()


def name_key(key: str) -> str:
    """Return the project of a key of `[projects]`."""
    return name_folder(Path(key).expanduser()) if is_folder(key) else clean_name(key)


def name_folder(folder: Path) -> str:
    """Return the project of a folder: its name, and digits that differ for another folder of this name."""
    real = os.path.realpath(folder)
    name = "home" if real == os.path.realpath(Path.home()) else clean_name(Path(real).name) or "root"
    return f"{name}{MARK}{hashlib.sha256(os.fsencode(real)).hexdigest()[:_HASH_DIGITS]}"


def clean_name(name: str) -> str:
    """Return text from outside as a name: short, without control sequences and without the mark of folders."""
    return " ".join(strip_controls(name).replace(MARK, "-").split())[:_MAX_NAME_CHARS]


def find_configured(folders: Iterable[Path], keys: Iterable[str]) -> Path | None:
    """Return the nearest folder of `[projects]` that contains one of these folders, the first of them first."""
    configured = {Path(os.path.realpath(Path(key).expanduser())) for key in keys if is_folder(key)}
    if not configured:
        return None
    for folder in folders:
        real = Path(os.path.realpath(folder))
        for one in (real, *real.parents):
            if one in configured:
                return one
    return None
