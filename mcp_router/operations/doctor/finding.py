"""What a look at something can come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing looked at."""

    state: Literal["ok", "note", "wrong"]
    what: str
    found: str
