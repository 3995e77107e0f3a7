"""Runs `check = agree`: two models answer concurrently; if they differ, a stronger one decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio

from mcp_router.errors import BudgetExceededError, NoCandidateError
from mcp_router.execution import failure_messages
from mcp_router.execution.attempt import AttemptRunner
from mcp_router.execution.call import Answered, Call, Failed, Generation, RejectedError, Validator
from mcp_router.execution.comparable import to_comparable
from mcp_router.execution.fallback import FallbackExecutor, to_shortfall
from mcp_router.ledger.records import BudgetRefusal, Hold, OutcomeCounts, RateRefusal
from mcp_router.routing.agreement import COMPARED_MODELS
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import Plan
from providers.completion import Completion


@dataclass(kw_only=True, slots=True)
class AgreementExecutor:
    """Executes the plan of one call whose answer two models must give alike."""

    runner: AttemptRunner
    call: Call
    plan: Plan
    create_executor: Callable[..., FallbackExecutor]
    """Makes the executor of the models that decide, from their plan and the hold of the first."""

    answers: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """By model: what it said, in comparable form."""

    async def execute(self) -> Generation:
        """Compare two answers, and let the stronger model decide if they differ.

        Raises:
            RouterError: The three calls do not fit a budget, or the model that decides did not answer.
        """
        first, second, decider, *_ = self.plan.candidates
        holds = await self._hold_all([first, second, decider])
        await self.runner.adapters.load([candidate.model for candidate in (first, second, decider)])
        outcomes: dict[str, Answered | Failed] = {}

        async def ask(candidate: Candidate, hold: Hold) -> None:
            validate = self._create_validator(candidate.model.id)
            outcomes[candidate.model.id] = await self.runner.run_held(
                self.call, candidate, self.call.request.messages, hold, validate
            )

        self.call.is_undecided = True
        try:
            async with anyio.create_task_group() as group:
                for candidate, hold in zip((first, second), holds, strict=False):
                    group.start_soon(ask, candidate, hold)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.runner.ledger.release(holds[-1].id)
            raise
        if not self.call.is_undecided:
            await self.runner.ledger.release(holds[-1].id)
            return await self._agreed(first, second, outcomes[first.model.id])
        self.call.is_undecided = False
        return await self._decide(decider, holds[-1])

    async def _hold_all(self, candidates: list[Candidate]) -> list[Hold]:
        """Hold every request that may be needed, or none."""
        holds: list[Hold] = []
        try:
            for ahead, candidate in enumerate(candidates):
                held = await self.runner.hold(self.call, candidate, ahead=ahead)
                if not isinstance(held, Hold):
                    raise self._refuse(held)  # noqa: TRY301 - what is held must be released either way
                holds.append(held)
        except BaseException:
            with anyio.CancelScope(shield=True):
                for hold in holds:
                    await self.runner.ledger.release(hold.id)
            raise
        return holds

    def _refuse(self, refusal: BudgetRefusal | RateRefusal) -> BudgetExceededError | NoCandidateError:
        if isinstance(refusal, BudgetRefusal):
            return BudgetExceededError(failure_messages.format_over_budget(refusal), shortfall=to_shortfall(refusal))
        text = failure_messages.format_no_candidate(self.plan, [refusal])
        return NoCandidateError(text, retry_after=refusal.wait_seconds)

    def _create_validator(self, model: str) -> Validator:
        """Return the call's validator, which also compares what the two models say."""
        request = self.call.request

        async def validate(completion: Completion) -> Completion | RejectedError:
            found = await request.validate(completion) if request.validate is not None else completion
            if isinstance(found, Completion):
                self.answers[model] = to_comparable(found.text, is_json=request.response_schema is not None)
                said = list(self.answers.values())
                # The attempt that completes the agreement is the answer: nothing is awaited until it is recorded.
                if len(said) == COMPARED_MODELS and said[0] is not None and said[0] == said[1]:
                    self.call.is_undecided = False
            return found

        return validate

    async def _agreed(self, first: Candidate, second: Candidate, outcome: Answered | Failed) -> Generation:
        for candidate in (first, second):
            await self._count(candidate, kept=True)
        assert isinstance(outcome, Answered)  # noqa: S101 - an agreement has two answers
        return Generation(
            call_id=self.call.id,
            plan=self.plan,
            completion=outcome.completion,
            candidate=first,
            attempts=tuple(self.call.attempts),
            warnings=tuple(self.call.warnings),
            proof=f"agree: {first.model.id} and {second.model.id}",
        )

    async def _decide(self, decider: Candidate, hold: Hold) -> Generation:
        rest = self.plan.candidates[COMPARED_MODELS:]
        executor = self.create_executor(plan=replace(self.plan, candidates=rest), holds={decider.model.id: hold})
        try:
            decided = await executor.execute()
        finally:
            with anyio.CancelScope(shield=True):
                for unused in executor.holds.values():
                    await self.runner.ledger.release(unused.id)
        said = to_comparable(decided.completion.text, is_json=self.call.request.response_schema is not None)
        for candidate in self.plan.candidates[:COMPARED_MODELS]:
            if (other := self.answers.get(candidate.model.id)) is not None and said is not None:
                await self._count(candidate, kept=other == said)
        return replace(decided, proof=f"agree: decided by {decided.candidate.model.id}")

    async def _count(self, candidate: Candidate, *, kept: bool) -> None:
        if self.runner.feedback is not None:
            counts = OutcomeCounts(kept=int(kept), rejected=int(not kept))
            task = self.call.request.task
            route = (task.use_case, task.budget_tier, task.complexity)
            await self.runner.ledger.count_outcome(route, candidate.model.id, counts, self.runner.clock())
