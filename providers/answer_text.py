"""The text that a caller gets, whole and streamed: without thinking and without the wrapper of a JSON answer."""

from __future__ import annotations

from dataclasses import replace

from providers.completion import RESTART, Completion, OnText, Prompt
from providers.wires.finish_reasons import require_text
from providers.wires.schema_wrapper import unwrap_answer
from providers.wires.thinking_tags import ThinkingFilter, strip_thinking
from providers.wires.tool_calls import limit_calls


def finish_completion(completion: Completion, prompt: Prompt) -> Completion:
    """Return the completion with the text that the caller gets.

    Raises:
        EmptyAnswerError: The answer is nothing but thinking.
    """
    completion = limit_calls(completion, prompt.offer)
    text = strip_thinking(completion.text, prompt=_join_prompt(prompt))
    if prompt.is_schema_wrapped:
        text = unwrap_answer(text)
    if text is completion.text:
        return completion
    if not completion.tool_calls:
        require_text(text, completion.finish_reason, completion.usage)
    return replace(completion, text=text)


class TextRelay:
    """Passes a stream's text on without thinking, and corrects it if the whole answer differs."""

    def __init__(self, prompt: Prompt, on_text: OnText) -> None:
        self._filter = ThinkingFilter(_join_prompt(prompt))
        self._is_wrapped = prompt.is_schema_wrapped
        self._on_text = on_text
        self._pieces: list[str] = []

    async def push(self, piece: str) -> None:
        """Pass on what this piece makes visible; the text in a wrapper comes at the end."""
        if self._is_wrapped:
            return
        if visible := self._filter.push(piece):
            self._pieces.append(visible)
            await self._on_text(visible)

    async def finish(self, text: str) -> None:
        """Make sure that the caller has exactly the text of the whole answer."""
        if "".join(self._pieces) == text:
            return
        if self._pieces:
            await self._on_text(RESTART)
        await self._on_text(text)


def _join_prompt(prompt: Prompt) -> str:
    return "\n".join([prompt.system or "", *(text for message in prompt.messages for text in message.texts)])
