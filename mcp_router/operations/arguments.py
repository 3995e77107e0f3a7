"""Arguments of each tool, validated: the same for MCP, HTTP and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, ValidationError, model_validator

from mcp_router.errors import BadInputError, UnknownNameError
from mcp_router.ledger.records import GroupBy
from mcp_router.operations.argument_coercion import coerce_arguments
from mcp_router.routing.routes import Complexity, Tier, UseCase

Patience = Literal["now", "minutes", "day"]
Period = Literal["session", "today", "7d", "30d", "month", "all"]


_MAX_TEXT_CHARS = 20_000_000
_MAX_NAMED = 5


class Arguments(BaseModel):
    """Arguments of a tool."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)
    tool: ClassVar[str] = ""

    _ignored: tuple[str, ...] = PrivateAttr(default=())

    @property
    def ignored(self) -> tuple[str, ...]:
        """Unknown arguments that were given and have no effect."""
        return self._ignored

    def note_ignored(self, names: tuple[str, ...]) -> None:
        """Record which unknown arguments were given."""
        self._ignored = names

    def warn_of_ignored(self, answer: Mapping[str, object]) -> Mapping[str, object]:
        """Return the answer with the ignored arguments named in its `warning`."""
        if not self._ignored:
            return answer
        names = ", ".join(self._ignored[:_MAX_NAMED])
        more = f" and {len(self._ignored) - _MAX_NAMED} more" if len(self._ignored) > _MAX_NAMED else ""
        warning = f"unknown arguments ignored: {names}{more}"
        return {**answer, "warning": f"{answer['warning']}; {warning}" if "warning" in answer else warning}


class MessageArguments(BaseModel):
    """One message of a conversation. What else a host puts beside role and content is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(max_length=_MAX_TEXT_CHARS)]


class RouteArguments(Arguments):
    """Arguments that `generate` and `explain_route` share, so that one set serves for the plan and for the call."""

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
    check: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    patience: Patience = "now"

    @model_validator(mode="after")
    def _require_one_nonempty_prompt(self) -> Self:
        if self.patience == "day":
            raise BadInputError("patience = day: vendors' batch services are not supported yet. Use minutes or now.")
        if self.prompt is not None and self.messages is not None:
            raise BadInputError("prompt and messages are both given: give one of them.")
        if self.prompt is not None and not self.prompt.strip():
            raise BadInputError("prompt is empty: describe the subtask.")
        if self.messages is not None and not any(message.content.strip() for message in self.messages):
            raise BadInputError("messages: every content is empty. Describe the subtask in at least one.")
        return self


class GenerateArguments(RouteArguments):
    """Arguments of `generate`."""

    tool: ClassVar[str] = "generate"

    @model_validator(mode="after")
    def _require_runnable_call(self) -> Self:
        if self.prompt is None and self.messages is None:
            raise BadInputError("prompt is missing: describe the subtask, or give messages.")
        roles = [message.role for message in self.messages or () if message.role != "system"]
        if self.messages is not None and roles[-1:] != ["user"]:
            raise BadInputError("messages: the last one must have the role user.")
        if self.per_file and not self.files:
            raise BadInputError("per_file needs files: paths or globs.")
        if self.save_to is not None and "*" in self.save_to and not self.per_file:
            raise BadInputError("save_to contains *, which stands for each file: set per_file, or name one file.")
        if self.resume and not (self.per_file and self.save_to):
            raise BadInputError("resume needs per_file, and in save_to the folder of the first run.")
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
    "patience": ("patience", get_args(Patience)),
    "period": ("period", get_args(Period)),
    "group_by": ("group_by", get_args(GroupBy)),
}


_MESSAGES = {"tuple_type": "must be a list", "dict_type": "must be a JSON object", "bool_type": "must be true or false"}
"""Texts that name a type as JSON does, by pydantic's error type."""


def parse_arguments(arguments: type[A], given: object) -> A:
    """Return validated arguments, whatever form a host sent them in.

    Raises:
        BadInputError: An argument is invalid; the text names it and the values that are valid.
    """
    values, ignored = coerce_arguments(given, arguments.model_fields, tool=arguments.tool)
    try:
        parsed = arguments.model_validate(values)
    except ValidationError as exc:
        raise _to_bad_input(exc, arguments, ignored) from exc
    except BadInputError as exc:
        raise BadInputError(f"{exc}{_format_ignored(ignored)}") from exc
    parsed.note_ignored(ignored)
    return parsed


def _to_bad_input(exc: ValidationError, arguments: type[Arguments], ignored: tuple[str, ...]) -> BadInputError:
    """Return the error for a caller, without the values that it gave: they can be prompts."""
    problems: list[str] = []
    for error in exc.errors(include_url=False):
        where = ".".join(str(part) for part in error["loc"])
        if error["type"] == "literal_error" and where in _ENUMS:
            what, names = _ENUMS[where]
            return UnknownNameError(what, str(error["input"])[:100], names)
        message = _MESSAGES.get(error["type"]) or error["msg"].lower().replace("input should be", "must be")
        problems.append(f"{where or arguments.tool}: {message}")
    return BadInputError("; ".join(problems) + "." + _format_ignored(ignored))


def _format_ignored(ignored: tuple[str, ...]) -> str:
    return f" Unknown arguments, ignored: {', '.join(ignored[:_MAX_NAMED])}." if ignored else ""
