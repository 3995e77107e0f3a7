"""Results of each file of a batch, in few tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from mcp_router.errors import (
    AllCandidatesFailedError,
    BadInputError,
    BudgetExceededError,
    NoCandidateError,
    RouterError,
)
from mcp_router.files import BatchTarget, FoundFile, SaveOutcome, SecretFileError, warn_of_execution
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.task_records import PastCall
from mcp_router.money import format_usd, to_number
from mcp_router.operations.background.kept_answer import KeptAnswer

MAX_LISTED_FILES = 100
"""Beyond so many files the result lists only what did not go well, and of that no more."""
_MAX_ERROR_CHARACTERS = 600

Json = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchItem:
    """One file, and where its answer goes."""

    number: int
    found: FoundFile
    target: BatchTarget | None

    @property
    def done(self) -> bool:
        """Whether an earlier run answered it."""
        return self.target is not None and self.target.done


@dataclass(kw_only=True, slots=True)
class BatchResults:
    """What came of each file so far."""

    id: str
    total: int
    pattern: str | None
    """How answers are named, say `notes/*.md`; None where they stand in the result."""
    listed: dict[int, Json] = field(default_factory=dict[int, Json])
    answered: int = 0
    failed: int = 0
    done_before: int = 0
    not_begun: int = 0
    skipped: int = 0
    fallbacks: int = 0
    escalations: int = 0
    models: Counter[str] = field(default_factory=Counter[str])
    inferred: Mapping[str, object] = field(default_factory=dict[str, object])
    cost_usd: Decimal = Decimal(0)
    baseline_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    stop_reason: str | None = None
    """Why no further file is begun."""
    first_failure: tuple[str, RouterError | LedgerError] | None = None
    first_file_by_error: dict[str, str] = field(default_factory=dict[str, str])
    """By error: the first file it was told of."""

    @property
    def ended(self) -> int:
        """Files that are through, one way or another."""
        return self.answered + self.failed + self.done_before + self.not_begun + self.skipped

    def add_cost(self, cost_usd: Decimal | None) -> None:
        """Count what a try cost, answered or not."""
        self.unknown_costs += cost_usd is None
        self.cost_usd += cost_usd or Decimal(0)

    def add_past(self, past: PastCall) -> None:
        """Count what earlier processes of the same task spent."""
        self.cost_usd += past.cost_usd
        self.baseline_usd += past.baseline_usd
        self.unknown_costs += past.unknown_costs

    def record_done_before(self, item: BatchItem) -> None:
        """Count a file that an earlier run answered."""
        self.done_before += 1
        self._list(item, {"done": "before"}, notable=False)

    def record_not_begun(self, item: BatchItem) -> None:
        """Count a file that was left out because of `stop`."""
        self.not_begun += 1
        self._list(item, {"error": "not begun"}, notable=False)

    def record_skipped(self, item: BatchItem, error: SecretFileError) -> None:
        """Count a file that a glob found and that holds a secret."""
        self.skipped += 1
        self.first_failure = self.first_failure or (item.found.name, error)
        self._list(item, {"warning": f"skipped: {error.found}"}, notable=True)

    def record_failure(self, item: BatchItem, error: RouterError | LedgerError) -> None:
        """Count a failed file; the same error is listed once."""
        self.failed += 1
        name = item.found.name
        self.first_failure = self.first_failure or (name, error)
        text = format_failure(error)
        first = self.first_file_by_error.setdefault(text, name)
        self._list(item, {"error": text if first == name else f"as for {first}"}, notable=True)

    def record_kept_failure(self, item: BatchItem, text: str) -> None:
        """Count a file that failed in an earlier process, with the text that was listed."""
        self.failed += 1
        first = self.first_file_by_error.setdefault(text, item.found.name)
        self._list(item, {"error": text if first == item.found.name else f"as for {first}"}, notable=True)

    def record_gone(self, number: int, path: str, *, saved: bool) -> None:
        """Count a file that was there when an earlier process began; `saved` tells whether it was answered."""
        self.answered += saved
        self.failed += not saved
        if not saved:
            self.listed[number] = {"file": path, "error": "bad_input: the file was deleted before its turn"}

    def record_answer(self, item: BatchItem, answer: KeptAnswer, kept: SaveOutcome | None) -> None:
        """Count an answer; `kept` says where it was saved, None that it was not to be, or is already."""
        self.answered += 1
        self.models[answer.model] += 1
        self.fallbacks += answer.fallbacks
        self.escalations += answer.escalations
        self.inferred = self.inferred or answer.inferred
        warnings = list(answer.warnings)
        told: Json = {}
        saved_to = answer.saved_to if kept is None or kept.place is None else kept.place.name
        if saved_to is None:
            told["text"] = answer.text
        elif self.pattern is None or saved_to != self.pattern.replace("*", item.found.name):
            told["saved_to"] = saved_to
        if kept is not None and kept.why is not None:
            warnings.append(kept.why)
        if answer.finish_reason != "stop":
            told["finish_reason"] = answer.finish_reason
        if answer.citations:
            told["citations"] = list(answer.citations)
        if kept is not None and kept.place is not None and (warning := warn_of_execution(kept.place)):
            warnings.append(warning)
        if warnings:
            told["warning"] = "; ".join(warnings)
        self._list(item, told, notable=bool(told))

    def _list(self, item: BatchItem, told: Json, *, notable: bool) -> None:
        if self.total <= MAX_LISTED_FILES or (notable and len(self.listed) < MAX_LISTED_FILES):
            self.listed[item.number] = {"file": item.found.name} | told

    def to_json(self) -> Json:
        """Put it all into few tokens.

        Raises:
            RouterError: Not one file was answered, now or before.
        """
        if self.first_failure is not None and not self.answered and not self.done_before:
            raise self._total_failure(*self.first_failure)
        answer: Json = {
            "model": ", ".join(name for name, _ in self.models.most_common(3)),
            "cost_usd": to_number(self.cost_usd) if not self.unknown_costs else None,
            "saved_usd": to_number(self.baseline_usd - self.cost_usd) if not self.unknown_costs else None,
            "call_id": self.id,
            "answered": self.answered,
        }
        for name in ("failed", "done_before", "not_begun", "skipped", "fallbacks", "escalations", "inferred"):
            if value := getattr(self, name):
                answer[name] = value
        if self.pattern is not None:
            answer = {"saved_to": self.pattern} | answer
        if self.stop_reason is not None:
            then = "; resume does the rest" if self.pattern is not None else ""
            answer["warning"] = self.stop_reason + then
        answer["files"] = [self.listed[number] for number in sorted(self.listed)]
        return answer

    def format_progress(self) -> str:
        """Return how far the batch is, for people: `12 of 24 files, $0.0031`."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.ended} of {self.total} files{failed}, {format_usd(self.cost_usd)}"

    def _total_failure(self, name: str, error: RouterError | LedgerError) -> RouterError:
        text = f"None of {self.total} files was answered; {format_usd(self.cost_usd)} spent. {name}: {error}"
        match error:
            case BadInputError() if not self.cost_usd:
                return BadInputError(text)
            case BudgetExceededError():
                return BudgetExceededError(text, shortfall=error.shortfall)
            case NoCandidateError():
                return NoCandidateError(text, retry_after=error.retry_after)
            case _:
                return AllCandidatesFailedError(text, call_id=getattr(error, "call_id", None))


def format_failure(error: RouterError | LedgerError) -> str:
    """Return a failure as it is listed."""
    return f"{getattr(error, 'kind', 'ledger')}: {error}"[:_MAX_ERROR_CHARACTERS]


def shorten(answer: Json) -> Json:
    """Return a batch's result without the files that are answered and saved: each line costs the agent tokens."""
    files = cast("list[Json]", answer["files"])
    notable = [told for told in files if told.keys() - {"file", "done"}]
    return {name: value for name, value in answer.items() if name != "files"} | ({"files": notable} if notable else {})
