"""Record types of background work."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

TaskState = Literal["working", "input_required", "completed", "failed", "cancelled"]
"""The states of MCP's tasks extension; the last three are final. A tool error is `completed`."""
FINAL: frozenset[TaskState] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One call that runs on in the background; one row of the ledger, without texts."""

    id: str
    """Unguessable: with it, the same client can read the result."""
    client: str
    call_id: str
    """Of its attempts; file N of a batch has `call_id.N`."""
    kind: str
    """Which worker runs it."""
    state: TaskState
    message: str
    """How far it is, for people: counts and cost."""
    made_at: float
    """Seconds since the epoch, as all times below."""
    updated_at: float
    keep_until: float
    """When it is deleted with its texts."""
    lease_owner: str = ""
    """The process that runs it; empty for none."""
    lease_until: float = 0.0
    cancel_requested: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether its state is final."""
        return self.state in FINAL


@dataclass(frozen=True, kw_only=True, slots=True)
class PastCall:
    """What earlier processes did for one call of a task."""

    attempts: int = 0
    """The highest number of its attempts and holds."""
    cost_usd: Decimal = Decimal(0)
    """Spent or held."""
    unknown_costs: int = 0
    baseline_usd: Decimal = Decimal(0)

    def __add__(self, other: PastCall) -> PastCall:
        """Return both together; the number of attempts is the higher one."""
        return PastCall(
            attempts=max(self.attempts, other.attempts),
            cost_usd=self.cost_usd + other.cost_usd,
            unknown_costs=self.unknown_costs + other.unknown_costs,
            baseline_usd=self.baseline_usd + other.baseline_usd,
        )
