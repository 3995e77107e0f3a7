"""Errors that a caller can get instead of an answer; their texts are for agents.

RouterError
├── ConfigError                at start-up only: file, line, key and possible values
├── BadInputError              the request is wrong; nothing was spent
│   └── UnknownNameError       an unknown name; lists the known ones
├── NoCandidateError           no model can answer; gives the reason for each
├── BudgetExceededError        a budget is used up; gives limit, spent, held and reset
├── ForbiddenModelError        a client's `models` do not include the model
├── ClientRateError            a client is at its own rpm or tpm; gives the wait
├── AllCandidatesFailedError   every attempt failed; lists them
└── CallTimeoutError           the whole call's deadline has passed
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

_QUOTED = re.compile(r"""'.*'|".*"|`.*`|(?<= = ).*(?=: )""", re.DOTALL)


class RouterError(Exception):
    """A call that ends without an answer.

    `kind` is one word, and `call_id` is set once there is one. `retry_after` is the number of seconds after which a
    retry can succeed, if known. `cost_usd` is what the failed attempts cost, or None if unknown.
    """

    kind: ClassVar[str] = "failed"

    def __init__(self, message: str, *, call_id: str | None = None, retry_after: float | None = None) -> None:
        """`message` says what failed, with the value, and how to fix it."""
        super().__init__(message)
        self.call_id = call_id
        self.retry_after = retry_after
        self.cost_usd: Decimal | None = Decimal(0)
        self.attempts = ""
        """The attempts with the kind of their failure, for the log."""

    @property
    def cause(self) -> str:
        """The cause for the log: without a caller's words, a vendor's texts and answers."""
        return str(self)


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
    """A request that cannot be carried out."""

    kind = "bad_input"

    @property
    def cause(self) -> str:
        """The text without what it quotes, which a caller wrote."""
        return _QUOTED.sub("…", str(self).partition(" Unknown arguments, ignored")[0])


_MAX_SHOWN_NAME = 200


class UnknownNameError(BadInputError):
    """An unknown name."""

    kind = "unknown_name"

    def __init__(self, what: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        """Take the kind of name, the name, and the known names of that kind."""
        names, name = list(known), name if len(name) <= _MAX_SHOWN_NAME else name[:_MAX_SHOWN_NAME] + "…"
        close = get_close_matches(name, names, n=3)
        guess = f" Did you mean {' or '.join(close)}?" if close else ""
        there_are = f" There are: {', '.join(names)}." if names else ""
        super().__init__(f"Unknown {what}: {name!r}.{guess}{there_are}{' ' + hint if hint else ''}")
        self.what = what
        self.name = name
        self.known = tuple(names)

    @property
    def cause(self) -> str:
        """What was named wrongly, without the name."""
        return f"unknown {self.what}"


class NoCandidateError(RouterError):
    """A call that no model can answer now."""

    kind = "no_candidate"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after` is the number of seconds after which one can, if waiting helps."""
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """The amount by which a budget was too small."""

    budget: str
    limit_usd: Decimal
    short_usd: Decimal
    resets_at: float
    """Seconds since the epoch."""


class BudgetExceededError(RouterError):
    """A call that does not fit a budget."""

    kind = "budget_exceeded"

    def __init__(self, message: str, *, shortfall: Shortfall | None = None) -> None:
        """`shortfall` names the budget; it is None if the caller gave the limit."""
        super().__init__(message)
        self.shortfall = shortfall


class ForbiddenModelError(RouterError):
    """A call that needs a model its client is not allowed to use."""

    kind = "forbidden_model"


class ClientRateError(RouterError):
    """A call of a client that is at its own requests or tokens per minute."""

    kind = "client_rate"


class AllCandidatesFailedError(RouterError):
    """A call whose every attempt failed."""

    kind = "all_failed"
    failure: str = ""
    """The kind of the last attempt's failure, as in the ledger."""

    @property
    def cause(self) -> str:
        """The attempts, without the vendors' texts."""
        return self.attempts or "every attempt failed"


class CallTimeoutError(RouterError):
    """A call whose deadline passed before a model answered."""

    kind = "deadline"

    @property
    def cause(self) -> str:
        """The attempts, without the vendors' texts."""
        return self.attempts or "the deadline passed before a model was asked"
