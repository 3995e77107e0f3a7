"""The samples of a trial: a file of JSON lines, read within limits, with errors that name line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcp_router.errors import BadInputError
from mcp_router.operations.arguments import GenerateArguments, parse_arguments

MAX_SAMPLES = 2_000
_MAX_BYTES = 50_000_000


class LabelledAnswer(BaseModel):
    """An answer that the user judged, to compare the judge with."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    answer: Annotated[str, Field(min_length=1)]
    passed: Annotated[bool, Field(strict=True)]


class Sample(BaseModel):
    """One line: a subtask, and how its answer is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    prompt: str | None = None
    messages: list[dict[str, object]] | None = None
    system: str | None = None
    files: list[str] = Field(default_factory=list[str])
    expected: object = None
    """The right answer: text, or a JSON value."""
    response_schema: Annotated[dict[str, object] | None, Field(alias="schema")] = None
    labels: list[LabelledAnswer] = Field(default_factory=list[LabelledAnswer])
    line: int = 0
    """Line of the file, from 1; not a field of the file."""

    def to_arguments(self, **route: object) -> GenerateArguments:
        """Return the arguments of the sample's call."""
        given = {"prompt": self.prompt, "messages": self.messages, "system": self.system, "files": self.files}
        given |= {"response_schema": self.response_schema, **route}
        return parse_arguments(GenerateArguments, {name: value for name, value in given.items() if value})


def load_samples(path: Path) -> list[Sample]:
    """Read the samples of a file.

    Raises:
        BadInputError: The file cannot be read, or a line is invalid; the text names line and field.
    """
    try:
        if not path.is_file():
            raise BadInputError(f"{path} is not a file. Name a file with one JSON object per line.")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise BadInputError(f"{path} cannot be read: {(exc.strerror or 'input/output error').lower()}.") from exc
    if len(data) > _MAX_BYTES:
        raise BadInputError(f"{path}: larger than {_MAX_BYTES:,} bytes. Use fewer samples, and files by path.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise BadInputError(f"{path}, line {line}: not UTF-8. Save it as UTF-8.") from exc
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise BadInputError(f"{path} has no sample. Write one JSON object per line.")
    if len(lines) > MAX_SAMPLES:
        raise BadInputError(f"{path}: {len(lines)} samples; must be at most {MAX_SAMPLES}.")
    return [_parse_line(f"{path}, line {number}", number, line) for number, line in lines]


def _parse_line(where: str, number: int, line: str) -> Sample:
    try:
        value: object = json.loads(line)
    except json.JSONDecodeError as exc:
        raise BadInputError(f"{where}: not valid JSON: {exc.msg.lower()} at column {exc.colno}.") from exc
    except RecursionError as exc:
        raise BadInputError(f"{where}: nested too deeply.") from exc
    if not isinstance(value, dict):
        raise BadInputError(f'{where}: must be a JSON object, such as {{"prompt": "...", "expected": "..."}}.')
    fields = cast("dict[str, object]", value)
    if "line" in fields:
        raise BadInputError(f"{where}: line: unknown field. {_KNOWN}")
    try:
        sample = Sample.model_validate({**fields, "line": number})
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, error["loc"]))
        what = f"unknown field. {_KNOWN}" if error["type"] == "extra_forbidden" else f"{error['msg'].lower()}."
        raise BadInputError(f"{where}: {field}: {what}") from exc
    try:
        sample.to_arguments()
    except BadInputError as exc:
        raise BadInputError(f"{where}: {exc}") from exc
    return sample


_KNOWN = "Fields: prompt or messages, system, files, expected, schema, labels."
