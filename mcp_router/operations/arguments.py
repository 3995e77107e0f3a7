"""What callers may ask for, checked: the arguments of each tool, the same for MCP, HTTP and the command line."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from mcp_router.errors import BadInputError, UnknownNameError
from mcp_router.ledger.records import GroupBy
from mcp_router.routing.routes import Complexity, Tier, UseCase

Period = Literal["session", "today", "7d", "30d", "month", "all"]

_MAX_TEXT_CHARS = 20_000_000


class Arguments(BaseModel):
    """Arguments of a tool. Unknown ones are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    tool: ClassVar[str] = ""


class MessageArguments(BaseModel):
    """One message of a conversation as callers write it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)]


class RouteArguments(Arguments):
    """What a call may say. Not all of it decides a route, but whoever asks for a plan may say it as for the call."""

    tool: ClassVar[str] = "explain_route"

    prompt: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)] | None = None
    messages: tuple[MessageArguments, ...] | None = None
    system: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)] | None = None
    use_case: UseCase | None = None
    complexity: Complexity | None = None
    budget_tier: Tier | None = None
    model: Annotated[str, Field(max_length=200)] | None = None
    files: tuple[str, ...] = ()
    response_schema: dict[str, object] | None = None
    max_output_tokens: Annotated[int, Field(gt=0, le=10_000_000)] | None = None
    max_cost_usd: Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False, strict=True)] | None = None
    per_file: StrictBool = False
    save_to: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None
    resume: StrictBool = False
    overwrite: StrictBool = False
    conversation_id: Annotated[str, Field(max_length=100)] | None = None

    @model_validator(mode="after")
    def _require_one_nonempty_prompt(self) -> Self:
        if self.prompt is not None and self.messages is not None:
            raise BadInputError("Give either prompt or messages, not both.")
        if self.prompt is not None and not self.prompt.strip():
            raise BadInputError("The prompt is empty: say what is to be done.")
        if self.messages is not None and not any(turn.content.strip() for turn in self.messages):
            raise BadInputError("The messages are empty: at least one must say something.")
        return self


class GenerateArguments(RouteArguments):
    """Arguments of `generate`."""

    tool: ClassVar[str] = "generate"

    @model_validator(mode="after")
    def _require_runnable_call(self) -> Self:
        if self.prompt is None and self.messages is None:
            raise BadInputError("Give a prompt (or messages): the subtask in words.")
        said = [turn.role for turn in self.messages or () if turn.role != "system"]
        if self.messages is not None and said[-1:] != ["user"]:
            raise BadInputError("The last message must be the user's: it is what the model answers.")
        if self.per_file and not self.files:
            raise BadInputError("per_file needs files: paths or globs of what to go through.")
        if self.save_to is not None and "*" in self.save_to and not self.per_file:
            raise BadInputError("A * in save_to stands for each of files: set per_file, or name one file.")
        if self.resume and not (self.per_file and self.save_to):
            raise BadInputError("resume needs per_file, and the folder of the first run in save_to.")
        return self


class ExplainArguments(RouteArguments):
    """Arguments of `explain_route`: those of a route, or a past call."""

    call_id: Annotated[str, Field(max_length=100)] | None = None


class ProviderArguments(Arguments):
    """Arguments of `list_providers`."""

    tool: ClassVar[str] = "list_providers"

    provider: Annotated[str, Field(max_length=100)] | None = None


class CostArguments(Arguments):
    """Arguments of `cost_summary`."""

    tool: ClassVar[str] = "cost_summary"

    period: Period = "today"
    group_by: GroupBy | None = None


A = TypeVar("A", bound=Arguments)

_ENUMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "use_case": ("use case", get_args(UseCase)),
    "complexity": ("complexity", get_args(Complexity)),
    "budget_tier": ("budget tier", get_args(Tier)),
    "period": ("period", get_args(Period)),
    "group_by": ("group_by", get_args(GroupBy)),
}


_MESSAGES = {"tuple_type": "input should be a list", "dict_type": "input should be a JSON object"}
"""What callers call by another name than Python does."""


def parse_arguments(arguments: type[A], given: object) -> A:
    """Check what a caller gave.

    Raises:
        BadInputError: An argument is wrong; the text names it and what it may be.
    """
    try:
        return arguments.model_validate(given)
    except ValidationError as exc:
        raise _to_bad_input(arguments, exc) from exc


def _to_bad_input(arguments: type[Arguments], exc: ValidationError) -> BadInputError:
    """Say what is wrong, without repeating what was given: it may be a prompt."""
    told: list[str] = []
    for error in exc.errors(include_url=False):
        where = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            return UnknownNameError(f"argument of {arguments.tool}", where, arguments.model_fields)
        if error["type"] == "literal_error" and where in _ENUMS:
            what, names = _ENUMS[where]
            return UnknownNameError(what, str(error["input"])[:100], names)
        told.append(f"{where or arguments.tool}: {_MESSAGES.get(error['type']) or error['msg'].lower()}")
    return BadInputError("; ".join(told) + ".")
