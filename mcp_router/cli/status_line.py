"""`costs --line`: today's cost in one line for status lines, read without building the program.

A host runs it several times a minute, so it imports little: the configuration is read for three keys and not validated,
and SQLite is opened read-only. What it cannot read this way is left to the whole program.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, cast

from mcp_router.ledger.calendar import find_period
from mcp_router.money import nano_from_limit

_SUMS = (
    "SELECT COALESCE(SUM(cost_nano), 0), COALESCE(SUM(baseline_nano), 0) FROM rollups "
    "WHERE session = '' AND dim = 'all' AND value = '' AND day >= ? AND day < ?"
)
_BUSY_TIMEOUT_S = 0.2


class LineFigures(NamedTuple):
    """What the line shows, in nano-dollars."""

    spent: int
    saved: int
    limit: int | None
    limit_spent: int


def read_line(config: str | None) -> str | None:
    """Return the line, or None if the whole program is needed to make it."""
    try:
        table = _read_table(config)
        path = _find_ledger(table)
        return None if path is None else format_line(_read_figures(path, table))
    except (OSError, ValueError, TypeError, InvalidOperation, sqlite3.Error):
        return None


def format_line(figures: LineFigures) -> str:
    """Format `router $0.42 today (saved $3.10) · 4 % of $10`."""
    line = f"router {_format(figures.spent)} today (saved {_format(figures.saved)})"
    if figures.limit is None:
        return line
    share = 100 * figures.limit_spent / figures.limit if figures.limit else 100
    return f"{line} · {share:.0f} % of {_format(figures.limit).removesuffix('.00')}"


def _format(nano: int) -> str:
    cents = abs(nano) / 10**7
    text = f"{cents / 100:,.2f}" if nano == 0 or cents >= 1 else f"{cents / 100:.4f}"
    return f"{'-' if nano < 0 else ''}${text}"


def _read_table(config: str | None) -> dict[str, object]:
    named = config or os.environ.get("MCP_ROUTER_CONFIG", "").strip()
    if named.startswith("$"):
        raise ValueError(named)
    path = Path(named).expanduser() if named else _folder("config") / "config.toml"
    if not named and not path.is_file():
        return {}
    import tomllib  # noqa: PLC0415 - only who has a configuration needs it

    return tomllib.loads(path.read_text("utf-8-sig"))


def _find_ledger(table: dict[str, object]) -> Path | None:
    """Return the SQLite file; None if the ledger is another database or an address that needs a closer look."""
    url = os.environ.get("MCP_ROUTER_DATABASE_URL", "").strip() or table.get("database_url")
    if url is None:
        return _folder("data") / "ledger.sqlite3"
    if not isinstance(url, str) or not url.startswith("sqlite:///") or any(sign in url for sign in "?%~$"):
        return None
    return Path(url.removeprefix("sqlite:///"))


def _folder(kind: str) -> Path:
    from platformdirs import user_config_path, user_data_path  # noqa: PLC0415 - not needed if both are named

    return (user_config_path if kind == "config" else user_data_path)("mcp-llm-router", appauthor=False)


def _read_figures(path: Path, table: dict[str, object]) -> LineFigures:
    budgets = table.get("budgets")
    limits = cast("dict[str, object]", budgets) if isinstance(budgets, dict) else {}
    name = next((name for name in ("daily_usd", "monthly_usd") if limits.get(name) is not None), None)
    limit = None if name is None else nano_from_limit(Decimal(str(limits[name])))
    now = time.time()
    day = find_period("day", now)
    span = day if name != "monthly_usd" else find_period("month", now)
    if not path.exists():
        return LineFigures(0, 0, limit, 0)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)) as ledger:
        spent, baseline = ledger.execute(_SUMS, day).fetchone()
        limit_spent, _ = (spent, 0) if span == day else ledger.execute(_SUMS, span).fetchone()
    return LineFigures(spent, baseline - spent, limit, limit_spent)
