"""Compares shipped prices with public catalogs and writes the changes: `python -P scripts/refresh_prices.py`."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast

import tomlkit

from providers.catalog import Model, Price, Provider
from providers.registry import PROVIDER_NAMES, provider_from_table
from scripts.price_listings import Listed, ListingError, from_address, from_genai_prices

Key = Literal["input_mtok", "output_mtok", "cache_read_mtok"]
Written = MutableMapping[str, object]
"""A table of a TOML document that keeps its comments."""

KEYS: tuple[Key, ...] = ("input_mtok", "output_mtok", "cache_read_mtok")
ROWS = Path(__file__).parent.parent / "providers" / "rows"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What the catalogues say of one model beside what we say."""

    model: Model
    changes: dict[Key, tuple[Decimal | None, Decimal]]
    """Ours and theirs, where they differ."""
    source: str
    """Who says so; more than one where they agree."""
    disputed: str = ""
    """What each catalogue says, where they contradict each other: nothing is written then."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the difference, then write it if asked to. 1 where something differs that was not written."""
    options = _options().parse_args(arguments)
    today: date = options.today
    providers = tuple(_provider(options.rows, name) for name in options.provider or PROVIDER_NAMES)
    try:
        listed = [row for source in options.source or ["genai-prices"] for row in _listed(source, providers, today)]
    except ListingError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    findings = [finding for provider in providers for finding in compare(provider, listed, today)]
    sys.stdout.write(told(findings))
    if options.write:
        written = [write(options.rows, provider, findings, today) for provider in providers]
        sys.stdout.write(f"{sum(written)} models written to {options.rows}.\n")
    left = [finding for finding in findings if finding.disputed or (finding.changes and not options.write)]
    return 1 if left else 0


def compare(provider: Provider, listed: Iterable[Listed], today: date) -> list[Finding]:
    """Return the catalogs' prices of a provider's models, without models that none lists."""
    by_name: dict[str, list[Listed]] = {}
    for row in listed:
        if row.provider == provider.name:
            by_name.setdefault(row.name, []).append(row)
    return [_finding(provider, model, by_name[model.name], today) for model in provider.models if model.name in by_name]


def told(findings: Sequence[Finding]) -> str:
    """Return the difference, one line for each change."""
    lines = [f"{sum(not (finding.changes or finding.disputed) for finding in findings)} models as listed elsewhere."]
    for finding in findings:
        if finding.disputed:
            lines.append(f"{finding.model.id}: catalogues disagree, left alone: {finding.disputed}")
        for key, (ours, theirs) in finding.changes.items():
            lines.append(f"{finding.model.id}: {key} {_shown(ours)} -> {_shown(theirs)}  ({finding.source})")
        if finding.changes and finding.model.prices and finding.model.prices[0].steps:
            lines.append(f"{finding.model.id}: look at its long-prompt steps, which no catalogue told")
    return "\n".join(lines) + "\n"


def write(rows: Path, provider: Provider, findings: Iterable[Finding], today: date) -> int:
    """Write a provider's changes, and the day its prices were checked; comments stay where they are."""
    path = rows / f"{provider.name}.toml"
    document = tomlkit.parse(path.read_text("utf-8"))
    tables = cast("Written", document).get("models", [])
    known = {
        finding.model.name: finding
        for finding in findings
        if finding.model.provider == provider.name and not finding.disputed
    }
    written = 0
    for table in cast("list[Written]", tables):  # the same file was read and checked before
        if finding := known.get(str(table["name"])):
            _write_model(table, finding, today)
            written += 1
    if written:
        path.write_text(tomlkit.dumps(document), "utf-8")
    return written


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -P scripts/refresh_prices.py", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the difference that was shown")
    parser.add_argument(
        "--source",
        action="append",
        metavar="FILE|URL|genai-prices",
        help="a catalogue: the installed genai-prices (default), or the JSON of models.dev, litellm or OpenRouter",
    )
    parser.add_argument(
        "--provider", action="append", choices=PROVIDER_NAMES, metavar="NAME", help="only this provider"
    )
    parser.add_argument("--rows", type=Path, default=ROWS, help="the folder of rows (default: this package's)")
    parser.add_argument("--today", type=date.fromisoformat, default=datetime.now(UTC).date(), help="say, 2026-11-23")
    return parser


def _provider(rows: Path, name: str) -> Provider:
    text = (rows / f"{name}.toml").read_text("utf-8")
    return provider_from_table(name, tomllib.loads(text, parse_float=Decimal))


def _listed(source: str, providers: tuple[Provider, ...], today: date) -> list[Listed]:
    if source != "genai-prices":
        return from_address(source)
    # A Monday's or later weekday's peak hour: our rows hold the peak price of a vendor that has two.
    peak = datetime.combine(today, time(2, 0), tzinfo=UTC)
    while peak.weekday() > 4:
        peak += timedelta(days=1)
    return from_genai_prices(providers, peak)


def _finding(provider: Provider, model: Model, listed: list[Listed], today: date) -> Finding:
    price = _price_on(model, today)
    wanted = [row for row in listed if not _is_silent(row, price)]
    sources = ", ".join(sorted({row.source for row in wanted}))
    changes: dict[Key, tuple[Decimal | None, Decimal]] = {}
    for key in KEYS:
        ours = getattr(price, key, None)
        values = {value for row in wanted if (value := getattr(row, key)) is not None}
        if provider.peak is not None and ours is not None:
            values.discard(ours * provider.peak.off_peak_multiple)
        if len(values) > 1:
            disputed = "; ".join(
                f"{row.source} {_shown(row.input_mtok)}/{_shown(row.output_mtok)}/{_shown(row.cache_read_mtok)}"
                for row in wanted
            )
            return Finding(model=model, changes={}, source=sources, disputed=disputed)
        if values and (theirs := values.pop()) != ours:
            changes[key] = (ours, theirs)
    return Finding(model=model, changes=changes, source=sources)


def _is_silent(row: Listed, price: Price | None) -> bool:
    """Return True if the catalog lists 0 for a model with a price: 0 often means "inside a plan", not free."""
    return row.input_mtok == 0 and row.output_mtok == 0 and price is not None and price.input_mtok > 0


def _price_on(model: Model, today: date) -> Price | None:
    return next((price for price in model.prices if _holds(price.since, price.until, today)), None)


def _holds(since: date | None, until: date | None, today: date) -> bool:
    return (since is None or since <= today) and (until is None or today < until)


def _write_model(table: Written, finding: Finding, today: date) -> None:
    target = _priced_table(table, today)
    for key, (_, theirs) in finding.changes.items():
        target[key] = tomlkit.value(_shown(theirs))
    if finding.source:
        table["checked"] = today
    if finding.changes:
        table["source"] = finding.source


def _priced_table(table: Written, today: date) -> Written:
    """Where a model's price of today is written: in its own table, or in a list of dated ones."""
    for price in cast("list[Written]", table.get("prices", [])):
        if _holds(cast("date | None", price.get("since")), cast("date | None", price.get("until")), today):
            return price
    return table


def _shown(value: Decimal | None) -> str:
    if value is None:
        return "unknown"
    return f"{value.normalize():f}"


if __name__ == "__main__":
    sys.exit(main())
