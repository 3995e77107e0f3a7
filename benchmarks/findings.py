"""What a benchmark found: a table for people, numbers for programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One table and the numbers in it."""

    title: str
    about: str
    columns: Sequence[str]
    """The first is text, the others are numbers."""
    rows: Sequence[Sequence[str]]
    numbers: Mapping[str, float]
    notes: Sequence[str] = ()
    """What could not be measured, and why."""

    def markdown(self) -> str:
        """Put it into Markdown."""
        lines = [f"### {self.title}", "", self.about, "", table(self.columns, self.rows)]
        return "\n".join([*lines, *(line for note in self.notes for line in ("", note))])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Put rows into a Markdown table, numbers to the right."""
    head = [_line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
    return "\n".join([*head, *(_line(row) for row in rows)])


def machine() -> str:
    """Say where and when it was measured, and how busy it was there."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    day = datetime.now(UTC).date()
    return (
        f"{day}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}{load}"
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
