"""Fits the failure risk on recorded outcomes: how often a cheap model fails where a strong one does not.

Learnt weights for words and subjects order prompts no better than chance on benchmarks they never saw; size does,
a little. So size is all the head weighs, and the data only says how steep and how high it is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rows

from mcp_router.inference import features

LEAST_GAP = 0.08
"""Pairs of models that differ by less say nothing of who should be asked."""
WEAKEST, STRONGEST = 0.2, 0.35
"""A weak model that is never right, and a strong one that hardly is, were asked in a way they do not understand."""
STEPS = 101
WEIGHED = ("words", "chars")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """One benchmark: what was asked, and how often each model was right."""

    name: str
    sizes: np.ndarray
    """For each prompt, the logarithms of what is weighed."""
    right: np.ndarray

    def pairs(self) -> list[tuple[int, int]]:
        """Returns weak and strong models worth telling apart."""
        mean = np.nanmean(self.right, axis=0)
        return [
            (weak, strong)
            for weak in range(len(mean))
            for strong in range(len(mean))
            if mean[strong] - mean[weak] > LEAST_GAP and mean[weak] > WEAKEST and mean[strong] > STRONGEST
        ]

    def gain(self) -> np.ndarray:
        """Returns for each prompt how much a strong model is better than a weak one."""
        return np.nanmean(np.stack([self.right[:, strong] - self.right[:, weak] for weak, strong in self.pairs()]), 0)


def outcomes(data: Path) -> list[Outcomes]:
    """Returns every benchmark on which some pair of models can be told apart."""
    found = [_gathered(name, kept) for name, kept in sorted(by_name(data).items())]
    return [one for one in found if one.pairs()]


def by_name(data: Path) -> dict[str, list[tuple[str, dict[str, float | None]]]]:
    """Returns what was asked in each benchmark, and how right each model was."""
    found: dict[str, list[tuple[str, dict[str, float | None]]]] = {}
    for file in ("mmlu_pro", "ulab", "cruxeval"):
        for row in rows.read(data / f"difficulty_{file}.jsonl.gz"):
            found.setdefault(str(row.get("task", file)), []).append((str(row["text"]), rows.scored(row)))
    return found


def _gathered(name: str, kept: list[tuple[str, dict[str, float | None]]]) -> Outcomes:
    models = sorted(kept[0][1])
    right = [
        [math.nan if scored.get(model) is None else float(scored[model] or 0) for model in models] for _, scored in kept
    ]
    return Outcomes(name=name, sizes=np.array([_sizes(text) for text, _ in kept]), right=np.array(right))


def _sizes(text: str) -> list[float]:
    counts = features.read(text).counts
    return [math.log1p(counts[name]) for name in WEIGHED]


def apgr(order: np.ndarray, weak: np.ndarray, strong: np.ndarray) -> float:
    """Returns the average share of the gap in quality that is closed, over all shares of calls to the strong model."""
    known = ~(np.isnan(weak) | np.isnan(strong))
    order, gain = order[known], (strong - weak)[known]
    ranked = np.lexsort((np.arange(len(gain)) * 7919 % len(gain), -order))
    closed = np.concatenate([[0.0], np.cumsum(gain[ranked])]) / gain.sum()
    return float(closed[np.linspace(0, len(gain), STEPS).round().astype(int)].mean())


def report(found: list[Outcomes]) -> Iterator[str]:
    """Yields how well size orders each benchmark."""
    for one in found:
        order = one.sizes.sum(axis=1)
        scored = [apgr(order, one.right[:, weak], one.right[:, strong]) for weak, strong in one.pairs()]
        yield f"difficulty {one.name:24} {len(order):5} prompts {len(scored):4} pairs  APGR {np.mean(scored):.3f}"


def train(data: Path) -> dict[str, object]:
    """Returns the risk head: what is weighed, each with mean, spread and weight."""
    found = outcomes(data)
    print("\n".join(report(found)))
    sizes = np.vstack([one.sizes for one in found])
    mean, spread = sizes.mean(axis=0), sizes.std(axis=0)
    level = float(np.mean([one.gain().mean() for one in found]))
    slope = max(LEAST_SLOPE, _slope(found, mean, spread))
    share = slope / len(WEIGHED)
    weighed = {
        name: [round(float(mean[at]), 4), round(float(spread[at]), 4), round(share, 4)]
        for at, name in enumerate(WEIGHED)
    }
    return {"risk": weighed, "risk_bias": round(math.log(level / (1 - level)), 4)}


LEAST_SLOPE = 0.3
"""The data within one benchmark is nearly flat; users' prompts differ by far more, and long ones do fail more."""


def _slope(found: list[Outcomes], mean: np.ndarray, spread: np.ndarray) -> float:
    """Returns how much the odds rise with size, each benchmark counted the same and against itself."""
    above, below = 0.0, 0.0
    for one in found:
        size = ((one.sizes - mean) / spread).mean(axis=1)
        gain = one.gain()
        level = min(max(gain.mean(), 0.05), 0.95)
        size = size - size.mean()
        above += float((size * (gain - gain.mean())).mean()) / (level * (1 - level))
        below += float((size * size).mean())
    return above / below
