"""Holds of money and rate before an attempt is sent: budgets, requests and tokens per minute, vendors' rate limits.

A hold is a lease: it counts until it expires or is settled. A claim records its requests and tokens in the last minute.
If the clock jumps back, a hold from the future starts again at the current time, so no money is held longer than the
lease. A claim more than 60 s ahead no longer counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache

from mcp_router.ledger.calendar import DAY_SECONDS, MAX_CLOCK_SKEW_S, day_from_time, find_period
from mcp_router.ledger.queries import lost
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Rows, Script, Statement, end, real, tell, text, whole
from mcp_router.ledger.queries.vendor_limits import check_vendor_limits, select_before
from mcp_router.ledger.records import Budget, BudgetRefusal, BudgetStatus, Hold, RateLimit, RateRefusal, RateUsage
from mcp_router.money import nano_from_hold, nano_from_limit, usd_from_nano

WINDOW_SECONDS = 60.0
_OF_CALL, _OF_RETRY = ":client", ":client-retry"
"""Endings of a hold's id in the claim of its client, for the first and for further attempts of a call."""
_EVERYBODY, _CLIENT, _PROJECT = "('all', '')", "('client', ?)", "('project', ?)"

_RESTART = "UPDATE holds SET expires_at = expires_at - made_at + ?, made_at = ? WHERE made_at > ?"
_FORGET = "DELETE FROM claims WHERE provider = ? AND made_at <= ?"
_END = "DELETE FROM holds WHERE id = ?"
_HOLD = (
    "INSERT INTO holds (id, call_id, client, amount_nano, is_priced, number, session, use_case, budget_tier, "
    "complexity, inferred, model, why, project, branch, host, made_at, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO NOTHING"
)
_CLAIM = "INSERT INTO claims (id, provider, model, made_at, tokens) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
_ALLOW = (
    "INSERT INTO leeway (budget, extra_nano, until) VALUES (?, ?, ?) ON CONFLICT (budget) DO UPDATE SET until = "
    "excluded.until, extra_nano = excluded.extra_nano + CASE WHEN leeway.until > ? THEN leeway.extra_nano ELSE 0 END"
)
_HELD_BY_PROJECT = (
    "UNION ALL SELECT 'held by project', project, 0, CAST(SUM(amount_nano) AS BIGINT) FROM holds "
    "WHERE id <> ? GROUP BY project "
)
_WINDOW = (
    "SELECT made_at, tokens, id FROM claims WHERE provider = ? AND made_at > ? AND made_at <= ? AND id <> ? "
    "ORDER BY made_at"
)
_RATES = (
    "SELECT provider, COUNT(*), CAST(SUM(tokens) AS BIGINT), MIN(made_at) FROM claims "
    "WHERE made_at > ? AND made_at <= ? {of}GROUP BY provider ORDER BY provider"
)


def hold(
    claim: Hold, limits: Sequence[Budget], rate: RateLimit | None, client_rate: RateLimit | None = None
) -> Script[BudgetRefusal | RateRefusal | None]:
    """Claim money and rate at once, or return why not and claim nothing."""
    amount, now = nano_from_hold(claim.amount_usd), claim.now
    provider = clean(claim.model).partition(":")[0] if rate is None else clean(rate.provider)
    applying = [limit for limit in limits if amount and limit.applies_to(claim.client, claim.project)]
    expired, *_, money, asked, client_asked, said = yield from tell(
        lost.take(now),
        Statement(_RESTART, (now, now, now + MAX_CLOCK_SKEW_S)),
        Statement(_FORGET, (provider, now - WINDOW_SECONDS)),
        _forget_client(client_rate, now),
        _select_money(applying, now, but_not=clean(claim.id)),
        _window(claim, rate),
        _window(claim, client_rate),
        select_before(claim, provider),
    )
    if expired:
        yield from lost.record(expired)
        (money,) = yield from tell(_select_money(applying, now, but_not=clean(claim.id)))
    refusal = (
        _over_budget(claim, amount, applying, money)
        or (client_rate and _over_rate(claim, client_rate, client_asked))
        or (rate and _over_rate(claim, rate, asked))
        or check_vendor_limits(claim, provider, said)
    )
    if refusal is not None:
        return refusal
    held = (
        *(clean(claim.id), clean(claim.call_id), clean(claim.client), amount, int(claim.is_priced), claim.number),
        *map(clean, (claim.session, claim.use_case, claim.budget_tier, claim.complexity, claim.inferred)),
        *map(clean, (claim.model, claim.why, claim.project, claim.branch, claim.host)),
        *(now, float(claim.expires_at)),
    )
    claimed = (clean(claim.id), provider, clean(claim.model), now, claim.tokens)
    yield from end(Statement(_HOLD, held), Statement(_CLAIM, claimed), _claim_of_client(claim, client_rate))
    return None


