"""Entry point of execution: reads the state, plans a call and executes the plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import anyio

from mcp_router.errors import (
    RouterError,
)
from mcp_router.execution import rate_limits
from mcp_router.execution.attempt import AttemptRunner
from mcp_router.execution.breaker import CallBreakers
from mcp_router.execution.call import Call, CallRequest, Generation, new_call_id, sum_costs_usd
from mcp_router.execution.fallback import FallbackExecutor
from mcp_router.ledger.ledger import Ledger
from mcp_router.ledger.origin import CURRENT_ORIGIN
from mcp_router.routing.access import Access
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import FLEX_TIMEOUT
from mcp_router.routing.plan import Plan, plan
from mcp_router.routing.policy import Policies
from mcp_router.routing.request import RoutingRequest, RoutingState
from mcp_router.routing.routes import RoutingTable
from providers.catalog import DataFacts


@dataclass(frozen=True, kw_only=True, slots=True)
class RouterConfig:
    """What does not change while the server runs."""

    catalog: Callable[[], Awaitable[Catalog]]
    """The catalog of the moment."""
    routes: RoutingTable
    access: Callable[[], Mapping[str, Access]]
    unlisted: frozenset[str]
    deadline_seconds: float
    policies: Policies = field(default_factory=Policies)
    facts: Mapping[str, DataFacts] = field(default_factory=dict[str, DataFacts])
    """What is known of a provider's use of prompts, by provider."""
    client_models: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Patterns of the models that a client can use, by client; one that is not in it can use all."""


class Router:
    """Plans and runs calls."""

    def __init__(self, *, config: RouterConfig, runner: AttemptRunner) -> None:
        self.config = config
        self.runner = runner

    @property
    def ledger(self) -> Ledger:
        """Where it is all written down."""
        return self.runner.ledger

    async def read_state(
        self, task: RoutingRequest | None = None, *, project: str = ""
    ) -> tuple[RoutingState, CallBreakers]:
        """Return the state to plan in, and every breaker that still counts."""
        now = self.runner.clock()
        catalog = await self.config.catalog()
        limited = [name for name in catalog.providers if name in self.runner.rate_limits]
        standing = await self.ledger.read_availability(now, limited)
        breakers = CallBreakers(standing.breakers)
        world = RoutingState(
            catalog=catalog,
            routes=self.config.routes,
            now=datetime.fromtimestamp(now, UTC),
            access=self.config.access(),
            breakers=breakers.list_open(now),
            busy=rate_limits.find_rate_limited(standing, self.runner.rate_limits, now),
            unlisted=self.config.unlisted,
            baseline=self.runner.baseline,
            policy=self.config.policies.find(task.client, project) if task else self.config.policies.everyone,
            facts=self.config.facts,
            preferences=await self.runner.feedback.preferences(task) if self.runner.feedback and task else {},
        )
        return world, breakers

    async def plan(self, task: RoutingRequest) -> Plan:
        """Plan a task as `generate` would at this moment; spends nothing.

        Raises:
            UnknownNameError: The pin names an unknown provider or model.
        """
        world, _ = await self.read_state(task, project=CURRENT_ORIGIN.get().project)
        return plan(task, world)

    async def generate(self, request: CallRequest) -> Generation:
        """Get an answer.

        Raises:
            RouterError: No model is available, a budget is exceeded, or every candidate failed; each text
                says what to do. `call_id` leads to the attempts.
        """
        deadline_seconds = self.config.deadline_seconds
        if request.task.can_wait:
            deadline_seconds = max(deadline_seconds, FLEX_TIMEOUT.total_seconds())
        deadline = anyio.current_time() + deadline_seconds
        allowed = self.config.client_models.get(request.client)
        request = replace(request, task=replace(request.task, client=request.client, client_models=allowed))
        world, breakers = await self.read_state(request.task, project=request.origin.project)
        if request.ignores_breakers:
            world = replace(world, breakers={})
        planned = plan(request.task, world)
        # The plan may have chosen the tier.
        request = replace(request, task=planned.task, policy=world.policy)
        call = Call(request=request, id=request.call_id or new_call_id(), breakers=breakers, deadline=deadline)
        try:
            create_executor = partial(
                FallbackExecutor,
                runner=self.runner,
                deadline_seconds=deadline_seconds,
                call=call,
                world=world,
            )
            if not planned.task.needs_agreement or not planned.candidates:
                return await create_executor(plan=planned).execute()
            from mcp_router.execution.agreement import AgreementExecutor  # noqa: PLC0415 - few calls need it

            agreement = AgreementExecutor(runner=self.runner, call=call, plan=planned, create_executor=create_executor)
            return await agreement.execute()
        except RouterError as error:
            error.call_id = call.id if call.attempts else None
            error.cost_usd = sum_costs_usd(call.attempts)
            error.attempts = "; ".join(f"{attempt.model}: {attempt.error}" for attempt in call.attempts)
            raise
