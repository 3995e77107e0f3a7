"""Scores sources left out, and turns scores into confidence."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from generate import AUTHORED, Prompt
from scipy.optimize import minimize

from mcp_router.routing.inference import merge_other
from mcp_router.routing.inference.evaluation.scoring import Choice, accuracy, by_class, calibration_error, macro_f1
from mcp_router.routing.inference.heads import to_confidence

CONVERSATION, OTHER = 2, 7
NOISY = "arena_hard_v0.1"
"""Labelled by cluster: its labels say too little of single prompts to calibrate by."""

ROOT = 0.8
"""How sure a choice can be is learnt from every source, from large ones more, but not by their size."""

Line = tuple[float, float]
"""How much the odds of being right rise with the lead of the best score over the next, and where they start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Prompts of the data as weights saw them that never saw their sources."""

    prompts: Sequence[Prompt]
    scores: np.ndarray
    """Use cases, then complexities."""
    perturbed: np.ndarray
    names: list[str]
    """The use cases."""

    @property
    def labels(self) -> np.ndarray:
        """Where in the names each prompt's label stands."""
        return np.array([self.names.index(prompt.label) for prompt in self.prompts])

    @property
    def data(self) -> np.ndarray:
        """Where the prompts of the data stand, as they are."""
        return self._at("", "written", AUTHORED)

    @property
    def authored(self) -> np.ndarray:
        """Where the prompts stand that were written out one by one."""
        return self._at(AUTHORED)

    @property
    def plain(self) -> np.ndarray:
        """Where both stand."""
        return self._at("", "written")

    def _at(self, start: str, *but: str) -> np.ndarray:
        chosen = [prompt.source.startswith(start) and not prompt.source.startswith(but) for prompt in self.prompts]
        return np.flatnonzero(np.array(chosen) & ~self.perturbed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What turns the scores of use cases into a choice and how sure it is."""

    line: Line

    def told(self, z: np.ndarray, names: list[str]) -> tuple[str, float]:
        """Return the use case of one row of scores, as the program tells it, and its confidence."""
        scores = merge_other(z.tolist())
        return names[int(np.argmax(scores))], to_confidence(self.line, scores)


def shares(prompts: Sequence[Prompt], at: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Weigh every source of a class the same, or by a power of its size."""
    counts = Counter((prompts[i].source, prompts[i].label) for i in at)
    return np.array([counts[prompts[i].source, prompts[i].label] ** -power for i in at])


def line(z: np.ndarray, labels: np.ndarray, share: np.ndarray) -> Line:
    """Return how the odds that the best score is right follow its lead."""
    second, best = np.sort(z, axis=1)[:, -2:].T
    right, share = (z.argmax(axis=1) == labels).astype(float), share / share.sum()

    def loss(at: np.ndarray) -> float:
        odds = at[0] * (best - second) + at[1]
        return float((share * (np.logaddexp(0, odds) - right * odds)).sum())

    slope, start = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return round(float(slope), 3), round(float(start), 3)


def calibrated(held: Held, at: np.ndarray) -> Calibration:
    """Learn from some prompts of the data how sure a choice can be: strangers' sources are the harder ones."""
    at = np.array([i for i in at if held.prompts[i].source != NOISY])
    z = np.array([merge_other(scores) for scores in held.scores[at].tolist()])
    labels = np.where(held.labels[at] == OTHER, CONVERSATION, held.labels[at])
    return Calibration(line=line(z, labels, shares(held.prompts, at, ROOT)))


def choices(held: Held, how: Calibration, at: np.ndarray, *, by_source: bool) -> list[Choice]:
    """Return what was chosen for prompts that have a use case."""
    labels = held.labels
    at = at[labels[at] != OTHER]
    weights = shares(held.prompts, at) if by_source else np.ones(len(at))
    found: list[Choice] = []
    for i, weight in zip(at, weights, strict=True):
        chosen, confidence = how.told(held.scores[i, : len(held.names)], held.names)
        found.append(Choice(right=held.names[labels[i]], chosen=chosen, confidence=confidence, weight=float(weight)))
    return found


def report(held: Held) -> Iterator[str]:
    """Yield how left-out sources were scored."""
    how = calibrated(held, held.data)
    yield from _by_source(held, how)
    for title, at, by_source in (
        ("pooled", held.data, False),
        ("every source the same", held.data, True),
        ("authors", held.authored, False),
    ):
        found = choices(held, how, at, by_source=by_source)
        scores = by_class(found)
        worst = min(scores, key=lambda name: scores[name].recall)
        yield (
            f"{title}: accuracy {accuracy(found):.3f}, macro-F1 of 7 {macro_f1(found):.3f}, "
            f"worst recall {scores[worst].recall:.2f} ({worst}), ECE {calibration_error(found):.3f}"
        )
        yield "   " + ", ".join(f"{name} {one.f1:.2f}/{one.recall:.2f}" for name, one in scores.items())
    pooled, same = _crossed(held)
    yield f"ECE where the confidence, too, never saw the source: {pooled:.3f} pooled, {same:.3f} every source the same"
    again = np.array([i for i in range(len(held.prompts)) if held.perturbed[i]])
    again = np.array([i for i in again if not held.prompts[i].source.startswith("written")])
    best = held.scores[:, : len(held.names)].argmax(axis=1)
    told = np.where(best == OTHER, CONVERSATION, best)
    plain = np.maximum.accumulate(np.where(held.perturbed, 0, np.arange(len(held.prompts))))
    yield f"unchanged when perturbed {np.mean(told[again] == told[plain[again]]):.3f}"


def _by_source(held: Held, how: Calibration) -> Iterator[str]:
    places: dict[tuple[str, str], list[str]] = {}
    for i in held.plain:
        chosen, _ = how.told(held.scores[i, : len(held.names)], held.names)
        places.setdefault((held.prompts[i].source, held.prompts[i].label), []).append(chosen)
    for (source, label), chosen in sorted(places.items()):
        hit = chosen.count("conversation" if label == "other" else label) / len(chosen)
        yield f"{source:20} {label:16} {len(chosen):4} {hit:.2f} {dict(Counter(chosen).most_common(4))}"


def _crossed(held: Held) -> list[float]:
    data = held.data
    families = np.array([held.prompts[i].family for i in data])
    found: dict[bool, list[Choice]] = {False: [], True: []}
    for family in sorted(set(families)):
        inside = families == family
        how = calibrated(held, data[~inside])
        for by_source, kept in found.items():
            kept.extend(choices(held, how, data[inside], by_source=by_source))
    return [calibration_error(kept) for kept in found.values()]


def complexity(held: Held) -> tuple[dict[str, list[float]], str]:
    """Calibrate the complexity of left-out sources; returns settings and a line to print."""
    at = np.array([i for i in held.plain if held.prompts[i].complexity])
    levels = np.array([(held.prompts[i].complexity or 1) - 1 for i in at])
    z = held.scores[at][:, len(held.names) :]
    share = shares(held.prompts, at)
    right = (z.argmax(axis=1) == levels).astype(float)
    near = np.abs(z.argmax(axis=1) - levels) <= 1
    exact, close = ((one * share).sum() / share.sum() for one in (right, near))
    return (
        {"line": [*line(z, levels, share)]},
        f"complexity right {exact:.3f}, within one step {close:.3f}",
    )


def settings(how: Calibration, complexities: dict[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    """Return what ships beside the weights."""
    return {
        "use_case": {
            "line": [*how.line],
            "long_context": [0.97],
        },
        "complexity": complexities,
    }