def _forget_client(rate: RateLimit | None, now: float) -> Statement | None:
    return None if rate is None else Statement(_FORGET, (clean(rate.provider), now - WINDOW_SECONDS))


def _claim_of_client(claim: Hold, rate: RateLimit | None) -> Statement | None:
    """Return the claim of the client's rate; the ending of its id says whether it counts as a call."""
    if rate is None:
        return None
    name = clean(claim.id) + (_OF_CALL if claim.number == 1 else _OF_RETRY)
    return Statement(_CLAIM, (name, clean(rate.provider), clean(claim.model), claim.now, claim.tokens))


def end_hold(hold_id: str, tokens: int | None) -> tuple[Statement, Statement]:
    """Return the statements that end a hold and set its claim to the actual tokens, if they are known."""
    held = clean(hold_id)
    return (
        Statement(_END, (held,)),
        Statement(
            "UPDATE claims SET tokens = COALESCE(?, tokens) WHERE id IN (?, ?, ?)",
            (tokens, held, held + _OF_CALL, held + _OF_RETRY),
        ),
    )


def release(hold_id: str) -> Script[None]:
    """End a hold whose request was never sent."""
    held = clean(hold_id)
    yield from end(
        Statement(_END, (held,)),
        Statement("DELETE FROM claims WHERE id IN (?, ?, ?)", (held, held + _OF_CALL, held + _OF_RETRY)),
    )


def read_budgets(limits: Sequence[Budget], now: float) -> Script[list[BudgetStatus]]:
    """Return each budget's spent and held money."""
    (money,) = yield from end(_select_money(limits, now, but_not=""))
    return _to_states(limits, money, now)


def read_balances(limits: Sequence[Budget], now: float) -> Script[list[BudgetStatus]]:
    """Return each budget's spent and held money. More statements can follow."""
    (money,) = yield from tell(_select_money(limits, now, but_not=""))
    return _to_states(limits, money, now)


def _to_states(limits: Sequence[Budget], money: Rows, now: float) -> list[BudgetStatus]:
    return [
        BudgetStatus(
            budget=limit, spent_usd=usd_from_nano(spent), held_usd=usd_from_nano(held), resets_at=_resets_at(limit, now)
        )
        for limit, spent, held in _balances(limits, money)
    ]


def increase_budget(budget: str, extra_usd: Decimal, until: float, now: float) -> Script[None]:
    """Add to a budget, and to earlier increases of it, until it resets."""
    yield from end(Statement(_ALLOW, (clean(budget), nano_from_hold(extra_usd), float(until), now)))


def select_usage(now: float, counted: Sequence[str] | None) -> Statement | None:
    """Return the query for requests and tokens in the last minute of these providers, or of all (None)."""
    if counted is not None and not counted:
        return None
    of = "" if counted is None else f"AND provider IN ({', '.join('?' * len(counted))}) "
    return Statement(
        _RATES.format(of=of), (now - WINDOW_SECONDS, now + MAX_CLOCK_SKEW_S, *(clean(name) for name in counted or ()))
    )


def parse_usage(rows: Rows) -> tuple[RateUsage, ...]:
    """Return the usage in the rows of `select_usage`, without providers that had no request."""
    return tuple(
        RateUsage(provider=text(row[0]), requests=whole(row[1]), tokens=whole(row[2]), oldest_at=real(row[3]))
        for row in rows
    )


def _over_budget(claim: Hold, amount: int, limits: Sequence[Budget], money: Rows) -> BudgetRefusal | None:
    refusals = [
        BudgetRefusal(
            budget=limit,
            wanted_usd=usd_from_nano(amount),
            spent_usd=usd_from_nano(spent),
            held_usd=usd_from_nano(held),
            resets_at=_resets_at(limit, claim.now),
        )
        for limit, spent, held in _balances(limits, money)
        if spent + held + amount > nano_from_limit(limit.limit_usd)
    ]
    return min(refusals, key=lambda refusal: (refusal.left_usd, -refusal.resets_at), default=None)


def _select_money(limits: Sequence[Budget], now: float, *, but_not: str) -> Statement | None:
    """Return the query for spent money of all and of each client today and this month, held money and budget
    increases. One statement is one snapshot in PostgreSQL, so money that changes from held to spent is always counted.
    """
    if not limits:
        return None
    clients = sorted({clean(limit.client) for limit in limits if limit.client is not None})
    projects = sorted({clean(limit.project) for limit in limits if limit.project is not None})
    first, after = find_period("month", now)
    owners = (*clients, *projects)
    sql = _select_money_of(len(clients), len(projects))
    excluded = (but_not, but_not) if projects else (but_not,)
    return Statement(sql, (day_from_time(now), *owners, first, after, *excluded, now))


