"""The text of a stream that is never taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mcp_router.errors import RouterError
from mcp_router.text import StreamCleaner
from providers.completion import RESTART


class RetractedTextError(RouterError):
    """A stream whose model changed its answer after text of it was passed on."""

    kind = "interrupted"


class FinalText:
    """Passes text on that is never retracted, without control sequences and leading blanks."""

    def __init__(self, on_text: Callable[[str], Awaitable[None]], stop: Sequence[str] = ()) -> None:
        """`stop` are the texts before which the answer is cut; what can begin one is held back."""
        self._on_text = on_text
        self._stop = stop
        self._spare = max((len(one) for one in stop), default=1) - 1
        self._cleaner = StreamCleaner()
        self._held = ""
        self._passed: list[str] = []
        self._is_closed = False
        """Whether the rest comes with the whole answer: it was corrected, or a stop sequence was found."""

    def has_passed(self) -> bool:
        """Return whether text was passed on, so that no other model can answer."""
        return bool(self._passed)

    async def push(self, piece: str) -> None:
        """Take the next piece of an attempt, or `RESTART`."""
        if piece is RESTART:
            self._is_closed = self.has_passed()
            self._cleaner, self._held = StreamCleaner(), ""
        elif not self._is_closed:
            self._held += self._cleaner.clean(piece)
            _, found = cut_at_stop(self._held, self._stop)
            self._is_closed = found is not None
            cut = 0 if self._is_closed else max(0, len(self._held) - self._spare)
            if self._held[:cut].strip() or (cut and self._passed):
                text, self._held = self._held[:cut], self._held[cut:]
                await self._pass(text)

    async def finish(self, text: str) -> None:
        """Pass on the rest of the whole answer.

        Raises:
            RetractedTextError: The whole answer does not begin with what was passed on.
        """
        passed = "".join(self._passed)
        if not text.startswith(passed):
            raise RetractedTextError("The model changed its answer after a part of it was sent. Send the call again.")
        if rest := text[len(passed) :]:
            await self._pass(rest)

    async def _pass(self, text: str) -> None:
        self._passed.append(text)
        await self._on_text(text)


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, str | None]:
    """Return the text before the first stop sequence, and that sequence."""
    found = [(at, one) for one in stop if one and (at := text.find(one)) >= 0]
    if not found:
        return text, None
    at, one = min(found)
    return text[:at], one
