"""Scores sources left out, and turns scores into confidence."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from generate import Prompt
from scipy.optimize import minimize_scalar

CONVERSATION, OTHER = 2, 7
BINS = 10

LENIENT = {
    ("analysis", "mmlu_pro"),
}


def shares(prompts: Sequence[Prompt], at: np.ndarray) -> np.ndarray:
    """Weighs every source of a class the same."""
    counts = Counter((prompts[i].source, prompts[i].label) for i in at)
    return np.array([1 / counts[prompts[i].source, prompts[i].label] for i in at])


def softmax(z: np.ndarray) -> np.ndarray:
    raised = np.exp(z - z.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def temperature(z: np.ndarray, labels: np.ndarray, share: np.ndarray) -> float:
    """Returns the temperature at which chances tell the truth."""

    def loss(t: float) -> float:
        return -float((share * np.log(softmax(z / t)[np.arange(len(z)), labels] + 1e-12)).sum())

    return float(minimize_scalar(loss, bounds=(0.3, 10), method="bounded").x)


def isotonic(x: np.ndarray, right: np.ndarray, share: np.ndarray) -> tuple[list[float], list[float]]:
    """Returns knots of how often a choice is right, never falling as its chance grows."""
    order = np.argsort(x, kind="stable")
    edges = np.array_split(order, BINS)
    blocks = [
        [
            float((x[e] * share[e]).sum() / share[e].sum()),
            float((right[e] * share[e]).sum() + 0.5) / float(share[e].sum() + 1),
            float(share[e].sum()),
        ]
        for e in edges
    ]
    merged: list[list[float]] = []
    for block in blocks:
        merged.append(block)
        while len(merged) > 1 and merged[-2][1] >= merged[-1][1]:
            b, a = merged.pop(), merged.pop()
            total = a[2] + b[2]
            merged.append([(a[0] * a[2] + b[0] * b[2]) / total, (a[1] * a[2] + b[1] * b[2]) / total, total])
    return [round(m[0], 4) for m in merged], [round(m[1], 4) for m in merged]


def report(prompts: Sequence[Prompt], held: np.ndarray, perturbed: np.ndarray, names: list[str]) -> dict[str, object]:
    """Prints how left-out sources were scored; returns what turns scores into confidence."""
    labels = np.array([names.index(p.label) for p in prompts])
    plain = np.array([i for i, p in enumerate(prompts) if not p.source.startswith("written") and not perturbed[i]])
    z = held[:, : len(names)]
    best = z.argmax(axis=1)
    for source in sorted({prompts[i].source for i in plain}):
        for label in sorted({labels[i] for i in plain if prompts[i].source == source}):
            at = [i for i in plain if prompts[i].source == source and labels[i] == label]
            said = Counter(names[best[i]] for i in at).most_common(4)
            print(
                f"{source:20} {names[label]:16} {len(at):4} {np.mean([best[i] == label for i in at]):.2f} {dict(said)}"
            )
    told = np.where(best == OTHER, CONVERSATION, best)
    for title, weigh in (("pooled", False), ("every source the same", True)):
        at = np.array([i for i in plain if labels[i] != OTHER])
        share = shares(prompts, at) if weigh else np.ones(len(at))
        f1, recall = macro(labels[at], told[at], share)
        print(
            f"{title}: macro-F1 of 7 {np.mean(f1):.3f}, with long_context {(sum(f1) + 1) / 8:.3f}, worst recall {min(recall):.2f}",
            [(n[:8], round(f, 2), round(r, 2)) for n, f, r in zip(names, f1, recall, strict=False)],
        )
    again = np.array([i for i in range(len(prompts)) if perturbed[i] and not prompts[i].source.startswith("written")])
    print(f"unchanged when perturbed {np.mean(told[again] == told[again - 1]):.3f}")
    share = shares(prompts, plain)
    t = temperature(z[plain], labels[plain], share)
    p = softmax(z / t)
    named = plain[best[plain] != OTHER]
    knots, accuracy = isotonic(p.max(axis=1)[named], (best == labels)[named].astype(float), shares(prompts, named))
    none = plain[best[plain] == OTHER]
    as_chat = p[:, CONVERSATION] + p[:, OTHER]
    ok = np.isin(labels, (CONVERSATION, OTHER)).astype(float)
    other_knots, other_accuracy = isotonic(as_chat[none], ok[none], shares(prompts, none))
    print(
        "temperature",
        round(t, 3),
        "knots",
        list(zip(knots, accuracy, strict=True)),
        list(zip(other_knots, other_accuracy, strict=True)),
    )
    return {
        "use_case": {
            "temperature": [round(t, 4)],
            "knots": knots,
            "accuracy": accuracy,
            "other_knots": other_knots,
            "other_accuracy": other_accuracy,
            "abstain_below": [0.0],
            "long_context": [0.97],
        },
        "complexity": complexity(prompts, held[:, len(names) :], plain),
    }


def complexity(prompts: Sequence[Prompt], z: np.ndarray, plain: np.ndarray) -> dict[str, object]:
    """Prints and calibrates the complexity of left-out sources."""
    at = np.array([i for i in plain if prompts[i].complexity])
    levels = np.array([(prompts[i].complexity or 1) - 1 for i in at])
    share = shares(prompts, at)
    right = (z[at].argmax(axis=1) == levels).astype(float)
    near = np.abs(z[at].argmax(axis=1) - levels) <= 1
    t = temperature(z[at], levels, share)
    knots, accuracy = isotonic(softmax(z[at] / t).max(axis=1), right, share)
    print(
        f"complexity right {(right * share).sum() / share.sum():.3f}, within one step {(near * share).sum() / share.sum():.3f}, temperature {t:.2f}"
    )
    return {"temperature": [round(t, 4)], "knots": knots, "accuracy": accuracy}


def macro(labels: np.ndarray, told: np.ndarray, share: np.ndarray) -> tuple[list[float], list[float]]:
    """Returns F1 and recall of every class."""
    f1: list[float] = []
    recall: list[float] = []
    for one in range(OTHER):
        hit = share[(labels == one) & (told == one)].sum()
        have, said = share[labels == one].sum(), share[told == one].sum()
        recall.append(float(hit / max(have, 1e-9)))
        f1.append(float(2 * hit / max(have + said, 1e-9)))
    return f1, recall
