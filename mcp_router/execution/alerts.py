"""Alerts: one message for each budget, period and threshold, sent beside the calls, and a line in the next result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import anyio

from mcp_router.execution.webhook import WebhookError, send_webhook
from mcp_router.ledger.alerts import BudgetAlert
from mcp_router.ledger.calendar import day_from_time, iso_from_day
from mcp_router.ledger.ledger import Ledger, LedgerError
from mcp_router.money import format_usd

Format = Literal["all", "slack", "discord"]

_RETRY_AFTER_S = 1.0
_MAX_LAST_SECONDS = 3.0
"""How long the process waits at its end for messages that are on their way."""
_MAX_WAITING = 100
_logger = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class Alerter:
    """Sends the alerts that this process claimed. Nothing waits for a message."""

    ledger: Ledger
    url: str | None
    """The webhook; None if alerts are only lines in results."""
    body_format: Format
    clock: Callable[[], float]
    _warnings: list[BudgetAlert] = field(default_factory=list[BudgetAlert])
    _sending: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def report(self, alerts: Sequence[BudgetAlert]) -> None:
        """Report crossed thresholds."""
        self._warnings = [*self._warnings, *alerts][-_MAX_WAITING:]
        for alert in alerts:
            message = {"event": "budget", **_describe(alert)}
            self._start(_format(alert), message, (alert.budget.name, alert.period_day, alert.threshold))

    async def announce(self, event: str, subject: str, text: str) -> None:
        """Send a message about something other than a budget, such as background work that ended: once a day for each
        subject, by one process. The text must have no prompt and no file's name.

        Raises:
            LedgerError: The ledger cannot record that it is sent, so it is not.
        """
        now = self.clock()
        day = day_from_time(now)
        if self.url is not None and await self.ledger.alerts.claim_event(subject, day, now):
            self._start(text, {"event": event, "subject": subject}, (subject, day, 0.0))

    def take_warnings(self, client: str, project: str) -> list[str]:
        """Return, once, a line for each crossed threshold of the budgets that a call counts against."""
        mine = [one for one in self._warnings if one.budget.applies_to(client, project)]
        self._warnings = [one for one in self._warnings if one not in mine]
        return [_format(one) for one in mine]

    async def aclose(self) -> None:
        """Wait a little for messages on their way."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=_MAX_LAST_SECONDS)
        for task in self._sending:
            task.cancel()

    def _start(self, text: str, message: Mapping[str, object], key: tuple[str, int, float]) -> None:
        if self.url is None:
            return
        task = asyncio.get_running_loop().create_task(self._send(text, message, key))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, text: str, message: Mapping[str, object], key: tuple[str, int, float]) -> None:
        body = _create_body(text, message, self.body_format)
        for is_last in (False, True):
            try:
                await send_webhook(self.url or "", body)
            except WebhookError as error:
                _logger.warning("alert %s not delivered: %s", key[0], error)
                if not is_last:
                    await anyio.sleep(_RETRY_AFTER_S)
                continue
            try:
                await self.ledger.alerts.mark_sent(*key, self.clock())
            except LedgerError as error:
                _logger.warning("alert %s was delivered, and the ledger does not know: %s", key[0], error)
            return


def _format(alert: BudgetAlert) -> str:
    budget = alert.budget
    return (
        f"budget {budget.name}: {alert.threshold:.0%} of {format_usd(budget.limit_usd)} reached, "
        f"{format_usd(alert.spent_usd)} spent"
    )


def _describe(alert: BudgetAlert) -> dict[str, object]:
    day = iso_from_day(alert.period_day)
    return {
        "budget": alert.budget.name,
        "period": day if alert.budget.period == "day" else day[:7],
        "spent_usd": f"{alert.spent_usd:f}",
        "limit_usd": f"{alert.budget.limit_usd:f}",
        "fraction": f"{alert.threshold:g}",
    }


def _create_body(text: str, message: Mapping[str, object], body_format: Format) -> dict[str, object]:
    """Return the JSON body. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (`text`),
    https://docs.discord.com/developers/resources/webhook#execute-webhook (`content`).
    """
    text = f"mcp-llm-router: {text}"
    match body_format:
        case "slack":
            return {"text": text}
        case "discord":
            return {"content": text}
        case "all":
            return {"text": text, "content": text, **message}
