"""Trains the heads that ship, after validating them on sources left out; the same data gives the same bytes."""

import argparse
import json
import multiprocessing
import os
import random
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import fit
import framing
import generate
import lexicon
import numpy as np
import risks
import rows
import scores
import split
from scipy import sparse

from mcp_router.routing.inference import features
from mcp_router.routing.inference.evaluation.development import NAME
from mcp_router.routing.inference.heads import hash_names, parse

USE_CASES = [
    "classification",
    "code_generation",
    "conversation",
    "summarization",
    "analysis",
    "web_research",
    "expert_tasks",
    "other",
]
COMPLEXITIES = ["simple", "medium", "complex"]
PACKAGE = Path(__file__).parents[2] / "mcp_router" / "routing" / "inference"

WRITTEN_EACH = 14
WORD_SHARE = 3.0
LEAST_ORIGINS = 2
MOST_FEATURES = 24_000
L2 = 3e-4
ITERATIONS = 80
AGAINST_MEDIUM = 0.6
"""Taken off the score of `medium`: half of the prompts are labelled so, so a plain fit says it of most others too."""
TRUST = {"written_more": 1.0, "written": 3.0, generate.AUTHORED: 2.5, "arena": 0.5}
FRAMED = 0.15
"""Share of the other prompts that stand in an agent's frame instead of a courtesy."""
PERTURBED = 0.25
"""Weight of a perturbed copy against its original."""
AUTHORED_AGAIN = ("courtesy", "frame")
"""How a prompt that was written out is repeated: short ones are drowned by a story before them."""
DROPPED = 0.3
"""Share of the perturbed prompts that lose their words: other languages have only concepts, which must stand alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Everything to learn from, read."""

    prompts: list[generate.Prompt]
    sheet: fit.Sheet
    perturbed: np.ndarray

    def labels(self) -> np.ndarray:
        """Return where each prompt's use case stands."""
        return np.array([USE_CASES.index(prompt.label) for prompt in self.prompts])

    def families(self) -> np.ndarray:
        """Return what each prompt is left out with."""
        return np.array([prompt.family or prompt.source for prompt in self.prompts])


def gather(data: Path) -> Table:
    """Return the data and our own prompts, each as it is and then perturbed."""
    dev = rows.use_case_rows(data)
    chance = random.Random(7)
    passages = _passages(dev, chance)
    short = [prompt for prompt in dev if prompt.label != "long_context"]
    prompts: list[generate.Prompt] = []
    texts: list[str] = []
    perturbed: list[bool] = []
    dropped: list[bool] = []
    grown = generate.written(WRITTEN_EACH, passages)
    for prompt in [*short, *rows.more_questions(data), *grown, *generate.authored()]:
        if prompt.source.startswith(generate.AUTHORED):
            ways = AUTHORED_AGAIN
        else:
            ways = ("frame" if chance.random() < FRAMED else "courtesy",)
        for way in ("plain", *ways):
            prompts.append(prompt)
            texts.append(_put(prompt, way, chance))
            perturbed.append(way != "plain")
            dropped.append(way != "plain" and chance.random() < DROPPED)
    readings = [features.read_features(text) for text in texts]
    sheet = fit.sheet(readings, [prompt.origin for prompt in prompts], np.array(dropped))
    return Table(prompts=prompts, sheet=sheet, perturbed=np.array(perturbed))


def _put(prompt: generate.Prompt, way: str, chance: random.Random) -> str:
    if way == "plain":
        return prompt.text
    return (
        framing.framed(prompt.text, prompt.language, chance) if way == "frame" else rows.perturbed(prompt.text, chance)
    )


def _passages(dev: list[generate.Prompt], chance: random.Random) -> dict[str, list[str]]:
    """Return texts for a template to be about, by the sources left out with them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for prompt in dev:
        text = prompt.text
        if prompt.label == "long_context" or prompt.source.endswith("_wrapped"):
            continue
        if prompt.source == "pubmedqa":
            text = text.removeprefix("Context: ").split("\nQuestion:")[0]
        if prompt.source == "qmsum_excerpt":
            text = max(text.split("\n\n"), key=len)
        found[prompt.family].append(text[: chance.choice((300, 600, 1200, 2000))])
    return dict(found)


def weights(table: Table, chosen: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weigh every source by the root of its size, and every class about the same."""
    sources = [table.prompts[at].source for at in chosen]
    counts = Counter(zip(sources, labels, strict=True))
    found = np.array([_trust(one[0]) * counts[one] ** -0.5 for one in zip(sources, labels, strict=True)])
    found[table.perturbed[chosen]] *= PERTURBED
    for label in set(labels):
        found[labels == label] /= found[labels == label].sum() ** 0.8
    return found


def _trust(source: str) -> float:
    return next((trust for start, trust in TRUST.items() if source.startswith(start)), 1.0)


