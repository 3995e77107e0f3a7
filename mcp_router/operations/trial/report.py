"""The results of a trial as figures: pass rates with intervals, cost, latency and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from typing import NotRequired, TypedDict

from mcp_router.money import to_number
from mcp_router.operations.trial.prepare import Trial
from mcp_router.operations.trial.run import TrialRun, collect_results
from mcp_router.operations.trial.verdict import Measured, compute_interval, decide


class LatencyView(TypedDict):
    """Milliseconds from request to answer."""

    p50: float | None
    p95: float | None


class ModelView(TypedDict):
    """One model of the trial."""

    model: str
    passed: int
    answered: int
    pass_rate: float | None
    interval: list[float]
    """90 % Wilson interval of the pass rate."""
    cost_per_1000_usd: float | None
    latency_ms: LatencyView
    failure: NotRequired[str]
    """Why samples have no answer."""


class VerdictView(TypedDict):
    """Which route the results support."""

    kind: str
    """chosen, cannot_tell or none."""
    reason: str
    route: list[str]
    more_samples: NotRequired[int]


class JudgeView(TypedDict):
    """How far a judge can be trusted."""

    model: str
    labels: int
    agreed: int
    contradictions: int


class TrialReport(TypedDict):
    """The result of `trial`."""

    use_case: str
    budget_tier: str
    criterion: str
    samples: int
    models: list[ModelView]
    left_out: dict[str, str]
    spent_usd: float | None
    verdict: VerdictView
    judge: NotRequired[JudgeView]
    stopped: NotRequired[str]


def describe_trial(run: TrialRun) -> TrialReport:
    """Return the figures of a trial that ended or stopped."""
    trial = run.trial
    results = collect_results(trial)
    measured = [
        Measured(model=model, cost_usd=_compute_mean_usd(trial, model), results=found)
        for model, found in results.items()
    ]
    verdict = decide(measured, trial.options.at_least)
    view: VerdictView = {"kind": verdict.kind, "reason": verdict.reason, "route": list(verdict.route)}
    if verdict.more_samples is not None:
        view["more_samples"] = verdict.more_samples
    report: TrialReport = {
        "use_case": trial.use_case,
        "budget_tier": trial.tier,
        "criterion": trial.criterion,
        "samples": len(trial.samples),
        "models": [_describe_model(run, one) for one in measured],
        "left_out": trial.left_out,
        "spent_usd": to_number(run.spent_usd),
        "verdict": view,
    }
    if trial.judge is not None:
        report["judge"] = _describe_judge(run, trial.judge)
    if run.stop_reason is not None:
        report["stopped"] = run.stop_reason
    return report


def _describe_model(run: TrialRun, one: Measured) -> ModelView:
    seconds = sorted(
        kept.seconds
        for call in run.trial.calls
        if call.model == one.model
        and call.label is None
        and (kept := run.trial.stored.answers.get(call.key)) is not None
        and kept.seconds
    )
    view: ModelView = {
        "model": one.model,
        "passed": one.passed,
        "answered": one.total,
        "pass_rate": round(one.rate, 4) if one.total else None,
        "interval": [round(bound, 4) for bound in compute_interval(one.passed, one.total)],
        "cost_per_1000_usd": to_number(one.cost_usd * 1000) if one.cost_usd is not None else None,
        "latency_ms": {"p50": _find_percentile(seconds, 0.5), "p95": _find_percentile(seconds, 0.95)},
    }
    if (failure := run.unanswered.get(one.model)) is not None:
        view["failure"] = failure
    return view


def _compute_mean_usd(trial: Trial, model: str) -> Decimal | None:
    costs = [
        kept.cost_usd
        for call in trial.calls
        if call.model == model and call.label is None and (kept := trial.stored.answers.get(call.key)) is not None
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) / len(known) if known and len(known) == len(costs) else None


def _find_percentile(seconds: Sequence[float], share: float) -> float | None:
    return round(1000 * seconds[ceil(share * len(seconds)) - 1], 1) if seconds else None


def _describe_judge(run: TrialRun, model: str) -> JudgeView:
    labels = agreed = 0
    for call in run.trial.calls:
        kept = run.trial.stored.answers.get(call.key)
        if call.label is not None and kept is not None and call.criterion in kept.passed:
            labels += 1
            agreed += kept.passed[call.criterion] == call.sample.labels[call.label].passed
    return {"model": model, "labels": labels, "agreed": agreed, "contradictions": run.contradictions}
