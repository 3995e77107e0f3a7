"""The ledger's tables, by version. A migration that was shipped is never changed: the next one is added below it.

Types are named so that both databases take them: SQLite reads BIGINT as INTEGER and DOUBLE PRECISION as REAL.
"""

from __future__ import annotations

import logging
from typing import Final

from mcp_router.ledger import histogram_migration

CLUSTERED: Final = "/*clustered*/"
"""Where SQLite can keep a table inside its own primary key."""

_ATTEMPTS = """
CREATE TABLE attempts (
    call_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    session TEXT NOT NULL,
    client TEXT NOT NULL,
    use_case TEXT NOT NULL,
    budget_tier TEXT NOT NULL,
    complexity TEXT NOT NULL,
    inferred TEXT NOT NULL,
    model TEXT NOT NULL,
    why TEXT NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    micros BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    error TEXT,
    detail TEXT,
    finish_reason TEXT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    searches BIGINT,
    cost_nano BIGINT,
    cost_source TEXT NOT NULL,
    baseline_nano BIGINT,
    baseline TEXT NOT NULL,
    day BIGINT NOT NULL,
    PRIMARY KEY (call_id, number)
)
"""

_ROLLUPS = f"""
CREATE TABLE rollups (
    session TEXT NOT NULL,
    dim TEXT NOT NULL,
    value TEXT NOT NULL,
    day BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    fallbacks BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    answered_output_tokens BIGINT NOT NULL,
    cost_nano BIGINT NOT NULL,
    uncertain_nano BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    baseline_nano BIGINT NOT NULL,
    answered_micros BIGINT NOT NULL,
    PRIMARY KEY (session, dim, value, day)
) {CLUSTERED}
"""

_LATENCIES = f"""
CREATE TABLE latencies (
    session TEXT NOT NULL,
    dim TEXT NOT NULL,
    value TEXT NOT NULL,
    day BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    PRIMARY KEY (session, dim, day, value, bucket)
) {CLUSTERED}
"""

_HOLDS = f"""
CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL,
    client TEXT NOT NULL,
    amount_nano BIGINT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
) {CLUSTERED}
"""

_CLAIMS = f"""
CREATE TABLE claims (
    id TEXT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    tokens BIGINT NOT NULL
) {CLUSTERED}
"""

_BENCHES = f"""
CREATE TABLE benches (
    scope TEXT NOT NULL PRIMARY KEY,
    until DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL,
    failures BIGINT NOT NULL,
    noted_at DOUBLE PRECISION NOT NULL
) {CLUSTERED}
"""

_LEARNED = f"""
CREATE TABLE learned (
    scope TEXT NOT NULL PRIMARY KEY,
    noted_at DOUBLE PRECISION NOT NULL,
    requests_limit BIGINT,
    requests_left BIGINT,
    requests_reset_at DOUBLE PRECISION,
    tokens_limit BIGINT,
    tokens_left BIGINT,
    tokens_reset_at DOUBLE PRECISION
) {CLUSTERED}
"""

_TEXTS = f"""
CREATE TABLE texts (
    client TEXT NOT NULL,
    call_id TEXT NOT NULL,
    kept_at DOUBLE PRECISION NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (client, call_id)
) {CLUSTERED}
"""

_LESSONS = f"""
CREATE TABLE lessons (
    use_case TEXT NOT NULL,
    budget_tier TEXT NOT NULL,
    complexity TEXT NOT NULL,
    model TEXT NOT NULL,
    season BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    pinned BIGINT NOT NULL,
    PRIMARY KEY (use_case, budget_tier, complexity, model, season)
) {CLUSTERED}
"""

_LEEWAY = f"""
CREATE TABLE leeway (
    budget TEXT NOT NULL PRIMARY KEY,
    extra_nano BIGINT NOT NULL,
    until DOUBLE PRECISION NOT NULL
) {CLUSTERED}
"""

_HISTOGRAMS_OF_BEFORE = (
    "INSERT INTO facts (name, value) SELECT 'timed_from_day', day + 1 FROM rollups ORDER BY day DESC LIMIT 1"
)
"""Those that the fourth version took over from the third are not to the bucket what the rows say."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        _ATTEMPTS,
        "CREATE INDEX attempts_by_time ON attempts (started_at)",
        _ROLLUPS,
        _LATENCIES,
        _HOLDS,
        _CLAIMS,
        "CREATE INDEX claims_by_provider ON claims (provider, made_at)",
        _BENCHES,
        _LEARNED,
        "CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
    ),
    (_TEXTS, "CREATE INDEX texts_by_time ON texts (kept_at)"),
    (_LESSONS,),
    tuple(histogram_migration.steps(_ROLLUPS)),
    (_LEEWAY, _HISTOGRAMS_OF_BEFORE),
)
"""Entry n leads from version n to version n + 1."""

VERSION: Final = len(MIGRATIONS)

MIGRATION_SECONDS: Final = 600.0
"""How long a migration may take, or be waited for: a million attempts take a fraction of a minute."""

_log = logging.getLogger(__name__)


def announce(ledger: str, version: int) -> None:
    """Say before an older ledger is migrated why nothing is answered meanwhile."""
    if 0 < version < VERSION:
        _log.warning(
            "bringing the ledger %s from version %d to %d, or waiting for another server that does: calls wait "
            "meanwhile, some 20 seconds where it holds a million attempts",
            ledger,
            version,
            VERSION,
        )
