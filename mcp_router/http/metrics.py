"""Metrics for Prometheus, read from the ledger at every scrape, so that replicas and restarts agree.

Each replica reports the totals of all, so aggregate with `max`, not `sum`.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from mcp_router.app import App
from mcp_router.http import request_metrics
from mcp_router.http.responses import response_from_error
from mcp_router.ledger.latency_histogram import count_within
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.records import Breaker, BudgetStatus, GroupBy, Totals
from mcp_router.ledger.task_records import TaskState
from mcp_router.operations import costs
from mcp_router.operations.background.task_store import TaskStore
from mcp_router.operations.caller import Caller
from mcp_router.server.callers import caller_from_request

BUCKET_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds of the histogram; each is also a bound of the ledger's."""
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_MODEL_LABELS = ("provider", "model")
_MAX_UNLISTED_MODELS = 20
"""For models of one provider that are in no list; the others are summed."""
_OTHER = "other"
_MAX_BREAKERS = 200
Groups = Mapping[str, Totals]


_SUMMED = (
    "calls",
    "attempts",
    "failed_attempts",
    "answered_attempts",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "uncertain_usd",
    "unpriced_attempts",
    "baseline_usd",
    "seconds",
)


class Metrics:
    """The endpoint `/metrics`, with what the caller can see."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, request: Request) -> Response:
        """Return the metrics."""
        try:
            families = await _collect_families(self._app, caller_from_request(request))
        except LedgerError as error:
            return response_from_error(error)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_FixedCollector(families))
        return Response(generate_latest(registry), media_type=_TEXT, headers={"Cache-Control": "no-store"})


class _FixedCollector(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def _collect_families(app: App, caller: Caller) -> list[Metric]:
    now = time.time()

    async def groups(by: GroupBy) -> Groups:
        book = costs.choose_rollup(app, "all", caller)
        return (await app.ledger.summarize(since=None, until=None, session=book, group_by=by)).groups

    limits = [limit for limit in app.settings.limits() if caller.sees_all or limit.client == caller.name]
    return [
        *request_metrics.collect(),
        *_create_call_metrics(await groups("use_case")),
        *_create_attempt_metrics(_merge_unlisted(await groups("model"), {model.id for model in app.catalog.models()})),
        *_create_budget_metrics(await app.ledger.read_budgets(limits, now)),
        _create_breaker_metric((await app.ledger.read_availability(now)).breakers, now),
        _create_task_metric(await TaskStore.of(app).count_by_state(caller)),
    ]


def _merge_unlisted(by_model: Groups, listed: Container[str]) -> Groups:
    """Sum a provider's unlisted models except the most used ones: callers choose their names, without limit."""
    unlisted = sorted((name for name in by_model if name not in listed), key=lambda name: -by_model[name].attempts)
    seen, together = Counter[str](), defaultdict[str, list[Totals]](list)
    for name in unlisted:
        provider = name.partition(":")[0]
        seen[provider] += 1
        together[name if seen[provider] <= _MAX_UNLISTED_MODELS else f"{provider}:{_OTHER}"].append(by_model[name])
    return {name: totals for name, totals in by_model.items() if name in listed} | {
        name: _sum_totals(totals) for name, totals in together.items()
    }


def _sum_totals(several: Sequence[Totals]) -> Totals:
    latencies = tuple(sum(counts) for counts in zip(*(totals.latencies for totals in several), strict=True))
    sums = {name: sum(getattr(totals, name) for totals in several) for name in _SUMMED}
    return replace(several[0], **sums, latencies=latencies)


def _create_call_metrics(by_use_case: Groups) -> Iterator[Metric]:
    calls = CounterMetricFamily("mcp_router_calls", "Calls that asked a model", labels=["use_case"])
    fallbacks = CounterMetricFamily("mcp_router_fallback_calls", "Calls with several attempts", labels=["use_case"])
    for use_case, totals in by_use_case.items():
        calls.add_metric([use_case], totals.calls)
        fallbacks.add_metric([use_case], totals.fallback_calls)
    yield from (calls, fallbacks)