def learn(table: Table, chosen: np.ndarray, *, complexity: bool = True) -> tuple[fit.Space, np.ndarray, np.ndarray]:
    """Fit both heads on the chosen prompts; returns weights of eight use cases and three complexities."""
    where = table.sheet.space(chosen, LEAST_ORIGINS, MOST_FEATURES)
    x = table.sheet.matrix(chosen, where, word_scale=WORD_SHARE, whole=False)
    labels = table.labels()[chosen]
    w, b = _fitted(x, labels, weights(table, chosen, labels), len(USE_CASES))
    if not complexity:
        none = len(COMPLEXITIES)
        return where, np.hstack([w, np.zeros((len(w), none))]), np.concatenate([b, np.zeros(none)])
    known = np.array([at for at in range(len(chosen)) if table.prompts[chosen[at]].complexity])
    levels = np.array([(table.prompts[chosen[at]].complexity or 1) - 1 for at in known])
    cw, cb = _fitted(x[known], levels, weights(table, chosen[known], levels), len(COMPLEXITIES))
    cb[1] -= AGAINST_MEDIUM
    return where, np.hstack([w, cw]), np.concatenate([b, cb])


def _fitted(x: sparse.csr_matrix, labels: np.ndarray, share: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    return fit.softmax(fit.Problem(x=x, labels=labels, weights=share, classes=classes, l2=L2), ITERATIONS)


def left_out(table: Table, processes: int) -> np.ndarray:
    """Return the scores of every prompt that was not grown, from weights that never saw its family of sources."""
    found = np.zeros((len(table.prompts), len(USE_CASES) + len(COMPLEXITIES)))
    families = sorted({prompt.family for prompt in table.prompts if not prompt.source.startswith("written")})
    with multiprocessing.get_context("fork").Pool(processes, _share, (table,)) as pool:
        for at, scored in pool.imap_unordered(_without, families):
            found[at] = scored
    return found


_shared: list[Table] = []


def _share(table: Table) -> None:
    _shared.append(table)


def _without(family: str) -> tuple[np.ndarray, np.ndarray]:
    table = _shared[0]
    held = [prompt.family == family and not prompt.source.startswith("written") for prompt in table.prompts]
    at = np.flatnonzero(np.array(held))
    ranked = any(table.prompts[i].complexity for i in at)
    where, w, b = learn(table, np.flatnonzero(table.families() != family), complexity=ranked)
    return at, table.sheet.matrix(at, where, word_scale=WORD_SHARE, whole=True) @ w + b


def packed(sheet: fit.Sheet, where: fit.Space, w: np.ndarray, b: np.ndarray, settings: dict[str, object]) -> bytes:
    """Return the artefact: a line of JSON, four bytes for each feature's mark, then a byte for each weight."""
    names = [sheet.names[at] for at in (*where.words, *where.signs)]
    marks, kept = np.unique(np.fromiter(hash_names(names), np.uint32), return_index=True)
    scales = np.abs(w).max(axis=0) / 127
    steps = np.clip(np.rint(w / scales), -127, 127).astype(np.int64) + 128
    header = {
        "labels": [*USE_CASES, *COMPLEXITIES],
        "scales": [round(float(one), 7) for one in scales],
        "bias": [round(float(one), 5) for one in b],
        "word_share": WORD_SHARE,
        "features": len(marks),
        **settings,
    }
    return (
        json.dumps(header, sort_keys=True).encode()
        + b"\n"
        + marks.astype("<u4").tobytes()
        + steps[kept].astype(np.uint8).tobytes()
    )


def main() -> None:
    """Validate, then train on everything and write what ships."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="the folder of the development data")
    arguments.add_argument("--processes", type=int, default=2, help="how many sources are left out at a time")
    chosen = arguments.parse_args()
    (PACKAGE / "lexicon.txt").write_text(lexicon.shipped(), encoding="utf-8", newline="\n")
    table = gather(chosen.data)
    print(f"{np.sum(~table.perturbed)} prompts, and as many and more perturbed", flush=True)
    scored = left_out(table, chosen.processes)
    held = scores.Held(prompts=table.prompts, scores=scored, perturbed=table.perturbed, names=USE_CASES)
    print("\n".join(scores.report(held)), flush=True)
    how = scores.calibrated(held, held.data)
    complexities, report = scores.complexity(held)
    print(report)
    where, w, b = learn(table, np.arange(len(table.prompts)))
    settings: dict[str, object] = {"settings": scores.settings(how, complexities), "risk": {}, "risk_bias": 0.0}
    settings |= risks.train(chosen.data, parse(packed(table.sheet, where, w, b, settings)))
    artefact = packed(table.sheet, where, w, b, settings)
    (PACKAGE / "heads.bin").write_bytes(artefact)
    development = split.packed(chosen.data, held, how)
    (PACKAGE / "evaluation" / NAME).write_bytes(development)
    print(f"{len(w)} features, heads.bin {len(artefact)} bytes, {NAME} {len(development)} bytes")


if __name__ == "__main__":
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if any(os.environ.get(name) != "1" for name in alone) or os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a sum changes its last bits: so one thread, set before anything is loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | alone | {"PYTHONHASHSEED": "0"})  # noqa: S606
    main()
