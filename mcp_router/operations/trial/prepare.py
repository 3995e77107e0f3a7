"""Makes a trial ready: its samples, models, calls and price; spends nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import cast

from anyio import to_thread

from mcp_router.app import App
from mcp_router.errors import BadInputError
from mcp_router.execution.answer_schema import AnswerSchema
from mcp_router.execution.call import CallRequest
from mcp_router.ledger.records import TRIAL
from mcp_router.operations.model_aliases import canonical_model
from mcp_router.operations.prepare import PreparedCall, prepare_call
from mcp_router.operations.trial import judge
from mcp_router.operations.trial.criteria import JUDGE, choose_criterion
from mcp_router.operations.trial.result_file import ResultFile, digest
from mcp_router.operations.trial.samples import Sample, load_samples
from mcp_router.routing.fit import Candidate
from mcp_router.routing.plan import plan
from mcp_router.routing.request import RoutingState
from mcp_router.routing.routes import Tier, UseCase
from mcp_router.settings import data_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialOptions:
    """What the user chose."""

    path: Path
    use_case: UseCase | None = None
    tier: Tier | None = None
    models: tuple[str, ...] = ()
    criterion: str | None = None
    at_least: float | None = None
    fresh: bool = False
    """Whether stored results are ignored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialCall:
    """One sample for one model."""

    sample: Sample
    model: str
    request: CallRequest
    schema: AnswerSchema | None
    key: str
    criterion: str
    """The criterion with a hash of what is expected."""
    estimated_usd: Decimal | None
    worst_usd: Decimal | None
    label: int | None = None
    """For a judge: index of the user's labelled answer that is judged in place of a model's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A trial that is ready to run."""

    app: App
    options: TrialOptions
    use_case: UseCase
    tier: Tier
    criterion: str
    samples: list[Sample]
    models: list[str]
    left_out: dict[str, str]
    """Models that cannot take part, with the reason."""
    calls: list[TrialCall]
    stored: ResultFile
    judge_usd: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))
    """Estimate and worst case of judging one answer."""
    pending: list[TrialCall] = field(default_factory=list[TrialCall])

    @property
    def judge(self) -> str | None:
        """The judge's model; None for another criterion."""
        return self.criterion.removeprefix(JUDGE) if self.criterion.startswith(JUDGE) else None

    def compute_price(self) -> tuple[Decimal | None, Decimal | None]:
        """Return estimate and worst case of what is not stored yet, in USD; None if a model has no price."""
        return tuple(self._sum(which) for which in (0, 1))  # pyright: ignore[reportReturnType] -- two of them

    def _sum(self, which: int) -> Decimal | None:
        total = Decimal(0)
        for call in self.pending:
            total += self.judge_usd[which]
            if needs_answer(call, self.stored):
                usd = (call.estimated_usd, call.worst_usd)[which]
                if usd is None:
                    return None
                total += usd
        return total


def needs_answer(call: TrialCall, stored: ResultFile) -> bool:
    """Return whether a model has to answer; otherwise only a judge, if that."""
    if call.label is not None:
        return False
    kept = stored.answers.get(call.key)
    return kept is None or (kept.text is None and call.criterion not in kept.passed)


async def prepare_trial(app: App, options: TrialOptions) -> Trial:
    """Read the samples, choose the models, and plan every call; spends nothing.

    Raises:
        BadInputError: A sample, a name or the criterion is invalid, or no model can take part.
    """
    samples = await to_thread.run_sync(load_samples, options.path)
    criterion = choose_criterion(options.criterion, samples)
    use_case = options.use_case or await _infer_use_case(app, samples)
    tier = options.tier or app.routes.use_cases[use_case].default_tier
    ready = [await _prepare_sample(app, sample, use_case, tier) for sample in samples]
    state, _ = await app.router.read_state()
    models = _resolve(options.models, ready[0], state) if options.models else _list_candidates(ready[0], state)
    stored = ResultFile.locate(data_folder(), use_case, tier, str(options.path.absolute()))
    if not options.fresh:
        await to_thread.run_sync(stored.load)
    calls, left_out = _plan_calls(samples, ready, models, state, criterion)
    models = [model for model in models if model not in left_out]
    if not models:
        reasons = "; ".join(f"{model}: {reason}" for model, reason in left_out.items())
        raise BadInputError(f"no model can take part in the trial. {reasons or 'Name models with --model.'}")
    trial = Trial(
        app=app,
        options=options,
        use_case=use_case,
        tier=tier,
        criterion=criterion,
        samples=samples,
        models=models,
        left_out=left_out,
        calls=calls,
        stored=stored,
    )
    if trial.judge is not None:
        calls += _list_label_calls(trial, ready)
        trial = replace(trial, judge_usd=await _price_judge(app, trial.judge, samples, state))
    kept = stored.answers
    return replace(
        trial, pending=[one for one in calls if one.key not in kept or one.criterion not in kept[one.key].passed]
    )


