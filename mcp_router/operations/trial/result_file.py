"""The results of trials on one route: a file below the data folder, so a trial that was interrupted goes on.

A line is written and on the disk as soon as an answer is paid for. Lines hold counts, never a prompt. An answer's text
is in its line only while a judge has not judged it; `compact` removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_MAX_BYTES = 200_000_000
_MODE = 0o600


class Answered(BaseModel):
    """One model's answer to one sample, and what each criterion found."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    key: str
    """What the answer depends on, hashed: model, route, messages and schema."""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cost_usd: Annotated[Decimal | None, Field(ge=0, allow_inf_nan=False)]
    call_id: str
    text: str | None = None
    passed: dict[str, bool] = Field(default_factory=dict[str, bool])
    """By criterion, with the expected answer hashed."""


class ResultFile:
    """Answers by key. Only the process that runs the trial writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answered] = {}

    @classmethod
    def locate(cls, folder: Path, use_case: str, tier: str, samples: str) -> ResultFile:
        """Return the file of a route and a samples file."""
        digest = hashlib.sha256(samples.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return cls(folder / "trials" / f"{use_case}.{tier}.{digest}.jsonl")

    def load(self) -> None:
        """Read the answers; a line that was cut by a kill is skipped."""
        for answer in self._read():
            self.answers[answer.key] = answer

    def _read(self) -> Iterator[Answered]:
        try:
            if self.path.stat().st_size > _MAX_BYTES:
                return
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            with suppress(ValidationError):
                yield Answered.model_validate_json(line)

    def add(self, answer: Answered) -> None:
        """Append an answer, or what is new of one; it is on the disk when this returns.

        Raises:
            OSError: The disk is full, or the folder is not writable.
        """
        self.answers[answer.key] = answer
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), _MODE)
        with os.fdopen(descriptor, "wb") as file:
            # The newline comes first too: the line before may have been cut by a kill.
            file.write(b"\n" + answer.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def delete(self) -> None:
        """Delete the file, so a trial starts from nothing."""
        self.path.unlink(missing_ok=True)

    def compact(self) -> None:
        """Rewrite the file with one line per answer and without their texts."""
        draft = self.path.with_suffix(".tmp")
        lines = [
            answer.model_copy(update={"text": None}).model_dump_json()
            for answer in self.answers.values()
            if answer.passed or answer.text is None
        ]
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write("\n".join(lines).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def digest(*parts: object) -> str:
    """Return a hash of what an answer or a criterion depends on."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
