"""Failure texts for agents: which model failed, why, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from math import inf

from mcp_router.errors import ClientRateError
from mcp_router.execution.call import CheckFailedError, Failed, RejectedError, SkipReason
from mcp_router.ledger.records import Attempt, BudgetRefusal, RateRefusal
from mcp_router.money import format_usd
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import Plan, Rejection, RejectionKind

_SHORTER = "shorten the prompt or use use_case long_context"
_TO_DO: Mapping[RejectionKind, str] = {
    "unavailable": "set one of the keys named",
    "ceiling": "take a higher budget_tier or max_cost_usd, or a shorter prompt",
    "window": _SHORTER,
    "policy": "pin a model of a provider that meets the policy, or ask the user to add facts as [providers.NAME.data]",
}
_AFTER_FAILURE: Mapping[str, str] = {
    "invalid_answer": "loosen response_schema, or use a higher budget_tier with stronger models",
    "check_failed": "give the models what the check asks for, or use a higher budget_tier; no file was changed",
    "bad_check": "ask the user to correct the check in the configuration",
    "context_length": _SHORTER,
    "content_filter": "rephrase the prompt, or pin a model of another vendor",
    "invalid_request": "correct the request, or pin a model of another provider",
    "unsupported_parameter": "pin another model",
}
"""By the kind of a failure."""
_AT_MOST = 8
"""Rejected models named in a text; the rest are counted."""


def format_no_candidate(plan: Plan, refusals: Sequence[SkipReason]) -> str:
    """Return why no model is available, and what to do."""
    task = plan.task
    passed_over = [refusal for refusal in refusals if isinstance(refusal, Rejection)]
    reasons = [f"{rejection.model}: {rejection.reason}" for rejection in (*passed_over, *plan.rejected)]
    reasons += [
        f"{refusal.provider}: at {refusal.what}{_format_wait(refusal)}"
        for refusal in refusals
        if isinstance(refusal, RateRefusal)
    ]
    return (
        f"No model can answer {task.use_case} at {task.budget_tier} (ceiling {format_usd(task.ceiling_usd)}). "
        f"{_format_list(reasons)} Next: {_advise_no_candidate(plan, refusals)}."
    )


def format_all_failed(
    attempts: Sequence[Attempt],
    failures: Sequence[tuple[Candidate, Failed]],
    refusals: Sequence[SkipReason],
    plan: Plan,
) -> str:
    """Return what happened to each attempt, and what to do."""
    spent = sum((attempt.cost_usd or Decimal(0) for attempt in attempts), Decimal(0))
    lines = [f"{attempt.model}: {attempt.error} ({attempt.detail})" for attempt in attempts]
    lines += [
        f"budget {refusal.budget.name}: too little left" for refusal in refusals if isinstance(refusal, BudgetRefusal)
    ]
    lines += _format_broken_rules(failures)
    outputs = [failed.error.output for _, failed in failures if isinstance(failed.error, CheckFailedError)]
    printed = f"\nLast output of the check:\n{outputs[-1]}" if outputs and outputs[-1] else ""
    count = "1 attempt" if len(attempts) == 1 else f"{len(attempts)} attempts"
    return (
        f"No model answered: {count}, {format_usd(spent)} spent. {_format_list(lines)} "
        f"Next: {_advise_after_failures([failed for _, failed in failures], plan)}.{printed}"
    )


def _format_broken_rules(failures: Iterable[tuple[Candidate, Failed]]) -> list[str]:
    """Tell which of the caller's rules were broken, and nothing of the answers that broke them."""
    rules = [rule for _, failed in failures if isinstance(failed.error, RejectedError) for rule in failed.error.broken]
    return [f"broken: {', '.join(dict.fromkeys(rules))}"] if rules else []


def format_over_budget(refusal: BudgetRefusal) -> str:
    """Tell which budget is used up, how far, and when it starts again."""
    limit = refusal.budget
    resets = datetime.fromtimestamp(refusal.resets_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"The {limit.name} budget does not admit this call: limit {format_usd(limit.limit_usd)}, "
        f"spent {format_usd(refusal.spent_usd)}, held by calls in flight {format_usd(refusal.held_usd)}, "
        f"still free {format_usd(refusal.left_usd)}, and this call may cost {format_usd(refusal.wanted_usd)}; "
        f"it resets at {resets}. Next: {_advise_within_budget(refusal)}, "
        "or ask the user to raise the budget in the configuration."
    )


def _advise_within_budget(refusal: BudgetRefusal) -> str:
    if refusal.left_usd > 0:
        return "take a cheaper budget_tier, a lower max_output_tokens or max_cost_usd"
    return (
        "call again when the calls in flight have ended" if refusal.held_usd > 0 else "take a model that costs nothing"
    )


