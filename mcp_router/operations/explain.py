"""How a call would be routed, and what happened in a past one, for MCP, HTTP and the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NotRequired, TypedDict

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.files import find_files
from mcp_router.ledger.records import Attempt
from mcp_router.money import to_number
from mcp_router.operations.arguments import ExplainArguments
from mcp_router.operations.background.task_store import TaskStore
from mcp_router.operations.caller import LOCAL, Caller
from mcp_router.operations.checks import find_check
from mcp_router.operations.measured import select_route
from mcp_router.operations.prepare import allowed_roots, prepare_call
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import Plan
from mcp_router.routing.request import RoutingRequest

_HINT = "The result of generate has the call's id; file N of a per_file call is ID.N."


class ChoiceView(TypedDict):
    """A use case, complexity or budget tier, and whether it was inferred."""

    value: str
    inferred: bool
    confidence: NotRequired[float]
    """Between 0 and 1."""


class CandidateView(TypedDict):
    """A model of a plan with its cost."""

    model: str
    estimated_usd: float | None
    at_most_usd: float | None
    max_output_tokens: int
    thinking: str
    why: str
    service_tier: NotRequired[str]
    """The vendor's class, if it is not the standard one."""


class RejectionView(TypedDict):
    """A model that was left out."""

    model: str
    reason: str


class PlanView(TypedDict):
    """The answer of `explain_route` without a call's id."""

    use_case: ChoiceView
    complexity: ChoiceView
    budget_tier: ChoiceView
    ceiling_usd: float | None
    reasons: list[str]
    """Why the inferred tier and the first candidates are what they are."""
    candidates: list[CandidateView]
    """In the order in which they are tried."""
    rejected: list[RejectionView]
    baseline: str
    files: NotRequired[str]


class AttemptView(TypedDict):
    """One request to one model."""

    number: int
    model: str
    why: str
    outcome: str
    started_at: str
    """ISO 8601, UTC, to the millisecond."""
    seconds: float
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    cost_source: str
    baseline_usd: float | None
    error: NotRequired[str]
    detail: NotRequired[str]
    finish_reason: NotRequired[str]
    cache_read_tokens: NotRequired[int]
    reasoning_tokens: NotRequired[int]
    searches: NotRequired[int]


class CallView(TypedDict):
    """The answer of `explain_route` with a call's id."""

    call_id: str
    use_case: ChoiceView
    complexity: ChoiceView
    budget_tier: ChoiceView
    attempts: list[AttemptView]
    baseline: str
    status: NotRequired[str]
    """Only for a call that runs or ran in the background, as the two below."""
    message: NotRequired[str]
    result: NotRequired[object]


class TaskView(TypedDict):
    """A batch that runs or ran in the background; the attempts of file N are those of `call_id.N`."""

    call_id: str
    status: str
    message: str
    result: NotRequired[object]


async def explain_route(
    app: App, arguments: ExplainArguments, *, caller: Caller = LOCAL
) -> PlanView | CallView | TaskView:
    """Plan a call without spending, or report the attempts of a past one.

    Raises:
        BadInputError: A name is unknown, or a file cannot be read.
    """
    if arguments.call_id is not None:
        return await explain_call(app, arguments.call_id, caller=caller)
    return await explain_plan(app, arguments, caller=caller)


async def explain_plan(app: App, arguments: ExplainArguments, *, caller: Caller = LOCAL) -> PlanView:
    """Plan a call without spending; with `per_file` the call for the largest file.

    Raises:
        BadInputError: A name is unknown, or a file cannot be read.
    """
    find_check(app, arguments, caller.name)  # reports an unknown check
    files: str | None = None
    if arguments.per_file and arguments.files:
        found = await find_files(arguments.files, allowed_roots(app), base=app.settings.working_folder)
        largest = max(found, key=lambda file: file.size)
        files = f"{len(found)}, each a call of its own; this is the plan for the largest, {largest.name}"
        arguments = arguments.model_copy(update={"files": (str(largest.place.path),)})
    ready = await prepare_call(app, arguments, client=caller.name)
    planned = await app.router.plan(ready.task)
    view = describe_plan(planned, baseline=app.baseline.model.id)
    measured = select_route(await app.ledger.measurements.read_all(), planned.task.use_case, planned.task.budget_tier)
    for candidate in view["candidates"]:
        if (figures := measured.get(candidate["model"])) is not None:
            candidate["why"] += f"; {figures}"
    if files is not None:
        view["files"] = files
    return view


