"""How a call would go, and how a past one went, as JSON for MCP, HTTP and the command line alike."""

from __future__ import annotations

from datetime import UTC, datetime

from mcp_router.app import App
from mcp_router.errors import UnknownNameError
from mcp_router.files import find_files
from mcp_router.ledger.records import Attempt
from mcp_router.money import to_number
from mcp_router.operations.arguments import ExplainArguments
from mcp_router.operations.caller import LOCAL, Caller
from mcp_router.operations.prepare import allowed_roots, prepare_call
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import Plan, Rejection
from mcp_router.routing.request import RoutingRequest

Json = dict[str, object]
_HINT = "A call's id is in the result of generate; file N of a per_file call is ID.N."


async def explain_route(app: App, arguments: ExplainArguments, *, caller: Caller = LOCAL) -> Json:
    """Plan without spending, or tell what happened in a past call.

    Raises:
        BadInputError: A name is unknown, or a file cannot be read.
    """
    if arguments.call_id is not None:
        return await explain_call(app, arguments.call_id, caller=caller)
    about: Json = {}
    if arguments.per_file and arguments.files:
        found = await find_files(arguments.files, allowed_roots(app), base=app.settings.working_folder)
        largest = max(found, key=lambda file: file.size)
        about["files"] = f"{len(found)}, each a call of its own; this is the plan for the largest, {largest.name}"
        arguments = arguments.model_copy(update={"files": (str(largest.place.path),)})
    ready = await prepare_call(app, arguments, client=caller.name)
    return describe_plan(await app.router.plan(ready.task), app) | about


def describe_plan(plan: Plan, app: App) -> Json:
    """Show a plan."""
    task = plan.task
    return {
        "use_case": _describe_choice(task, "use_case", task.use_case),
        "complexity": _describe_choice(task, "complexity", task.complexity),
        "budget_tier": _describe_choice(task, "budget_tier", task.budget_tier),
        "ceiling_usd": to_number(task.ceiling_usd),
        "reasons": list(task.reasons),
        "candidates": [_describe_candidate(candidate) for candidate in plan.candidates],
        "rejected": [_describe_rejection(rejection) for rejection in plan.rejected],
        "baseline": app.baseline.model.id,
    }


def _describe_choice(task: RoutingRequest, what: str, value: str) -> Json:
    if what not in task.inferred:
        return {"value": value, "inferred": False}
    return {"value": value, "inferred": True, "confidence": round(task.inferred[what], 2)}


def _describe_candidate(candidate: Candidate) -> Json:
    return {
        "model": candidate.model.id,
        "estimated_usd": to_number(candidate.fit.estimated_usd),
        "at_most_usd": to_number(candidate.fit.worst_usd),
        "max_output_tokens": candidate.fit.max_output_tokens,
        "thinking": candidate.fit.effort,
        "why": candidate.why,
    }


def _describe_rejection(rejection: Rejection) -> Json:
    return {"model": rejection.model, "reason": rejection.reason}


async def explain_call(app: App, call_id: str, *, caller: Caller = LOCAL) -> Json:
    """Tell what happened in a call, attempt by attempt.

    Raises:
        UnknownNameError: There is no such call.
    """
    attempts = await app.ledger.read_attempts(call_id)
    if not attempts or not (caller.sees_all or attempts[0].client == caller.name):
        raise UnknownNameError("call", call_id, (), hint=_HINT)
    first = attempts[0]
    inferred = first.inferred.split(",")
    return {
        "call_id": call_id,
        **{
            what: {"value": value, "inferred": what in inferred}
            for what, value in (
                ("use_case", first.use_case),
                ("complexity", first.complexity),
                ("budget_tier", first.budget_tier),
            )
        },
        "attempts": [describe_attempt(attempt) for attempt in attempts],
        "baseline": first.baseline,
    }


def describe_attempt(attempt: Attempt) -> Json:
    """Show one attempt."""
    view: Json = {
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
    for name in ("error", "detail", "finish_reason", "cache_read_tokens", "reasoning_tokens", "searches"):
        if value := getattr(attempt, name):
            view[name] = value
    return view
