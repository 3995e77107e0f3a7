"""Runs a trial: a few calls at a time, each result on the disk as soon as it is paid for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import anyio
from anyio import to_thread

from mcp_router.errors import AllCandidatesFailedError, BudgetExceededError, RouterError
from mcp_router.execution.call import CallRequest, Generation
from mcp_router.execution.validation import check
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.records import Measurement
from mcp_router.operations.trial import judge
from mcp_router.operations.trial.criteria import is_expected
from mcp_router.operations.trial.prepare import Trial, TrialCall, needs_answer
from mcp_router.operations.trial.result_file import Answered
from mcp_router.text import strip_controls

_MAX_CONCURRENT_CALLS = 4
_MAX_WAIT_WITHOUT_ANSWER_S = 180.0
"""Seconds without any answer after which a trial gives up waiting for a model at a limit or behind an open breaker."""
_MIN_WAIT_S = 0.25
_OWN_FAILURES = frozenset({"empty", "content_filter", "truncated"})
"""Kinds of failure that are the model's own: its sample counts as failed."""


@dataclass(kw_only=True, slots=True)
class TrialRun:
    """A trial while it runs, and what it has spent."""

    trial: Trial
    on_progress: Callable[[int, Decimal], None]
    """Called with the number of calls that ended and what they cost together, in USD."""
    ended: int = 0
    spent_usd: Decimal = Decimal(0)
    unanswered: dict[str, str] = field(default_factory=dict[str, str])
    """By model: the first failure that was not the model's own."""
    contradictions: int = 0
    """Judgements in which the two orders found different things."""
    stop_reason: str | None = None
    last_answer: float = 0.0
    in_flight: int = 0

    async def run(self) -> None:
        """Run what is not stored yet. When it was cancelled or stopped, another run goes on from there."""
        self.last_answer = anyio.current_time()
        if self.trial.options.fresh:
            await to_thread.run_sync(self.trial.stored.delete)
        waiting = iter(self.trial.pending)
        async with anyio.create_task_group() as group:
            for _ in range(_MAX_CONCURRENT_CALLS):
                group.start_soon(self._work_through, waiting)
        if self.stop_reason is None and self.ended < len(self.trial.pending):
            self.stop_reason = "interrupted."
        if self.stop_reason is None:
            await self._finish()

    async def _work_through(self, waiting: Iterator[TrialCall]) -> None:
        for call in waiting:
            if self.stop_reason is not None:
                return
            try:
                await self._measure(call)
            except (BudgetExceededError, LedgerError, OSError) as error:
                self.stop_reason = self.stop_reason or str(error)
            except RouterError as error:
                self.unanswered.setdefault(call.model, str(error))
            self.ended += 1
            self.on_progress(self.ended, self.spent_usd)

    async def _measure(self, call: TrialCall) -> None:
        kept = self.trial.stored.answers.get(call.key)
        if kept is None or needs_answer(call, self.trial.stored):
            kept = await self._answer(call)
        if call.criterion in kept.passed:
            return
        passed = await self._evaluate(call, kept.text or "")
        await self._store(kept.model_copy(update={"text": None, "passed": {**kept.passed, call.criterion: passed}}))

    async def _answer(self, call: TrialCall) -> Answered:
        """Return the model's answer; without a judge it is not stored yet, since measuring it costs nothing."""
        if call.label is not None:
            text = call.sample.labels[call.label].answer
            return Answered(key=call.key, seconds=0, cost_usd=None, call_id="", text=text)
        try:
            generation = await self._generate(call.request)
        except AllCandidatesFailedError as error:
            if error.failure not in _OWN_FAILURES:
                raise
            seconds, passed = 0.0, {call.criterion: False}
            failed = Answered(
                key=call.key, seconds=seconds, cost_usd=error.cost_usd, call_id=error.call_id or "", passed=passed
            )
            await self._store(failed)
            return failed
        answer = Answered(
            key=call.key,
            seconds=generation.attempts[-1].seconds,
            cost_usd=generation.cost_usd,
            call_id=generation.call_id,
            text=strip_controls(generation.completion.text),
        )
        if self.trial.judge is not None:
            await self._store(answer)
        return answer

    async def _evaluate(self, call: TrialCall, text: str) -> bool:
        model = self.trial.judge
        if model is not None:
            requests = await judge.build_requests(self.trial.app, model, call.sample, text)
            found = judge.combine([await self._generate(request) for request in requests])
            self.contradictions += not found.agrees_with_itself
            return found.passed
        if self.trial.criterion == "schema":
            return call.schema is not None and isinstance(await check(text, call.schema), str)
        return is_expected(text, call.sample.expected)

    async def _store(self, answer: Answered) -> None:
        with anyio.CancelScope(shield=True):  # already paid for
            await to_thread.run_sync(self.trial.stored.add, answer)

    async def _generate(self, request: CallRequest) -> Generation:
        """Ask, and wait for rates and for money that calls in flight hold but may not need."""
        while True:
            self.in_flight += 1
            try:
                generation = await self.trial.app.router.generate(request)
            except RouterError as error:
                self.spent_usd += error.cost_usd or Decimal(0)
                wait_s = error.retry_after
                if isinstance(error, BudgetExceededError) and self.in_flight > 1:
                    wait_s = _MIN_WAIT_S
                if wait_s is None or anyio.current_time() + wait_s > self.last_answer + _MAX_WAIT_WITHOUT_ANSWER_S:
                    raise
            else:
                self.spent_usd += generation.cost_usd or Decimal(0)
                self.last_answer = anyio.current_time()
                return generation
            finally:
                self.in_flight -= 1
            await anyio.sleep(max(_MIN_WAIT_S, wait_s))

    async def _finish(self) -> None:
        """Store the measured figures, and remove answers' texts from the disk."""
        now = time.time()
        figures = [
            Measurement(
                use_case=self.trial.use_case,
                budget_tier=self.trial.tier,
                model=model,
                criterion=self.trial.criterion,
                passed=sum(results.values()),
                total=len(results),
                measured_at=now,
            )
            for model, results in collect_results(self.trial).items()
            if results
        ]
        if figures and self.trial.pending:
            await self.trial.app.ledger.measurements.store(figures)
        if self.trial.stored.answers:
            await to_thread.run_sync(self.trial.stored.compact)


def collect_results(trial: Trial) -> dict[str, dict[int, bool]]:
    """Return pass or fail of every model by the sample's line."""
    found: dict[str, dict[int, bool]] = {model: {} for model in trial.models}
    for call in trial.calls:
        kept = trial.stored.answers.get(call.key)
        if call.label is None and kept is not None and call.criterion in kept.passed:
            found[call.model][call.sample.line] = kept.passed[call.criterion]
    return found
