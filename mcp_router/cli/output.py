"""The command line's words for a request, and the shapes of answers."""

from __future__ import annotations

import sys
from argparse import Namespace

from rich.table import Column, Table

from mcp_router.errors import BadInputError


def collect_arguments(given: Namespace) -> dict[str, object]:
    """Turn the command line's words into those of the tools."""
    named = {
        "use_case": given.use_case,
        "budget_tier": given.tier,
        "complexity": given.complexity,
        "model": given.model,
        "files": given.file,
        "max_output_tokens": given.max_output_tokens,
        "max_cost_usd": given.max_cost_usd,
        "system": getattr(given, "system", None),
        "temperature": getattr(given, "temperature", None),
        "prompt": _read_prompt(given.prompt),
    }
    return {name: value for name, value in named.items() if value not in (None, [])}


def _read_prompt(given: str | None) -> str | None:
    if given != "-" and (given is not None or sys.stdin.isatty()):
        return given
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise BadInputError(f"Standard input is no text in {exc.encoding}: give the file's name with --file.") from exc


def texts(value: object) -> list[str]:
    """Take a list of texts out of an answer."""
    return list(map(str, value)) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- made by `describe_plan`


def rows(value: object) -> list[dict[str, object]]:
    """Take a list of objects out of an answer."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] -- made by `plan_view`


def create_table(*columns: str, style: str = "") -> Table:
    """Begin a table that cuts nothing short: names and figures stay whole, and the last column, which is words, is
    broken into lines.
    """
    *whole, words = columns
    return Table(*(Column(name, no_wrap=True) for name in whole), Column(words, overflow="fold"), box=None, style=style)


def create_figures_table(name: str, *columns: str) -> Table:
    """Begin a table of figures that cuts nothing short: they stay whole, and a long name is broken into lines."""
    return Table(Column(name, overflow="fold"), *(Column(each, no_wrap=True) for each in columns), box=None)


def to_amount(value: object) -> float:
    """Take a number out of an answer; unknown is 0."""
    return float(value) if isinstance(value, int | float) else 0.0


def format_usd(value: object) -> str:
    """Write an amount of an answer, to a millionth of a dollar."""
    return f"{to_amount(value):.6f} USD"
