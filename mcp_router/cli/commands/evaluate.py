"""`eval`: scores what is inferred from prompts, by source, beside keyword rules and beside no inference at all."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mcp_router.cli.exit_codes import DONE, USAGE
from mcp_router.cli.options import add_json
from mcp_router.errors import UnknownNameError
from mcp_router.operations.evaluate import compare_costs
from mcp_router.routing.inference.evaluation.development import Development, load_development, read_rows
from mcp_router.routing.inference.evaluation.report import PERCENTILES, Json, score
from mcp_router.settings import Settings
from mcp_router.text import to_compact_json

_WORST_WAYS = 4


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `eval`."""
    parser.add_argument("--data", metavar="FILE", help="score your prompts: JSON lines with text and label")
    add_json(parser)


def run(settings: Settings, given: Namespace) -> int:
    """Score, and print."""
    try:
        development = load_development() if given.data is None else _read_own(Path(given.data))
    except (OSError, ValueError) as error:
        print(f"mcp-llm-router: {given.data}: {error}", file=sys.stderr)
        return USAGE
    view = score(development)
    baseline = settings.configuration.baseline
    try:
        view["cost"] = compare_costs(((row.source, row.text) for row in development.rows), baseline=baseline)
    except UnknownNameError as error:
        print(f"mcp-llm-router: baseline: {error}", file=sys.stderr)
        return USAGE
    view["baseline"] = baseline
    if given.json:
        print(to_compact_json(view))
    else:
        _show(view, Console(highlight=False))
    return DONE


def _read_own(path: Path) -> Development:
    rows = tuple(read_rows(path.read_text("utf-8").splitlines()))
    if not rows:
        raise ValueError("there is nothing in it")
    return Development(rows=rows, origins={})


def _show(view: Json, console: Console) -> None:
    for title, name, columns in _TABLES:
        if rows := _mapping(view.get(name)):
            console.print(_table(title, rows, columns))
    for what, name in (("other words around a prompt", "unchanged"), ("agents' frames around a prompt", "frames")):
        if unchanged := _mapping(view.get(name)):
            mean = unchanged.pop("all")
            worst = sorted(unchanged, key=lambda way: float(str(unchanged[way])))[:_WORST_WAYS]
            listed = ", ".join(f"{way} {unchanged[way]}" for way in worst)
            console.print(f"unchanged by {what}: {mean}; least by {listed}")
    console.print(f"size: {view['bytes']} bytes")
    if view["origins"]:
        console.print(f"[dim]{_NOTE}[/dim]")


_NOTE = (
    "The shipped weights learnt from these sources; `unseen` is what weights that never saw a source, nor its "
    "relatives, took its prompts for. Cost: the first candidate of each inferred plan, with every provider available, "
    "as a share of the baseline for the same tokens. Whose the prompts are, and under which licence: --json."
)
_TABLES = (
    ("use case", "use_case", ("prompts", "macro_f1", "accuracy", "worst_recall", "ece")),
    ("right, by source", "by_source", ("prompts", "shipped", "unseen", "keywords")),
    ("right, by language", "by_language", ("prompts", "shipped", "unseen", "keywords")),
    ("right, by complexity", "complexity", ("prompts", "shipped", "unseen")),
    (
        "quality, recorded",
        "difficulty",
        ("prompts", "cheapest", "quality_20", "quality_50", "strongest", "apgr", "cpt_50", "cpt_80"),
    ),
    ("cost", "cost", ("prompts", "share", "ultra_economy", "economy", "standard", "premium")),
    ("milliseconds", "latency_ms", tuple(PERCENTILES)),
)


def _table(title: str, rows: Mapping[str, object], columns: Sequence[str]) -> Table:
    table = Table(title, *(column.replace("_", " ") for column in columns), box=None)
    for name, cells in rows.items():
        values = _mapping(cells)
        table.add_row(name, *("" if values.get(column) is None else str(values[column]) for column in columns))
    return table


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- made by `score`
