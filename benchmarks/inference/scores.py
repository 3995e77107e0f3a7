"""Scores sources left out, and turns scores into confidence."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from generate import Prompt
from scipy.optimize import minimize_scalar

from mcp_router.inference.heads import along
from mcp_router.inference.scoring import Choice, accuracy, by_class, calibration_error, macro_f1

CONVERSATION, OTHER = 2, 7
BINS = 10
NOISY = "arena_hard_v0.1"
"""Labelled by cluster: its labels say too little of single prompts to calibrate by."""

ROOT = 0.5
"""How sure a choice can be is learnt from every source, from large ones more, but not by their size."""
LEAST_SURE, MOST_SURE = 0.05, 0.98
"""Nothing is quite impossible, nor certain."""

Knots = tuple[list[float], list[float]]


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
    def plain(self) -> np.ndarray:
        """Where the prompts of the data stand, as they are."""
        ours = [not prompt.source.startswith("written") for prompt in self.prompts]
        return np.flatnonzero(np.array(ours) & ~self.perturbed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What turns the scores of use cases into a choice and how sure it is."""

    temperature: float
    named: Knots
    other: Knots

    def told(self, z: np.ndarray, names: list[str]) -> tuple[str, float]:
        """Returns the use case of one row of scores, as the program tells it, and its confidence."""
        likely = softmax(z[None, :] / self.temperature)[0]
        best = int(likely.argmax())
        if best == OTHER:
            return names[CONVERSATION], along(*self.other, float(likely[CONVERSATION] + likely[OTHER]))
        return names[best], along(*self.named, float(likely[best]))


