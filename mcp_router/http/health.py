"""The endpoint `/health`: whether the process runs, and whether it is ready for calls."""

from __future__ import annotations

import logging
import time

import anyio
from starlette.requests import Request
from starlette.responses import Response

from mcp_router import __version__
from mcp_router.app import App
from mcp_router.http.responses import json_response
from mcp_router.ledger.ledger import LedgerError

logger = logging.getLogger(__name__)

_LEDGER_TIMEOUT_S = 3.0
_CACHE_S = 1.0


class Health:
    """The endpoint `/health`: 200 while the process runs; with `?ready=1`, 503 while the ledger is unreachable.

    The reason goes to the log once; a probe does not see it.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._checked_at = -_CACHE_S
        self._problem: str | None = None
        self._check_lock = anyio.Lock()

    async def __call__(self, request: Request) -> Response:
        """Answer a probe."""
        ready = await self._is_ready()
        view = {"status": "ok" if ready else "not ready", "live": True, "ready": ready, "version": __version__}
        asked = request.query_params.get("ready", "") not in ("", "0", "false")
        return json_response(view, 503 if asked and not ready else 200)

    async def _is_ready(self) -> bool:
        # No token is needed here, so the ledger's work must not grow with the number of probes.
        async with self._check_lock:
            if anyio.current_time() - self._checked_at >= _CACHE_S:
                before, self._problem = self._problem, await self._find_problem()
                self._checked_at = anyio.current_time()
                if self._problem is not None and before is None:
                    logger.warning("not ready: %s", self._problem)
                elif self._problem is None and before is not None:
                    logger.warning("ready again")
            return self._problem is None

    async def _find_problem(self) -> str | None:
        """Return why the ledger cannot be reached, or None if it can."""
        try:
            with anyio.fail_after(_LEDGER_TIMEOUT_S):
                await self._app.ledger.read_availability(time.time())
        except LedgerError as error:
            return str(error)
        except TimeoutError:
            return f"the ledger did not answer within {_LEDGER_TIMEOUT_S:.0f} s"
        return None