@cache
def _select_money_of(clients: int, projects: int) -> str:
    owners = [_EVERYBODY, *[_CLIENT] * clients, *[_PROJECT] * projects]
    # CROSS JOIN makes SQLite look every owner up instead of reading all rollups.
    return (
        "SELECT column1, column2, CAST(SUM(CASE WHEN day = ? THEN cost_nano ELSE 0 END) AS BIGINT), "  # noqa: S608 - only question marks
        f"CAST(SUM(cost_nano) AS BIGINT) FROM (VALUES {', '.join(owners)}) AS owners "
        "CROSS JOIN rollups WHERE session = '' AND dim = column1 AND value = column2 AND day >= ? AND day < ? "
        "GROUP BY column1, column2 UNION ALL SELECT 'held', client, 0, CAST(SUM(amount_nano) AS BIGINT) FROM holds "
        f"WHERE id <> ? GROUP BY client {_HELD_BY_PROJECT if projects else ''}"
        "UNION ALL SELECT 'leeway', budget, 0, extra_nano FROM leeway WHERE until > ?"
    )


def _balances(limits: Sequence[Budget], money: Rows) -> Iterator[tuple[Budget, int, int]]:
    """Yield every budget with its increase, its spent and its held money."""
    of = {(text(row[0]), text(row[1])): (whole(row[2]), whole(row[3])) for row in money}
    all_held = sum(amount for (kind, _), (_, amount) in of.items() if kind == "held")
    for limit in limits:
        spending, holding = _find_owner(limit)
        today, month = of.get(spending, (0, 0))
        held = all_held if holding is None else of.get(holding, (0, 0))[1]
        _, extra = of.get(("leeway", clean(limit.name)), (0, 0))
        wide = (
            replace(limit, limit_usd=limit.limit_usd + usd_from_nano(extra)) if extra and limit.limit_usd > 0 else limit
        )
        yield wide, today if limit.period == "day" else month, held


def _find_owner(limit: Budget) -> tuple[tuple[str, str], tuple[str, str] | None]:
    """Return the keys of a budget's spent and held money; None for what all hold."""
    if limit.project is not None:
        project = clean(limit.project)
        return ("project", project), ("held by project", project)
    if limit.client is not None:
        client = clean(limit.client)
        return ("client", client), ("held", client)
    return ("all", ""), None


def _resets_at(limit: Budget, now: float) -> float:
    return float(find_period(limit.period, now)[1] * DAY_SECONDS)


def _window(claim: Hold, rate: RateLimit | None) -> Statement | None:
    """Return the query for a provider's last minute, or None if it has no rate limit."""
    if rate is None or (rate.requests_per_minute is None and rate.tokens_per_minute is None):
        return None
    now = claim.now
    return Statement(_WINDOW, (clean(rate.provider), now - WINDOW_SECONDS, now + MAX_CLOCK_SKEW_S, clean(claim.id)))


def _over_rate(claim: Hold, rate: RateLimit, rows: Rows) -> RateRefusal | None:
    now = claim.now
    asked = [(real(row[0]), whole(row[1])) for row in rows]
    waits: list[tuple[float, str]] = []
    if rate.requests_per_minute is not None:
        again = rate.provider.startswith("client:") and claim.number > 1
        calls = [(real(row[0]), 1) for row in rows if not text(row[2]).endswith(_OF_RETRY)]
        requests = 0.0 if again else _wait(calls, 1, rate.requests_per_minute, now)
        waits.append((requests, f"{rate.requests_per_minute} requests a minute"))
    if rate.tokens_per_minute is not None:
        waits.append(
            (_wait(asked, claim.tokens, rate.tokens_per_minute, now), f"{rate.tokens_per_minute} tokens a minute")
        )
    wait, what = max(waits, default=(0.0, ""))
    return RateRefusal(provider=rate.provider, wait_seconds=wait, what=what) if wait > 0 else None


def _wait(asked: Sequence[tuple[float, int]], wanted: int, allowed: int, now: float) -> float:
    """Return the seconds until `wanted` fits within `allowed`, as the oldest requests leave the window."""
    if wanted > allowed:
        return math.inf
    count = sum(amount for _, amount in asked)
    wait = 0.0
    for at, amount in asked:
        if count + wanted <= allowed:
            break
        count -= amount
        wait = at + WINDOW_SECONDS - now
    return wait
