"""`eval`: scores what is inferred from prompts, by source, beside keyword rules and beside no inference at all."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mcp_router.cli.exit_codes import DONE, USAGE
from mcp_router.routing.inference import infer
from mcp_router.routing.inference.evaluation.development import Development, Row, read, shipped
from mcp_router.routing.inference.evaluation.keywords import by_keywords
from mcp_router.routing.inference.evaluation.perturbing import PERTURBATIONS
from mcp_router.routing.inference.evaluation.scoring import (
    Choice,
    Outcome,
    accuracy,
    by_class,
    calibration_error,
    macro_f1,
    percentile,
    routing,
)
from mcp_router.settings import Settings
from mcp_router.text import to_compact_json

Json = dict[str, object]

_PERTURBED_EACH = 4
"""Every so many-th prompt is perturbed, in all ways there are."""
_LENGTHS = (200, 2_000, 100_000)
_TIMES = 60


def run(settings: Settings, given: Namespace) -> int:  # noqa: ARG001 - every command is run the same way
    """Score, and print."""
    try:
        development = shipped() if given.data is None else _own(Path(given.data))
    except (OSError, ValueError) as error:
        print(f"mcp-llm-router: {given.data}: {error}", file=sys.stderr)
        return USAGE
    view = scored(development)
    if given.json:
        print(to_compact_json(view))
    else:
        _show(view, Console(highlight=False))
    return DONE


def _own(path: Path) -> Development:
    rows = tuple(read(path.read_text("utf-8").splitlines()))
    if not rows:
        raise ValueError("there is nothing in it")
    return Development(rows=rows, origins={})


def scored(development: Development) -> Json:
    """Score everything there is to score in some data."""
    labelled = [row for row in development.rows if row.label not in (None, "other")]
    seen = [_choice(row) for row in labelled]
    unseen = [
        Choice(right=str(row.label), chosen=row.unseen[0], confidence=row.unseen[1])
        for row in labelled
        if row.unseen is not None
    ]
    ruled = [Choice(right=one.right, chosen=_ruled(row)) for one, row in zip(seen, labelled, strict=True)]
    view: Json = {"origins": development.origins}
    if labelled:
        view["use_case"] = {"shipped": _figures(seen), "unseen": _figures(unseen), "keywords": _figures(ruled)}
        view["by_source"] = _by_source(labelled, seen)
        view["unchanged"] = _unchanged(labelled)
    view["difficulty"] = _difficulty(development.rows)
    view["latency_ms"] = _latencies(development.rows)
    view["bytes"] = {name: _size(name) for name in ("heads.bin", "lexicon.txt")}
    return view


def _choice(row: Row) -> Choice:
    told = infer(row.text, attachments=row.left_out)
    return Choice(right=str(row.label), chosen=told.use_case, confidence=told.use_case_confidence)


def _ruled(row: Row) -> str:
    return by_keywords(row.text, attachments=row.left_out)


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


def _by_source(rows: Sequence[Row], choices: Sequence[Choice]) -> Json:
    sources: dict[str, list[tuple[Row, Choice]]] = {}
    for row, choice in zip(rows, choices, strict=True):
        sources.setdefault(row.source, []).append((row, choice))
    return {
        name: {
            "prompts": len(kept),
            "shipped": _share([choice.chosen == choice.right for _, choice in kept]),
            "unseen": _share([row.unseen[0] == row.label for row, _ in kept if row.unseen is not None]),
            "keywords": _share([_ruled(row) == row.label for row, _ in kept]),
        }
        for name, kept in sorted(sources.items())
    }


def _share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), 3) if hits else None


def _unchanged(rows: Sequence[Row]) -> Json:
    """Count how often the choice stays when other words stand around the same prompt."""
    prompts = [row.text for row in rows if not row.left_out][::_PERTURBED_EACH]
    before = [infer(prompt).use_case for prompt in prompts]
    stays = {
        name: [infer(perturb(prompt)).use_case == one for prompt, one in zip(prompts, before, strict=True)]
        for name, perturb in PERTURBATIONS.items()
    }
    return {
        "all": _share(list(chain.from_iterable(stays.values()))),
        **{name: _share(one) for name, one in stays.items()},
    }


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
        scores = asdict(routing(outcomes, risks))
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
        found[f"{length} characters"] = {name: round(percentile(taken, at), 2) for name, at in _PERCENTILES.items()}
    return found


_PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p95": 0.95}


def _size(name: str) -> int:
    return len(files("mcp_router.routing.inference").joinpath(name).read_bytes())


def _show(view: Json, console: Console) -> None:
    for title, name, columns in _TABLES:
        if rows := _mapping(view.get(name)):
            console.print(_table(title, rows, columns))
    if unchanged := _mapping(view.get("unchanged")):
        console.print(f"unchanged by other words around a prompt: {unchanged.pop('all')}; least by ", end="")
        least = sorted(unchanged, key=lambda way: float(str(unchanged[way])))[:4]
        console.print(", ".join(f"{way} {unchanged[way]}" for way in least))
    console.print(f"size: {view['bytes']} bytes")
    if view["origins"]:
        console.print(f"[dim]{_NOTE}[/dim]")


_NOTE = (
    "The shipped weights learnt from these sources; `unseen` is what weights that never saw a source, nor its "
    "relatives, took its prompts for. Whose the prompts are, and under which licence: --json."
)
_TABLES = (
    ("use case", "use_case", ("prompts", "macro_f1", "accuracy", "worst_recall", "ece")),
    ("right, by source", "by_source", ("prompts", "shipped", "unseen", "keywords")),
    (
        "quality, recorded",
        "difficulty",
        ("prompts", "cheapest", "quality_20", "quality_50", "strongest", "apgr", "cpt_50", "cpt_80"),
    ),
    ("milliseconds", "latency_ms", tuple(_PERCENTILES)),
)


def _table(title: str, rows: Mapping[str, object], columns: Sequence[str]) -> Table:
    table = Table(title, *(column.replace("_", " ") for column in columns), box=None)
    for name, cells in rows.items():
        values = _mapping(cells)
        table.add_row(name, *("" if values.get(column) is None else str(values[column]) for column in columns))
    return table


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- made by `scored`
