"""Executes a plan: tries candidates in order, with fallback, one re-ask and one bounded wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import assert_never

import anyio

from mcp_router.errors import (
    AllCandidatesFailedError,
    BudgetExceededError,
    CallTimeoutError,
    ForbiddenModelError,
    NoCandidateError,
    RouterError,
    Shortfall,
)
from mcp_router.execution import breaker, failure_messages
from mcp_router.execution.attempt import AttemptRunner
from mcp_router.execution.call import Answered, Call, Failed, Generation, SkipReason
from mcp_router.ledger.records import BudgetRefusal, Hold, RateRefusal
from mcp_router.routing.agreement import is_kin
from mcp_router.routing.fit import FLEX, Candidate, Fit, NoFit, fit
from mcp_router.routing.plan import Plan, Rejection
from mcp_router.routing.request import RoutingState
from providers.catalog import Model
from providers.completion import Completion, Message
from providers.errors import CapacityError, ContextLengthError, ProviderError

_MAX_RATE_LIMIT_WAIT_S = 20.0
"""Seconds a call waits for a rate limit when no other candidate is left."""
_MAX_RETRY_WAIT_S = 5.0
_MIN_RETRY_WAIT_S = 0.25
_PRELOADED_CANDIDATES = 2
"""Next candidates whose SDKs are loaded before a request."""
_MAX_REASKS = 1
"""Re-asks of one model with its validation errors."""


@dataclass(kw_only=True, slots=True)
class FallbackExecutor:
    """Executes the plan of one call."""

    runner: AttemptRunner
    deadline_seconds: float
    call: Call
    plan: Plan
    world: RoutingState

    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    """By model: what is held already for its first request."""
    failures: list[tuple[Candidate, Failed]] = field(default_factory=list[tuple[Candidate, Failed]])
    refusals: dict[str, SkipReason] = field(default_factory=dict[str, SkipReason])
    """By model: the last reason why it was passed over."""
    waited: float = 0.0
    """Seconds spent on waiting for rate limits."""

    async def execute(self) -> Generation:
        """Ask the candidates in order until one answers.

        Raises:
            RouterError: No candidate answered.
        """
        queue = list(self.plan.candidates) or await self._waited_for(self.plan.waiting)
        connections = self.runner.adapters
        await connections.load([candidate.model for candidate in queue])
        while queue:
            self._check_deadline()
            candidate = queue.pop(0)
            connections.preload([other.model for other in queue[:_PRELOADED_CANDIDATES]])
            outcome = await self._try(candidate)
            if isinstance(outcome, Answered):
                return self._generation(candidate, outcome.completion)
            if isinstance(outcome, Failed):
                queue = self._remaining(candidate, outcome.error, queue)
                if isinstance(outcome.error, CapacityError):
                    queue.insert(0, _to_standard(candidate))
                self.failures.append((candidate, outcome))
                if self._is_committed() or (not queue and outcome.error.fallback == "nowhere"):
                    break
            else:
                self.refusals[candidate.model.id] = outcome
            queue = queue or await self._second_chance(candidate, outcome)
        return self._cut_answer()

    def _is_committed(self) -> bool:
        is_committed = self.call.request.is_committed
        return is_committed is not None and is_committed()

    async def _second_chance(self, candidate: Candidate, outcome: Failed | SkipReason) -> list[Candidate]:
        """Return the candidate to try again, now that no other is left."""
        if isinstance(outcome, RateRefusal) and not self.failures:
            return await self._waited_for([(candidate, outcome.wait_seconds)])
        failures = [failed for _, failed in self.failures if not isinstance(failed.error, CapacityError)]
        if isinstance(outcome, Failed) and len(failures) == 1:
            return await self._once_more(candidate, outcome)
        return []

    def _cut_answer(self) -> Generation:
        """Return an answer that was cut, since no candidate gave a whole one."""
        for candidate, failed in self.failures:
            if failed.error.kind == "truncated" and self.call.request.check is None and failed.completion is not None:
                self.call.warnings.append(
                    "the answer was cut at its token limit: ask for less, or a higher budget_tier"
                )
                return self._generation(candidate, failed.completion)
        raise self._failure()

    async def _try(self, candidate: Candidate) -> Answered | Failed | SkipReason:
        """Ask one candidate, and again where its answer was no good."""
        fitted = self._refitted(candidate)
        if isinstance(fitted, NoFit):
            return Rejection(
                model=candidate.model.id, kind=fitted.kind, reason=f"after what was spent, {fitted.reason}"
            )
        scope = f"provider:{candidate.model.provider}"
        now = self.runner.clock()
        probing = self.call.breakers.needs_probe(scope, now)
        if probing and not await self.runner.ledger.claim_probe(scope, now, now + breaker.PROBE_LEASE):
            reason, wait = "breaker open: another call is probing it", breaker.PROBE_LEASE
            return Rejection(model=candidate.model.id, kind="breaker_open", reason=reason, wait_seconds=wait)
        return await self._ask(candidate if fitted is candidate.fit else replace(candidate, fit=fitted))

    async def _ask(self, candidate: Candidate) -> Answered | Failed | SkipReason:
        messages = self.call.request.messages
        hold = self.holds.pop(candidate.model.id, None)
        if hold is None:
            outcome = await self.runner.run(self.call, candidate, messages)
        else:
            outcome = await self.runner.run_held(self.call, candidate, messages, hold)
        for _ in range(_MAX_REASKS):
            if not isinstance(outcome, Failed) or outcome.completion is None or outcome.feedback is None:
                break
            fitted = self._refitted(candidate, added=(outcome.completion.text, outcome.feedback))
            if isinstance(fitted, NoFit):
                break
            messages = (
                *messages,
                Message(role="assistant", content=outcome.completion.text),
                Message(role="user", content=outcome.feedback),
            )
            again = await self.runner.run(self.call, replace(candidate, fit=fitted), messages)
            if isinstance(again, Answered | Failed):
                outcome = again
        return outcome

    def _refitted(self, candidate: Candidate, *, added: tuple[str, ...] = ()) -> Fit | NoFit:
        """Fit a candidate into what is left of the ceiling; `added` are the texts that the prompt has grown by."""
        if not self.call.attempts:
            return candidate.fit
        task = self.plan.task
        return fit(
            candidate.provider,
            candidate.model,
            effort=candidate.fit.effort,
            need=task.requirements.add_texts(added),
            ceiling_usd=task.ceiling_usd - self.call.spent_usd,
            now=datetime.fromtimestamp(self.runner.clock(), UTC),
            unpriced_ok=candidate.model.provider in self.world.unlisted,
            flex=candidate.fit.service_tier == FLEX,
        )

    def _remaining(  # noqa: PLR0911 - one return per fallback
        self, failed: Candidate, error: ProviderError, queue: list[Candidate]
    ) -> list[Candidate]:
        """Return the candidates that can still answer after a failure, in order."""
        model = failed.model
        match error.fallback:
            case "any":
                return queue
            case "other_provider":
                if error.kind == "invalid_request" and self._is_refused_before(model.provider):
                    return []  # two providers refuse it: the request is wrong
                return [other for other in queue if other.model.provider != model.provider]
            case "larger_window":
                return [other for other in queue if self._takes_more(other.model, error)]
            case "other_lineage":
                return [other for other in queue if not is_kin(other.model, model)]
            case "stronger":
                return sorted(queue, key=lambda other: other.model.strength <= model.strength)
            case "nowhere":
                return []
            case _:
                assert_never(error.fallback)

    def _is_refused_before(self, provider: str) -> bool:
        return any(
            failed.error.kind == "invalid_request" and candidate.model.provider != provider
            for candidate, failed in self.failures
        )

    def _takes_more(self, model: Model, error: ProviderError) -> bool:
        """Whether a model takes more than the window its predecessor stated, or else more than the prompt."""
        stated = error.limit_tokens if isinstance(error, ContextLengthError) else None
        needed = stated if stated is not None else self.plan.task.requirements.input_tokens
        return model.context_window is None or model.context_window > needed

    async def _once_more(self, candidate: Candidate, failed: Failed) -> list[Candidate]:
        """Give the only candidate a second chance where that may help; sleeps before, never after."""
        opened = failed.opened
        wait = max(_MIN_RETRY_WAIT_S, failed.error.retry_after or 0.0)
        is_open = opened is not None and failed.error.retry_after is None and opened.open_until > self.runner.clock()
        left = self.call.deadline - anyio.current_time()
        if (
            not failed.error.retryable
            or failed.completion is not None
            or is_open
            or wait > min(_MAX_RETRY_WAIT_S, left)
        ):
            return []
        await anyio.sleep(wait)
        return [candidate]

    async def _waited_for(self, late: Iterable[tuple[Candidate, float]]) -> list[Candidate]:
        """Wait for the first rate limit to end, if that is soon enough."""
        left = min(_MAX_RATE_LIMIT_WAIT_S, self.deadline_seconds / 2) - self.waited
        for candidate, seconds in late:
            if seconds <= left and self._is_rate_limited(candidate):
                self.waited += max(seconds, _MIN_RETRY_WAIT_S)
                await anyio.sleep(seconds)
                return [candidate]
        return []

    def _is_rate_limited(self, candidate: Candidate) -> bool:
        """Whether nothing but a rate limit keeps a candidate from an answer."""
        now = self.runner.clock()
        if self.call.breakers.find_open(f"provider:{candidate.model.provider}", now) is not None:
            return False
        opened = self.call.breakers.find_open(f"model:{candidate.model.id}", now)
        return opened is None or opened.reason == "rate_limit"

    def _generation(self, candidate: Candidate, completion: Completion) -> Generation:
        return Generation(
            call_id=self.call.id,
            plan=self.plan,
            completion=completion,
            candidate=candidate,
            attempts=tuple(self.call.attempts),
            warnings=tuple(self.call.warnings),
            proof=self.call.request.check,
        )

    def _check_deadline(self) -> None:
        if anyio.current_time() >= self.call.deadline:
            raise CallTimeoutError(failure_messages.format_deadline(self.call.attempts, self.deadline_seconds))

    def _failure(self) -> RouterError:
        refusals = list(self.refusals.values())
        budgets = [refusal for refusal in refusals if isinstance(refusal, BudgetRefusal)]
        if self.failures:
            failed = AllCandidatesFailedError(
                failure_messages.format_all_failed(self.call.attempts, self.failures, refusals, self.plan)
            )
            failed.failure = self.failures[-1][1].error.kind
            return failed
        if budgets:
            return BudgetExceededError(
                failure_messages.format_over_budget(budgets[0]), shortfall=to_shortfall(budgets[0])
            )
        if not refusals and not self.plan.waiting and (text := failure_messages.find_forbidden(self.plan)):
            return ForbiddenModelError(text)
        waits = [seconds for _, seconds in self.plan.waiting]
        waits += [refusal.wait_seconds for refusal in refusals if isinstance(refusal, RateRefusal)]
        text = failure_messages.format_no_candidate(self.plan, refusals)
        # No waiting helps where one call alone is more than a limit.
        return NoCandidateError(text, retry_after=min((wait for wait in waits if wait < inf), default=None))


def _to_standard(candidate: Candidate) -> Candidate:
    """Return the same model in the standard class; it is fitted again before its request."""
    return replace(
        candidate, fit=replace(candidate.fit, service_tier=""), why=f"{candidate.why}; standard class: no flex capacity"
    )


def to_shortfall(refusal: BudgetRefusal) -> Shortfall:
    """Return what a budget lacks for a call."""
    return Shortfall(
        budget=refusal.budget.name,
        limit_usd=refusal.budget.limit_usd,
        short_usd=refusal.wanted_usd + refusal.spent_usd + refusal.held_usd - refusal.budget.limit_usd,
        resets_at=refusal.resets_at,
    )
