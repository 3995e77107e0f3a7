"""Says whether an answer will do: whole, and as the caller's schema wants it."""

from __future__ import annotations

from dataclasses import replace

from mcp_router.execution.answer_schema import AnswerSchema, SchemaError
from mcp_router.execution.call import Judge, RejectedError
from mcp_router.execution.validation import asked_again, check
from mcp_router.text import cleaned
from providers.completion import Completion


class InvalidAnswerError(RejectedError):
    """The answer does not satisfy the schema."""

    kind = "invalid_answer"


class UnusableSchemaError(RejectedError):
    """The schema turned out to be one that no answer can be checked against."""

    kind = "bad_schema"
    fatal = True


class TruncatedError(RejectedError):
    """The answer was cut at the tokens it was given, which the caller did not ask for."""

    kind = "truncated"


def judge(schema: AnswerSchema | None, *, may_be_cut: bool) -> Judge:
    """Build the judge of one call. `may_be_cut` is True where the caller limited the output itself."""

    def judged(completion: Completion) -> Completion | RejectedError:
        if schema is not None:
            return _checked(completion, schema)
        if completion.finish_reason == "length" and not may_be_cut:
            return TruncatedError("the answer was cut at its token limit", usage=completion.usage)
        text = cleaned(completion.text)
        return completion if text == completion.text else replace(completion, text=text)

    return judged


def _checked(completion: Completion, schema: AnswerSchema) -> Completion | RejectedError:
    try:
        found = check(completion.text, schema)
    except SchemaError as exc:
        return UnusableSchemaError(str(exc), usage=completion.usage)
    if isinstance(found, str):
        return replace(completion, text=found)
    if completion.finish_reason == "length":
        # Asked again it would be cut again, after the caller had paid for what was said so far once more.
        return InvalidAnswerError("the answer was cut at its token limit, within its JSON", usage=completion.usage)
    # What the answer said stays out of the message, which goes into the ledger.
    count = len(found.lines)
    message = f"the answer does not satisfy response_schema ({count} problem{'s' * (count > 1)})"
    return InvalidAnswerError(message, usage=completion.usage, again=asked_again(found), broken=found.broken)
