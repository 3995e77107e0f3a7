"""`serve --workers N`: starts workers on one listening socket, restarts those that end, and stops them together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import anyio
from anyio.abc import Process

from mcp_router.errors import ConfigError

logger = logging.getLogger(__name__)

_VARIABLE = "MCP_ROUTER_WORKER"
"""For this program's own processes: number, listening socket and the two pipes of a worker."""
_START_TIMEOUT_S = 60.0
_MIN_RUN_S = 10.0
"""A worker that ends sooner is restarted later each time."""
_MAX_RESTART_WAIT_S = 30.0
_METRICS = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSeat:
    """What a worker process inherits."""

    number: int
    listener: int
    """Descriptor of the listening socket."""
    ready: int
    """Descriptor to which it writes once it serves."""
    lifeline: int
    """Descriptor that ends when the supervisor does."""

    def announce(self) -> None:
        """Tell the supervisor that this worker serves."""
        os.write(self.ready, b"1")
        os.close(self.ready)

    async def wait_for_orphaning(self) -> None:
        """Return when the supervisor has ended."""
        await anyio.wait_readable(self.lifeline)


@cache
def find_seat() -> WorkerSeat | None:
    """Return the seat of this process, or None if it is not a worker."""
    given = os.environ.pop(_VARIABLE, None)
    if given is None:
        return None
    number, listener, ready, lifeline = map(int, given.split(":"))
    return WorkerSeat(number=number, listener=listener, ready=ready, lifeline=lifeline)


def check_platform(count: int) -> None:
    """Check that workers can share a socket here.

    Raises:
        ConfigError: The system passes no descriptors on.
    """
    if os.name != "posix":
        raise ConfigError(f"--workers {count}: needs Linux or macOS. Start one server, or several behind a balancer.")


async def supervise(
    command: Sequence[str], listener: socket.socket, count: int, on_listening: Callable[[], None]
) -> int:
    """Run `count` workers of a command until a signal; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="mcp-llm-router-metrics-") as metrics:
        supervisor = _Supervisor(command=command, listener=listener, metrics=metrics)
        async with anyio.create_task_group() as group:
            group.start_soon(supervisor.forward_signals)
            try:
                if await supervisor.start_all(count):
                    on_listening()
                    async with anyio.create_task_group() as running:
                        for number in range(count):
                            running.start_soon(supervisor.keep_running, number)
            finally:
                with anyio.CancelScope(shield=True):
                    await supervisor.stop()
            group.cancel_scope.cancel()
        return supervisor.exit_code


@dataclass(kw_only=True, slots=True)
class _Supervisor:
    command: Sequence[str]
    listener: socket.socket
    metrics: str
    """Folder of the counters that workers share."""
    exit_code: int = 0
    stopping: anyio.Event = field(default_factory=anyio.Event)
    workers: dict[int, Process] = field(default_factory=dict[int, Process])
    lifeline: tuple[int, int] = field(default_factory=os.pipe)

    async def start_all(self, count: int) -> bool:
        """Start the workers; the first one alone, so that a wrong configuration is reported once."""
        for number in range(count):
            code = await self._start(number)
            if code is not None or self.stopping.is_set():
                self.exit_code = code or 0
                return False
        return True

    async def keep_running(self, number: int) -> None:
        """Wait for a worker to end, and start it again, until all stop."""
        wait = 0.0
        while True:
            worker, since = self.workers[number], anyio.current_time()
            code = await worker.wait()
            self._forget(worker)
            if self.stopping.is_set():
                return
            wait = 0.0 if anyio.current_time() - since > _MIN_RUN_S else min(_MAX_RESTART_WAIT_S, wait * 2 or 1.0)
            logger.error("worker %d ended with code %d: starting it again in %.0f s", number, code, wait)
            with anyio.move_on_after(wait):
                await self.stopping.wait()
            if self.stopping.is_set():
                return
            await self._start(number)

    async def forward_signals(self) -> None:
        """Pass signals on to the workers."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for received in signals:
                passed = signal.SIGHUP if received == signal.SIGHUP else signal.SIGTERM
                if passed == signal.SIGTERM:
                    self.stopping.set()
                for worker in self.workers.values():
                    if worker.returncode is None:
                        worker.send_signal(passed)

    async def stop(self) -> None:
        """Stop the workers, and wait for them: each gives its calls time to end."""
        self.stopping.set()
        os.close(self.lifeline[1])
        for worker in self.workers.values():
            await worker.wait()
        os.close(self.lifeline[0])

    async def _start(self, number: int) -> int | None:
        """Start a worker and wait until it serves. Return its exit code if it ended first."""
        ready, answer = os.pipe()
        descriptors = (self.listener.fileno(), answer, self.lifeline[0])
        seat = ":".join(map(str, (number, *descriptors)))
        worker = await anyio.open_process(
            self.command,
            stdin=None,
            stdout=None,
            stderr=None,
            env={**os.environ, _VARIABLE: seat, _METRICS: self.metrics},
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the workers once
            pass_fds=descriptors,
        )
        os.close(answer)
        self.workers[number] = worker
        try:
            with anyio.fail_after(_START_TIMEOUT_S):
                await anyio.wait_readable(ready)
            serves = bool(os.read(ready, 1))
        except TimeoutError:
            logger.error("worker %d did not start within %.0f s", number, _START_TIMEOUT_S)  # noqa: TRY400 - no stack
            worker.kill()
            serves = False
        finally:
            os.close(ready)
        return None if serves else await worker.wait()

    def _forget(self, worker: Process) -> None:
        from prometheus_client import multiprocess  # noqa: PLC0415 - only once a worker has ended

        multiprocess.mark_process_dead(worker.pid, self.metrics)  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType] -- it has no types


def list_arguments(words: Sequence[str]) -> list[str]:
    """Return the command of a worker: this interpreter, without the working folder in its path."""
    return [sys.executable, "-P", "-m", "mcp_router", *words]