def create_client_rate_error(client: str, refusal: RateRefusal) -> ClientRateError:
    """Return the error of a client that is at its own limit: the limit, and when it ends."""
    key = "rpm" if "requests" in refusal.what else "tpm"
    if refusal.wait_seconds == inf:
        advice = "this call alone is more than that: shorten the prompt, or lower max_output_tokens"
        return ClientRateError(f"clients.{client}.{key} is {refusal.what}: {advice}.")
    return ClientRateError(
        f"Client {client} is at its limit of {refusal.what} (clients.{client}.{key}): "
        f"call again in {max(1.0, refusal.wait_seconds):.0f} s.",
        retry_after=refusal.wait_seconds,
    )


def find_forbidden(plan: Plan) -> str | None:
    """Return the text for a plan that failed because its client cannot use the models, or None if it did not."""
    forbidden = [rejection.model for rejection in plan.rejected if rejection.kind == "forbidden"]
    if not forbidden or (plan.task.pin is None and len(forbidden) < len(plan.rejected)):
        return None
    client, allowed = plan.task.client, ", ".join(plan.task.client_models or ()) or "none"
    return (
        f"Client {client} cannot use {', '.join(forbidden[:_AT_MOST])}. Its models are: {allowed}. "
        f"Next: use one of them, or ask the operator to extend clients.{client}.models."
    )


def format_deadline(attempts: Sequence[Attempt], seconds: float) -> str:
    """Tell that time is up, and what it was spent on."""
    lines = [f"{attempt.model}: {attempt.error} after {attempt.seconds:.1f} s" for attempt in attempts]
    return (
        f"The call's deadline of {seconds:.0f} s has passed. {_format_list(lines)} "
        "Next: ask for less output, or raise deadline_s in the configuration."
    )


def _format_wait(refusal: RateRefusal) -> str:
    if refusal.wait_seconds == inf:
        return ", and this call alone is more than that"
    return f", free in {refusal.wait_seconds:.0f} s"


def _format_list(lines: Sequence[str]) -> str:
    shown = "; ".join(lines[:_AT_MOST])
    more = f"; and {len(lines) - _AT_MOST} more" if len(lines) > _AT_MOST else ""
    return f"{shown}{more}." if lines else ""


def _advise_no_candidate(plan: Plan, refusals: Sequence[SkipReason]) -> str:
    kinds = {rejection.kind for rejection in plan.rejected}
    advice = [said for kind, said in _TO_DO.items() if kind in kinds]
    if plan.task.use_case == "long_context" and "window" in kinds:
        # Those that keys are missing for have no larger windows than these.
        advice = ["shorten the prompt, or give it in parts"]
    waits = [rejection.wait_seconds for rejection in plan.rejected if rejection.wait_seconds is not None]
    waits += [refusal.wait_seconds for refusal in refusals if isinstance(refusal, RateRefusal)]
    if waits and min(waits) < inf:
        advice.append(f"call again in {max(1.0, min(waits)):.0f} s")
    elif waits:
        advice.append("shorten the prompt, or lower max_output_tokens")
    return _join_advice(advice) or "see list_providers for what can be asked"


def _advise_after_failures(failures: Sequence[Failed], plan: Plan) -> str:
    if failures[-1].error.kind == "bad_check":
        return _AFTER_FAILURE["bad_check"]
    if failures[-1].error.fallback == "nowhere":
        return "correct the request; no other model would accept it"
    advice = [*_advise_on_keys(failures)]
    for failed in failures:
        error = failed.error
        if error.retry_after is not None and error.breaker_scope != "key":
            advice.append(f"call again in {error.retry_after:.0f} s")
        if error.kind in _AFTER_FAILURE:
            advice.append(_AFTER_FAILURE[error.kind])
    unavailable = next((rejection for rejection in plan.rejected if rejection.kind == "unavailable"), None)
    if unavailable is not None:
        advice.append(f"{unavailable.reason.partition(';')[0]} to have a fallback")
    return _join_advice(advice) or "call again later, or pin another model"


def _advise_on_keys(failures: Iterable[Failed]) -> list[str]:
    """Say which providers refused their key, with the status: `401 from groq and gemini: check the keys`."""
    refused: dict[tuple[str, str], dict[str, None]] = {}
    for failed in failures:
        if failed.error.breaker_scope == "key":
            status = "refused" if failed.error.status is None else str(failed.error.status)
            refused.setdefault((failed.error.kind, status), {})[failed.attempt.provider] = None
    advice: list[str] = []
    for (kind, status), providers in refused.items():
        what = "balance" if kind == "quota" else "key"
        plural = "s" if len(providers) > 1 else ""
        advice.append(f"{status} from {' and '.join(providers)}: check the {what}{plural}")
    return advice


def _join_advice(advice: Sequence[str]) -> str:
    return ", or ".join(dict.fromkeys(advice))
