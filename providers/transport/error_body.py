"""A vendor's error body, read without trusting its shape: codes, message, stated limits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from providers.transport.payload import parse_json, to_count, to_list, to_mapping, to_text

_MAX_DEPTH = 4
_CODE_FIELDS = ("code", "type", "status", "error_type", "reason", "errorCode", "error_code")
_MESSAGE_FIELDS = ("message", "msg", "detail", "error_message", "error_description", "errorMessage")
_PAGE = re.compile(r"\s*(<!--.*?-->\s*)*<(!doctype|html|head|body|\?xml)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_EMPTY_MESSAGES = frozenset({"provider returned error", "error", "bad request", "invalid request"})
"""Messages that say nothing: the text of the nested error replaces them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorBody:
    """What an error body says."""

    codes: frozenset[str]
    """Codes, types and reasons at every level, in lower case."""
    message: str
    parameter: str | None = None
    """The request field that the vendor named."""
    status: int | None = None
    """An HTTP status written as the error's code."""
    is_page: bool = False
    """A web page in place of JSON."""
    is_moderated: bool = False
    """OpenRouter's moderation flagged the prompt. https://openrouter.ai/docs/api-reference/errors"""
    quota_ids: tuple[str, ...] = ()
    """Google's names of the quotas exceeded. https://ai.google.dev/gemini-api/docs/rate-limits"""


def read_error_body(body: object) -> ErrorBody:
    """Return what an error body says; `body` is parsed, text or bytes."""
    parsed = parse_body(body)
    if isinstance(parsed, str):
        found = is_page(parsed)
        return ErrorBody(codes=frozenset(), message=_page_title(parsed) if found else parsed, is_page=found)
    levels = list(_walk(parsed, 0))
    parameters = (to_text(level.get("param")) for level in levels)
    statuses = (to_count(level.get("code")) for level in levels[1:])
    return ErrorBody(
        codes=frozenset(code.lower() for level in levels for code in _codes(level)),
        message=_join_messages(levels),
        parameter=next(filter(None, parameters), None),
        status=next((status for status in statuses if status is not None), None),
        is_moderated=any("flagged_input" in level or to_list(level.get("reasons")) for level in levels),
        quota_ids=tuple(filter(None, (to_text(level.get("quotaId")) for level in levels))),
    )


def is_page(content: str | bytes) -> bool:
    """Whether a body is a web page."""
    text = content[:1000].decode(errors="replace") if isinstance(content, bytes) else content[:1000]
    return _PAGE.match(text.removeprefix("\ufeff")) is not None


def _page_title(page: str) -> str:
    found = _TITLE.search(page)
    return " ".join(found[1].split()) if found else ""


def parse_body(body: object) -> object:
    """Return the JSON of a body, or its text if it is not JSON."""
    if not isinstance(body, str | bytes):
        return body
    try:
        return parse_json(body)
    except (ValueError, RecursionError):
        return body if isinstance(body, str) else body.decode(errors="replace")


def _walk(value: object, depth: int) -> Iterator[Mapping[str, object]]:
    """Yield every object of an error body, the outermost first; JSON within strings is parsed."""
    if depth > _MAX_DEPTH:
        return
    for item in to_list(value):
        yield from _walk(item, depth)
    level = to_mapping(value)
    if not level:
        return
    yield level
    # `raw` is what OpenRouter's upstream answered. https://openrouter.ai/docs/api-reference/errors
    for name in ("error", "errors", "innererror", "detail", "details", "metadata", "raw", "violations", "response"):
        below = level.get(name)
        if isinstance(below, str) and name in {"raw", "error", "detail"}:
            below = parse_body(below)
            below = {"message": below} if isinstance(below, str) and name == "raw" else below
        yield from _walk(below, depth + 1)
    if isinstance(message := level.get("message"), str) and message.lstrip().startswith("{"):
        yield from _walk(parse_body(message), depth + 1)


def _codes(level: Mapping[str, object]) -> Iterator[str]:
    for name in _CODE_FIELDS:
        value = level.get(name)
        # Mistral's numbers mean other things than those of GLM, which stand within `error`.
        is_number_of_mistral = level.get("object") == "error" and str(value).isdigit()
        if isinstance(value, str | int) and not isinstance(value, bool) and not is_number_of_mistral:
            yield str(value)


def _join_messages(levels: list[Mapping[str, object]]) -> str:
    """Join the messages of all levels: the outermost often says only that something failed."""
    messages: list[str] = []
    for level in levels:
        provider = to_text(level.get("provider_name"))
        own = [to_text(level.get("error")), *(to_text(level.get(name)) for name in _MESSAGE_FIELDS)]
        for text in (provider, *own):
            line = text.strip()
            if line and not line.startswith("{") and not any(line in earlier for earlier in messages):
                messages.append(line)
    telling = [message for message in messages if message.lower().rstrip(".") not in _EMPTY_MESSAGES]
    return ": ".join(telling or messages)
