"""Turns what a caller asked into a task with nothing left to guess."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from decimal import Decimal

from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.model_aliases import canonical_model
from mcp_router.routing import tokens
from mcp_router.routing.fit import Requirements
from mcp_router.routing.request import RoutingRequest
from mcp_router.routing.routes import Complexity, RoutingTable, Tier, UseCase
from providers.catalog import Feature
from providers.completion import Message

Conversation = tuple[str | None, tuple[Message, ...]]
"""System text and messages."""


def to_conversation(arguments: RouteArguments) -> Conversation:
    """Bring a prompt, or messages, into one form; system messages join the system text."""
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
    most_per_call_usd: Decimal | None,
    files_characters: int = 0,
    shared_prefix: bool = False,
    prefer: str | None = None,
) -> RoutingRequest:
    """Fill in what the caller left out, and say so in `inferred`.

    `files_characters` is how much of the last message is files, which say nothing of what is wanted; `prefer` is the
    model that answered the conversation so far.
    """
    system, messages = said
    use_case, complexity, tier, inferred, risk = _choices(arguments, messages, routes, files_characters)
    ceiling = routes.ceilings[tier]
    for tighter in (arguments.max_cost_usd, most_per_call_usd):
        ceiling = ceiling if tighter is None else min(ceiling, tighter)
    reference = routes.use_cases[use_case].typical_usage
    schema = "" if arguments.response_schema is None else json.dumps(arguments.response_schema, ensure_ascii=False)
    return RoutingRequest(
        use_case=use_case,
        complexity=complexity,
        budget_tier=tier,
        inferred=inferred,
        risk=risk,
        pin=canonical_model(arguments.model, providers) if arguments.model is not None else None,
        prefer=prefer,
        ceiling_usd=ceiling,
        requirements=Requirements(
            input_tokens=tokens.estimate_prompt(system, messages, schema) if messages else reference.input_tokens,
            max_input_tokens=tokens.max_prompt_tokens(system, messages, schema) if messages else None,
            attachments=tuple(item for message in messages for item in message.attachments),
            typical_usage=reference,
            max_output_tokens=arguments.max_output_tokens,
            features=_features(use_case, messages, arguments.response_schema is not None),
            shared_prefix=shared_prefix,
        ),
    )


def _choices(
    arguments: RouteArguments, messages: tuple[Message, ...], routes: RoutingTable, files_characters: int
) -> tuple[UseCase, Complexity, Tier, dict[str, float], float]:
    inferred: dict[str, float] = {}
    risk = 0.0
    use_case, complexity, tier = arguments.use_case, arguments.complexity, arguments.budget_tier
    if use_case is None or complexity is None:
        # Imported here: a caller who says what it wants needs no model for it.
        from mcp_router.routing.inference import infer  # noqa: PLC0415

        guess = infer(_words(arguments, messages), attachments=files_characters)
        if complexity is None:
            complexity, inferred["complexity"] = guess.complexity, guess.complexity_confidence
            risk = guess.risk
        if use_case is None:
            use_case, inferred["use_case"] = guess.use_case, guess.use_case_confidence
            if guess.abstained and tier is None:
                tier, inferred["budget_tier"] = _TIER_OF_COMPLEXITY[complexity], guess.use_case_confidence
    if tier is None:
        tier = routes.use_cases[use_case].default_tier
        inferred["budget_tier"] = inferred.get("use_case", 1.0)
    return use_case, complexity, tier, inferred, risk


_TIER_OF_COMPLEXITY: Mapping[Complexity, Tier] = {"simple": "economy", "medium": "standard", "complex": "premium"}
"""Where a prompt goes whose use case nobody can tell."""


def _words(arguments: RouteArguments, messages: tuple[Message, ...]) -> str:
    """The text that tells what is wanted: the prompt, or the last thing the user said."""
    if arguments.prompt is not None:
        return arguments.prompt
    said = [message.content for message in messages if message.role == "user"]
    return said[-1] if said else ""


def _features(use_case: str, messages: tuple[Message, ...], schema: bool) -> frozenset[Feature]:
    found: set[Feature] = {"web_search"} if use_case == "web_research" else set()
    if schema:
        found.add("json_schema")
    for message in messages:
        for item in message.attachments:
            found.add("pdf" if item.media_type == "application/pdf" else "vision")
    return frozenset(found)
