"""Turns what a caller asked into a routing request with nothing left to infer."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.model_aliases import canonical_model
from mcp_router.routing import tokens
from mcp_router.routing.fit import Requirements
from mcp_router.routing.request import RoutingRequest
from mcp_router.routing.routes import Complexity, RoutingTable, Tier, UseCase
from mcp_router.routing.tiers import Difficulty, choose_tiers
from providers.catalog import Feature
from providers.completion import Message

if TYPE_CHECKING:
    from mcp_router.routing.inference import Inference

Conversation = tuple[str | None, tuple[Message, ...]]
"""System text and messages."""

_MAX_FILE_NAMES = 3


def to_conversation(arguments: RouteArguments) -> Conversation:
    """Return a prompt or messages in one form; system messages join the system text."""
    if arguments.messages is None:
        messages = (Message(role="user", content=arguments.prompt),) if arguments.prompt is not None else ()
        return arguments.system, messages
    system = [arguments.system] if arguments.system else []
    system += [turn.content for turn in arguments.messages if turn.role == "system"]
    messages = tuple(
        Message(role=turn.role, content=turn.content) for turn in arguments.messages if turn.role != "system"
    )
    return "\n\n".join(system) or None, messages


def classify(
    arguments: RouteArguments,
    said: Conversation,
    routes: RoutingTable,
    *,
    providers: Container[str],
    per_call_usd: Decimal | None = None,
    budgets_usd: Sequence[Decimal] = (),
    files_characters: int = 0,
    file_names: Sequence[str] = (),
    shared_prefix: bool = False,
    prefer: str | None = None,
    client: str = "local",
    client_models: tuple[str, ...] | None = None,
) -> RoutingRequest:
    """Infer what the caller left out, and record it in `inferred`.

    `per_call_usd` bounds every call and `budgets_usd` are the budgets that hold for it, in US dollars.
    `files_characters` is how much of the last message is files, whose words say nothing of what is wanted; their names
    do. `prefer` is the model that answered the conversation so far, `providers` the names that a pinned model may begin
    with. `client_models` are patterns of the models that `client` can use.
    """
    system, messages = said
    choice = _choose(arguments, said, files_characters, file_names)
    tiers: tuple[Tier, ...] = choice.tiers or (routes.use_cases[choice.use_case].default_tier,)
    ceiling_usd = max(routes.ceilings[tier] for tier in tiers)
    schema = "" if arguments.response_schema is None else json.dumps(arguments.response_schema, ensure_ascii=False)
    limits = [limit for limit in (arguments.max_cost_usd, per_call_usd) if limit is not None]
    typical = routes.use_cases[choice.use_case].typical_usage
    return RoutingRequest(
        use_case=choice.use_case,
        complexity=choice.complexity,
        budget_tier=tiers[0],
        tiers=tiers if len(tiers) > 1 else (),
        inferred=choice.inferred,
        reasons=choice.reasons,
        risk=choice.risk,
        pin=canonical_model(arguments.model, providers) if arguments.model is not None else None,
        prefer=prefer,
        client=client,
        client_models=client_models,
        ceiling_usd=min((ceiling_usd, *limits)),
        smallest_budget_usd=min(budgets_usd, default=None),
        requirements=Requirements(
            input_tokens=tokens.estimate_prompt(system, messages, schema) if messages else typical.input_tokens,
            max_input_tokens=tokens.max_prompt_tokens(system, messages, schema) if messages else None,
            attachments=tuple(item for message in messages for item in message.all_attachments),
            typical_usage=typical,
            max_output_tokens=arguments.max_output_tokens,
            features=_features(choice.use_case, messages, arguments.response_schema is not None),
            shared_prefix=shared_prefix,
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    """What the caller stated and what was inferred."""

    use_case: UseCase
    complexity: Complexity
    tiers: tuple[Tier, ...]
    """Empty: the use case's default."""
    inferred: dict[str, float]
    risk: float
    reasons: tuple[str, ...]


