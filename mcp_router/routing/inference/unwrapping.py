"""Takes off a prompt what says nothing of it: courtesies, frames, quotes and fences around what is asked."""

import re
from collections.abc import Callable

_MOST_LAYERS = 10
_EDGE_CHARS = 240
_QUOTES = {'"': '"', "“": "”", "«": "»", "‘": "’", "„": "“", "'": "'"}

_NARROW = str.maketrans("。！？，：", "!!?,:")
"""Wide stops are read as narrow ones: patterns that name them are slow to compile, and a first call waits for it."""

_OPENING = re.compile(r"[^\n.!?:;,]{1,90}(?:[.!?]+(?=\s|[^\W\d_])|[ ]?[:;,]|(?=\n))\s*")
_FRAME = re.compile(
    r"(?:#{1,4}[ ]*\w+[ ]*:?[ ]*\n|\[INST\]|"
    r"(?:user|human|q|prompt|task|instructions?|query|request|utilisateur|benutzer|usuario)[ ]?:)\s*",
    re.IGNORECASE,
)
_CLOSING_FRAME = re.compile(
    r"\s*(?:\n#{1,4}[ ]*\w+[ ]*:?|\[/INST\]|\n(?:a|assistant|ai|response|output|réponse|antwort|respuesta)[ ]?:)\s*\Z",
    re.IGNORECASE,
)
_LAST_PART = re.compile(r"(?:.*(?:[.!?]\s|\n|[!?](?=[^\W\d_])))(?P<last>\S.*)\Z", re.DOTALL)
_SIGNATURE = re.compile(r"\n-{2,3}[ ]*\n(?P<signed>[^\n]{0,60}(?:\n[^\n]{0,60}){0,3})\Z")


def unwrap(text: str, polite: Callable[[str], bool]) -> str:
    """Return what is asked, without what stands around it; the whole text where nothing else would be left.

    `polite` says whether a few words are nothing but courtesies.
    """
    whole = text = text.strip()
    for _ in range(_MOST_LAYERS):
        inner = _without_end(_without_start(_opened(text), polite), polite).strip()
        if len(inner) == len(text):
            break
        text = inner
    return text if len(text) > 1 and any(letter.isalnum() for letter in text) else whole


def _opened(text: str) -> str:
    """Take off what stands on both sides at once."""
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2 and "\n" in text:  # noqa: PLR2004 - the one that opens and the one that closes
        return text[text.index("\n") : -3]
    if text.startswith(">") and all(line.startswith(">") for line in text.split("\n")):
        return "\n".join(line[1:].removeprefix(" ") for line in text.split("\n"))
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text.count(text[0]) <= 2:  # noqa: PLR2004 - it would else be several quotations
        return text[1:-1]
    return text


def _without_start(text: str, polite: Callable[[str], bool]) -> str:
    if found := _FRAME.match(text):
        return text[found.end() :]
    found = _OPENING.match(text[:_EDGE_CHARS].translate(_NARROW))
    return text[found.end() :] if found and polite(found[0]) else text


def _without_end(text: str, polite: Callable[[str], bool]) -> str:
    edge = text[-_EDGE_CHARS:]
    if found := _CLOSING_FRAME.search(edge) or _SIGNATURE.search(edge):
        return text[: len(text) - len(edge) + found.start()]
    found = _LAST_PART.match(edge.translate(_NARROW))
    if found and polite(found["last"]):
        return text[: len(text) - len(edge) + found.start("last")]
    return text
