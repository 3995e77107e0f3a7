"""Text for people and models: compact JSON, and answers without control sequences."""

from __future__ import annotations

import json
import re

_ESCAPES = re.compile(
    r"\x1b[\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # titles, links and other strings, with their end
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\x1b[ -/]*[0-~]"  # the short ones
)
_UNFINISHED_ESCAPE = re.compile(
    r"(?:\x1b(?:[\]PX^_][^\x07\x1b\x9c]{0,4096}\x1b?|\[[0-?]*[ -/]*|[ -/]*)|\x9b[0-?]*[ -/]*)\Z"
)
"""The beginning of an escape sequence that the next piece may go on with."""
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls, but for tab, newline and carriage return
    r"\u202a-\u202e\u2066-\u2069"  # bidi embeddings, overrides and isolates: they reorder what is read
    r"\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"  # of no width
    r"\U000e0000-\U000e0fff]"  # tags and variation selectors that can carry a hidden text
)
_URL_USER = re.compile(r"(?<=//)[^/?#\s]*@|^[^/?#@\s]*:[^/?#@\s]*@")
_LONE_SURROGATES = re.compile(r"[\ud800-\udfff]")


def hide_password(url: str) -> str:
    """Return a URL without the user name and password in it."""
    return _URL_USER.sub("***@", url)


def to_compact_json(answer: object) -> str:
    """Write JSON in as few tokens as it takes."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def strip_controls(text: str) -> str:
    """Remove control sequences and invisible characters; lines end with a newline alone.

    Joiners (U+200C, U+200D) stay: Persian and emoji need them.
    """
    return _normalize_lines(_strip_unseen(text))


def replace_surrogates(text: str) -> str:
    """Return the text with U+FFFD in place of each half of a cut surrogate pair, which no encoding can carry."""
    return text if text.isascii() else _LONE_SURROGATES.sub("\ufffd", text)


def _strip_unseen(text: str) -> str:
    return _UNSEEN.sub("", _ESCAPES.sub("", text))


def _normalize_lines(text: str) -> str:
    return replace_surrogates(text.replace("\r\n", "\n").replace("\r", "\n"))


class StreamCleaner:
    """Cleans a text that comes in pieces, however an escape sequence is cut in two."""

    def __init__(self) -> None:
        self._held = ""
        self._return = ""
        """A carriage return that a newline may follow."""

    def clean(self, piece: str) -> str:
        """Return what can be shown of the text so far and was not shown yet."""
        text = self._held + piece
        begun = _UNFINISHED_ESCAPE.search(text)
        cut = begun.start() if begun is not None else len(text)
        self._held = text[cut:]
        seen = self._return + _strip_unseen(text[:cut])
        self._return = "\r" if seen.endswith("\r") else ""
        return _normalize_lines(seen.removesuffix("\r"))

    def flush(self) -> str:
        """Return what was held back, now that nothing follows."""
        rest = self._return + _strip_unseen(self._held)
        self._held = self._return = ""
        return _normalize_lines(rest)
