"""Whether the process lives, and whether it can be sent calls."""

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
    """Answers `/health`: 200 while the process lives; with `?ready=1`, 503 while the ledger is out of reach.

    Why it is goes to the log, once: a probe is told no more than that.
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
        # Nobody's token is asked for here, so what it costs the ledger must not grow with who asks.
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
        """Say why the ledger cannot be reached, if it cannot."""
        try:
            with anyio.fail_after(_LEDGER_TIMEOUT_S):
                await self._app.ledger.read_availability(time.time())
        except LedgerError as error:
            return str(error)
        except TimeoutError:
            return f"the ledger did not answer within {_LEDGER_TIMEOUT_S:.0f} s"
        return None
