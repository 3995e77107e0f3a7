"""`python -m tests.chaos [--times N] [--only PART]`: everything goes wrong at once; ends with a table of figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import anyio

from tests.chaos import clock_jumps, full_disk, fuzzing, killing, leaking, misbehaving, upstream
from tests.chaos.ground import Figures, Ground, Size, secrets

Part = Callable[[Ground], Awaitable[Figures]]

PARTS: dict[str, Part] = {
    "misbehaving": misbehaving.run,
    "killing": killing.run,
    "full_disk": full_disk.run,
    "clock_jumps": clock_jumps.run,
    "fuzzing": fuzzing.run,
    "leaking": leaking.run,
}
"""In this order: the last one searches what all the others wrote."""


async def wreak(folder: Path, size: Size, parts: list[str]) -> list[Figures]:
    """Run parts and return their figures."""
    keys, prompt = secrets()
    found: list[Figures] = []
    async with upstream.serving(folder) as vendors:
        ground = Ground(folder=folder, upstream=vendors, size=size, keys=keys, prompt=prompt)
        for name in parts:
            began = time.monotonic()
            found.append(await PARTS[name](ground))
            for broken in found[-1].broken:
                _say(f"  BROKEN: {broken}")
            _say(f"· {found[-1].part}: {time.monotonic() - began:.0f} s, {len(found[-1].broken)} promises broken")
            _say(f"  {found[-1].did}\n  {found[-1].found}")
    return found


def table(found: list[Figures]) -> str:
    """The figures, as docs/reliability.md has them."""
    rows = [("part", "what was done", "what came of it", "promises broken")]
    rows += [(one.part, one.did, one.found, str(len(one.broken))) for one in found]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| --- | --- | --- | ---: |", *lines[1:]])


def main() -> None:
    """Run it, print the table, and end with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="how many times as much of what can be repeated")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be given again")
    parser.add_argument("--keep", type=Path, help="an empty folder for all that is written; otherwise it is removed")
    given = parser.parse_args()
    began = time.monotonic()
    with nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        found = anyio.run(wreak, Path(folder), Size().times(given.times), given.only or list(PARTS))
    _say(f"\n{table(found)}\n\n{time.monotonic() - began:.0f} s")
    sys.exit(any(one.broken for one in found))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
