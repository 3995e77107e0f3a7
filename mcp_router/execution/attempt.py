"""Runs one attempt: holds the worst-case cost, sends the request, settles and records the outcome."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio

from mcp_router.execution import failure_messages
from mcp_router.execution.adapters import AdapterPool
from mcp_router.execution.billing import compute_bill
from mcp_router.execution.call import Answered, Call, Failed, RejectedError, Validator
from mcp_router.execution.rate_limits import is_scarce
from mcp_router.execution.tracing import trace_attempt
from mcp_router.ledger.ledger import Ledger, LedgerError
from mcp_router.ledger.records import (
    COMPARED,
    TRIAL,
    Attempt,
    Breaker,
    Budget,
    BudgetRefusal,
    Hold,
    Outcome,
    OutcomeCounts,
    RateLimit,
    RateRefusal,
)
from mcp_router.routing.baseline import Baseline
from mcp_router.routing.feedback import Feedback, counts_for
from mcp_router.routing.fit import FLEX, FLEX_TIMEOUT, Candidate
from providers.completion import RESTART, Completion, Limits, Message, Prompt, Usage
from providers.errors import BrokenAnswerError, CapacityError, ProviderError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_log = logging.getLogger(__name__)

_UNSAVED = (
    "neither the ledger nor the disk takes the cost (disk full?): it is lost if the server ends before there is room"
)
_NO_CAPACITY = frozenset({429, 498, 503})
"""Statuses by which vendors refuse their flex class."""
_LEASE_SPARE = 30.0
"""Seconds a hold outlives the longest its attempt may take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRunner:
    """What every attempt needs: the ledger, the adapters, the budgets."""

    ledger: Ledger
    adapters: AdapterPool
    budgets: Sequence[Budget]
    """Every budget."""
    rate_limits: Mapping[str, RateLimit]
    """By provider; those without one are not limited."""
    client_rates: Mapping[str, RateLimit] = field(default_factory=dict[str, RateLimit])
    """By client; those without one are not limited."""
    key_scope: Callable[[str], str]
    baseline: Baseline
    session: str
    clock: Callable[[], float]
    """Seconds since the epoch."""
    feedback: Feedback | None = None
    """None where outcomes shall teach nothing."""
    tracer: Tracer | None = None
    """Makes a span of every attempt; None if tracing is off."""

    async def run(
        self, call: Call, candidate: Candidate, messages: tuple[Message, ...]
    ) -> Answered | Failed | BudgetRefusal | RateRefusal:
        """Send one request to one candidate."""
        held = await self.hold(call, candidate)
        return await self.run_held(call, candidate, messages, held) if isinstance(held, Hold) else held

    async def hold(self, call: Call, candidate: Candidate, *, ahead: int = 0) -> Hold | BudgetRefusal | RateRefusal:
        """Claim the worst-case cost and the rate of one request. `ahead` requests of the call are held before it."""
        hold = self._hold(call, candidate, ahead)
        refusal = await self.ledger.hold(
            hold,
            self._budgets_for(call),
            self.rate_limits.get(candidate.model.provider),
            client_rate=self.client_rates.get(call.request.client),
        )
        if isinstance(refusal, RateRefusal) and refusal.provider.startswith("client:"):
            raise failure_messages.create_client_rate_error(call.request.client, refusal)
        return refusal or hold

    async def run_held(
        self,
        call: Call,
        candidate: Candidate,
        messages: tuple[Message, ...],
        hold: Hold,
        validate: Validator | None = None,
    ) -> Answered | Failed:
        """Send the request that a hold was claimed for. `validate` takes the place of the call's own validator."""
        with trace_attempt(self.tracer, candidate, call.attempts):
            return await self._run_held(call, candidate, messages, hold, validate or call.request.validate)

    async def _run_held(
        self,
        call: Call,
        candidate: Candidate,
        messages: tuple[Message, ...],
        hold: Hold,
        validate: Validator | None,
    ) -> Answered | Failed:
        started, began = self.clock(), anyio.current_time()
        record = _Record(runner=self, call=call, candidate=candidate, hold=hold, started=started, began=began)
        try:
            completion = await self._send(call, candidate, messages)
        except ProviderError as failure:
            error = _to_capacity_error(failure, candidate)
            opened = call.breakers.record_failure(
                error, model=candidate.model.id, key_scope=self.key_scope(candidate.model.provider), now=self.clock()
            )
            attempt = await record.write("failed", error=error, usage=error.usage, opened=opened)
            _log.info(
                "attempt %d failed: %s",
                attempt.number,
                error.kind,
                extra={"kind": error.kind, "model": attempt.model, "call_id": call.id, "client": attempt.client},
            )
            await self._share_rate_limit(candidate, error.limits)
            return Failed(error=error, attempt=attempt, opened=opened)
        except anyio.get_cancelled_exc_class():
            await record.write("cancelled", error=_CancelledError("the caller cancelled"), usage=None, opened=None)
            raise
        with anyio.CancelScope(shield=True):  # already billed: do not let cancellation lose the attempt
            await self._close_breakers(call, candidate)
            await self._share_rate_limit(candidate, completion.limits)
        try:
            judged = await validate(completion) if validate is not None else completion
        except anyio.get_cancelled_exc_class():
            error = _CancelledError("the caller hung up")
            await record.write("cancelled", error=error, usage=completion.usage, completion=completion)
            raise
        if isinstance(judged, RejectedError):
            attempt = await record.write("failed", error=judged, usage=completion.usage, completion=completion)
            return Failed(error=judged, attempt=attempt, opened=None, completion=completion, feedback=judged.feedback)
        attempt = await record.write("answered", usage=completion.usage, completion=completion)
        return Answered(completion=judged, attempt=attempt)

    async def _send(self, call: Call, candidate: Candidate, messages: tuple[Message, ...]) -> Completion:
        """Send the prompt, with one deadline for connecting, waiting and reading."""
        ask = call.request
        adapter = self.adapters.adapter(candidate.model.provider)
        allowed = min(self._find_timeout_s(candidate), call.deadline - anyio.current_time())
        prompt = Prompt(
            messages=messages,
            max_output_tokens=candidate.fit.max_output_tokens,
            system=ask.system,
            temperature=ask.temperature,
            effort=candidate.fit.effort,
            response_schema=ask.response_schema,
            max_searches=candidate.fit.searches,
            service_tier=candidate.fit.service_tier,
            shared_prefix=ask.shared_prefix,
            offer=ask.offer,
            native=ask.native,
            denies_training=ask.policy.no_training,
            denies_retention=ask.policy.max_retention_days is not None,
        )
        try:
            with anyio.fail_after(max(0.0, allowed)):
                if ask.on_text is not None and call.attempts:
                    await ask.on_text(RESTART)
                return await adapter.complete(candidate.model, prompt, on_text=ask.on_text)
        except TimeoutError as exc:
            raise _SilentError(f"no answer within {allowed:.0f} s") from exc

    def _find_timeout_s(self, candidate: Candidate) -> float:
        timeout_s = self.adapters.timeout_seconds(candidate.model.provider)
        return max(timeout_s, FLEX_TIMEOUT.total_seconds()) if candidate.fit.service_tier else timeout_s

    def _hold(self, call: Call, candidate: Candidate, ahead: int) -> Hold:
        task = call.request.task
        now = self.clock()
        timeout = self._find_timeout_s(candidate)
        return Hold(
            id=secrets.token_hex(8),
            call_id=call.id,
            client=call.request.client,
            model=candidate.model.id,
            amount_usd=candidate.fit.worst_usd or Decimal(0),
            tokens=candidate.fit.input_tokens + candidate.fit.max_output_tokens,
            now=now,
            expires_at=now + timeout + call.request.validation_s + _LEASE_SPARE,
            is_priced=candidate.fit.worst_usd is not None,
            number=call.next_number + ahead,
            session=self.session,
            use_case=task.use_case,
            budget_tier=task.budget_tier,
            complexity=task.complexity,
            inferred=",".join(task.inferred),
            why=candidate.why,
            project=call.request.origin.project,
            branch=call.request.origin.branch,
            host=call.request.origin.host,
        )

    def _budgets_for(self, call: Call) -> tuple[Budget, ...]:
        asked = call.request
        return tuple(limit for limit in self.budgets if limit.applies_to(asked.client, asked.origin.project))

    async def _close_breakers(self, call: Call, candidate: Candidate) -> None:
        key_scope = self.key_scope(candidate.model.provider)
        for scope in call.breakers.record_success(model=candidate.model.id, key_scope=key_scope):
            await self.ledger.close_breaker(scope)

    async def _share_rate_limit(self, candidate: Candidate, limits: Limits | None) -> None:
        """Tell all processes what the vendor says is left, once it is little enough to matter."""
        if limits is not None and is_scarce(limits):
            await self.ledger.store_vendor_limit(candidate.model.id, limits, self.clock())


