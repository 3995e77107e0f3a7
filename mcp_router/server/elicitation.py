"""The question, put to the user through a host that shows forms, whether a call can go over a budget."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcp_router.errors import BudgetExceededError, Shortfall
from mcp_router.money import format_usd, to_number
from mcp_router.server.budget_increase import BudgetIncrease
from mcp_router.server.callers import caller_from_request

Context = ServerRequestContext[Any, Any]  # the SDK's own type parameters
Json = dict[str, object]

_AMOUNT_FIELD = "extra_usd"
_MAX_INCREASE_USD = 1_000_000.0
_SUGGESTED_SHARE = Decimal("0.1")
"""The part of a budget that is suggested as its increase."""


async def run_within_budgets(
    increase: BudgetIncrease,
    ctx: Context,
    given: types.CallToolRequestParams,
    run: Callable[[], Awaitable[Mapping[str, object]]],
) -> Mapping[str, object] | types.InputRequiredResult:
    """Run a tool. If a budget refuses it, ask the user once, and run it again after a yes.

    Hosts of 2026-07-28 get the question as a result and call again with the answer; older ones get it while the
    call waits.

    Raises:
        BudgetExceededError: The user cannot be asked, said no, or approved less than what is missing.
    """
    settled: set[str] = set()
    while True:
        answers = increase.answers
        try:
            return await run()
        except BudgetExceededError as error:
            short = error.shortfall
            if short is None or short.budget in settled or not _can_ask(ctx):
                raise
            settled.add(short.budget)
            question = _build_question(short, str(error))
            if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
                asked, answer = _find_answer(increase, short, given.input_responses or {})
                if asked is None:
                    if not increase.can_ask(short.budget):
                        raise
                    return types.InputRequiredResult(input_requests={increase.ask(short.budget): question})
                approved = await _record_answer(increase, short, answer)
            else:
                approved = await _elicit_once(increase, ctx, short, question, answers=answers)
            if not approved:
                raise


class TaskBudgetQuestions:
    """The same question for a call that runs in the background."""

    def __init__(self, increase: BudgetIncrease) -> None:
        self._increase = increase

    def ask(self, short: Shortfall, refusal: str) -> Json | None:
        """Return the request that asks the user; None for a budget of 0, or after a no."""
        if not self._increase.can_ask(short.budget):
            return None
        return _build_question(short, refusal).model_dump(mode="json", by_alias=True, exclude_none=True)

    async def record(self, short: Shortfall, response: object) -> bool:
        """Record the user's answer; return whether it approves the call."""
        try:
            answer = types.ElicitResult.model_validate(response)
        except ValidationError:
            answer = None
        return await _record_answer(self._increase, short, answer)


def _find_answer(
    increase: BudgetIncrease, short: Shortfall, responses: types.InputResponses
) -> tuple[str | None, object]:
    """Return the key of a question that was asked about this budget, and its answer. Each key is valid once."""
    for key, answer in responses.items():
        if increase.take_question(key, short.budget):
            return key, answer
    return None, None


def _can_ask(ctx: Context) -> bool:
    """Whether the host shows forms, and its user is the one who set the budgets."""
    reached = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request
    return reached and shows_forms(ctx) and caller_from_request(ctx.request).owns_budgets


def shows_forms(ctx: Context) -> bool:
    """Whether the host shows forms to its user."""
    declared = ctx.session.client_capabilities
    forms = declared.elicitation if declared is not None else None
    return forms is not None and (forms.form is not None or forms.url is None)  # `{}` is older clients' word for forms


def _build_question(short: Shortfall, refusal: str) -> types.ElicitRequest:
    """Return the question for an amount, with the refusal as its reason."""
    resets = datetime.fromtimestamp(short.resets_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    reason, _, _ = refusal.partition(" Next: ")
    least, suggested = _round_up(short.short_usd), _round_up(max(short.short_usd, short.limit_usd * _SUGGESTED_SHARE))
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(
            message=f"{reason} Approve more until then? This call needs {format_usd(least)} more.",
            requested_schema={
                "type": "object",
                "properties": {
                    _AMOUNT_FIELD: {
                        "type": "number",
                        "title": f"USD to add to the {short.budget} budget until {resets}",
                        "minimum": to_number(least),
                        "maximum": _MAX_INCREASE_USD,
                        "default": to_number(suggested),
                    }
                },
                "required": [_AMOUNT_FIELD],
            },
        )
    )


def _round_up(amount: Decimal) -> Decimal:
    """Round up to cents, or below one cent to two significant digits."""
    digits = 2 if amount >= 1 else 1 - amount.adjusted() if amount else 0
    grain = Decimal(1).scaleb(-digits)
    return (amount / grain).to_integral_value("ROUND_CEILING") * grain


async def _elicit_once(
    increase: BudgetIncrease, ctx: Context, short: Shortfall, question: types.ElicitRequest, *, answers: int
) -> bool:
    """Ask the user, and return whether the call can run again. Calls that reach the budget together share an answer:
    `answers` is how many there were when this one started.
    """
    async with increase.asking:
        if increase.answers != answers:
            return increase.can_ask(short.budget)
        if not increase.can_ask(short.budget):
            return False
        return await _record_answer(increase, short, await _elicit(ctx, question))


async def _record_answer(increase: BudgetIncrease, short: Shortfall, answer: object) -> bool:
    """Record a yes or a no, and return whether it approves the call. Less than what is missing approves nothing."""
    extra = _parse_amount(answer)
    if 0 < extra < short.short_usd:
        return False
    await increase.record_answer(short.budget, extra, short.resets_at)
    return extra > 0


async def _elicit(ctx: Context, question: types.ElicitRequest) -> types.ElicitResult | None:
    params = question.params
    if not isinstance(params, types.ElicitRequestFormParams):
        return None
    try:
        return await ctx.session.elicit_form(params.message, params.requested_schema, ctx.request_id)
    except (MCPError, ValidationError):
        return None  # the host declared forms and cannot show one


def _parse_amount(answer: object) -> Decimal:
    """Return the approved amount in USD; 0 for any answer that is not a yes with a valid amount."""
    if not isinstance(answer, types.ElicitResult) or answer.action != "accept":
        return Decimal(0)
    amount = (answer.content or {}).get(_AMOUNT_FIELD)
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not math.isfinite(amount):
        return Decimal(0)
    return Decimal(str(amount)) if 0 < amount <= _MAX_INCREASE_USD else Decimal(0)
