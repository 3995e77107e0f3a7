"""Tasks: calls that run on in the background, with the lease of the process that runs each."""

from __future__ import annotations

from typing import cast

from mcp_router.ledger.queries.attempts import clean
from mcp_router.ledger.queries.statements import Row, Script, Statement, ask, end, real, text, whole, whole_or_none
from mcp_router.ledger.task_records import PastCall, Task, TaskState
from mcp_router.money import usd_from_nano

_COLUMNS = (
    "id, client, call_id, kind, state, message, made_at, updated_at, keep_until, lease_owner, lease_until, "
    "cancel_requested"
)
_RUNNING = "state IN ('working', 'input_required')"
_INSERT = f"INSERT INTO tasks ({_COLUMNS}) VALUES ({', '.join('?' * 12)})"  # noqa: S608 - only our own names
_SELECT = f"SELECT {_COLUMNS} FROM tasks"  # noqa: S608 - only our own names
_CLAIM = (
    f"UPDATE tasks SET lease_owner = ?, lease_until = ? WHERE id = ? AND {_RUNNING} "  # noqa: S608 - only our own names
    f"AND lease_until <= ? RETURNING {_COLUMNS}"
)
_RENEW = f"UPDATE tasks SET lease_until = ? WHERE id = ? AND lease_owner = ? AND {_RUNNING} RETURNING cancel_requested"  # noqa: S608 - only our own names
_REPORT = f"UPDATE tasks SET state = ?, message = ?, updated_at = ? WHERE id = ? AND lease_owner = ? AND {_RUNNING}"  # noqa: S608 - only our own names
_FINISH = (
    "UPDATE tasks SET state = ?, message = ?, updated_at = ?, lease_owner = '', lease_until = 0 "  # noqa: S608 - only our own names
    f"WHERE id = ? AND lease_owner = ? AND {_RUNNING} RETURNING id"
)
_RELEASE = "UPDATE tasks SET lease_owner = '', lease_until = 0 WHERE id = ? AND lease_owner = ?"
_CANCEL = f"UPDATE tasks SET cancel_requested = 1 WHERE id = ? AND {_RUNNING} RETURNING id"  # noqa: S608 - only our own names
_PAST = (
    "SELECT call_id, number, cost_nano, baseline_nano FROM attempts WHERE call_id = ? OR call_id LIKE ? "
    "UNION ALL SELECT call_id, number, CASE WHEN is_priced = 1 THEN amount_nano ELSE NULL END, NULL FROM holds "
    "WHERE call_id = ? OR call_id LIKE ?"
)


def insert(task: Task) -> Script[None]:
    """Record a new task."""
    yield from ask(
        _INSERT,
        *map(clean, (task.id, task.client, task.call_id, task.kind, task.state, task.message)),
        *(float(task.made_at), float(task.updated_at), float(task.keep_until), clean(task.lease_owner)),
        *(float(task.lease_until), int(task.cancel_requested)),
    )


def read(task_id: str) -> Script[Task | None]:
    """Return a task by its id, or by the id of its call."""
    named = clean(task_id)
    by_id, by_call = yield from end(
        Statement(f"{_SELECT} WHERE id = ?", (named,)), Statement(f"{_SELECT} WHERE call_id = ?", (named,))
    )
    rows = by_id or by_call
    return _to_task(rows[0]) if rows else None


def read_recent(client: str | None, limit: int) -> Script[list[Task]]:
    """Return the latest tasks, newest first, of one client or of all (None)."""
    where, values = ("", ()) if client is None else (" WHERE client = ?", (clean(client),))
    rows = yield from ask(f"{_SELECT}{where} ORDER BY made_at DESC, id LIMIT ?", *values, limit)
    return [_to_task(row) for row in rows]


def read_unowned(now: float) -> Script[list[Task]]:
    """Return running tasks whose lease has ended, oldest first."""
    rows = yield from ask(f"{_SELECT} WHERE {_RUNNING} AND lease_until <= ? ORDER BY made_at, id", now)
    return [_to_task(row) for row in rows]


def read_expired(now: float) -> Script[list[Task]]:
    """Return tasks that are kept no longer."""
    return [_to_task(row) for row in (yield from ask(f"{_SELECT} WHERE keep_until <= ?", now))]


def claim(task_id: str, owner: str, until: float, now: float) -> Script[Task | None]:
    """Lease a running task that no process owns to `owner`; None if another process has it, or it has ended."""
    rows = yield from ask(_CLAIM, clean(owner), float(until), clean(task_id), now)
    return _to_task(rows[0]) if rows else None


def renew(task_id: str, owner: str, until: float) -> Script[bool | None]:
    """Extend a lease. Return whether cancelling was requested, or None if the lease is lost or the task has ended."""
    rows = yield from ask(_RENEW, float(until), clean(task_id), clean(owner))
    return bool(whole(rows[0][0])) if rows else None


def report(task_id: str, owner: str, state: TaskState, message: str, now: float) -> Script[None]:
    """Record how far a task is, if `owner` still has its lease."""
    yield from ask(_REPORT, state, clean(message), now, clean(task_id), clean(owner))


def finish(task_id: str, owner: str, state: TaskState, message: str, now: float) -> Script[bool]:
    """End a task and its lease. Return False if `owner` no longer has it."""
    return bool((yield from ask(_FINISH, state, clean(message), now, clean(task_id), clean(owner))))


def release(task_id: str, owner: str) -> Script[None]:
    """End a lease, so that any process can take the task over at once."""
    yield from ask(_RELEASE, clean(task_id), clean(owner))


def request_cancel(task_id: str) -> Script[bool]:
    """Ask the owner of a running task to cancel it; return False if the task has ended."""
    return bool((yield from ask(_CANCEL, clean(task_id))))


def delete(task_id: str) -> Script[None]:
    """Delete a task."""
    yield from ask("DELETE FROM tasks WHERE id = ?", clean(task_id))


def count_by_state(client: str | None) -> Script[dict[str, int]]:
    """Return how many tasks are in each state, of one client or of all (None)."""
    where, values = ("", ()) if client is None else (" WHERE client = ?", (clean(client),))
    rows = yield from ask(f"SELECT state, COUNT(*) FROM tasks{where} GROUP BY state ORDER BY state", *values)  # noqa: S608 - only our own names
    return {text(row[0]): whole(row[1]) for row in rows}


def read_past(call_id: str) -> Script[dict[str, PastCall]]:
    """Return what earlier processes did for a call and for its files (`ID.N`), by call id; a hold counts in full."""
    named = clean(call_id)
    below = f"{named}.%"
    found: dict[str, PastCall] = {}
    for row in (yield from ask(_PAST, named, below, named, below)):
        cost, baseline = whole_or_none(row[2]), whole_or_none(row[3])
        attempt = PastCall(
            attempts=whole(row[1]),
            cost_usd=usd_from_nano(cost or 0),
            unknown_costs=int(cost is None),
            baseline_usd=usd_from_nano(baseline or 0),
        )
        found[text(row[0])] = found.get(text(row[0]), PastCall()) + attempt
    return found


def _to_task(row: Row) -> Task:
    return Task(
        id=text(row[0]),
        client=text(row[1]),
        call_id=text(row[2]),
        kind=text(row[3]),
        state=cast("TaskState", text(row[4])),
        message=text(row[5]),
        made_at=real(row[6]),
        updated_at=real(row[7]),
        keep_until=real(row[8]),
        lease_owner=text(row[9]),
        lease_until=real(row[10]),
        cancel_requested=bool(whole(row[11])),
    )
