"""Figures that say how good choices were: by class, by confidence, and by what a stronger model would have gained."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

STEPS = 100
_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What should have been chosen, what was, and how sure the chooser was."""

    right: str
    chosen: str
    confidence: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """How well one class was recognized."""

    f1: float
    recall: float


def by_class(choices: Sequence[Choice]) -> Mapping[str, ClassScore]:
    """Score each class that should have been chosen at least once."""
    have: defaultdict[str, float] = defaultdict(float)
    said: defaultdict[str, float] = defaultdict(float)
    hit: defaultdict[str, float] = defaultdict(float)
    for one in choices:
        have[one.right] += one.weight
        said[one.chosen] += one.weight
        hit[one.right] += one.weight * (one.right == one.chosen)
    return {
        name: ClassScore(f1=2 * hit[name] / (have[name] + said[name]), recall=hit[name] / have[name])
        for name in sorted(have)
    }


def macro_f1(choices: Sequence[Choice]) -> float:
    """Average F1 over the classes, each counted the same."""
    scores = by_class(choices)
    return sum(score.f1 for score in scores.values()) / len(scores)


def accuracy(choices: Sequence[Choice]) -> float:
    """Share of choices that were right."""
    return sum(one.weight * (one.right == one.chosen) for one in choices) / sum(one.weight for one in choices)


def calibration_error(choices: Sequence[Choice]) -> float:
    """Return how far confidence is from the share that was right (ECE, ten bins of the same width)."""
    bins: dict[int, list[Choice]] = {}
    for one in choices:
        bins.setdefault(min(_BINS - 1, int(one.confidence * _BINS)), []).append(one)
    total = sum(one.weight for one in choices)
    return sum(abs(sum(map(_surplus, kept))) for kept in bins.values()) / total


def _surplus(one: Choice) -> float:
    return one.weight * ((one.right == one.chosen) - one.confidence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How good a cheap and a strong model's recorded answers to one prompt were, from 0 to 1."""

    cheap: float
    strong: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """What routing by an order is worth between always-cheapest and always-strongest, as RouteLLM defines it.

    https://arxiv.org/abs/2406.18665
    """

    cheapest: float
    """Quality where the cheap model answers everything."""
    strongest: float
    apgr: float
    """Average performance gap recovered, over all shares of calls to the strong model; 0.5 is chance."""
    cpt_50: float
    """Share of calls that must go to the strong model for half of the gap."""
    cpt_80: float
    quality_20: float
    """Quality where the riskiest fifth of the calls goes to the strong model."""
    quality_50: float


def score_routing(outcomes: Sequence[Outcome], risks: Sequence[float]) -> Routing:
    """Score an order of prompts by risk, the riskiest sent to the strong model first."""
    ranked = sorted(range(len(outcomes)), key=lambda at: (-risks[at], at * 7919 % len(outcomes)))
    recovered = [0.0]
    for at in ranked:
        recovered.append(recovered[-1] + outcomes[at].strong - outcomes[at].cheap)
    gap = recovered[-1]
    shares = [recovered[round(step * len(outcomes) / STEPS)] / gap for step in range(STEPS + 1)]
    cheapest = sum(one.cheap for one in outcomes) / len(outcomes)
    return Routing(
        cheapest=cheapest,
        strongest=sum(one.strong for one in outcomes) / len(outcomes),
        apgr=sum(shares) / len(shares),
        cpt_50=_first(shares, lambda share: share >= 0.5) / STEPS,  # noqa: PLR2004 - CPT(50%) by its name
        cpt_80=_first(shares, lambda share: share >= 0.8) / STEPS,  # noqa: PLR2004 - CPT(80%) by its name
        quality_20=cheapest + recovered[round(0.2 * len(outcomes))] / len(outcomes),
        quality_50=cheapest + recovered[round(0.5 * len(outcomes))] / len(outcomes),
    )


def _first(shares: Sequence[float], is_enough: Callable[[float], bool]) -> int:
    return next((step for step, share in enumerate(shares) if is_enough(share)), STEPS)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share lies at or below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
