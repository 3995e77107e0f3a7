"""Gets a task answered: choose, ask, fall back, write down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import anyio

from mcp_router import benching, reports
from mcp_router.attempts import Answered, Ask, Call, Desk, Failed
from mcp_router.catalog import Catalog
from mcp_router.errors import (
    AllCandidatesFailedError,
    BudgetExceededError,
    CallTimeoutError,
    NoCandidateError,
    RouterError,
)
from mcp_router.fit import Candidate, Fit, NoFit, fit
from mcp_router.ledger import Attempt, Bench, BudgetRefusal, Ledger, RateRefusal
from mcp_router.plan import Access, Plan, Task, World, plan
from mcp_router.routes import Routes
from providers.completion import Completion, Message

_LONGEST_WAIT = 20.0
"""Seconds a call waits for a rate limit when nobody else is left to ask."""
_LONGEST_RETRY_WAIT = 5.0
_SHORTEST_RETRY_WAIT = 0.25
_TIMES_ASKED_AGAIN = 1
"""How often a model is asked again with what was wrong with its answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What the caller gets: an answer, and all that was tried for it."""

    call_id: str
    plan: Plan
    completion: Completion
    candidate: Candidate
    attempts: tuple[Attempt, ...]
    warnings: tuple[str, ...]

    @property
    def cost_usd(self) -> Decimal | None:
        """Everything the call cost, failed attempts included; None where any of it is unknown."""
        costs = [attempt.cost_usd for attempt in self.attempts]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    @property
    def saved_usd(self) -> Decimal | None:
        """The baseline's cost for the same tokens, less everything spent; None where either is unknown."""
        baseline = self.attempts[-1].baseline_usd
        return None if baseline is None or self.cost_usd is None else baseline - self.cost_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What does not change while the server runs."""

    catalog: Catalog
    routes: Routes
    access: Callable[[], Mapping[str, Access]]
    unlisted: frozenset[str]
    deadline_seconds: float


class Router:
    """Plans and runs calls."""

    def __init__(self, *, ground: Ground, desk: Desk) -> None:
        self.ground = ground
        self.desk = desk
        self._probing: set[str] = set()

    @property
    def ledger(self) -> Ledger:
        """Where it is all written down."""
        return self.desk.ledger

    async def world(self) -> tuple[World, dict[str, Bench]]:
        """Look around: who is benched or busy now, and which benches are remembered."""
        now = self.desk.clock()
        remembered = {bench.scope: bench for bench in await self.ledger.benches(now)}
        busy = {
            state.provider: 60.0
            for state in await self.ledger.rates(now)
            if (rate := self.desk.rates(state.provider)) is not None
            and (
                (rate.requests_per_minute is not None and state.requests >= rate.requests_per_minute)
                or (rate.tokens_per_minute is not None and state.tokens >= rate.tokens_per_minute)
            )
        }
        world = World(
            catalog=self.ground.catalog,
            routes=self.ground.routes,
            now=datetime.fromtimestamp(now, UTC),
            access=self.ground.access(),
            benches={scope: bench for scope, bench in remembered.items() if bench.until > now},
            busy=busy,
            unlisted=self.ground.unlisted,
        )
        return world, remembered

    async def plan(self, task: Task) -> Plan:
        """Plan a task as `generate` would at this moment; spends nothing.

        Raises:
            UnknownNameError: The pin names a provider or model that nobody has.
        """
        world, _ = await self.world()
        return plan(task, world)

    async def generate(self, ask: Ask) -> Generation:
        """Get an answer.

        Raises:
            RouterError: Nobody may answer, the budget does not admit it, or everybody failed; each text
                says what to do. `call_id` leads to the attempts.
        """
        call = Call(ask=ask, deadline=anyio.current_time() + self.ground.deadline_seconds)
        world, remembered = await self.world()
        planned = plan(ask.task, world)
        try:
            return await _Run(router=self, call=call, plan=planned, world=world, remembered=remembered).answer()
        except RouterError as error:
            error.call_id = call.id if call.attempts else None
            raise

    def probe(self, scope: str) -> bool:
        """Claim the one probe of a bench that has ended; False where another call has it."""
        if scope in self._probing:
            return False
        self._probing.add(scope)
        return True

    def probed(self, scope: str) -> None:
        """Give the claim back."""
        self._probing.discard(scope)


@dataclass(kw_only=True, slots=True)
class _Run:
    """Walks one call down its plan."""

    router: Router
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
            outcome = await self._try(candidate)
            if isinstance(outcome, Answered):
                return self._generation(candidate, outcome)
            if isinstance(outcome, Failed):
                failures.append((candidate, outcome))
                if outcome.error.fatal:
                    break
                queue = self._after(candidate, outcome, queue)
            elif outcome is not None:
                refusals.append(outcome)
            if not queue and failures and len(failures) == 1:
                queue = await self._once_more(failures)
        raise self._failure(failures, refusals)

    async def _try(self, candidate: Candidate) -> Answered | Failed | BudgetRefusal | RateRefusal | None:
        """Ask one candidate, and again where its answer was no good; None where it must be passed over."""
        fitted = self._refitted(candidate)
        if fitted is None:
            return None
        scope = f"provider:{candidate.model.provider}"
        bench = self.remembered.get(scope)
        probing = bench is not None and benching.on_probation(bench, self.router.desk.clock())
        if probing and not self.router.probe(scope):
            return None
        try:
            return await self._ask(replace(candidate, fit=fitted))
        finally:
            if probing:
                self.router.probed(scope)

    async def _ask(self, candidate: Candidate) -> Answered | Failed | BudgetRefusal | RateRefusal | None:
        messages = self.call.ask.messages
        outcome = await self.router.desk.attempt(self.call, candidate, messages, self.remembered)
        for _ in range(_TIMES_ASKED_AGAIN):
            if not isinstance(outcome, Failed) or outcome.said is None or not outcome.error.retryable:
                break
            fitted = self._refitted(candidate)
            if fitted is None:
                break
            messages = (
                *messages,
                Message(role="assistant", content=outcome.said),
                Message(role="user", content=f"{outcome.error}. Answer again, with that put right."),
            )
            again = await self.router.desk.attempt(self.call, replace(candidate, fit=fitted), messages, self.remembered)
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
        benched = bench is not None and failed.error.retry_after is None and bench.until > self.router.desk.clock()
        left = self.call.deadline - anyio.current_time()
        if not failed.error.retryable or failed.said is not None or benched or wait > min(_LONGEST_RETRY_WAIT, left):
            return []
        await anyio.sleep(wait)
        return [candidate]

    async def _waited_for(self) -> list[Candidate]:
        """Wait for a rate limit, since nobody else can be asked."""
        for candidate, seconds in self.plan.waiting:
            if seconds <= min(_LONGEST_WAIT, self.router.ground.deadline_seconds / 2) and _is_rate(
                candidate, self.world
            ):
                await anyio.sleep(seconds)
                return [candidate]
        return []

    def _generation(self, candidate: Candidate, outcome: Answered) -> Generation:
        return Generation(
            call_id=self.call.id,
            plan=self.plan,
            completion=outcome.completion,
            candidate=candidate,
            attempts=tuple(self.call.attempts),
            warnings=tuple(self.call.warnings),
        )

    def _check_deadline(self) -> None:
        if anyio.current_time() >= self.call.deadline:
            raise CallTimeoutError(reports.deadline(self.call.attempts, self.router.ground.deadline_seconds))

    def _failure(
        self, failures: list[tuple[Candidate, Failed]], refusals: list[BudgetRefusal | RateRefusal]
    ) -> RouterError:
        budgets = [refusal for refusal in refusals if isinstance(refusal, BudgetRefusal)]
        if failures:
            return AllCandidatesFailedError(reports.all_failed(self.call.attempts, failures, refusals, self.plan))
        if budgets:
            return BudgetExceededError(reports.over_budget(budgets[0]))
        return NoCandidateError(reports.no_candidate(self.plan, refusals))


def _is_rate(candidate: Candidate, world: World) -> bool:
    bench = world.benches.get(f"model:{candidate.model.id}")
    if f"provider:{candidate.model.provider}" in world.benches:
        return False
    return bench is None or bench.reason == "rate_limit"
