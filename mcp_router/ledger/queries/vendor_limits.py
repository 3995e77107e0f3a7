"""Rate limits in vendors' headers, shared by all processes until the vendor's reset."""

from __future__ import annotations

from mcp_router.ledger.calendar import MAX_CLOCK_SKEW_S
from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import (
    Row,
    Rows,
    Script,
    Statement,
    ask,
    real,
    real_or_none,
    text,
    whole,
    whole_or_none,
)
from mcp_router.ledger.records import Hold, RateRefusal, VendorRateLimit
from providers.completion import Limits

_COLUMNS = (
    "scope, noted_at, requests_limit, requests_left, requests_reset_at, tokens_limit, tokens_left, tokens_reset_at"
)
_LEARN = (
    f"INSERT INTO vendor_limits ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE SET "  # noqa: S608 - only our own names
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[1:])
)
_ALL = f"SELECT {_COLUMNS} FROM vendor_limits ORDER BY scope"  # noqa: S608 - only our own names
_SINCE = (
    "FROM claims WHERE provider = ? AND (provider = vendor_limits.scope OR model = vendor_limits.scope) "
    "AND made_at > vendor_limits.noted_at AND id <> ?"
)
_OF = (
    f"SELECT {_COLUMNS}, (SELECT COUNT(*) {_SINCE}), "  # noqa: S608 - only our own names
    f"(SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) {_SINCE}) FROM vendor_limits "
    "WHERE scope IN (?, ?) AND (requests_reset_at > ? OR tokens_reset_at > ?) ORDER BY scope"
)


def store(scope: str, limits: Limits, now: float) -> Script[None]:
    """Store a vendor's rate-limit headers, which replace earlier ones."""
    if limits.requests_left is None and limits.tokens_left is None:
        return
    yield from ask(
        _LEARN,
        clean(scope),
        now,
        limits.requests_limit,
        limits.requests_left,
        None if limits.requests_reset_seconds is None else now + limits.requests_reset_seconds,
        limits.tokens_limit,
        limits.tokens_left,
        None if limits.tokens_reset_seconds is None else now + limits.tokens_reset_seconds,
    )


def select_all() -> Statement:
    """Return the query for all vendors' rate limits."""
    return Statement(_ALL)


def parse_limits(rows: Rows, now: float) -> tuple[VendorRateLimit, ...]:
    """Return the limits in the rows of `select_all` that have not been reset."""
    return tuple(word for word in (_standing(row, now) for row in rows) if word is not None)


def select_before(claim: Hold, provider: str) -> Statement:
    """Return the query for a vendor's limits of a provider and a model, with the requests since."""
    asked = (provider, clean(claim.id))
    return Statement(_OF, (*asked, *asked, provider, clean(claim.model), claim.now, claim.now))


def check_vendor_limits(claim: Hold, provider: str, rows: Rows) -> RateRefusal | None:
    """Return a refusal if the vendor's limits and the requests since leave too little for the hold."""
    for row in rows:
        word, requests, tokens = _standing(row, claim.now), whole(row[8]), whole(row[9])
        if word is None:
            continue
        if word.requests_left is not None and word.requests_reset_at is not None and requests >= word.requests_left:
            return _refusal(provider, word.requests_reset_at - claim.now, word.requests_limit, "requests")
        if (
            word.tokens_left is not None
            and word.tokens_reset_at is not None
            and tokens + claim.tokens > word.tokens_left
        ):
            return _refusal(provider, word.tokens_reset_at - claim.now, word.tokens_limit, "tokens")
    return None


def _refusal(provider: str, wait: float, limit: int | None, what: str) -> RateRefusal:
    most = f"{what} left" if limit is None else f"{limit} {what}"
    return RateRefusal(provider=provider, wait_seconds=wait, what=f"the vendor's own {most}")


def _standing(row: Row, now: float) -> VendorRateLimit | None:
    """Return the limits that have not been reset. A limit without a reset is ignored, because there is no time to wait
    for. A limit from the future was stored before the clock jumped back.
    """
    noted_at, requests_reset, tokens_reset = real(row[1]), real_or_none(row[4]), real_or_none(row[7])
    requests = requests_reset is not None and requests_reset > now
    tokens = tokens_reset is not None and tokens_reset > now
    if noted_at > now + MAX_CLOCK_SKEW_S or not (requests or tokens):
        return None
    return VendorRateLimit(
        scope=text(row[0]),
        noted_at=noted_at,
        requests_limit=whole_or_none(row[2]) if requests else None,
        requests_left=whole_or_none(row[3]) if requests else None,
        requests_reset_at=requests_reset if requests else None,
        tokens_limit=whole_or_none(row[5]) if tokens else None,
        tokens_left=whole_or_none(row[6]) if tokens else None,
        tokens_reset_at=tokens_reset if tokens else None,
    )