def shares(prompts: Sequence[Prompt], at: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Weighs every source of a class the same, or by a power of its size."""
    counts = Counter((prompts[i].source, prompts[i].label) for i in at)
    return np.array([counts[prompts[i].source, prompts[i].label] ** -power for i in at])


def softmax(z: np.ndarray) -> np.ndarray:
    """Returns chances."""
    raised = np.exp(z - z.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def temperature(z: np.ndarray, labels: np.ndarray, share: np.ndarray) -> float:
    """Returns the temperature at which chances tell the truth."""

    def loss(t: float) -> float:
        return -float((share * np.log(softmax(z / t)[np.arange(len(z)), labels] + 1e-12)).sum())

    return round(float(minimize_scalar(loss, bounds=(0.3, 10), method="bounded").x), 4)


def isotonic(x: np.ndarray, right: np.ndarray, share: np.ndarray) -> Knots:
    """Returns knots of how often a choice is right, never falling as its chance grows."""
    merged: list[list[float]] = []
    for e in np.array_split(np.argsort(x, kind="stable"), BINS):
        total = float(share[e].sum())
        merged.append([float((x[e] * share[e]).sum() / total), float((right[e] * share[e]).sum() / total), total])
        while len(merged) > 1 and merged[-2][1] >= merged[-1][1]:
            b, a = merged.pop(), merged.pop()
            total = a[2] + b[2]
            merged.append([(a[0] * a[2] + b[0] * b[2]) / total, (a[1] * a[2] + b[1] * b[2]) / total, total])
    return [round(m[0], 4) for m in merged], [round(min(max(m[1], LEAST_SURE), MOST_SURE), 4) for m in merged]


def calibrated(held: Held, at: np.ndarray) -> Calibration:
    """Learns from some prompts of the data how sure a choice can be."""
    at = np.array([i for i in at if held.prompts[i].source != NOISY])
    z, labels = held.scores[at][:, : len(held.names)], held.labels[at]
    share = shares(held.prompts, at, ROOT)
    t = temperature(z, labels, share)
    likely = softmax(z / t)
    best = likely.argmax(axis=1)
    named, none = best != OTHER, best == OTHER
    right = (best == labels).astype(float)
    ok = np.isin(labels, (CONVERSATION, OTHER)).astype(float)
    as_chat = likely[:, CONVERSATION] + likely[:, OTHER]
    return Calibration(
        temperature=t,
        named=isotonic(likely.max(axis=1)[named], right[named], share[named]),
        other=isotonic(as_chat[none], ok[none], share[none]),
    )


def choices(held: Held, how: Calibration, at: np.ndarray, *, by_source: bool) -> list[Choice]:
    """Returns what was chosen for prompts that have a use case."""
    labels = held.labels
    at = at[labels[at] != OTHER]
    weights = shares(held.prompts, at) if by_source else np.ones(len(at))
    found: list[Choice] = []
    for i, weight in zip(at, weights, strict=True):
        chosen, confidence = how.told(held.scores[i, : len(held.names)], held.names)
        found.append(Choice(right=held.names[labels[i]], chosen=chosen, confidence=confidence, weight=float(weight)))
    return found


def report(held: Held) -> Iterator[str]:
    """Yields how left-out sources were scored."""
    how = calibrated(held, held.plain)
    yield from _by_source(held, how)
    for title, by_source in (("pooled", False), ("every source the same", True)):
        found = choices(held, how, held.plain, by_source=by_source)
        scores = by_class(found)
        worst = min(scores, key=lambda name: scores[name].recall)
        yield (
            f"{title}: accuracy {accuracy(found):.3f}, macro-F1 of 7 {macro_f1(found):.3f}, "
            f"worst recall {scores[worst].recall:.2f} ({worst}), ECE {calibration_error(found):.3f}"
        )
        yield "   " + ", ".join(f"{name} {one.f1:.2f}/{one.recall:.2f}" for name, one in scores.items())
    yield f"ECE where the confidence, too, never saw the source: {_crossed(held):.3f}"
    again = np.array([i for i in range(len(held.prompts)) if held.perturbed[i]])
    again = np.array([i for i in again if not held.prompts[i].source.startswith("written")])
    best = held.scores[:, : len(held.names)].argmax(axis=1)
    told = np.where(best == OTHER, CONVERSATION, best)
    yield f"unchanged when perturbed {np.mean(told[again] == told[again - 1]):.3f}"


def _by_source(held: Held, how: Calibration) -> Iterator[str]:
    places: dict[tuple[str, str], list[str]] = {}
    for i in held.plain:
        chosen, _ = how.told(held.scores[i, : len(held.names)], held.names)
        places.setdefault((held.prompts[i].source, held.prompts[i].label), []).append(chosen)
    for (source, label), chosen in sorted(places.items()):
        hit = chosen.count("conversation" if label == "other" else label) / len(chosen)
        yield f"{source:20} {label:16} {len(chosen):4} {hit:.2f} {dict(Counter(chosen).most_common(4))}"


def _crossed(held: Held) -> float:
    plain = held.plain
    families = np.array([held.prompts[i].family for i in plain])
    found: list[Choice] = []
    for family in sorted(set(families)):
        inside = families == family
        found += choices(held, calibrated(held, plain[~inside]), plain[inside], by_source=True)
    return calibration_error(found)


def complexity(held: Held) -> tuple[dict[str, list[float]], str]:
    """Calibrates the complexity of left-out sources; returns settings and a line to print."""
    at = np.array([i for i in held.plain if held.prompts[i].complexity])
    levels = np.array([(held.prompts[i].complexity or 1) - 1 for i in at])
    z = held.scores[at][:, len(held.names) :]
    share = shares(held.prompts, at)
    right = (z.argmax(axis=1) == levels).astype(float)
    near = np.abs(z.argmax(axis=1) - levels) <= 1
    t = temperature(z, levels, share)
    knots, hits = isotonic(softmax(z / t).max(axis=1), right, share)
    exact, close = ((one * share).sum() / share.sum() for one in (right, near))
    return (
        {"temperature": [t], "knots": knots, "accuracy": hits},
        f"complexity right {exact:.3f}, within one step {close:.3f}",
    )


def settings(how: Calibration, complexities: dict[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    """Returns what ships beside the weights."""
    return {
        "use_case": {
            "temperature": [how.temperature],
            "knots": how.named[0],
            "accuracy": how.named[1],
            "other_knots": how.other[0],
            "other_accuracy": how.other[1],
            "abstain_below": [0.0],
            "long_context": [0.97],
        },
        "complexity": complexities,
    }
