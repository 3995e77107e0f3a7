"""What every part of the run stands on: a folder, the fake vendors, secrets to look for, and how much is done."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.upstream import VENDORS, Upstream, Vendor


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is done."""

    every_fault: bool = True
    """Otherwise some of each kind, at three vendors that share an SDK."""
    kills: int = 8
    """Servers killed."""
    fills: int = 3
    """Times the disk fills up."""
    fuzzed: int = 500
    """Arguments for each tool at each door."""

    def times(self, factor: int) -> Size:
        """The same, so many times over."""
        return Size(kills=self.kills * factor, fills=self.fills * factor, fuzzed=self.fuzzed * factor)


SMOKE = Size(every_fault=False, kills=2, fills=1, fuzzed=20)


@dataclass(kw_only=True, slots=True)
class Figures:
    """What one part of the run did, and what came of it."""

    part: str
    did: str = ""
    found: str = ""
    broken: list[str] = field(default_factory=list[str])
    """Promises that were not kept, in words."""

    def demand(self, kept: object, otherwise: str) -> None:
        """Note a promise that was not kept."""
        if not kept:
            self.broken.append(otherwise)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """One run."""

    folder: Path
    upstream: Upstream
    size: Size
    keys: Mapping[str, str]
    """Variables and the keys in them."""
    prompt: str
    """Words that stand in every prompt, and nowhere else."""

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """Those that are asked."""
        return VENDORS if self.size.every_fault else (VENDORS[0], VENDORS[4], VENDORS[6])

    def room(self, name: str) -> Path:
        """A folder of a part's own: its servers write there, and all of it is searched at the end."""
        room = self.folder / name
        room.mkdir(parents=True, exist_ok=True)
        return room


def secrets(seed: int = 7) -> tuple[dict[str, str], str]:
    """Keys and words made of letters alone, so that nothing but their being known can keep them out of a text."""
    chance = random.Random(seed)  # noqa: S311 - they open nothing

    def letters(count: int) -> str:
        return "".join(chance.choices(string.ascii_lowercase, k=count))

    return {variable: letters(32) for variable in KEYS}, letters(48)


KEYS = (
    "ANTHROPIC_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "OPENAI_API_KEY",
    "PERPLEXITY_API_KEY",
    "XAI_API_KEY",
    "NATIVE_KEY",
    "BACKUP_KEY",
)