def describe_plan(plan: Plan, *, baseline: str) -> PlanView:
    """Describe a plan; `baseline` is a model's id."""
    task = plan.task
    return {
        "use_case": _describe_choice(task, "use_case", task.use_case),
        "complexity": _describe_choice(task, "complexity", task.complexity),
        "budget_tier": _describe_choice(task, "budget_tier", task.budget_tier),
        "ceiling_usd": to_number(task.ceiling_usd),
        "reasons": list(task.reasons),
        "candidates": [_describe_candidate(candidate) for candidate in plan.candidates],
        "rejected": [{"model": rejection.model, "reason": rejection.reason} for rejection in plan.rejected],
        "baseline": baseline,
    }


def _describe_choice(task: RoutingRequest, what: str, value: str) -> ChoiceView:
    if what not in task.inferred:
        return {"value": value, "inferred": False}
    return {"value": value, "inferred": True, "confidence": round(task.inferred[what], 2)}


def _describe_candidate(candidate: Candidate) -> CandidateView:
    view: CandidateView = {
        "model": candidate.model.id,
        "estimated_usd": to_number(candidate.fit.estimated_usd),
        "at_most_usd": to_number(candidate.fit.worst_usd),
        "max_output_tokens": candidate.fit.max_output_tokens,
        "thinking": candidate.fit.effort,
        "why": candidate.why,
    }
    if candidate.fit.service_tier:
        view["service_tier"] = candidate.fit.service_tier
    return view


async def explain_call(app: App, call_id: str, *, caller: Caller = LOCAL) -> CallView | TaskView:
    """Report the attempts of a call, or the state and the results of a batch that runs or ran in the background.

    Raises:
        UnknownNameError: No such call, or another client's.
    """
    attempts = await app.ledger.read_attempts(call_id)
    task = await _describe_task(app, call_id, caller)
    if not attempts and task is not None:
        return task
    if not attempts or not (caller.sees_all or attempts[0].client == caller.name):
        raise UnknownNameError("call", call_id, (), hint=_HINT)
    first = attempts[0]
    inferred = first.inferred.split(",")
    view: CallView = {
        "call_id": call_id,
        "use_case": {"value": first.use_case, "inferred": "use_case" in inferred},
        "complexity": {"value": first.complexity, "inferred": "complexity" in inferred},
        "budget_tier": {"value": first.budget_tier, "inferred": "budget_tier" in inferred},
        "attempts": [describe_attempt(attempt) for attempt in attempts],
        "baseline": first.baseline,
    }
    if task is not None:
        view["status"], view["message"] = task["status"], task["message"]
        if "result" in task:
            view["result"] = task["result"]
    return view


async def _describe_task(app: App, call_id: str, caller: Caller) -> TaskView | None:
    store = TaskStore.of(app)
    task = await store.read(call_id, caller)
    if task is None:
        return None
    view: TaskView = {"call_id": task.call_id, "status": task.state, "message": task.message}
    if (ended := await store.read_result(task)) is not None:
        view["result"] = ended.get("full")
    return view


def describe_attempt(attempt: Attempt) -> AttemptView:
    """Describe one attempt; what does not apply is left out."""
    view: AttemptView = {
        "number": attempt.number,
        "model": attempt.model,
        "why": attempt.why,
        "outcome": attempt.outcome,
        "started_at": datetime.fromtimestamp(attempt.started_at, UTC).isoformat(timespec="milliseconds"),
        "seconds": round(attempt.seconds, 3),
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "cost_usd": to_number(attempt.cost_usd),
        "cost_source": attempt.cost_source,
        "baseline_usd": to_number(attempt.baseline_usd),
    }
    if attempt.error:
        view["error"] = attempt.error
    if attempt.detail:
        view["detail"] = attempt.detail
    if attempt.finish_reason:
        view["finish_reason"] = attempt.finish_reason
    if attempt.cache_read_tokens:
        view["cache_read_tokens"] = attempt.cache_read_tokens
    if attempt.reasoning_tokens:
        view["reasoning_tokens"] = attempt.reasoning_tokens
    if attempt.searches:
        view["searches"] = attempt.searches
    return view
