"""Scores of the shipped inference on development data: classes, sources, languages, frames, complexity, risk, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from itertools import chain

from mcp_router.routing.inference import infer
from mcp_router.routing.inference.evaluation.development import Development, Row
from mcp_router.routing.inference.evaluation.keywords import infer_by_keywords
from mcp_router.routing.inference.evaluation.perturbing import FRAMES, PERTURBATIONS, Perturbation
from mcp_router.routing.inference.evaluation.scoring import (
    Choice,
    Outcome,
    accuracy,
    by_class,
    calibration_error,
    macro_f1,
    percentile,
    score_routing,
)

Json = dict[str, object]

PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p95": 0.95}
_PERTURBED_EACH = 4
"""Every so many-th prompt is perturbed, in all ways there are."""
_LENGTHS = (200, 2_000, 100_000)
_TIMES = 60
_ARTEFACTS = ("heads.bin", "lexicon.txt", "frames/block_names.txt")


def score(development: Development) -> Json:
    """Return every score of the data."""
    labelled = [row for row in development.rows if row.label not in (None, "other")]
    seen = [_choose(row) for row in labelled]
    unseen = [
        Choice(right=str(row.label), chosen=row.unseen[0], confidence=row.unseen[1])
        for row in labelled
        if row.unseen is not None
    ]
    ruled = [Choice(right=one.right, chosen=_by_rules(row)) for one, row in zip(seen, labelled, strict=True)]
    view: Json = {"origins": development.origins}
    if labelled:
        view["use_case"] = {"shipped": _figures(seen), "unseen": _figures(unseen), "keywords": _figures(ruled)}
        view["by_source"] = _group(labelled, seen, lambda row: row.source)
        view["by_language"] = _group(labelled, seen, lambda row: row.language)
        view["complexity"] = _complexity(development.rows)
        view["unchanged"] = _unchanged(labelled, PERTURBATIONS)
        view["frames"] = _unchanged(labelled, FRAMES)
    view["difficulty"] = _difficulty(development.rows)
    view["latency_ms"] = _latencies(development.rows)
    view["bytes"] = {name: _size(name) for name in _ARTEFACTS}
    return view


def _choose(row: Row) -> Choice:
    found = infer(row.text, attachments=row.left_out)
    return Choice(right=str(row.label), chosen=found.use_case, confidence=found.use_case_confidence)


def _by_rules(row: Row) -> str:
    return infer_by_keywords(row.text, attachments=row.left_out)


def _figures(choices: Sequence[Choice]) -> Json:
    if not choices:
        return {}
    classes = by_class(choices)
    return {
        "prompts": len(choices),
        "macro_f1": round(macro_f1(choices), 3),
        "accuracy": round(accuracy(choices), 3),
        "ece": round(calibration_error(choices), 3),
        "worst_recall": round(min(one.recall for one in classes.values()), 3),
        "classes": {name: {"f1": round(one.f1, 3), "recall": round(one.recall, 3)} for name, one in classes.items()},
    }


def _group(rows: Sequence[Row], choices: Sequence[Choice], key: Callable[[Row], str | None]) -> Json:
    """Return the share that is right, by a key of the rows; rows without one are left out."""
    groups: dict[str, list[tuple[Row, Choice]]] = {}
    for row, choice in zip(rows, choices, strict=True):
        if (name := key(row)) is not None:
            groups.setdefault(name, []).append((row, choice))
    return {
        name: {
            "prompts": len(kept),
            "shipped": _share(choice.chosen == choice.right for _, choice in kept),
            "unseen": _share(row.unseen[0] == row.label for row, _ in kept if row.unseen is not None),
            "keywords": _share(_by_rules(row) == row.label for row, _ in kept),
        }
        for name, kept in sorted(groups.items())
    }


def _share(hits: Iterable[bool]) -> float | None:
    kept = list(hits)
    return round(sum(kept) / len(kept), 3) if kept else None


def _complexity(rows: Sequence[Row]) -> Json:
    """Return how often each complexity is right, with the shipped weights and with weights that never saw it."""
    known = [row for row in rows if row.complexity is not None]
    levels = sorted({str(row.complexity) for row in known}, key=("simple", "medium", "complex").index)
    shipped = {id(row): infer(row.text).complexity for row in known}
    found: Json = {}
    for level in (*levels, "all"):
        kept = [row for row in known if level in (row.complexity, "all")]
        found[level] = {
            "prompts": len(kept),
            "shipped": _share(shipped[id(row)] == row.complexity for row in kept),
            "unseen": _share(row.unseen_complexity == row.complexity for row in kept),
        }
    return found if known else {}


def _unchanged(rows: Sequence[Row], ways: Mapping[str, Perturbation]) -> Json:
    """Return how often the choice stays when other words stand around the same prompt."""
    prompts = [row.text for row in rows if not row.left_out][::_PERTURBED_EACH]
    before = [infer(prompt).use_case for prompt in prompts]
    stays = {
        name: [infer(put(prompt)).use_case == one for prompt, one in zip(prompts, before, strict=True)]
        for name, put in ways.items()
    }
    return {"all": _share(chain.from_iterable(stays.values())), **{name: _share(one) for name, one in stays.items()}}


def _difficulty(rows: Sequence[Row]) -> Json:
    """Score the order by risk between always asking the cheap model and always the strong one."""
    sources: dict[str, list[tuple[Outcome, float]]] = {}
    for row in rows:
        if row.outcomes is not None:
            outcome = Outcome(cheap=row.outcomes[0], strong=row.outcomes[1])
            sources.setdefault(row.source, []).append((outcome, infer(row.text).risk))
    found: Json = {}
    for source, kept in sorted(sources.items()):
        outcomes, risks = zip(*kept, strict=True)
        if sum(one.strong - one.cheap for one in outcomes) <= 0:
            continue  # No gap, nothing to recover.
        scores = asdict(score_routing(outcomes, risks))
        found[source] = {name: round(value, 3) for name, value in scores.items()} | {"prompts": len(kept)}
    return found


def _latencies(rows: Sequence[Row]) -> Json:
    """Time prompts of given lengths, made of the data's own words."""
    words = "\n".join(row.text for row in rows)
    words *= 1 + _LENGTHS[-1] // max(1, len(words))
    found: Json = {}
    for length in _LENGTHS:
        prompts = [
            words[at : at + length] for at in range(0, len(words) - length, max(1, (len(words) - length) // _TIMES))
        ]
        taken: list[float] = []
        for prompt in prompts or [words]:
            began = time.perf_counter()
            infer(prompt)
            taken.append(1_000 * (time.perf_counter() - began))
        found[f"{length} characters"] = {name: round(percentile(taken, at), 2) for name, at in PERCENTILES.items()}
    return found


def _size(name: str) -> int:
    return len(files("mcp_router.routing.inference").joinpath(name).read_bytes())
