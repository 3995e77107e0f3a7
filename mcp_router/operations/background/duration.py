"""How long a call will take, from what its first candidate took before."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mcp_router.app import App
from mcp_router.ledger.records import Totals
from mcp_router.operations.arguments import GenerateArguments, RouteArguments
from mcp_router.operations.prepare import limit_preparation, prepare_call
from mcp_router.routing.fit import Candidate

LONG_CALL_S = 20.0
"""Seconds from which a call is worth a task."""
_LOOK_BACK_S = 7 * 86_400
_MIN_ANSWERS = 3
_DEFAULT_TOKENS_PER_SECOND = 60.0
_DEFAULT_FIRST_TOKEN_S = 2.0


async def estimate_seconds(app: App, arguments: GenerateArguments, *, client: str) -> float:
    """Return how long a call will probably take: the tokens that are expected, at the speed that was recorded for the
    first candidate in the last 7 days, or at a usual one.

    Raises:
        RouterError: The call cannot be planned.
        LedgerError: The ledger cannot be read.
    """
    with limit_preparation(app.settings.configuration.deadline_s):
        # Not the call's own arguments: a prompt that is only planned must not count as seen.
        plain = RouteArguments.model_construct(
            **{name: getattr(arguments, name) for name in RouteArguments.model_fields}
        )
        ready = await prepare_call(app, plain, client=client)
    candidates = (await app.router.plan(ready.task)).candidates
    if not candidates:
        return 0.0
    need = ready.task.requirements
    hidden = need.typical_usage.hidden_tokens if candidates[0].fit.effort != "off" else 0
    typical, most = need.typical_usage.output_tokens, need.max_output_tokens
    visible = typical if most is None else min(most, max(typical, most // 2))
    expected = min(candidates[0].fit.max_output_tokens, visible + hidden)
    since = time.time() - _LOOK_BACK_S
    summary = await app.ledger.summarize(since=since, until=None, session=None, group_by="model")
    return expected_seconds(candidates[0], expected, summary.groups)


def expected_seconds(candidate: Candidate, tokens: int, recorded: Mapping[str, Totals]) -> float:
    """Return how long a model takes for so many output tokens, by its recorded answers."""
    totals = recorded.get(candidate.model.id)
    speed = totals.tokens_per_second if totals is not None and totals.answered_attempts >= _MIN_ANSWERS else None
    if not speed:
        return _DEFAULT_FIRST_TOKEN_S + tokens / _DEFAULT_TOKENS_PER_SECOND
    return tokens / speed  # recorded durations include the time to the first token