def _choose(arguments: RouteArguments, said: Conversation, files_characters: int, file_names: Sequence[str]) -> _Choice:
    stated = (arguments.budget_tier,) if arguments.budget_tier is not None else ()
    if arguments.use_case is not None and arguments.complexity is not None:
        return _with_tier(
            _Choice(
                use_case=arguments.use_case,
                complexity=arguments.complexity,
                tiers=stated,
                inferred={},
                risk=0.0,
                reasons=("use case and complexity are stated",),
            ),
            arguments,
        )
    guess = _infer(arguments, said, files_characters, file_names)
    inferred: dict[str, float] = {}
    if arguments.complexity is None:
        inferred["complexity"] = guess.complexity_confidence
    if arguments.use_case is None:
        inferred["use_case"] = guess.use_case_confidence
    choice = _Choice(
        use_case=arguments.use_case or guess.use_case,
        complexity=arguments.complexity or guess.complexity,
        tiers=stated,
        inferred=inferred,
        risk=guess.risk if arguments.complexity is None else 0.0,
        reasons=tuple(_read(arguments, said, files_characters, file_names)),
    )
    return _with_tier(choice, arguments)


def _with_tier(choice: _Choice, arguments: RouteArguments) -> _Choice:
    """Add the tier: the stated one, the default of a stated use case, or what the difficulty says."""
    reasons = (*choice.reasons, *_guesses(choice))
    if choice.tiers:
        return replace(choice, reasons=(*reasons, f"budget tier {choice.tiers[0]} is stated"))
    if arguments.use_case is not None:
        reason = f"budget tier: the default of {choice.use_case}, which is stated"
        return replace(choice, inferred={**choice.inferred, "budget_tier": 1.0}, reasons=(*reasons, reason))
    difficulty = Difficulty(
        use_case=choice.use_case,
        use_case_confidence=choice.inferred["use_case"],
        complexity=choice.complexity,
        complexity_confidence=choice.inferred.get("complexity", 1.0),
        risk=choice.risk,
    )
    chosen = choose_tiers(difficulty)
    return replace(
        choice,
        tiers=chosen.tiers,
        inferred={**choice.inferred, "budget_tier": difficulty.confidence},
        reasons=(*reasons, f"budget tier {chosen.tiers[0]}: {chosen.reason}"),
    )


def _infer(
    arguments: RouteArguments, said: Conversation, files_characters: int, file_names: Sequence[str]
) -> Inference:
    # Imported here: a caller who states both needs no model for it.
    from mcp_router.routing.inference import infer  # noqa: PLC0415
    from mcp_router.routing.inference.call_shape import hints_from  # noqa: PLC0415

    system, messages = said
    hints = hints_from(
        schema=arguments.response_schema, file_names=file_names, max_output_tokens=arguments.max_output_tokens
    )
    return infer(_words(arguments, messages), system=system, attachments=files_characters, hints=hints)


def _words(arguments: RouteArguments, messages: tuple[Message, ...]) -> str:
    """Return the text that tells what is wanted: the prompt, or the last thing the user said."""
    if arguments.prompt is not None:
        return arguments.prompt
    said = [message.content for message in messages if message.role == "user" and message.content.strip()]
    return said[-1] if said else ""


def _read(
    arguments: RouteArguments, said: Conversation, files_characters: int, file_names: Sequence[str]
) -> Iterator[str]:
    """Yield what the inference read, in a few words."""
    from mcp_router.routing.inference.call_shape import describe_schema  # noqa: PLC0415

    system, messages = said
    parts = [f"{len(_words(arguments, messages))} characters of the prompt"]
    if system:
        parts.append(f"{len(system)} of the system text")
    if arguments.response_schema is not None:
        parts.append(f"the response schema ({describe_schema(arguments.response_schema)})")
    if file_names:
        names = ", ".join(file_names[:_MAX_FILE_NAMES])
        parts.append(f"the names and size ({files_characters} characters) of {len(file_names)} files: {names}")
    if arguments.max_output_tokens is not None:
        parts.append(f"max_output_tokens {arguments.max_output_tokens}")
    yield f"read: {', '.join(parts)}"


def _guesses(choice: _Choice) -> Iterator[str]:
    values = {"use_case": choice.use_case, "complexity": choice.complexity}
    for what, confidence in choice.inferred.items():
        yield f"{what.replace('_', ' ')} {values[what]}: inferred, confidence {confidence:.2f}"
    if choice.risk:
        yield f"risk that a cheap model fails: {choice.risk:.2f}"


def _features(use_case: str, messages: tuple[Message, ...], schema: bool) -> frozenset[Feature]:
    found: set[Feature] = {"web_search"} if use_case == "web_research" else set()
    if schema:
        found.add("json_schema")
    for message in messages:
        for item in message.all_attachments:
            found.add("pdf" if item.media_type == "application/pdf" else "vision")
    return frozenset(found)