def _to_capacity_error(error: ProviderError, candidate: Candidate) -> ProviderError:
    """Return a refusal of the flex class as one: it says nothing of the provider, the key or the model.

    OpenAI answers 429, Gemini 503, Groq 498. https://developers.openai.com/api/docs/guides/flex-processing
    """
    is_refusal = error.kind in {"rate_limit", "unavailable"} and error.status in _NO_CAPACITY
    if candidate.fit.service_tier != FLEX or not is_refusal:
        return error
    return CapacityError(str(error), status=error.status, limits=error.limits)


class _SilentError(BrokenAnswerError):
    """Nothing came back in time."""

    kind = "timeout"


class _CancelledError(BrokenAnswerError):
    """The caller did not wait for the answer."""

    kind = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """Turns what happened into a row, and writes it even when the caller has hung up."""

    runner: AttemptRunner
    call: Call
    candidate: Candidate
    hold: Hold
    started: float
    began: float

    async def write(
        self,
        outcome: Outcome,
        *,
        usage: Usage | None,
        error: ProviderError | None = None,
        opened: Breaker | None = None,
        completion: Completion | None = None,
    ) -> Attempt:
        attempt = self._attempt(outcome, usage, error, completion)
        counts = self._count_outcome(attempt)
        self.call.attempts.append(attempt)
        breakers = () if opened is None else (opened,)
        try:
            # A caller that hung up still pays: the ledger finishes this write.
            written = await self.runner.ledger.settle(self.hold.id, attempt, breakers, counts)
        except LedgerError as lost:
            self.call.warnings.append(f"not in the ledger: {lost}")
        else:
            if written == "kept":
                self.call.warnings.append("the ledger's database is away: the cost is kept and written later")
            elif written == "in_memory":
                self.call.warnings.append(_UNSAVED)
        return attempt

    def _count_outcome(self, attempt: Attempt) -> OutcomeCounts | None:
        unmeasured = attempt.outcome == "cancelled" or attempt.client == TRIAL
        if self.runner.feedback is None or unmeasured or self.hold.why.startswith(COMPARED):
            return None
        ask = self.call.request
        checked = ask.response_schema is not None or ask.check is not None
        return counts_for(ask.task, attempt.model, checked=checked, error=attempt.error, first=attempt.number == 1)

    def _attempt(
        self, outcome: Outcome, usage: Usage | None, error: ProviderError | None, completion: Completion | None
    ) -> Attempt:
        task, model = self.call.request.task, self.candidate.model
        at = datetime.fromtimestamp(self.runner.clock(), UTC)
        bill = compute_bill(
            self.candidate,
            usage,
            text=completion.text if completion is not None else "",
            maybe_billed=error is None or error.maybe_billed,
            at=at,
        )
        if bill.warning is not None:
            self.call.warnings.append(bill.warning)
        usage = bill.usage
        # Of several answers that are compared, one alone is what the baseline would have been paid for.
        undecided = self.call.is_undecided
        baseline_usd, baseline = None, self.runner.baseline.model.id
        if self.call.request.client == TRIAL:
            baseline_usd, baseline = bill.cost_usd, model.id
        elif outcome == "answered" and usage and not undecided:
            baseline_usd = self.runner.baseline.cost_usd(usage, at)
        return Attempt(
            call_id=self.call.id,
            number=self.hold.number,
            session=self.runner.session,
            client=self.call.request.client,
            use_case=task.use_case,
            budget_tier=task.budget_tier,
            complexity=task.complexity,
            inferred=",".join(task.inferred),
            model=model.id,
            why=self.candidate.why,
            started_at=self.started,
            seconds=anyio.current_time() - self.began,
            outcome=outcome,
            error=error.kind if error is not None else None,
            detail=str(error) if error is not None else None,
            finish_reason=completion.finish_reason if completion is not None else None,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            cache_read_tokens=usage.cache_read_tokens if usage else None,
            cache_write_tokens=usage.cache_write_tokens if usage else None,
            reasoning_tokens=usage.reasoning_tokens if usage else None,
            searches=usage.searches if usage else None,
            cost_usd=bill.cost_usd,
            cost_source=bill.source,
            baseline_usd=baseline_usd,
            baseline=baseline,
            project=self.call.request.origin.project,
            branch=self.call.request.origin.branch,
            host=self.call.request.origin.host,
        )
