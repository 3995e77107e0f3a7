"""Runs a chat: a conversation that a client of another API sends whole with every request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.execution.answer_schema import AnswerSchema
from mcp_router.execution.call import CallRequest, Generation
from mcp_router.execution.conversations import WORTH_CACHING
from mcp_router.execution.validation import build_validator, prepare_schema
from mcp_router.ledger.origin import CURRENT_ORIGIN
from mcp_router.operations.arguments import RouteArguments
from mcp_router.operations.classify import classify
from mcp_router.operations.final_text import FinalText, cut_at_stop
from mcp_router.operations.model_aliases import canonical_model
from mcp_router.routing import tokens
from mcp_router.routing.request import RoutingRequest
from mcp_router.routing.routes import TIERS, USE_CASES, Tier, UseCase
from mcp_router.text import strip_controls
from providers.catalog import Model
from providers.completion import Completion, Message, NativeOptions, ToolOffer

ROUTER = "router"
"""The model name that leaves the choice to the router."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelChoice:
    """What a model name asks for."""

    use_case: UseCase | None = None
    budget_tier: Tier | None = None
    pin: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """A chat, independent of the API it came through."""

    choice: ModelChoice
    messages: tuple[Message, ...]
    system: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    response_schema: Mapping[str, object] | None = None
    offer: ToolOffer | None = None
    stop: tuple[str, ...] = ()
    """Texts before which the answer is cut."""
    native: NativeOptions | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatAnswer:
    """The answer of a chat, with its text as the client gets it."""

    generation: Generation
    completion: Completion
    stop_sequence: str | None = None
    """The stop sequence before which the text was cut."""


async def choose_model(app: App, name: str) -> ModelChoice:
    """Return what a model name asks for: `router`, `router:USE_CASE`, `router:USE_CASE/TIER`, or a model.

    A model is written `provider:model`, `provider/model`, or by its own name, which prefers an available provider.

    Raises:
        UnknownNameError: There is no such name.
    """
    head, _, rest = name.strip().partition(":")
    if head == ROUTER:
        return _choose_route(name, rest)
    catalog = await app.current_catalog()
    pin = canonical_model(name.strip(), catalog.providers)
    if pin in catalog.providers:
        return ModelChoice(pin=pin)
    hosts = [model for model in catalog.models() if name in (model.name, *model.aliases)]
    provider = pin.partition(":")[0]
    if hosts and (":" not in pin or provider not in catalog.providers or not _is_served(pin, hosts)):
        access = app.access()
        hosts.sort(key=lambda model: not access[model.provider].available)
        return ModelChoice(pin=hosts[0].id)
    if ":" not in pin:
        hint = "Write router, router:USE_CASE, router:USE_CASE/TIER or provider:model; see GET /v1/models."
        raise UnknownNameError("model", name, (), hint=hint)
    return ModelChoice(pin=pin)


async def answer_chat(
    app: App,
    chat: ChatRequest,
    *,
    client: str,
    call_id: str,
    on_text: Callable[[str], Awaitable[None]] | None = None,
) -> ChatAnswer:
    """Answer a chat; with `on_text`, pass on text as soon as no later attempt can replace it.

    An answer with a schema is passed on when it is whole and valid. Other text is passed on as it arrives, and from
    then on the call does not fall back.

    Raises:
        RouterError: There is no answer, or it broke off; the text says why and what to do.
        LedgerError: The cost cannot be recorded, so no model was asked.
    """
    schema = await prepare_schema(chat.response_schema) if chat.response_schema is not None else None
    final = FinalText(on_text, chat.stop) if on_text is not None else None
    streamed = final if schema is None else None
    request = replace(
        _to_call_request(app, chat, schema, client=client, may_be_cut=streamed is not None),
        call_id=call_id,
        on_text=streamed.push if streamed is not None else None,
        is_committed=streamed.has_passed if streamed is not None else None,
    )
    generation = await app.router.generate(request)
    completion = generation.completion
    text, stopped_by = cut_at_stop(strip_controls(completion.text), chat.stop)
    if final is not None:
        await final.finish(text)
    completion = replace(completion, text=text)
    if stopped_by is not None:
        completion = replace(completion, finish_reason="stop", tool_calls=())
    return ChatAnswer(generation=generation, completion=completion, stop_sequence=stopped_by)


