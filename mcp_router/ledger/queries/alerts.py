"""Alerts: a row is inserted before its message is sent, so that one process in all sends it."""

from __future__ import annotations

from typing import Final

from mcp_router.ledger.alerts import BudgetAlert, BudgetWatch
from mcp_router.ledger.calendar import find_period
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.holds import read_balances
from mcp_router.ledger.queries.statements import Script, Statement, ask, end, real, text, whole
from mcp_router.ledger.records import Attempt

_CLAIM: Final = (
    "INSERT INTO alerts (subject, period_day, threshold, claimed_at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (subject, period_day, threshold) DO NOTHING RETURNING threshold"
)
_SENT: Final = "UPDATE alerts SET sent_at = ? WHERE subject = ? AND period_day = ? AND threshold = ?"
_UNSENT: Final = (
    "SELECT subject, period_day, threshold FROM alerts WHERE sent_at IS NULL AND claimed_at < ? AND claimed_at >= ? "
    "ORDER BY claimed_at"
)


def claim(watch: BudgetWatch, attempt: Attempt) -> Script[list[BudgetAlert]]:
    """Return the crossed thresholds of the attempt's budgets that no process has claimed, and claim them. These are
    the script's last statements.
    """
    now = attempt.started_at
    budgets = [
        budget
        for budget in watch.budgets
        if budget.limit_usd > 0 and budget.applies_to(attempt.client, attempt.project)
    ]
    if not budgets:
        return []
    states = yield from read_balances(budgets, now)
    crossed = [
        BudgetAlert(
            budget=state.budget,
            threshold=threshold,
            spent_usd=state.spent_usd,
            period_day=find_period(state.budget.period, now)[0],
        )
        for state in states
        for threshold in sorted(watch.thresholds)
        if float(state.spent_usd) >= threshold * float(state.budget.limit_usd)
    ]
    until = now + attempt.seconds
    claimed = yield from end(
        *(Statement(_CLAIM, (clean(one.budget.name), one.period_day, one.threshold, until)) for one in crossed)
    )
    return [one for one, rows in zip(crossed, claimed, strict=True) if rows]


def claim_event(subject: str, day: int, now: float) -> Script[bool]:
    """Claim an alert that is not about a budget; False if a process has claimed it."""
    return bool((yield from ask(_CLAIM, clean(subject), day, 0.0, now)))


def mark_sent(subject: str, day: int, threshold: float, now: float) -> Script[None]:
    """Record that the message of an alert was delivered."""
    yield from end(Statement(_SENT, (now, clean(subject), day, threshold)))


def read_unsent(before: float, since: float) -> Script[list[tuple[str, int, float]]]:
    """Return subject, day and threshold of alerts claimed in a time whose message was not delivered."""
    rows = yield from ask(_UNSENT, before, since)
    return [(text(row[0]), whole(row[1]), real(row[2])) for row in rows]