def _create_attempt_metrics(by_model: Groups) -> Iterator[Metric]:
    attempts = CounterMetricFamily("mcp_router_attempts", "Requests to models", labels=[*_MODEL_LABELS, "outcome"])
    tokens = CounterMetricFamily("mcp_router_tokens", "Tokens read and written", labels=[*_MODEL_LABELS, "direction"])
    cost = CounterMetricFamily("mcp_router_cost_usd", "Spent, failed attempts included", labels=_MODEL_LABELS)
    uncertain = CounterMetricFamily(
        "mcp_router_uncertain_usd", "Of it, only known to be at most this", labels=_MODEL_LABELS
    )
    unpriced = CounterMetricFamily("mcp_router_unpriced_attempts", "Attempts of unknown cost", labels=_MODEL_LABELS)
    baseline = CounterMetricFamily("mcp_router_baseline_usd", "The same at the baseline model", labels=_MODEL_LABELS)
    seconds = HistogramMetricFamily("mcp_router_attempt_seconds", "Time to a whole answer", labels=_MODEL_LABELS)
    for name, totals in by_model.items():
        of = [name.partition(":")[0], name]
        cancelled = totals.attempts - totals.answered_attempts - totals.failed_attempts
        attempts.add_metric([*of, "answered"], totals.answered_attempts)
        attempts.add_metric([*of, "failed"], totals.failed_attempts)
        attempts.add_metric([*of, "cancelled"], cancelled)
        tokens.add_metric([*of, "input"], totals.input_tokens)
        tokens.add_metric([*of, "output"], totals.output_tokens)
        cost.add_metric(of, float(totals.cost_usd))
        uncertain.add_metric(of, float(totals.uncertain_usd))
        unpriced.add_metric(of, totals.unpriced_attempts)
        baseline.add_metric(of, float(totals.baseline_usd))
        seconds.add_metric(of, _buckets(totals), totals.seconds)
    yield from (attempts, tokens, cost, uncertain, unpriced, baseline, seconds)


def _buckets(totals: Totals) -> list[tuple[str, float]]:
    """Return cumulative counts for Prometheus' bounds, which are among the ledger's."""
    buckets = [(str(bound), count_within(totals.latencies, bound * 1000)) for bound in BUCKET_BOUNDS_S]
    return [*buckets, ("+Inf", sum(totals.latencies))]


def _create_budget_metrics(states: Sequence[BudgetStatus]) -> Iterator[Metric]:
    limit = GaugeMetricFamily("mcp_router_budget_limit_usd", "The most that may be spent", labels=["budget"])
    left = GaugeMetricFamily("mcp_router_budget_left_usd", "What may still be spent", labels=["budget"])
    held = GaugeMetricFamily("mcp_router_budget_held_usd", "Held by calls in flight", labels=["budget"])
    for state in states:
        name = [state.budget.name]
        limit.add_metric(name, float(state.budget.limit_usd))
        left.add_metric(name, float(max(0, state.budget.limit_usd - state.spent_usd - state.held_usd)))
        held.add_metric(name, float(state.held_usd))
    yield from (limit, left, held)


def _create_task_metric(counts: Mapping[str, int]) -> Metric:
    tasks = GaugeMetricFamily("mcp_router_tasks", "Background tasks that are kept, by state", labels=["state"])
    for state in get_args(TaskState):
        tasks.add_metric([state], counts.get(state, 0))
    return tasks


def _create_breaker_metric(breakers: Sequence[Breaker], now: float) -> Metric:
    left = GaugeMetricFamily(
        "mcp_router_benched_seconds", "Time until the circuit breaker half-opens", labels=["scope", "reason"]
    )
    standing = sorted(
        (breaker for breaker in breakers if breaker.open_until > now), key=lambda breaker: -breaker.open_until
    )
    for breaker in standing[:_MAX_BREAKERS]:
        left.add_metric([breaker.scope, breaker.reason], breaker.open_until - now)
    return left
