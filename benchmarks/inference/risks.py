"""Fits the failure risk on recorded outcomes: how often a cheap model fails where a strong one does not.

Learnt weights order prompts no better than a handful of weighed numbers do, and worse on benchmarks they never saw.
So what is weighed, and how much against each other, is written here; the data says how steep and how high it all is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rows

from mcp_router.routing.inference import collect_difficulty, features
from mcp_router.routing.inference.heads import Heads, compute_logits

LEAST_GAP = 0.08
"""Pairs of models that differ by less say nothing of who should be asked."""
WEAKEST, STRONGEST = 0.3, 0.55
"""A weak model that is hardly ever right was asked in a way it does not understand; what a strong one gets wrong as
often as right is nothing to hand to it."""
LEAST_RIGHT = 0.1
"""A model that is right less often than that was not understood by who wrote down its answers."""
STEPS = 101
WEIGHED = {
    "asked_words": 1.0,
    "asked_chars": 1.0,
    "quantities": 1.0,
    "relations": 1.0,
    "figures": 3.0,
    "reasoning": 3.0,
    "work": 3.0,
}
"""The logarithm of each number, in units of its spread; what is a share is its own unit."""
SHARES = ("figures", "reasoning", "work")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """One benchmark: what was asked, and how often each model was right."""

    name: str
    counts: np.ndarray
    """For each prompt, the logarithms of what is weighed."""
    right: np.ndarray

    def pairs(self) -> list[tuple[int, int]]:
        """Return weak and strong models worth telling apart."""
        mean = np.nanmean(self.right, axis=0)
        return [
            (weak, strong)
            for weak in range(len(mean))
            for strong in range(len(mean))
            if mean[strong] - mean[weak] > LEAST_GAP and mean[weak] > WEAKEST and mean[strong] > STRONGEST
        ]

    def gain(self) -> np.ndarray:
        """Return for each prompt how much a strong model is better than a weak one."""
        return np.nanmean(np.stack([self.right[:, strong] - self.right[:, weak] for weak, strong in self.pairs()]), 0)


def outcomes(data: Path, model: Heads) -> list[Outcomes]:
    """Return every benchmark on which some pair of models can be told apart."""
    found = [_gathered(name, kept, model) for name, kept in sorted(by_name(data).items())]
    return [one for one in found if one.pairs()]


def by_name(data: Path) -> dict[str, list[tuple[str, dict[str, float | None]]]]:
    """Return what was asked in each benchmark, and how right each model was."""
    found: dict[str, list[tuple[str, dict[str, float | None]]]] = {}
    for file in ("mmlu_pro", "ulab", "cruxeval"):
        for row in rows.read(data / f"difficulty_{file}.jsonl.gz"):
            found.setdefault(str(row.get("task", file)), []).append((str(row["text"]), rows.scored(row)))
    return found


def _gathered(name: str, kept: list[tuple[str, dict[str, float | None]]], model: Heads) -> Outcomes:
    models = sorted(kept[0][1])
    right = [[math.nan if scored.get(one) is None else float(scored[one] or 0) for one in models] for _, scored in kept]
    counts = np.array([_counts(text, model) for text, _ in kept])
    return Outcomes(name=name, counts=counts, right=np.array(right))


def _counts(text: str, model: Heads) -> list[float]:
    reading = features.read_features(text)
    counts = collect_difficulty(reading, compute_logits(model, reading))
    return [math.log1p(counts[name]) for name in WEIGHED]


def apgr(order: np.ndarray, weak: np.ndarray, strong: np.ndarray) -> float:
    """Return the average share of the gap in quality that is closed, over all shares of calls to the strong model."""
    known = ~(np.isnan(weak) | np.isnan(strong))
    order, gain = order[known], (strong - weak)[known]
    ranked = np.lexsort((np.arange(len(gain)) * 7919 % len(gain), -order))
    closed = np.concatenate([[0.0], np.cumsum(gain[ranked])]) / gain.sum()
    return float(closed[np.linspace(0, len(gain), STEPS).round().astype(int)].mean())


def told_by_others(right: np.ndarray, weak: int, strong: int) -> np.ndarray:
    """Order prompts by how all other models did on the very same: what no reading of the prompt could know.

    What the better of them get right and the worse do not comes first.
    """
    mean = np.nanmean(right, axis=0)
    between = (mean[weak] + mean[strong]) / 2
    others = [one for one in range(len(mean)) if one not in {weak, strong} and mean[one] > LEAST_RIGHT]
    better = _share(right[:, [one for one in others if mean[one] > between]])
    worse = _share(right[:, [one for one in others if mean[one] <= between]])
    return better - worse


def _share(right: np.ndarray) -> np.ndarray:
    """Return how many of some models were right on each prompt; 0 if unknown."""
    known = (~np.isnan(right)).sum(axis=1)
    return np.nansum(right, axis=1) / np.maximum(known, 1)


def report(found: list[Outcomes], weights: np.ndarray) -> Iterator[str]:
    """Yield how well each benchmark is ordered, on its own, and how well one could who knows other models' answers."""
    each: list[tuple[float, float]] = []
    for one in found:
        order, pairs = one.counts @ weights, one.pairs()
        ours = [apgr(order, one.right[:, weak], one.right[:, strong]) for weak, strong in pairs]
        theirs = [
            apgr(told_by_others(one.right, weak, strong), one.right[:, weak], one.right[:, strong])
            for weak, strong in pairs
        ]
        each.append((float(np.mean(ours)), float(np.mean(theirs))))
        yield (
            f"difficulty {one.name:24} {len(order):5} prompts {len(pairs):4} pairs  "
            f"APGR {each[-1][0]:.3f}, told by others {each[-1][1]:.3f}"
        )
    ours_mean, theirs_mean = np.mean(each, axis=0)
    yield f"mean of {len(each)} benchmarks {ours_mean:.3f}, told by others {theirs_mean:.3f}"


def train(data: Path, model: Heads) -> dict[str, object]:
    """Return the risk head: what is weighed, each with mean, spread and weight."""
    found = outcomes(data, model)
    mean = np.mean([one.counts.mean(axis=0) for one in found], axis=0)
    spread = np.mean([one.counts.std(axis=0) for one in found], axis=0)
    spread[[name in SHARES for name in WEIGHED]] = 1.0
    written = np.array(list(WEIGHED.values())) / spread
    print("\n".join(report(found, written)))
    level = float(np.mean([one.gain().mean() for one in found]))
    unit = np.std(np.concatenate([one.counts @ written for one in found]))
    shares = np.array(list(WEIGHED.values())) / unit * max(LEAST_SLOPE, _slope(found, written / unit))
    weighed = {
        name: [round(float(one), 4) for one in (mean[at], spread[at], shares[at])] for at, name in enumerate(WEIGHED)
    }
    return {"risk": weighed, "risk_bias": round(math.log(level / (1 - level)), 4)}


LEAST_SLOPE = 0.3
"""The data within one benchmark is nearly flat; users' prompts differ by far more, and hard ones do fail more."""


def _slope(found: list[Outcomes], weights: np.ndarray) -> float:
    """Return how much the odds rise with what is weighed, each benchmark counted the same and against itself."""
    above, below = 0.0, 0.0
    for one in found:
        order = one.counts @ weights
        order = order - order.mean()
        gain = one.gain()
        level = min(max(gain.mean(), 0.05), 0.95)
        above += float((order * (gain - gain.mean())).mean()) / (level * (1 - level))
        below += float((order * order).mean())
    return above / below
