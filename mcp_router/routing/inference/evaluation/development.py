"""The part of the development data that ships, so that users can score the inference."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import cast, get_args

from mcp_router.routing.inference import UseCase

NAME = "development.jsonl.gz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A prompt and what is known of it."""

    text: str
    source: str
    label: str | None = None
    """Its use case, or `other`; None if only outcomes were recorded."""
    unseen: tuple[str, float] | None = None
    """What weights that never saw its source, nor its relatives, took it for, and how sure they were."""
    outcomes: tuple[float, float] | None = None
    """How good a cheap and a strong model's answers were."""
    left_out: int = 0
    """Characters of a long text that do not ship."""
    language: str | None = None
    complexity: str | None = None
    unseen_complexity: str | None = None
    """The complexity that weights inferred which never saw its source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Development:
    """All of it, and where it is from."""

    rows: tuple[Row, ...]
    origins: dict[str, str]
    """By source: repository and licence."""


def load_development() -> Development:
    """Return the part of the development data that ships."""
    packed = files("mcp_router.routing.inference.evaluation").joinpath(NAME).read_bytes()
    first, *lines = gzip.decompress(packed).decode().splitlines()
    return Development(rows=tuple(read_rows(lines)), origins=json.loads(first)["origins"])


def read_rows(lines: list[str]) -> Iterator[Row]:
    """Read rows, one JSON object a line: `text`, `label` and perhaps `source`.

    Raises:
        ValueError: A line is no such object.
    """
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            row = _row(cast("dict[str, object]", found))
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as exc:
            raise ValueError(f"line {number} is no JSON object with a text and a label") from exc
        if row.label not in _LABELS:
            raise ValueError(f"line {number}: there is no use case {row.label!r}; there are {', '.join(_NAMES)}")
        yield row


_NAMES: tuple[str, ...] = (*get_args(UseCase), "other")
_LABELS = frozenset({*_NAMES, None})


def _row(found: dict[str, object]) -> Row:
    unseen = cast("list[object] | None", found.get("unseen"))
    return Row(
        text=str(found["text"]),
        source=str(found.get("source", "yours")),
        label=None if "outcomes" in found else str(found["label"]),
        unseen=None if unseen is None else (str(unseen[0]), float(str(unseen[1]))),
        outcomes=_pair(found["outcomes"]) if "outcomes" in found else None,
        left_out=int(str(found.get("left_out", 0))),
        language=_text(found, "language"),
        complexity=_text(found, "complexity"),
        unseen_complexity=_text(found, "unseen_complexity"),
    )


def _text(found: dict[str, object], name: str) -> str | None:
    value = found.get(name)
    return None if value is None else str(value)


def _pair(found: object) -> tuple[float, float]:
    cheap, strong = cast("list[object]", found)
    return float(str(cheap)), float(str(strong))
