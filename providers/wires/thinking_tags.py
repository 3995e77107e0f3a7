"""Thinking that a model or its server leaves in the answer's text, between tags or before a closing tag.

Reasoning belongs in a field of its own, but servers without a reasoning parser pass it on as text. If the chat template
writes the opening tag, the text has only the closing one: https://docs.vllm.ai/en/latest/features/reasoning_outputs.html
"""

from __future__ import annotations

import json
import re
from functools import cache

_MODEL_TAGS = (
    *(("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<seed:think>", "</seed:think>")),
    *(("<longcat_think>", "</longcat_think>"), ("<mm:think>", "</mm:think>"), ("[THINK]", "[/THINK]")),
    *(("◁think▷", "◁/think▷"), ("<|START_THINKING|>", "<|END_THINKING|>"), ("<|channel>thought", "<channel|>")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""Tags that models are trained with: opening, closing."""
_WORD_TAGS = tuple(
    (f"<{word}>", f"</{word}>")
    for word in ("thought", "thoughts", "reasoning", "reason", "reflection", "scratchpad", "internal_thought")
)
"""Tags that a prompt can ask for: they are thinking only if the prompt does not name them."""
_ANSWER_TAGS = (
    *(("<answer>", "</answer>"), ("<response>", "</response>"), ("<final>", "</final>")),
    *(("<|begin_of_solution|>", "<|end_of_solution|>"), ("<|START_RESPONSE|>", "<|END_RESPONSE|>")),
)
"""Tags around the answer of models that tag their thinking."""
_END_MARKS = ("<|return|>", "<|end|>", "<|im_end|>", "<|eot_id|>")
_TAG_STARTS = "<[◁"
_FENCE = "```"
_MAX_TAG_CHARS = max(len(tag) for pair in (*_MODEL_TAGS, *_WORD_TAGS) for tag in pair)


def strip_thinking(text: str, *, prompt: str = "") -> str:
    """Return the text without thinking; it is empty if the text is nothing else.

    If the prompt names a tag, the tag is part of the answer, unless the answer begins with a model's own tag.
    """
    if not any(start in text for start in _TAG_STARTS) or _is_json(text):
        return text
    rest = _strip_leading(text, prompt)
    rest = _strip_orphan(rest, prompt)
    rest = _strip_blocks(rest, prompt)
    return text if rest == text else _strip_answer_tags(rest, prompt)


class ThinkingFilter:
    """Removes thinking at the beginning of a stream; `strip_thinking` decides about the whole text."""

    def __init__(self, prompt: str = "") -> None:
        self._tags = _select_tags(prompt)
        self._closing: str | None = None
        self._held = ""
        self._had_block = False
        self._has_begun = False
        """Whether visible text has begun."""

    def push(self, piece: str) -> str:
        """Return the text that this piece makes visible, with held text before it."""
        if self._has_begun:
            return piece
        self._held += piece
        while not self._has_begun:
            if self._closing is not None:
                end = _pattern(self._closing).search(self._held)
                if end is None:
                    self._held = self._held[-_MAX_TAG_CHARS:]
                    return ""
                self._held, self._closing = self._held[end.end() :], None
            start = self._held.lstrip()
            tag = _find_opening(start, self._tags)
            if tag is not None:
                self._held, self._closing, self._had_block = start[len(tag[0]) :], tag[1], True
            elif any(opening.lower().startswith(start.lower()) for opening, _ in self._tags):
                self._held = start if self._had_block else self._held
                return ""
            else:
                self._held = start if self._had_block else self._held
                self._has_begun = True
        return self._held


def _select_tags(prompt: str) -> tuple[tuple[str, str], ...]:
    return (*_MODEL_TAGS, *(tag for tag in _WORD_TAGS if not _pattern(tag[0]).search(prompt)))


def _find_opening(text: str, tags: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next((tag for tag in tags if _pattern(tag[0]).match(text)), None)


@cache
def _pattern(tag: str) -> re.Pattern[str]:
    return re.compile(re.escape(tag), re.IGNORECASE)


@cache
def _block_pattern(opening: str, closing: str) -> re.Pattern[str]:
    block = rf"^[ \t]*{re.escape(opening)}.*?{re.escape(closing)}[ \t]*\n*"
    return re.compile(block, re.DOTALL | re.MULTILINE | re.IGNORECASE)


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[", '"')):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _strip_leading(text: str, prompt: str) -> str:
    """Remove blocks at the beginning; an unclosed one of a model takes everything."""
    tags = _select_tags(prompt)
    while True:
        start = text.lstrip()
        tag = _find_opening(start, tags)
        if tag is None:
            return text
        end = _pattern(tag[1]).search(start, len(tag[0]))
        if end is None:
            return "" if tag in _MODEL_TAGS else text
        rest = start[end.end() :].lstrip()
        if not rest and tag in _WORD_TAGS:
            return text  # the word is the root of the answer's markup
        text = rest


def _strip_orphan(text: str, prompt: str) -> str:
    """Remove everything before a closing tag that has no opening one."""
    for opening, closing in _MODEL_TAGS:
        end = _pattern(closing).search(text)
        if end is None or _pattern(closing).search(prompt) or _pattern(opening).search(text, 0, end.start()):
            continue
        if not _is_quoted(text, end):
            return text[end.end() :].lstrip()
    return text


def _strip_blocks(text: str, prompt: str) -> str:
    """Remove blocks on lines of their own inside the answer, for example after a search."""
    for opening, closing in _MODEL_TAGS:
        if _pattern(opening).search(prompt) is None:
            source = text
            text = _block_pattern(opening, closing).sub(
                lambda block, source=source: block[0] if _is_fenced(source, block.start()) else "", text
            )
    return text


def _strip_answer_tags(text: str, prompt: str) -> str:
    for mark in _END_MARKS:
        text = text.removesuffix(mark)
    for opening, closing in _ANSWER_TAGS:
        inner = text.strip()
        if inner.startswith(opening) and inner.endswith(closing) and opening not in prompt:
            return inner[len(opening) : -len(closing)].strip()
    return text


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    """Return whether the answer only mentions a tag: in quotes or in a code block."""
    before, after = text[tag.start() - 1 : tag.start()], text[tag.end() : tag.end() + 1]
    return (before == after and before in {"`", '"', "'"}) or _is_fenced(text, tag.start())


def _is_fenced(text: str, position: int) -> bool:
    return text.count(_FENCE, 0, position) % 2 == 1
