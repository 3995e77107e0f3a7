"""Starts probes of ours and of peers, each in its own environment, before an upstream of our own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

from benchmarks import peers

HERE = Path(__file__).parent


class DiedError(Exception):
    """A probe ended instead of answering."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """What is measured, and how its probe is started."""

    name: str
    key: str
    """What its numbers are called."""
    probe: tuple[str, ...]
    """The kind, and what that kind wants to know."""
    peer: str = ""
    """The environment it needs; empty for ours."""
    server: bool = False
    """It is a server of its own: the probe is its client, and lives in our environment."""
    every: int = 1
    """It takes every so many turns: the slow ones would take all the time there is."""

    def takes_part(self, *, alone: bool) -> bool:
        """Whether it can be measured here and is wanted; `alone`: no peer is."""
        return not self.peer or (not alone and peers.there(self.peer))


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A probe that runs."""

    name: str
    process: Popen[str]

    def told(self, order: str) -> dict[str, Any]:
        """Give an order and wait for its answer.

        Raises:
            DiedError: There is none.
        """
        assert self.process.stdin is not None  # noqa: S101 - asked for
        assert self.process.stdout is not None  # noqa: S101 - asked for
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as exc:
            raise DiedError(self.name) from exc
        line = self.process.stdout.readline()
        if not line:
            raise DiedError(self.name)
        return json.loads(line)


@contextmanager
def upstream() -> Generator[str]:
    """Run the models' server in a process of its own, and yield its address."""
    with Popen([sys.executable, "-P", str(HERE / "upstream.py")], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - asked for
        yield process.stdout.readline().strip()
        process.terminate()


@contextmanager
def started(one: Contender, url: str) -> Generator[Probe]:
    """Run a contender's probe until it is no longer needed."""
    python = peers.python(one.peer) if one.peer and not one.server else sys.executable
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1"}
    command = [python, "-P", str(HERE / "probe.py"), one.probe[0], url, *one.probe[1:]]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True, env=environ) as process:
        try:
            yield Probe(name=one.name, process=process)
        finally:
            process.terminate()
