"""Redacts vendors' texts for display: no key, no prompt, one line."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

from providers.completion import Prompt

MAX_LENGTH = 300
REDACTED = "[...]"

_PROMPT_PIECE = 20
_KEY_PIECE = 8
_MAX_SEARCHED_CHARS = 2000
"""A longer text is cut before the search; less than this is shown anyway."""
_MIN_SECRET_CHARS = 6
"""A shorter key, such as `none`, would match words when spaced out."""

_KEY_SHAPED = (
    re.compile(r"(?i)\bbearer\s+[^\s\"',]+"),
    re.compile(r"(?i)\b(?:api[-_ ]?key|token|key)(?:\s*[=:]\s*|=)[\"']?[A-Za-z0-9][\w.*-]{7,}"),
    re.compile(r"\b(?:sk|gsk|xai|pplx|hf|ghp|gho|ghu|ghs|github_pat|AIza|rk|pk)[-_]?[A-Za-z0-9][\w*.-]{7,}"),
)
_WORD = re.compile(r"[A-Za-z0-9_+/=-]{20,}")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_ESCAPES = re.compile(r"\\[nrt]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")


def redact(
    said: str, *, secret: str | None = None, prompt: Prompt | None = None, max_length: int | None = MAX_LENGTH
) -> str:
    """Return one line without the key, anything shaped like a key, or pieces of the prompt."""
    line = _one_line(_decode(said[:_MAX_SEARCHED_CHARS]))
    if secret:
        line = _pattern_of(secret).sub(REDACTED, line)
        for spelling in (secret, secret[::-1]):
            line = _remove_pieces(line, spelling, _KEY_PIECE)
    for words in _prompt_texts(prompt):
        line = _remove_pieces(line, _one_line(words), _PROMPT_PIECE)
    for shape in _KEY_SHAPED:
        line = shape.sub(REDACTED, line)
    line = _WORD.sub(lambda found: REDACTED if _looks_random(found.group()) else found.group(), line)
    return line if max_length is None else shorten(line, max_length)


def shorten(line: str, max_length: int = MAX_LENGTH) -> str:
    """Cut a line to a length, ending in three dots."""
    return line if len(line) <= max_length else line[: max_length - 3] + "..."


def _decode(said: str) -> str:
    """Undo the escapes a reader could undo: %XX, entities, backslash-u escapes and full-width letters."""
    said = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), said)
    return unicodedata.normalize("NFKC", html.unescape(unquote(said)))


@lru_cache(maxsize=64)
def _pattern_of(secret: str) -> re.Pattern[str]:
    """Return a pattern for a key in any case, forwards or backwards, with spaces or signs between its letters."""
    letters = [re.escape(letter) for letter in secret if letter.isalnum()]
    if len(letters) < _MIN_SECRET_CHARS:
        return re.compile(re.escape(secret))
    between = r"[\W_]{0,3}"
    return re.compile(f"{between.join(letters)}|{between.join(reversed(letters))}", re.IGNORECASE)


def _one_line(said: str) -> str:
    return " ".join(_ESCAPES.sub(" ", _UNSEEN.sub(" ", said)).split())


def _prompt_texts(prompt: Prompt | None) -> Iterator[str]:
    if prompt is None:
        return
    if prompt.system:
        yield prompt.system
    for message in prompt.messages:
        yield from message.texts
        yield from (attachment.name for attachment in message.all_attachments)


def _remove_pieces(line: str, source: str, at_least: int) -> str:
    spans = sorted(_find_shared(line, source, at_least))
    kept: list[str] = []
    end = 0
    for start, stop in spans:
        if start > end:
            kept += [line[end:start], REDACTED]
        elif stop > end and not kept:
            kept.append(REDACTED)
        end = max(end, stop)
    return "".join([*kept, line[end:]])


def _find_shared(line: str, source: str, at_least: int) -> Iterator[tuple[int, int]]:
    # Any piece long enough holds one whole block of the source that starts at a multiple of half its length,
    # so that a prompt of megabytes is walked in steps and not letter by letter.
    size = at_least // 2
    starts: dict[str, list[int]] = {}
    for start in range(len(line) - size + 1):
        starts.setdefault(line[start : start + size], []).append(start)
    seen: set[tuple[int, int]] = set()
    for at in range(0, len(source) - size + 1, size):
        for start in starts.get(source[at : at + size], ()):
            span = _extend_match(line, start, source, at, size)
            if span[1] - span[0] >= at_least and span not in seen:
                seen.add(span)
                yield span


def _extend_match(line: str, start: int, source: str, at: int, size: int) -> tuple[int, int]:
    before = _count_equal(zip(reversed(line[:start]), reversed(source[max(0, at - start) : at]), strict=False))
    after = _count_equal(zip(line[start + size :], source[at + size : at + size + len(line)], strict=False))
    return start - before, start + size + after


def _count_equal(pairs: Iterable[tuple[str, str]]) -> int:
    run = 0
    for left, right in pairs:
        if left != right:
            break
        run += 1
    return run


def _looks_random(word: str) -> bool:
    # Names of models are long too, but they are words with a few digits between hyphens.
    longest = max(re.split(r"[-_/]", word), key=len)
    digits = sum(letter.isdigit() for letter in longest)
    return len(longest) >= 16 and digits >= 2 and digits < len(longest)  # noqa: PLR2004 - a key's shape, not a limit
