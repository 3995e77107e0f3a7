"""`ledger prune`: drop old rows and keep what they add up to."""

from __future__ import annotations

import re
import time
from argparse import Namespace

from mcp_router.app import App
from mcp_router.cli import DONE
from mcp_router.errors import BadInputError
from mcp_router.ledger.periods import DAY_SECONDS, day_of, iso
from mcp_router.wording import dumped

_LONGEST = 36_500


async def run(app: App, given: Namespace) -> int:
    """Drop rows of the days before those to keep, and say how many there were."""
    before = time.time() - _days(given.keep) * DAY_SECONDS
    dropped, first = await app.ledger.prune(before), iso(day_of(before))
    if given.json:
        print(dumped({"dropped": dropped, "kept_from": first}))
    else:
        print(f"dropped {dropped:,} attempts from before {first} (UTC); what they cost stays in costs and budgets")
    return DONE


def _days(keep: str) -> int:
    found = re.fullmatch(r"(\d{1,5})d", keep)
    if found is None or int(found[1]) > _LONGEST:
        raise BadInputError(f"--keep {keep}: it must be a number of days up to {_LONGEST}, say 90d.")
    return int(found[1])
