"""A disk that is full while calls run: nobody is asked whose cost could not be written, and no row is lost."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio

from tests.chaos import books, servers
from tests.chaos.ground import Figures, Ground
from tests.chaos.servers import Said, Stdio

_AT_ONCE = 8
_ROOM = 4_000_000


async def run(ground: Ground) -> Figures:
    """Fill it up while calls are under way, let calls come, make room again."""
    figures = Figures(part="full disk")
    room = ground.room("full_disk")
    with _small_disk(room / "disk") as small:
        config = servers.configured(ground, room, ledger=room / "disk" / "ledger.sqlite3")
        await ground.upstream.forget()
        answered: list[Said] = []
        refused: list[Said] = []
        async with servers.stdio(ground, room, config) as server:
            early = await servers.warmed_up(ground, server.call)
            for turn in range(ground.size.fills):
                await _filled(ground, server, room / "disk", turn, (answered, refused), small=small)
            before = len(refused)
            await _calls(ground, server, "after", answered, refused)
            figures.demand(len(refused) == before, f"refused once there was room again: {refused[-1:]}")
        read = await books.opened(ground, room, config, room / "disk" / "ledger.sqlite3")
        books.demand_whole(figures, read, early | {said.answer["call_id"] for said in answered})
        asked = await ground.upstream.requests()
        books.demand_a_row_each(figures, read, len(asked))
    figures.demand(refused, "the disk was never full")
    figures.demand(all("ledger" in said.text for said in refused), f"refused for another reason: {refused[:2]}")
    how = "a small tmpfs" if small else "a limit on the size of files"
    figures.did = f"{how} filled {ground.size.fills} times with {_AT_ONCE} calls in flight"
    figures.found = (
        f"{len(answered)} calls answered, all in the ledger once there was room; {len(refused)} refused in words, "
        f"before anybody was asked"
    )
    return figures


async def _filled(
    ground: Ground, server: Stdio, disk: Path, turn: int, said: tuple[list[Said], list[Said]], *, small: bool
) -> None:
    await ground.upstream.behave({"type": "delay", "seconds": 0.4, "times": _AT_ONCE})
    make_room: list[Callable[[], None]] = []
    async with anyio.create_task_group() as under_way:
        under_way.start_soon(_calls, ground, server, f"filling {turn}", *said)
        await anyio.sleep(0.2)
        make_room.append(_fill_up(disk) if small else _limit(server.process.pid))
    await _calls(ground, server, f"full {turn}", *said)
    make_room[0]()


async def _calls(ground: Ground, server: Stdio, when: str, answered: list[Said], refused: list[Said]) -> None:
    async def one(number: int) -> None:
        vendor = ground.vendors[number % len(ground.vendors)]
        said = await server.call("generate", servers.asking(ground, vendor, f"{when} {number}"))
        (refused if said.error else answered).append(said)

    async with anyio.create_task_group() as calls:
        for number in range(_AT_ONCE):
            calls.start_soon(one, number)


def _fill_up(disk: Path) -> Callable[[], None]:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 256, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler.unlink


def _limit(process: int) -> Callable[[], None]:
    """No file of the process grows any more."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4_096, before[1]))
    return lambda: resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@contextmanager
def _small_disk(folder: Path) -> Generator[bool]:
    """A file system with little room, where we may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "chaos", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            kept = folder.with_name("disk kept")
            kept.mkdir()
            for path in folder.glob("ledger*"):
                (kept / path.name).write_bytes(path.read_bytes())
            subprocess.run(["umount", str(folder)], check=True)
