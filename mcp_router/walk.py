"""Walks one call down its plan: asks, falls back, asks again, waits only where nobody else is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import anyio

from mcp_router import benching, reports
from mcp_router.attempts import Desk
from mcp_router.calls import Answered, Call, Failed
from mcp_router.errors import (
    AllCandidatesFailedError,
    BudgetExceededError,
    CallTimeoutError,
    NoCandidateError,
    RouterError,
)
from mcp_router.fit import Candidate, Fit, NoFit, fit
from mcp_router.generation import Generation
from mcp_router.ledger import Bench, BudgetRefusal, RateRefusal
from mcp_router.plan import Plan
from mcp_router.tasks import World
from providers.completion import Completion, Message

_LONGEST_WAIT = 20.0
"""Seconds a call waits for a rate limit when nobody else is left to ask."""
_LONGEST_RETRY_WAIT = 5.0
_SHORTEST_RETRY_WAIT = 0.25
_MADE_READY = 2
"""So many of those who come next are made ready while one is asked."""
_TIMES_ASKED_AGAIN = 1
"""How often a model is asked again with what was wrong with its answer."""


@dataclass(kw_only=True, slots=True)
class Walk:
    """Walks one call down its plan."""

    desk: Desk
    deadline_seconds: float
    call: Call
    plan: Plan
    world: World
    remembered: dict[str, Bench]

    async def answer(self) -> Generation:
        """Ask the candidates in order until one answers."""
        queue = list(self.plan.candidates)
        refusals: list[BudgetRefusal | RateRefusal] = []
        failures: list[tuple[Candidate, Failed]] = []
        if not queue:
            queue = await self._waited_for()
        while queue:
            self._check_deadline()
            candidate = queue.pop(0)
            self.call.others = [other.model for other in queue[:_MADE_READY]]
            outcome = await self._try(candidate)
            if isinstance(outcome, Answered):
                return self._generation(candidate, outcome.completion)
            if isinstance(outcome, Failed):
                failures.append((candidate, outcome))
                if outcome.error.fatal:
                    break
                queue = self._after(candidate, outcome, queue)
            elif outcome is not None:
                refusals.append(outcome)
            if not queue and failures and len(failures) == 1:
                queue = await self._once_more(failures)
        for candidate, failed in failures:
            if failed.error.kind == "truncated" and failed.said is not None:
                self.call.warnings.append(
                    "the answer was cut at its token limit: ask for less, or a higher budget_tier"
                )
                return self._generation(candidate, failed.said)
        raise self._failure(failures, refusals)

    async def _try(self, candidate: Candidate) -> Answered | Failed | BudgetRefusal | RateRefusal | None:
        """Ask one candidate, and again where its answer was no good; None where it must be passed over."""
        fitted = self._refitted(candidate)
        if fitted is None:
            return None
        scope = f"provider:{candidate.model.provider}"
        bench = self.remembered.get(scope)
        now = self.desk.clock()
        probing = bench is not None and benching.on_probation(bench, now)
        if probing and not await self.desk.ledger.claim_probe(scope, now, now + benching.PROBE_LEASE):
            return None
        return await self._ask(replace(candidate, fit=fitted))

    async def _ask(self, candidate: Candidate) -> Answered | Failed | BudgetRefusal | RateRefusal | None:
        messages = self.call.ask.messages
        outcome = await self.desk.attempt(self.call, candidate, messages, self.remembered)
        for _ in range(_TIMES_ASKED_AGAIN):
            if not isinstance(outcome, Failed) or outcome.said is None or outcome.again is None:
                break
            fitted = self._refitted(candidate)
            if fitted is None:
                break
            messages = (
                *messages,
                Message(role="assistant", content=outcome.said.text),
                Message(role="user", content=outcome.again),
            )
            again = await self.desk.attempt(self.call, replace(candidate, fit=fitted), messages, self.remembered)
            if isinstance(again, Answered | Failed):
                outcome = again
        return outcome

    def _refitted(self, candidate: Candidate) -> Fit | None:
        """Fit a candidate into what is left of the ceiling."""
        if not self.call.attempts:
            return candidate.fit
        task = self.plan.task
        fitted = fit(
            candidate.provider,
            candidate.model,
            effort=candidate.fit.effort,
            need=task.need,
            ceiling_usd=task.ceiling_usd - self.call.spent_usd,
            now=self.world.now,
            unpriced_ok=candidate.model.provider in self.world.unlisted,
        )
        return None if isinstance(fitted, NoFit) else fitted

    def _after(self, failed: Candidate, outcome: Failed, queue: list[Candidate]) -> list[Candidate]:
        """Choose who is still worth asking after a failure."""
        model = failed.model
        match outcome.error.kind:
            case "context_length":
                window = model.context_window or 0
                return [other for other in queue if (other.model.context_window or window + 1) > window]
            case "content_filter":
                return [other for other in queue if other.model.lineage != model.lineage]
            case "invalid_answer" | "truncated" | "empty":
                return sorted(queue, key=lambda other: other.model.strength <= model.strength)
            case _:
                pass
        if outcome.error.bench == "key":
            return [other for other in queue if other.model.provider != model.provider]
        return queue

    async def _once_more(self, failures: list[tuple[Candidate, Failed]]) -> list[Candidate]:
        """Give the only candidate a second chance where that may help; sleeps before, never after."""
        candidate, failed = failures[-1]
        bench = failed.bench
        wait = max(_SHORTEST_RETRY_WAIT, failed.error.retry_after or 0.0)
        benched = bench is not None and failed.error.retry_after is None and bench.until > self.desk.clock()
        left = self.call.deadline - anyio.current_time()
        if not failed.error.retryable or failed.said is not None or benched or wait > min(_LONGEST_RETRY_WAIT, left):
            return []
        await anyio.sleep(wait)
        return [candidate]

    async def _waited_for(self) -> list[Candidate]:
        """Wait for a rate limit, since nobody else can be asked."""
        for candidate, seconds in self.plan.waiting:
            if seconds <= min(_LONGEST_WAIT, self.deadline_seconds / 2) and _is_rate(candidate, self.world):
                await anyio.sleep(seconds)
                return [candidate]
        return []

    def _generation(self, candidate: Candidate, completion: Completion) -> Generation:
        return Generation(
            call_id=self.call.id,
            plan=self.plan,
            completion=completion,
            candidate=candidate,
            attempts=tuple(self.call.attempts),
            warnings=tuple(self.call.warnings),
        )

    def _check_deadline(self) -> None:
        if anyio.current_time() >= self.call.deadline:
            raise CallTimeoutError(reports.deadline(self.call.attempts, self.deadline_seconds))

    def _failure(
        self, failures: list[tuple[Candidate, Failed]], refusals: list[BudgetRefusal | RateRefusal]
    ) -> RouterError:
        budgets = [refusal for refusal in refusals if isinstance(refusal, BudgetRefusal)]
        if failures:
            return AllCandidatesFailedError(reports.all_failed(self.call.attempts, failures, refusals, self.plan))
        if budgets:
            return BudgetExceededError(reports.over_budget(budgets[0]))
        waits = [seconds for candidate, seconds in self.plan.waiting if _is_rate(candidate, self.world)]
        waits += [refusal.wait_seconds for refusal in refusals if isinstance(refusal, RateRefusal)]
        text = reports.no_candidate(self.plan, refusals)
        return NoCandidateError(text, retry_after=min(waits, default=None))


def _is_rate(candidate: Candidate, world: World) -> bool:
    bench = world.benches.get(f"model:{candidate.model.id}")
    if f"provider:{candidate.model.provider}" in world.benches:
        return False
    return bench is None or bench.reason == "rate_limit"
