"""`ledger`: drop old rows and keep what they add up to, or add up anew what the sums should be."""

from __future__ import annotations

import re
import time
from argparse import Namespace

from mcp_router.app import App
from mcp_router.cli.exit_codes import DONE
from mcp_router.errors import BadInputError
from mcp_router.ledger.calendar import DAY_SECONDS, day_from_time, iso_from_day
from mcp_router.text import to_compact_json

_LONGEST = 36_500


async def run(app: App, given: Namespace) -> int:
    """Look after the ledger in the way that was asked for."""
    await (_prune(app, given) if given.what == "prune" else _rebuild(app, given))
    return DONE


async def _prune(app: App, given: Namespace) -> None:
    """Drop rows of the days before those to keep, and say how many there were."""
    before = time.time() - _days(given.keep) * DAY_SECONDS
    dropped, first = await app.ledger.prune(before), iso_from_day(day_from_time(before))
    if given.json:
        print(to_compact_json({"dropped": dropped, "kept_from": first}))
    else:
        print(f"dropped {dropped:,} attempts from before {first} (UTC); what they cost stays in costs and budgets")


def _days(keep: str) -> int:
    found = re.fullmatch(r"(\d{1,5})d", keep)
    if found is None or int(found[1]) > _LONGEST:
        raise BadInputError(f"--keep {keep}: it must be a number of days up to {_LONGEST}, say 90d.")
    return int(found[1])


async def _rebuild(app: App, given: Namespace) -> None:
    """Set sums anew, or only look, and say each that was not what its attempts add up to."""
    found = await (app.ledger.find_differences() if given.dry_run else app.ledger.rebuild_rollups())
    if given.json:
        print(to_compact_json({"found": found, "rebuilt": bool(found) and not given.dry_run}))
        return
    for said in found:
        print(said)
    match found, given.dry_run:
        case [], _:
            print("rows and sums agree: there is nothing to rebuild")
        case _, True:
            print(f"{len(found):,} differences; without --dry-run the sums would become what the rows say")
        case _:
            print(f"{len(found):,} differences: the sums are now what the rows say")
