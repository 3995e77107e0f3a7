"""Asks the person, through a client that can, whether a call may go over a budget: once, in either protocol era."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from mcp_router.errors import BudgetExceededError, Shortfall
from mcp_router.execution.budget_increase import BudgetIncrease
from mcp_router.money import format_usd, to_number
from mcp_router.server.callers import caller_from_request

Context = ServerRequestContext[Any, Any]  # the SDK's own type parameters; nothing of ours rides on them
Json = dict[str, object]

_AMOUNT_FIELD = "extra_usd"
_MAX_INCREASE_USD = 1_000_000.0
_SUGGESTED_SHARE = Decimal("0.1")
"""The part of a budget that is suggested to be added."""


async def run_within_budgets(
    increase: BudgetIncrease, ctx: Context, given: types.CallToolRequestParams, run: Callable[[], Awaitable[Json]]
) -> Json | types.InputRequiredResult:
    """Run a tool; where a budget does not admit it, ask the person, and run it again after a yes. Newer clients are
    handed the question as a result and call again with the answer; older ones are asked while the call waits.

    Raises:
        BudgetExceededError: Nobody can be asked, or the answer was no.
    """
    settled: set[str] = set()
    while True:
        said = increase.answers
        try:
            return await run()
        except BudgetExceededError as error:
            short = error.shortfall
            if short is None or short.budget in settled or not _can_ask(ctx):
                raise
            settled.add(short.budget)
            answer = (given.input_responses or {}).get(_request_key(short))
            if answer is None and not increase.can_ask(short.budget):
                raise
            if answer is None and ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
                return types.InputRequiredResult(
                    input_requests={_request_key(short): _build_question(short, str(error))}
                )
            question = _build_question(short, str(error))
            if not await _obtain_increase(increase, ctx, short, question=question, answer=answer, said=said):
                raise


def _request_key(short: Shortfall) -> str:
    return f"over_budget:{short.budget}"


def _can_ask(ctx: Context) -> bool:
    """Whether the client shows forms, and the person at it is whoever set the budgets."""
    declared = ctx.session.client_capabilities
    forms = declared.elicitation if declared is not None else None
    shows = forms is not None and (forms.form is not None or forms.url is None)  # `{}` is older clients' word for forms
    reached = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.session.can_send_request
    return shows and reached and caller_from_request(ctx.request).sees_all


def _build_question(short: Shortfall, refusal: str) -> types.ElicitRequest:
    """Put the refusal before the person, and ask for an amount."""
    resets = datetime.fromtimestamp(short.resets_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    what, _, _ = refusal.partition(" Next: ")
    least, suggested = _round_up(short.short_usd), _round_up(max(short.short_usd, short.limit_usd * _SUGGESTED_SHARE))
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(
            message=f"{what} May more be spent until then? This call needs {format_usd(least)} more.",
            requested_schema={
                "type": "object",
                "properties": {
                    _AMOUNT_FIELD: {
                        "type": "number",
                        "title": f"USD that may be spent beyond the {short.budget} budget until {resets}",
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
    """Write an amount as a person would say it: cents, and below them two digits."""
    digits = 2 if amount >= 1 else 1 - amount.adjusted() if amount else 0
    grain = Decimal(1).scaleb(-digits)
    return (amount / grain).to_integral_value("ROUND_CEILING") * grain


async def _obtain_increase(
    increase: BudgetIncrease,
    ctx: Context,
    short: Shortfall,
    *,
    question: types.ElicitRequest,
    answer: object,
    said: int,
) -> bool:
    """Hear the answer, or ask for it; calls that came up against the budget together, after so much was said, share
    one.
    """
    async with increase.asking:
        if answer is None and increase.answers != said:
            return increase.can_ask(short.budget)
        extra = _parse_amount(answer if answer is not None else await _elicit(ctx, question))
        await increase.record_answer(short.budget, extra, short.resets_at)
        return extra > 0


async def _elicit(ctx: Context, question: types.ElicitRequest) -> types.ElicitResult | None:
    params = question.params
    if not isinstance(params, types.ElicitRequestFormParams):
        return None
    try:
        return await ctx.session.elicit_form(params.message, params.requested_schema, ctx.request_id)
    except (MCPError, ValidationError):
        return None  # it cannot, whatever it declared


def _parse_amount(answer: object) -> Decimal:
    """Read how much was allowed; whatever is not a plain yes with an amount is a no."""
    if not isinstance(answer, types.ElicitResult) or answer.action != "accept":
        return Decimal(0)
    amount = (answer.content or {}).get(_AMOUNT_FIELD)
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not math.isfinite(amount):
        return Decimal(0)
    return Decimal(str(amount)) if 0 < amount <= _MAX_INCREASE_USD else Decimal(0)