async def _infer_use_case(app: App, samples: Sequence[Sample]) -> UseCase:
    """Return the use case that most samples are taken for."""
    found: Counter[UseCase] = Counter()
    for sample in samples:
        found[(await prepare_call(app, sample.to_arguments(), client=TRIAL)).task.use_case] += 1
    return found.most_common(1)[0][0]


async def _prepare_sample(app: App, sample: Sample, use_case: UseCase, tier: Tier) -> PreparedCall:
    try:
        arguments = sample.to_arguments(use_case=use_case, budget_tier=tier)
        return await prepare_call(app, arguments, client=TRIAL)
    except BadInputError as exc:
        raise BadInputError(f"line {sample.line}: {exc}") from exc


def _list_candidates(ready: PreparedCall, state: RoutingState) -> list[str]:
    """Return the models of the route that can answer now."""
    planned = plan(ready.task, state)
    return [candidate.model.id for candidate in planned.candidates]


def _resolve(names: Sequence[str], ready: PreparedCall, state: RoutingState) -> list[str]:
    """Return the models that names stand for; a provider alone stands for its best fit."""
    found: list[str] = []
    for name in names:
        pin = canonical_model(name, state.catalog.providers)
        if ":" not in pin:
            planned = plan(replace(ready.task, pin=pin), state)
            pin = planned.candidates[0].model.id if planned.candidates else pin
        found.append(pin)
    return list(dict.fromkeys(found))


def _plan_calls(
    samples: Sequence[Sample], ready: Sequence[PreparedCall], models: Sequence[str], state: RoutingState, criterion: str
) -> tuple[list[TrialCall], dict[str, str]]:
    """Return the calls, sample by sample, and the models for which a sample cannot be planned."""
    calls: list[TrialCall] = []
    left_out: dict[str, str] = {}
    for sample, prepared in zip(samples, ready, strict=True):
        for model in models:
            if model in left_out:
                continue
            planned = plan(replace(prepared.task, pin=model), state)
            if planned.candidates:
                calls.append(_create_call(sample, prepared, planned.candidates[0], criterion))
            else:
                reason = planned.rejected[0].reason if planned.rejected else "not available"
                left_out[model] = f"line {sample.line}: {reason}"
    return [call for call in calls if call.model not in left_out], left_out


def _create_call(sample: Sample, ready: PreparedCall, candidate: Candidate, criterion: str) -> TrialCall:
    worst = candidate.fit.worst_usd
    # The price that the user confirms is the ceiling of the call, retries included.
    ceiling = ready.task.ceiling_usd if worst is None else min(worst, ready.task.ceiling_usd)
    task = replace(ready.task, pin=candidate.model.id, ceiling_usd=ceiling)
    schema = cast("dict[str, object] | None", ready.schema.document if ready.schema is not None else None)
    request = CallRequest(task=task, messages=ready.messages, system=ready.system, response_schema=schema, client=TRIAL)
    key = digest(candidate.model.id, task.use_case, task.budget_tier, ready.system, ready.messages, schema)
    return TrialCall(
        sample=sample,
        model=candidate.model.id,
        request=request,
        schema=ready.schema,
        key=key,
        criterion=f"{criterion}#{digest(sample.expected)}",
        estimated_usd=candidate.fit.estimated_usd,
        worst_usd=worst,
    )


def _list_label_calls(trial: Trial, ready: Sequence[PreparedCall]) -> list[TrialCall]:
    """Return what the judge decides on the user's labelled answers."""
    first = trial.calls[0]
    return [
        replace(
            first,
            sample=sample,
            key=digest("label", prepared.messages, label.answer, sample.expected),
            criterion=f"{trial.criterion}#{digest(sample.expected)}",
            label=index,
        )
        for sample, prepared in zip(trial.samples, ready, strict=True)
        for index, label in enumerate(sample.labels)
    ]


async def _price_judge(app: App, model: str, samples: Sequence[Sample], state: RoutingState) -> tuple[Decimal, Decimal]:
    """Return estimate and worst case of judging one answer, from the longest expected answer.

    Raises:
        BadInputError: The judge cannot be asked.
    """
    longest = max(samples, key=lambda sample: len(str(sample.expected)) + len(sample.prompt or ""))
    requests = await judge.build_requests(app, model, longest, str(longest.expected))
    planned = plan(requests[0].task, state)
    if not planned.candidates:
        reason = planned.rejected[0].reason if planned.rejected else "not available"
        raise BadInputError(f"--criterion judge:{model}: the judge cannot be asked: {reason}.")
    estimated = planned.candidates[0].fit.estimated_usd or Decimal(0)
    return judge.ORDERS * estimated, judge.sum_ceilings(requests)
