"""Writes README.md's tables anew from the code: `make docs`.

Each stands between `<!-- table: NAME -->` and `<!-- end -->`. A test compares them, so that none of them ages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from mcp_router.routes import TIERS, USE_CASES, Routes, Tier, UseCase
from mcp_router.routes import shipped as shipped_routes
from providers.rows import shipped as shipped_providers

README = Path(__file__).parent.parent / "README.md"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write the tables into README.md."""
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")


def with_tables(text: str) -> str:
    """Return a text with its tables as the code has them now."""
    return _TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def tiers() -> str:
    """Say what one call may cost."""
    routes = shipped_routes()
    return table(
        ("budget tier", "one call costs at most", "default of"),
        ((f"`{tier}`", f"${routes.ceilings[tier]}", _defaults(routes, tier)) for tier in TIERS),
    )


def use_cases() -> str:
    """Say what each use case is about, and who is asked first at its default tier."""
    routes = shipped_routes()
    return table(
        ("use case", "about", "default tier", "asked there, in this order"),
        (
            (f"`{name}`", row.about, f"`{row.default_tier}`", _asked(routes, name))
            for name in USE_CASES
            for row in (routes.use_cases[name],)
        ),
    )


def providers() -> str:
    """Say how each provider is called, which variable holds its key, and which wire it is asked over."""
    return table(
        ("provider", "", "key variable", "models", "wire"),
        (
            (
                f"`{one.name}`",
                f"[{one.title}]({one.docs_url})" + (f", retired {one.retired}" if one.retired else ""),
                " or ".join(f"`{name}`" for name in one.key_env) or "none",
                str(len(one.models)) if one.models else "-",
                f"`{one.wire}`",
            )
            for one in shipped_providers()
        ),
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _defaults(routes: Routes, tier: Tier) -> str:
    return ", ".join(f"`{name}`" for name in USE_CASES if routes.use_cases[name].default_tier == tier)


def _asked(routes: Routes, name: UseCase) -> str:
    entries = routes.cell(name, routes.use_cases[name].default_tier)
    return ", ".join(f"`{entry.model}`" for entry in entries if entry.model not in ("local", "embedded"))


TABLES: dict[str, Callable[[], str]] = {"tiers": tiers, "use_cases": use_cases, "providers": providers}

if __name__ == "__main__":
    main()
