"""`ledger`: prunes old attempts, or rebuilds sums from the attempts."""

from __future__ import annotations

import re
import time
from argparse import ArgumentParser, Namespace

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.cli.options import add_config, add_json
from mcp_router.errors import BadInputError
from mcp_router.ledger.calendar import DAY_SECONDS, day_from_time, iso_from_day
from mcp_router.text import to_compact_json

_MAX_DAYS = 36_500


def add_options(parser: ArgumentParser) -> None:
    """Add the actions of `ledger` and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    prune = actions.add_parser("prune", help="delete the attempts of old days; their costs stay in the sums")
    prune.add_argument("--keep", required=True, metavar="DAYS", help="keep this many days, for example 90d")
    rebuild = actions.add_parser("rebuild", help="recompute sums and histograms from the attempts")
    rebuild.add_argument("--dry-run", action="store_true", help="show the differences without writing them")
    for each in (prune, rebuild):
        add_config(each)
        add_json(each)


async def run(app: App, given: Namespace) -> int:
    """Run the chosen action."""
    await (_prune(app, given) if given.action == "prune" else _rebuild(app, given))
    return DONE


async def _prune(app: App, given: Namespace) -> None:
    """Delete the attempts of older days, and print how many."""
    before = time.time() - _parse_days(given.keep) * DAY_SECONDS
    count, first = await app.ledger.prune(before), iso_from_day(day_from_time(before))
    if given.json:
        print(to_compact_json({"dropped": count, "kept_from": first}))
    else:
        print(f"deleted {count:,} attempts from before {first} (UTC); their costs stay in costs and budgets")


def _parse_days(keep: str) -> int:
    found = re.fullmatch(r"(\d{1,5})d", keep, re.ASCII)
    if found is None or int(found[1]) > _MAX_DAYS:
        raise BadInputError(f"--keep {keep}: must be a number of days up to {_MAX_DAYS}, for example 90d.")
    return int(found[1])


async def _rebuild(app: App, given: Namespace) -> None:
    """Recompute the sums, or only compare, and print every difference."""
    differences = await (app.ledger.find_differences() if given.dry_run else app.ledger.rebuild_rollups())
    if given.json:
        print(to_compact_json({"found": differences, "rebuilt": bool(differences) and not given.dry_run}))
        return
    for difference in differences:
        print(difference)
    match differences, given.dry_run:
        case [], _:
            print("attempts and sums agree: nothing to rebuild")
        case _, True:
            print(f"{len(differences):,} differences; without --dry-run the sums are recomputed from the attempts")
        case _:
            print(f"{len(differences):,} differences: sums recomputed from the attempts")
