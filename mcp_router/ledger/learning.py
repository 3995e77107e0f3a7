"""What vendors' rate-limit headers said is left, shared by all processes until the vendor's own reset."""

from __future__ import annotations

from mcp_router.ledger import Hold, Learned, RateRefusal
from mcp_router.ledger.periods import SKEW_SECONDS
from mcp_router.ledger.rows import clean
from mcp_router.ledger.statements import Row, Script, ask, real, real_or_none, text, whole, whole_or_none
from providers.completion import Limits

_COLUMNS = (
    "scope, noted_at, requests_limit, requests_left, requests_reset_at, tokens_limit, tokens_left, tokens_reset_at"
)
_LEARN = (
    f"INSERT INTO learned ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope) DO UPDATE SET "  # noqa: S608 - only our own names
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[1:])
)
_ALL = f"SELECT {_COLUMNS} FROM learned ORDER BY scope"  # noqa: S608 - only our own names
_OF = f"SELECT {_COLUMNS} FROM learned WHERE scope IN (?, ?) ORDER BY scope"  # noqa: S608 - only our own names
_SINCE = (
    "SELECT COUNT(*), CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM claims "
    "WHERE provider = ? AND (provider = ? OR model = ?) AND made_at > ? AND id <> ?"
)


def learn(scope: str, limits: Limits, now: float) -> Script[None]:
    """Share what a vendor's headers said; the latest word replaces the one before."""
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


def learned(now: float) -> Script[list[Learned]]:
    """What vendors' headers said and still holds."""
    rows = yield from ask(_ALL)
    found = [_standing(row, now) for row in rows]
    return [word for word in found if word is not None]


def vendor_refusal(claim: Hold, provider: str) -> Script[RateRefusal | None]:
    """A refusal where the vendor itself said that nothing is left, or not enough with what was asked since."""
    rows = yield from ask(_OF, provider, clean(claim.model))
    for row in rows:
        word = _standing(row, claim.now)
        if word is None:
            continue
        since = yield from ask(_SINCE, provider, word.scope, word.scope, word.noted_at, clean(claim.id))
        requests, tokens = whole(since[0][0]), whole(since[0][1])
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


def _standing(row: Row, now: float) -> Learned | None:
    """What of it has not been reset yet. A word without a reset is nothing one could wait for; a word
    from the future was spoken before the clock jumped back.
    """
    noted_at, requests_reset, tokens_reset = real(row[1]), real_or_none(row[4]), real_or_none(row[7])
    requests = requests_reset is not None and requests_reset > now
    tokens = tokens_reset is not None and tokens_reset > now
    if noted_at > now + SKEW_SECONDS or not (requests or tokens):
        return None
    return Learned(
        scope=text(row[0]),
        noted_at=noted_at,
        requests_limit=whole_or_none(row[2]) if requests else None,
        requests_left=whole_or_none(row[3]) if requests else None,
        requests_reset_at=requests_reset if requests else None,
        tokens_limit=whole_or_none(row[5]) if tokens else None,
        tokens_left=whole_or_none(row[6]) if tokens else None,
        tokens_reset_at=tokens_reset if tokens else None,
    )
