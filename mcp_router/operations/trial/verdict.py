"""Which model the results of a trial support. Pure: pass or fail per sample in, a decision with its reason out.

Two questions, each answered yes, no or unsure from a normal approximation:

- With a wanted pass rate, whether a model reaches it: a score test against that rate.
- Without one, whether a model is clearly worse than the best: a paired test, since all models answer the same samples.

The cheapest model with a yes is chosen, if every cheaper one has a no. An unsure model that is cheaper makes the
verdict "cannot tell".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import sqrt
from statistics import NormalDist
from typing import Literal

MIN_SAMPLES = 10
"""With fewer samples of a model, nothing is concluded."""
_INTERVAL = 0.90
_Z = NormalDist().inv_cdf((1 + _INTERVAL) / 2)
_REACHES = 0.84
"""Probability from which a model reaches the wanted rate."""
_MISSES = 0.5
"""Probability below which it does not: the measured rate itself is below it."""
_RULED_OUT = 0.015
"""Probability below which the best model does not reach it either."""
_CLEARLY_WORSE = 0.9
"""Probability from which a model is worse than the best."""
_TOLERANCE = 0.05
"""How much worse than the best a model can be and still count as equal: 5 points."""
_NOT_WORSE = 0.8
_MAX_GROWTH = 20
"""Times the samples at hand up to which a number that would tell is looked for."""

Answer = Literal["yes", "no", "unsure"]
Kind = Literal["chosen", "cannot_tell", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Results of one model."""

    model: str
    cost_usd: Decimal | None
    """Mean cost of a call; None if unknown, which counts as the most expensive."""
    results: Mapping[int, bool] = field(default_factory=dict[int, bool])
    """Pass or fail by sample; a sample without an answer is missing."""

    @property
    def passed(self) -> int:
        """Number of samples passed."""
        return sum(self.results.values())

    @property
    def total(self) -> int:
        """Number of samples answered."""
        return len(self.results)

    @property
    def rate(self) -> float:
        """Share of the samples that passed; 0 without samples."""
        return self.passed / self.total if self.total else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the results support."""

    kind: Kind
    route: tuple[str, ...]
    """Models in the order to try them; empty unless one was chosen."""
    reason: str
    more_samples: int | None = None
    """About how many samples beyond those at hand would tell; None if it can tell, or none of a usable number would."""


def compute_interval(passed: int, total: int) -> tuple[float, float]:
    """Return the 90 % Wilson interval of a pass rate; 0 to 1 without samples."""
    if total == 0:
        return 0.0, 1.0
    rate, z2 = passed / total, _Z * _Z
    middle = (rate + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z / (1 + z2 / total) * sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def decide(models: Sequence[Measured], at_least: float | None = None) -> Verdict:
    """Return which model the results support.

    Args:
        models: The results of every model of the trial.
        at_least: The pass rate wanted, between 0 and 1; None compares with the best.
    """
    ordered = sorted((one for one in models if one.total), key=_by_price)
    if not ordered:
        return Verdict(kind="cannot_tell", route=(), reason="no sample was answered")
    if (fewest := min(one.total for one in ordered)) < MIN_SAMPLES:
        more = MIN_SAMPLES - fewest
        reason = f"{fewest} samples answered; at least {MIN_SAMPLES} are needed"
        return Verdict(kind="cannot_tell", route=(), reason=reason, more_samples=more)
    verdict = _decide(ordered, at_least, 1.0)
    if verdict.kind != "cannot_tell":
        return verdict
    more = _count_more(ordered, at_least)
    return Verdict(kind="cannot_tell", route=(), reason=verdict.reason, more_samples=more)


def _by_price(one: Measured) -> tuple[bool, Decimal, float]:
    return one.cost_usd is None, one.cost_usd or Decimal(0), -one.rate


def _decide(ordered: Sequence[Measured], at_least: float | None, growth: float) -> Verdict:
    """Decide as if every count were `growth` times as large; the models come cheapest first."""
    best = max(ordered, key=lambda one: one.rate)  # the cheapest of equals
    answers: dict[str, Answer] = {one.model: _judge(one, best, at_least, growth) for one in ordered}
    chosen = next((one for one in ordered if answers[one.model] == "yes"), None)
    unsure = next((one for one in ordered if answers[one.model] == "unsure"), None)
    if chosen is not None and (unsure is None or _by_price(unsure) >= _by_price(chosen)):
        return _choose(chosen, ordered, answers, at_least)
    if unsure is None:
        low, high = compute_interval(best.passed, best.total)
        reason = (
            f"no model reaches {at_least:.0%}: the best, {best.model}, passed {best.rate:.0%} ({low:.0%}-{high:.0%})"
        )
        return Verdict(kind="none", route=(), reason=reason)
    if at_least is None:
        what = f"may be as good as {best.model}: {_format_counts(unsure)} against {_format_counts(best)}"
    else:
        what = f"may or may not reach {at_least:.0%}: {_format_counts(unsure)}"
    return Verdict(kind="cannot_tell", route=(), reason=f"{unsure.model} {what}")


def _judge(one: Measured, best: Measured, at_least: float | None, growth: float) -> Answer:
    if at_least is None:
        return "yes" if one is best else _compare(one, best, growth)
    chance = _compute_chance(one, at_least, growth)
    if chance >= _REACHES:
        return "yes"
    if one is not best:
        return "no" if chance < _MISSES else "unsure"
    # The last resort: no other was measured better, so only clear evidence rules it out.
    return "yes" if chance >= _RULED_OUT else "no"


def _compute_chance(one: Measured, at_least: float, growth: float) -> float:
    """Return the probability that a model's pass rate is at least the one wanted."""
    spread = sqrt(max(at_least * (1 - at_least), 1e-9) / (one.total * growth))
    return NormalDist().cdf((one.rate - at_least) / spread)


