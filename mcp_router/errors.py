"""What the caller can be told instead of an answer. Each text is written for the agent that reads it.

RouterError
├── ConfigError                at start-up only: which file, which key, which values there are
├── BadInputError              the request itself is wrong; nothing was spent
│   └── UnknownNameError       a name nobody has; says the names there are
├── NoCandidateError           no model may answer; says why for each
├── BudgetExceededError        the money is not there; says limit, spent, held, when it resets
├── AllCandidatesFailedError   every model was asked and failed; lists the attempts
└── CallTimeoutError           the whole call's deadline has passed
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar


class RouterError(Exception):
    """A call that ends without an answer; `kind` is one word, `call_id` is set once there is one.
    `retry_after` says in how many seconds it may be worth asking again, where that is known;
    `cost_usd` is what was spent in vain, None where nobody knows.
    """

    kind: ClassVar[str] = "failed"

    def __init__(self, message: str, *, call_id: str | None = None, retry_after: float | None = None) -> None:
        """The message says what happened to what, with the number, and what to do."""
        super().__init__(message)
        self.call_id = call_id
        self.retry_after = retry_after
        self.cost_usd: Decimal | None = Decimal(0)


class ConfigError(RouterError):
    """A configuration that cannot be used."""

    kind = "configuration"

    def __init__(
        self, message: str, *, path: Path | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        """`path`, `line` (counted from 1) and `key` (dotted) say where the problem is, if it is in a file."""
        super().__init__(message)
        self.path = path
        self.line = line
        self.key = key


class BadInputError(RouterError):
    """The request cannot be carried out as it stands."""

    kind = "bad_input"


_MAX_SHOWN_NAME = 200


class UnknownNameError(BadInputError):
    """A name that nobody has."""

    kind = "unknown_name"

    def __init__(self, what: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        """`what` says what kind of name it is, `known` are the names there are."""
        names, name = list(known), name if len(name) <= _MAX_SHOWN_NAME else name[:_MAX_SHOWN_NAME] + "…"
        close = get_close_matches(name, names, n=3)
        guess = f" Did you mean {' or '.join(close)}?" if close else ""
        there_are = f" There are: {', '.join(names)}." if names else ""
        super().__init__(f"Unknown {what}: {name!r}.{guess}{there_are}{' ' + hint if hint else ''}")


class NoCandidateError(RouterError):
    """No model may answer this now."""

    kind = "no_candidate"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after` says in how many seconds one may, where waiting helps."""
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """By how much a budget was too small."""

    budget: str
    limit_usd: Decimal
    short_usd: Decimal
    resets_at: float
    """Seconds since the epoch."""


class BudgetExceededError(RouterError):
    """A budget does not admit the call."""

    kind = "budget_exceeded"

    def __init__(self, message: str, *, shortfall: Shortfall | None = None) -> None:
        """`shortfall` says of which budget; None where it is a limit that the caller itself gave."""
        super().__init__(message)
        self.shortfall = shortfall


class AllCandidatesFailedError(RouterError):
    """Every candidate was asked and none answered."""

    kind = "all_failed"


class CallTimeoutError(RouterError):
    """The call's deadline passed before any model answered."""

    kind = "deadline"
