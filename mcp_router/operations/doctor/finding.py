"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was checked."""

    state: Literal["ok", "note", "wrong"]
    what: str
    found: str