def _compare(one: Measured, best: Measured, growth: float) -> Answer:
    """Return whether a model is as good as the best, from the samples that both answered."""
    common = one.results.keys() & best.results.keys()
    if len(common) < MIN_SAMPLES:
        return "unsure"
    lost = sum(best.results[sample] and not one.results[sample] for sample in common) * growth
    won = sum(one.results[sample] and not best.results[sample] for sample in common) * growth
    total = len(common) * growth
    gap = (lost - won) / total
    # One more pair in each direction keeps few or no differences from counting as certainty.
    spread = sqrt(max(lost + won + 1 - (lost - won) ** 2 / total, 1e-9)) / total
    if NormalDist().cdf(gap / spread) >= _CLEARLY_WORSE:
        return "no"
    return "yes" if NormalDist().cdf((_TOLERANCE - gap) / spread) >= _NOT_WORSE else "unsure"


def _choose(
    chosen: Measured, ordered: Sequence[Measured], answers: Mapping[str, Answer], at_least: float | None
) -> Verdict:
    """Return the chosen model, followed by those that did as well or better: fallbacks, the best first."""
    others = [one for one in ordered if one is not chosen and (one.rate >= chosen.rate or answers[one.model] == "yes")]
    others.sort(key=lambda one: (-one.rate, *_by_price(one)))
    if at_least is not None and chosen.rate < at_least:
        aim = f"is the best of the trial, and {at_least:.0%} is within its interval"
    else:
        aim = "is not clearly worse than the best" if at_least is None else f"reaches {at_least:.0%}"
        aim = f"is the cheapest model that {aim}"
    reason = f"{chosen.model} {aim}: passed {_format_counts(chosen)}"
    return Verdict(kind="chosen", route=(chosen.model, *(one.model for one in others)), reason=reason)


def _format_counts(one: Measured) -> str:
    return f"{one.passed} of {one.total}"


def _count_more(ordered: Sequence[Measured], at_least: float | None) -> int | None:
    """Return about how many more samples would tell if the pass rates stay as measured."""
    total = min(one.total for one in ordered)
    growth = 1.1
    while growth <= _MAX_GROWTH:
        if _decide(ordered, at_least, growth).kind != "cannot_tell":
            return round(total * (growth - 1)) or 1
        growth *= 1.1
    return None
