"""Display of answers on a terminal: streamed, with a progress bar, or file by file."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import NotRequired, TypedDict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from providers.completion import RESTART


class FileView(TypedDict):
    """One file's part of a batch."""

    file: str
    text: NotRequired[str]
    saved_to: NotRequired[str]
    error: NotRequired[str]
    warning: NotRequired[str]
    finish_reason: NotRequired[str]
    done: NotRequired[str]


class AnswerView(TypedDict):
    """The result of `generate`."""

    text: NotRequired[str]
    saved_to: NotRequired[str]
    bytes: NotRequired[int]
    model: str
    cost_usd: float | None
    saved_usd: float | None
    call_id: str
    inferred: NotRequired[dict[str, str]]
    warning: NotRequired[str]
    answered: NotRequired[int]
    failed: NotRequired[int]
    done_before: NotRequired[int]
    not_begun: NotRequired[int]
    skipped: NotRequired[int]
    files: NotRequired[list[FileView]]


class AnswerStream:
    """Prints an answer on standard output as it comes."""

    def __init__(self) -> None:
        self._shown = ""

    async def receive(self, piece: str) -> None:
        """Print a piece; `RESTART` means that what was printed is not the answer."""
        if piece is RESTART:
            self._reject()
        else:
            self._shown += piece
            sys.stdout.write(piece)
            sys.stdout.flush()

    def finish(self, text: str) -> None:
        """End the line; print the whole answer if it is not what was streamed."""
        if self._shown.rstrip() != text.rstrip():
            self._reject()
            sys.stdout.write(text)
            self._shown = text
        if not self._shown.endswith("\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()

    def _reject(self) -> None:
        if self._shown:
            sys.stdout.write("\n")
            sys.stdout.flush()
            Console(stderr=True).print("[yellow]not accepted; the answer starts again:[/yellow]")
        self._shown = ""


def print_answer(answer: AnswerView, stream: AnswerStream | None) -> None:
    """Print an answer on standard output; what failed goes to standard error."""
    if "files" in answer:
        _print_files(answer, answer["files"])
    elif "text" not in answer:
        print(f"saved to {answer.get('saved_to')}, {answer.get('bytes', 0):,} bytes")
    elif stream is None:
        print(answer["text"])
    else:
        stream.finish(answer["text"])


def _print_files(answer: AnswerView, files: list[FileView]) -> None:
    for one in files:
        if "text" in one:
            print(f"==> {one['file']} <==\n{one['text'].rstrip()}\n")
        for problem in (one.get("error"), one.get("warning")):
            if problem is not None:
                print(f"{one['file']}: {problem}", file=sys.stderr)
    counts = {
        "answered": answer.get("answered", 0),
        "failed": answer.get("failed", 0),
        "done before": answer.get("done_before", 0),
        "not begun": answer.get("not_begun", 0),
        "skipped": answer.get("skipped", 0),
    }
    summary = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    print(f"{summary}; saved to {answer['saved_to']}" if "saved_to" in answer else summary, file=sys.stderr)


@contextmanager
def show_progress() -> Generator[Callable[[float, float | None, str], Awaitable[None]]]:
    """Show a bar over many files on standard error, and yield what moves it."""
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, said="reading files")

        async def report(done: float, total: float | None, said: str) -> None:
            bar.update(task, completed=done, total=total, said=said.rpartition(", ")[2])

        yield report