def estimate_input(chat: ChatRequest) -> int:
    """Return the likely input tokens of a chat, attachments apart."""
    schema = json.dumps(chat.response_schema) if chat.response_schema is not None else ""
    texts = tokens.estimate_prompt(chat.system, chat.messages, schema)
    return texts + sum(map(tokens.estimate_tokens, _define_tools(chat.offer) if chat.offer is not None else ()))


def _choose_route(name: str, rest: str) -> ModelChoice:
    if not rest and ":" not in name:
        return ModelChoice()
    said, slash, tier = rest.partition("/")
    use_case: UseCase | None = next((one for one in USE_CASES if one == said), None)
    if use_case is None:
        raise UnknownNameError("model", name, [f"{ROUTER}:{one}" for one in USE_CASES])
    budget_tier: Tier | None = next((one for one in TIERS if one == tier), None)
    if slash and budget_tier is None:
        raise UnknownNameError("model", name, [f"{ROUTER}:{use_case}/{one}" for one in TIERS])
    return ModelChoice(use_case=use_case, budget_tier=budget_tier)


def _is_served(pin: str, hosts: list[Model]) -> bool:
    return any(pin == f"{model.provider}:{name}" for model in hosts for name in (model.name, *model.aliases))


def _to_call_request(
    app: App, chat: ChatRequest, schema: AnswerSchema | None, *, client: str, may_be_cut: bool
) -> CallRequest:
    characters = len(chat.system or "") + sum(len(message.content) for message in chat.messages)
    has_history = len(chat.messages) > 1 and characters > WORTH_CACHING
    shared_prefix = app.prefixes.has_seen(chat.system or "") or has_history
    messages = list(chat.messages)
    if has_history:
        # The next request of this chat starts with all of it.
        messages[-1] = replace(messages[-1], shared_chars=len(messages[-1].content))
    return CallRequest(
        task=_classify(app, chat, client=client, shared_prefix=shared_prefix),
        messages=tuple(messages),
        system=chat.system,
        temperature=chat.temperature,
        response_schema=schema.document if schema is not None else None,
        shared_prefix=shared_prefix,
        offer=chat.offer,
        native=chat.native,
        client=client,
        validate=build_validator(schema, may_be_cut=may_be_cut or chat.max_output_tokens is not None),
    )


def _classify(app: App, chat: ChatRequest, *, client: str, shared_prefix: bool) -> RoutingRequest:
    stated = RouteArguments(
        use_case=chat.choice.use_case,
        budget_tier=chat.choice.budget_tier,
        model=chat.choice.pin,
        response_schema=dict(chat.response_schema) if chat.response_schema is not None else None,
        max_output_tokens=chat.max_output_tokens,
    )
    settings = app.settings.configuration.clients.get(client)
    task = classify(
        stated,
        (chat.system, chat.messages),
        app.routes,
        providers=app.catalog.providers,
        per_call_usd=app.settings.configuration.budgets.per_call_usd,
        budgets_usd=[
            limit.limit_usd for limit in app.settings.limits() if limit.applies_to(client, CURRENT_ORIGIN.get().project)
        ],
        shared_prefix=shared_prefix,
        client=client,
        client_models=settings.models if settings is not None else None,
    )
    if chat.offer is None:
        return task
    # The client's tools search, so the vendor's search is not offered beside them.
    need = replace(task.requirements, features=task.requirements.features - {"web_search"})
    return replace(task, requirements=need.add_tools(_define_tools(chat.offer), forced=chat.offer.is_forced))


def _define_tools(offer: ToolOffer) -> list[str]:
    return [json.dumps([tool.name, tool.description, tool.parameters]) for tool in offer.tools]
