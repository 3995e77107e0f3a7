"""Validation of answers: whole, and as the caller's JSON Schema wants them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import cast

import anyio
import anyio.to_thread
from anyio.from_thread import check_cancelled
from anyio.lowlevel import RunVar

from mcp_router.execution.answer_check import CheckResult, Violations, check_answer
from mcp_router.execution.answer_schema import AnswerSchema, SchemaError, compile_schema, is_ordinary, parse_document
from mcp_router.execution.call import CheckFailedError, RejectedError, Validator
from mcp_router.execution.check_command import CheckCommand, CheckOutcome, run_check
from mcp_router.execution.schema_keywords import WorkLimitError, limit_work
from mcp_router.files import FileRefusedError, ResolvedPath, encode_text, unwrap_code
from mcp_router.isolation import IsolatedWorkError, run_isolated
from mcp_router.text import strip_controls
from providers.completion import Completion

_MAX_INLINE_SECONDS = 0.1
"""Seconds that a schema or an answer is checked on the event loop; ordinary ones take 1 to 10 ms."""
_MAX_INLINE_ANSWER_CHARACTERS = 200_000
_MAX_ISOLATED_SECONDS = 5.0
_MAX_WAITING_THREADS = 8
_CHECK = "mcp_router.execution.answer_check:check_isolated"


class InvalidAnswerError(RejectedError):
    """The answer does not satisfy the schema."""

    kind = "invalid_answer"
    fallback = "stronger"


class UnusableSchemaError(RejectedError):
    """The schema turned out to be one that no answer can be checked against."""

    kind = "bad_schema"
    fallback = "nowhere"


class UnusableCheckError(RejectedError):
    """The check could not be run, so nothing can be said of any answer."""

    kind = "bad_check"
    fallback = "nowhere"


class TruncatedError(RejectedError):
    """The answer was cut at its token limit, which the caller did not set."""

    kind = "truncated"
    fallback = "stronger"


async def prepare_schema(document: object) -> AnswerSchema:
    """Make a schema ready; one that can take long is compiled in a child process.

    Raises:
        SchemaError: No answer can be checked against it.
    """
    if is_ordinary(document):
        try:
            with limit_work(_MAX_INLINE_SECONDS):
                return compile_schema(document)
        except (WorkLimitError, RecursionError):
            pass
    await _check_isolated(document, None)
    return AnswerSchema(document=parse_document(document), validator=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetCheck:
    """A check, and the file that an answer is meant for."""

    command: CheckCommand
    place: ResolvedPath


def build_validator(schema: AnswerSchema | None, *, may_be_cut: bool, check: TargetCheck | None = None) -> Validator:
    """Return the validator of one call: whole, then the schema, then the check.

    `may_be_cut` is True if the caller limited the output itself.
    """

    async def validate(completion: Completion) -> Completion | RejectedError:
        found = await validate_text(completion)
        return found if check is None or isinstance(found, RejectedError) else await _prove(found, check)

    async def validate_text(completion: Completion) -> Completion | RejectedError:
        if completion.tool_calls:
            return completion
        if schema is not None:
            return await _validate_schema_answer(completion, schema)
        if completion.finish_reason == "length" and not (may_be_cut and check is None):
            return TruncatedError("the answer was cut at its token limit", usage=completion.usage)
        text = strip_controls(completion.text)
        return completion if text == completion.text else replace(completion, text=text)

    return validate


async def _prove(completion: Completion, check: TargetCheck) -> Completion | RejectedError:
    """Return the completion if the check passes on what would be saved of it."""
    name = check.command.name
    data = encode_text(unwrap_code(completion.text, check.place.path))
    try:
        outcome = await run_check(check.command, check.place, data)
    except FileRefusedError as exc:
        return UnusableCheckError(f"the check {name} could not be run: {exc}", usage=completion.usage)
    except OSError as exc:
        reason = (exc.strerror or "input/output error").lower()
        return UnusableCheckError(f"the check {name} could not be started: {reason}", usage=completion.usage)
    if outcome.passed:
        return completion
    # The output can quote the answer, so it stays out of the message, which goes into the ledger.
    return CheckFailedError(
        f"the check {name} did not pass ({outcome.ending})",
        usage=completion.usage,
        feedback=format_check_feedback(outcome),
        output=outcome.output,
    )


def format_check_feedback(outcome: CheckOutcome) -> str:
    """Format what a model gets with the re-ask."""
    printed = f"Its last output:\n{outcome.output}\n" if outcome.output else "It printed nothing.\n"
    return (
        f"That answer was put into its file and tested; the test did not pass ({outcome.ending}). {printed}"
        "Answer again with the whole corrected content of the file and nothing else."
    )


async def _validate_schema_answer(completion: Completion, schema: AnswerSchema) -> Completion | RejectedError:
    try:
        found = await check(completion.text, schema)
    except SchemaError as exc:
        return UnusableSchemaError(str(exc), usage=completion.usage)
    if isinstance(found, str):
        return replace(completion, text=found)
    if completion.finish_reason == "length":
        # A re-ask would be cut again, and the caller would pay twice.
        return InvalidAnswerError("the answer was cut at its token limit, within its JSON", usage=completion.usage)
    # What the answer said stays out of the message, which goes into the ledger.
    count = len(found.lines)
    message = f"the answer does not satisfy response_schema ({count} problem{'s' * (count > 1)})"
    return InvalidAnswerError(message, usage=completion.usage, feedback=format_feedback(found), broken=found.broken)


async def check(answer: str, schema: AnswerSchema) -> str | Violations:
    """Return the answer's JSON, or what is wrong with it; what takes long is checked in a child process.

    Raises:
        SchemaError: The schema turns out to be unusable.
    """
    if schema.validator is not None and len(answer) <= _MAX_INLINE_ANSWER_CHARACTERS:
        try:
            with limit_work(_MAX_INLINE_SECONDS):
                return check_answer(answer, schema.validator)
        except WorkLimitError:
            pass
    return await _check_isolated(schema.document, answer)


async def _check_isolated(document: object, answer: str | None) -> str | Violations:
    data = json.dumps([document, answer]).encode()
    try:
        raw = await anyio.to_thread.run_sync(_run, data, limiter=_find_limiter())
    except IsolatedWorkError as exc:
        raise SchemaError(
            f"response_schema takes too long to check ({exc}): write simpler patterns, and fewer references, "
            "alternatives and repeats."
        ) from exc
    found = cast("CheckResult", json.loads(raw))
    match found["kind"]:
        case "schema_error":
            raise SchemaError(found["lines"][0])
        case "violations":
            return Violations(lines=tuple(found["lines"]), broken=tuple(found["broken"]))
        case "text":
            return found["lines"][0]


def _run(data: bytes) -> bytes:
    return run_isolated(_CHECK, data, timeout_s=_MAX_ISOLATED_SECONDS, check_cancelled=check_cancelled)


_limiter: RunVar[anyio.CapacityLimiter] = RunVar("limiter")


def _find_limiter() -> anyio.CapacityLimiter:
    """Return this event loop's limiter, so that slow checks leave threads to others."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_MAX_WAITING_THREADS)
        _limiter.set(limiter)
    return limiter


def format_feedback(problems: Violations) -> str:
    """Format what a model gets with the re-ask."""
    return (
        f"That answer was not accepted:\n{problems}\nAnswer again with the whole corrected JSON value and nothing else."
    )
