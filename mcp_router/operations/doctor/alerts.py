"""Checks of the alerts' webhook and of the messages that were not delivered."""

from __future__ import annotations

import time

from mcp_router.app import App
from mcp_router.ledger.calendar import DAY_SECONDS
from mcp_router.ledger.ledger import LedgerError
from mcp_router.operations.doctor.finding import Finding

_MAX_AGE_S = 7 * DAY_SECONDS
_GRACE_S = 30.0
"""A message and its retry take at most this long."""


async def check_alerts(app: App) -> list[Finding]:
    """Check that the webhook is set, and report the messages of a week that did not reach it."""
    said = app.settings.configuration.alerts
    if said.webhook_env is None:
        return []
    if app.alerter.url is None:
        found = f"{said.webhook_env} is not set: no message is sent. Set it to the webhook's URL"
        return [Finding(state="wrong", what="alerts.webhook_env", found=found)]
    now = time.time()
    try:
        unsent = await app.ledger.alerts.read_unsent(now - _GRACE_S, now - _MAX_AGE_S)
    except LedgerError:
        return []  # reported by the check of the ledger
    if not unsent:
        return [Finding(state="ok", what="alerts", found="every message of the last 7 days was delivered")]
    names = ", ".join(dict.fromkeys(subject for subject, _, _ in unsent))
    found = f"{len(unsent)} not delivered in the last 7 days: {names}. Check the URL in {said.webhook_env}"
    return [Finding(state="wrong", what="alerts", found=found)]
