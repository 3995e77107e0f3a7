"""Tables of the ledger, by version. A released migration never changes: add the next one below it.

Both databases accept the type names: SQLite reads BIGINT as INTEGER and DOUBLE PRECISION as REAL.
"""

from __future__ import annotations

from typing import Final

from mcp_router.ledger.latency_histogram import BUCKETS

CLUSTERED: Final = "/*clustered*/"
"""Mark of a table that SQLite can store inside its primary key."""

# project, branch and host: part 7 (attribution of calls). service_tier: part 6 (the class billed).
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
    project TEXT NOT NULL DEFAULT '',
    branch TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    service_tier TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (call_id, number)
)
"""

_BUCKET_COLUMNS: Final = "".join(f"    {bucket} INTEGER NOT NULL DEFAULT 0,\n" for bucket in BUCKETS)

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
    lost BIGINT NOT NULL,
{_BUCKET_COLUMNS}    PRIMARY KEY (session, dim, value, day)
) {CLUSTERED}
"""

# A hold also has the fields of the attempt to record if its process ends.
# task_id: part 6 (the hold of a vendor batch outlives its process and does not expire by itself).
_HOLDS = f"""
CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    call_id TEXT NOT NULL,
    client TEXT NOT NULL,
    amount_nano BIGINT NOT NULL,
    is_priced BIGINT NOT NULL,
    number BIGINT NOT NULL,
    session TEXT NOT NULL,
    use_case TEXT NOT NULL,
    budget_tier TEXT NOT NULL,
    complexity TEXT NOT NULL,
    inferred TEXT NOT NULL,
    model TEXT NOT NULL,
    why TEXT NOT NULL,
    project TEXT NOT NULL DEFAULT '',
    branch TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    task_id TEXT NOT NULL DEFAULT '',
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

_BREAKERS = f"""
CREATE TABLE breakers (
    scope TEXT NOT NULL PRIMARY KEY,
    open_until DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL,
    failures BIGINT NOT NULL,
    noted_at DOUBLE PRECISION NOT NULL
) {CLUSTERED}
"""

_VENDOR_LIMITS = f"""
CREATE TABLE vendor_limits (
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

_OUTCOMES = f"""
CREATE TABLE outcomes (
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

_BUDGET_INCREASES = f"""
CREATE TABLE leeway (
    budget TEXT NOT NULL PRIMARY KEY,
    extra_nano BIGINT NOT NULL,
    until DOUBLE PRECISION NOT NULL
) {CLUSTERED}
"""

# Part 6: background work. A task is durable before it is announced; its lease lets another process take it over.
_TASKS = f"""
CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    client TEXT NOT NULL,
    call_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    message TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    updated_at DOUBLE PRECISION NOT NULL,
    keep_until DOUBLE PRECISION NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until DOUBLE PRECISION NOT NULL,
    cancel_requested BIGINT NOT NULL DEFAULT 0
) {CLUSTERED}
"""

_VENDOR_BATCHES = f"""
CREATE TABLE vendor_batches (
    id TEXT NOT NULL PRIMARY KEY,
    task_id TEXT NOT NULL,
    hold_id TEXT NOT NULL,
    model TEXT NOT NULL,
    vendor_id TEXT,
    state TEXT NOT NULL,
    submitted_at DOUBLE PRECISION,
    expires_at DOUBLE PRECISION
) {CLUSTERED}
"""

# Part 4: requests and tokens a day of providers that limit those (free tiers).
_DAY_QUOTAS = f"""
CREATE TABLE day_quotas (
    scope TEXT NOT NULL,
    day BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    PRIMARY KEY (scope, day)
) {CLUSTERED}
"""

# Part 7: one row per alert, inserted before it is sent, so one process sends it.
_ALERTS = f"""
CREATE TABLE alerts (
    subject TEXT NOT NULL,
    period_day BIGINT NOT NULL,
    threshold DOUBLE PRECISION NOT NULL,
    claimed_at DOUBLE PRECISION NOT NULL,
    sent_at DOUBLE PRECISION,
    PRIMARY KEY (subject, period_day, threshold)
) {CLUSTERED}
"""

# Hashes of clients' tokens. A revoked row stays: it shows that its client needs a token.
_TOKENS = f"""
CREATE TABLE tokens (
    sha256 TEXT NOT NULL PRIMARY KEY,
    client TEXT NOT NULL,
    made_at DOUBLE PRECISION NOT NULL,
    revoked_at DOUBLE PRECISION
) {CLUSTERED}
"""

# The newest trial of each model on a route of the user's: counts, without prompts and answers.
_MEASUREMENTS = f"""
CREATE TABLE measurements (
    use_case TEXT NOT NULL,
    budget_tier TEXT NOT NULL,
    model TEXT NOT NULL,
    criterion TEXT NOT NULL,
    passed BIGINT NOT NULL,
    total BIGINT NOT NULL,
    measured_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (use_case, budget_tier, model)
) {CLUSTERED}
"""

# Part 10: the part of a budget that one process holds for its calls.
_BUDGET_SHARES = f"""
CREATE TABLE budget_shares (
    budget TEXT NOT NULL,
    period_day BIGINT NOT NULL,
    owner TEXT NOT NULL,
    amount_nano BIGINT NOT NULL,
    used_nano BIGINT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (budget, period_day, owner)
) {CLUSTERED}
"""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        _ATTEMPTS,
        "CREATE INDEX attempts_by_time ON attempts (started_at)",
        _ROLLUPS,
        _HOLDS,
        "CREATE INDEX holds_by_expiry ON holds (expires_at)",
        _CLAIMS,
        "CREATE INDEX claims_by_provider ON claims (provider, made_at)",
        _BREAKERS,
        _VENDOR_LIMITS,
        "CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)",
        _TEXTS,
        "CREATE INDEX texts_by_time ON texts (kept_at)",
        _OUTCOMES,
        _BUDGET_INCREASES,
        _TASKS,
        "CREATE INDEX tasks_by_call ON tasks (call_id)",
        _VENDOR_BATCHES,
        _DAY_QUOTAS,
        _ALERTS,
        _TOKENS,
        _MEASUREMENTS,
        _BUDGET_SHARES,
    ),
)
"""Entry n migrates from version n to version n + 1."""

APPLICATION_ID: Final = 0x6D6C6C72
"""SQLite's application_id of a ledger; files written before release 0.1.0 have none and another layout."""

VERSION: Final = len(MIGRATIONS)

MIGRATION_SECONDS: Final = 600.0
"""Time limit of a migration, and of waiting for one."""


def format_old_layout(ledger: str, remedy: str) -> str:
    """Return the error text for a ledger written before release 0.1.0, which is left as it is."""
    return f"the ledger {ledger} was written before release 0.1.0 in a layout that is not read: {remedy}"
