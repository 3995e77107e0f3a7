"""Reads a prompt into the features that the heads weigh: words, concepts, and what can be counted."""

import re
from functools import cache
from itertools import groupby, pairwise, repeat
from pathlib import Path
from typing import NamedTuple

from mcp_router.routing.inference.frames import extract_task, strip_role
from mcp_router.routing.inference.unwrapping import unwrap

HEAD_CHARS = 3_000
TAIL_CHARS = 1_500
"""Only so much of either end is read word by word: instructions stand there, and a long text costs a page."""

STEM = 6
"""Words are compared by so many first letters: summarise, summary and summarising are one word."""

_FRAME_HEAD_CHARS, _FRAME_TAIL_CHARS = 6_000, 2_000
"""Only so much of either end is searched for frames."""

_EDGE_WORDS = 28
_NEAR_WORDS = 12
_MOST_STRIPPED = 8
_FIRST_CJK, _LAST_CJK = "\u2e80", "\uffef"
_FEW_DIGITS = 3
_MANY_LETTERS = 10
_FEWEST_WORDS = 2
_FEWEST_OPTIONS = 3
_CODE_LINES, _CODE_SHARE = 2, 0.025

_FOLDED = str.maketrans(
    "àáâãäåçèéêëìíîïñòóôõöùúûüýÿšžłğışčěřůąęćńśź",
    "aaaaaaceeeeiiiinooooouuuuyyszlgisceruaecnsz",
)
# Patterns that begin with one sign, or with few, are looked for many times as fast as others.
_WORD = re.compile(r"[^\W\d_]+|\d+")
_PLAIN_WORD = re.compile(r"[a-z]+|[0-9]+")
_OPTION = re.compile(r"^[ \t]*\(?([a-jA-J])[).:]\s", re.MULTILINE)
_TURN = re.compile(r"^[^\W\d_][\w .'-]{0,24}:\s", re.MULTILINE)
_IDENTIFIERS = tuple(map(re.compile, (r"_[a-z]", r"[A-Z](?<=[a-z][A-Z])", r"`[^`\n]+`", r"\.[a-z_]+\(", r"\(\)")))
_UNIT = (
    r"\d\s?(?=[^\W\d]|°)(?:°|[kmMGµnc]?(?:Pa|[Nn]/|N\b|J\b|W\b|V\b|A\b|Hz|mol|eV|Ω|T\b)|K\b|psi|atm|bar\b|lbf?\b|lb[-/]|hp\b|rpm|"
    r"k?g/|kg\b|m[gL]\b|m?m[²³^/]|[cnµ]m\b|ft[\^/²³]|Btu|cal\b|mmHg|mEq|IU\b|dB|ohm)"
)
"""Compiled when the first prompt with a number in it comes."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CODE_ENDS = frozenset(";{}=:)>,")


# Named tuples, here and in the heads: a data class takes a millisecond to make, and a first call waits for it.
class Reading(NamedTuple):
    """What was read of a prompt, each feature once."""

    words: list[str]
    """Words and pairs of words: weighed less each, the more there are."""
    signs: list[str]
    """Where words stand, what they speak of, and what was counted: weighed in full."""
    counts: dict[str, float]
    """The numbers behind the signs, for the heads that judge difficulty."""


class Lexicon(NamedTuple):
    """Words of many languages by the concept they speak of, and the courtesies that say nothing."""

    concepts: dict[str, str]
    """By a word or two, the concepts they speak of, a space between two."""
    courtesies: frozenset[str]
    longest_courtesy: int
    """In words."""


def split_stems(text: str) -> list[str]:
    """Return the words of a text as they are compared: small, without accents, shortened."""
    folded = text.lower()
    if not folded.isascii():
        folded = folded.translate(_FOLDED)
    found: list[str] = []
    for word in _PLAIN_WORD.findall(folded) if folded.isascii() else _spoken(folded):
        if word[0] >= _FIRST_CJK and len(word) > 1:
            found.extend(word[at : at + 2] for at in range(len(word) - 1))
        elif word[0].isdigit():
            found.append("0" if len(word) == 1 else "00" if len(word) <= _FEW_DIGITS else "0000")
        else:
            found.append(word[:STEM])
    return found


def _spoken(text: str) -> list[str]:
    """Return words and numbers; Chinese stands apart from Latin words within it: 用Python写 is three words."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if word.isascii() or max(word) < _FIRST_CJK:
            found.append(word)
        else:
            found.extend("".join(part) for _, part in groupby(word, lambda one: _FIRST_CJK <= one <= _LAST_CJK))
    return found


@cache
def load_lexicon() -> Lexicon:
    """Return the shipped lexicon, read once."""
    return parse_lexicon(Path(__file__).with_name("lexicon.txt").read_bytes().decode())


def parse_lexicon(text: str) -> Lexicon:
    """Read the lexicon as it ships: concepts and all words that speak of just them, an empty line, then courtesies.

    The longest courtesy stands first.
    """
    spoken, _, polite = text.removesuffix("\n").partition("\n\n")
    concepts: dict[str, str] = {}
    for line in spoken.split("\n"):
        names, *words = line.split("\t")
        concepts.update(zip(words, repeat(names)))
    courtesies = polite.split("\n")
    return Lexicon(
        concepts=concepts,
        courtesies=frozenset(courtesies),
        longest_courtesy=1 + courtesies[0].count(" "),
    )


def strip_courtesies(words: list[str]) -> list[str]:
    """Return the words between the courtesies at both ends; all of them if nothing else would be left."""
    book = load_lexicon()
    start, end = 0, len(words)
    for _ in range(_MOST_STRIPPED):
        found = _courtesy_length(words[start : min(end, start + book.longest_courtesy)], book.courtesies, at_start=True)
        if not found:
            break
        start += found
    for _ in range(_MOST_STRIPPED):
        found = _courtesy_length(words[max(start, end - book.longest_courtesy) : end], book.courtesies, at_start=False)
        if not found:
            break
        end -= found
    return words[start:end] if end - start >= _FEWEST_WORDS else words


def _courtesy_length(words: list[str], courtesies: frozenset[str], *, at_start: bool) -> int:
    for length in range(len(words), 0, -1):
        part = words[:length] if at_start else words[-length:]
        if " ".join(part) in courtesies:
            return length
    return 0


def _polite(part: str) -> bool:
    """Whether a few words are courtesies one after the other, and nothing else."""
    book = load_lexicon()
    words = split_stems(part)
    start = 0
    while start < len(words):
        found = _courtesy_length(words[start : start + book.longest_courtesy], book.courtesies, at_start=True)
        if not found:
            return False
        start += found
    return bool(words)


_MIN_INSTRUCTION_WORDS = 4


def read_instruction(system: str) -> Reading | None:
    """Read what a system text asks for; None if it only gives the model a role."""
    text = strip_role(extract_task(system), is_alone=True).strip()
    return read_features(text) if len(text.split()) >= _MIN_INSTRUCTION_WORDS else None


def _task(text: str) -> str:
    """Return what is asked, without courtesies and without what an agent puts around it."""
    text = unwrap(extract_task(text), _polite)
    inner = extract_task(text)
    return text if inner == text else unwrap(inner, _polite)


def read_features(text: str) -> Reading:
    """Read a prompt; a long one at its two ends and by its size."""
    left_out = max(0, len(text) - _FRAME_HEAD_CHARS - _FRAME_TAIL_CHARS)
    if left_out:
        text = f"{text[:_FRAME_HEAD_CHARS]}\n{text[-_FRAME_TAIL_CHARS:]}"
    text = _task(text)
    window = text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    words = strip_courtesies(split_stems(window))
    head, tail = words[:_EDGE_WORDS], words[-_EDGE_WORDS:]
    edges = head if len(words) <= _EDGE_WORDS else [*head, "|", *tail]
    known = load_lexicon().concepts
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    edge_pairs = {f"{one} {two}" for one, two in pairwise(edges)}
    counts = _counts(text, window, words)
    counts["chars"] += left_out
    spoken = _concepts(words, pairs, known)
    is_code = counts["code_lines"] >= _CODE_LINES and counts["code_share"] > _CODE_SHARE
    counts |= _difficulty(len(text) + left_out, window, spoken, is_code=is_code)
    signs = _signs(counts)
    for name, times in spoken.items():
        signs.append(f"@{name}")
        if times > 2:  # noqa: PLR2004
            signs.append(f"@@{name}")
        if times * 12 > len(words):
            signs.append(f"@%{name}")
    signs.extend(f"^@{name}" for name in _concepts(words[:_NEAR_WORDS], edge_pairs, known))
    signs.extend(f"$@{name}" for name in _concepts(words[-_NEAR_WORDS:], set(), known) if len(words) > _EDGE_WORDS)
    signs.extend(f"^{word}" for word in set(words[:3]))
    if words:
        signs.append(f"^^{words[0]}")
    if len(words) > _EDGE_WORDS:
        signs.extend(f"${word}" for word in set(words[-5:]))
    return Reading(words=sorted({*words, *edge_pairs}), signs=sorted(signs), counts=counts)


def _concepts(words: list[str], pairs: set[str], known: dict[str, str]) -> dict[str, int]:
    spoken: dict[str, int] = {}
    for names in filter(None, map(known.get, (*words, *pairs))):
        for name in names.split(" "):
            spoken[name] = spoken.get(name, 0) + 1
    return spoken


def _counts(text: str, window: str, words: list[str]) -> dict[str, float]:
    size = len(window) + 20
    numbers = sum(word[0] == "0" for word in words)
    lines = window.count("\n") + 1
    return {
        "chars": float(len(text)),
        "words": float(len(words)),
        "lines": float(lines),
        "numbers": float(numbers),
        "number_share": numbers / (len(words) + 5),
        "code_share": sum(map(window.count, "(){}[];=_<")) / size,
        "braces": float(sum(map(window.count, "{};="))),
        "indents": float(window.count("\n  ") + window.count("\n\t")),
        "code_lines": float(sum(line.rstrip()[-1:] in _CODE_ENDS for line in window.split("\n"))),
        "questions": float(sum(map(window.count, "?？¿"))),
        "asks": float(window.rstrip(" \n\"'`*)").endswith(("?", "？"))),
        "sentences": float(sum(map(window.count, ".!?。！？"))),
        "colons": float(sum(map(window.count, ":："))),
        "latex": float(window.count("$") + window.count("\\")),
        "operators": float(sum(map(window.count, "+*/^=%"))),
        "links": float(window.count("http") + window.count("www.")),
        "turns": float(len(_TURN.findall(window))),
        "letters_per_word": sum(map(len, words)) / (len(words) + 1),
        "identifiers": float(sum(len(kind.findall(window)) for kind in _IDENTIFIERS)),
        "units": float(len(re.findall(_UNIT, window.replace("μ", "µ"))) if numbers else 0),
        "long_share": sum(len(word) >= _MANY_LETTERS for word in window.split()) / (len(words) + 5),
        "blocks": float(window.count("\n\n")),
    }


def _difficulty(size: int, window: str, spoken: dict[str, int], *, is_code: bool) -> dict[str, float]:
    """Count what makes a question hard: its own size without its options, quantities, and how they hang together."""
    lettered = list(_OPTION.finditer(window))
    starts = [found.start() for found in lettered] if len(lettered) >= _FEWEST_OPTIONS else []
    options = [window[start:end] for start, end in pairwise([*starts, len(window)])]
    question = window[: starts[0]] if starts else window
    return {
        "options": float(len({found[1] for found in lettered})),
        "asked_chars": float(size - sum(map(len, options))),
        "asked_words": float(len(question.split())),
        "quantities": 0.0 if is_code else float(len(_NUMBER.findall(question)) + spoken.get("quantity", 0)),
        "relations": 0.0 if is_code else float(spoken.get("relation", 0)),
        "figures": sum(any(map(str.isdigit, option)) for option in options) / max(1, len(options)),
    }


_STEPS: dict[str, tuple[float, ...]] = {
    "words": (3, 6, 10, 16, 25, 40, 70, 120, 250, 500),
    "lines": (2, 4, 8, 20, 60),
    "numbers": (1, 2, 4, 8, 20),
    "number_share": (0.03, 0.08, 0.15, 0.3),
    "code_share": (0.01, 0.025, 0.05, 0.09),
    "braces": (1, 3, 8, 20),
    "indents": (1, 3, 10),
    "code_lines": (2, 5, 12),
    "questions": (1, 2, 4),
    "asks": (1,),
    "sentences": (1, 2, 4, 8, 20),
    "colons": (1, 3, 8),
    "latex": (1, 4, 12),
    "operators": (1, 4, 12),
    "links": (1,),
    "options": (3, 4, 6),
    "turns": (2, 4, 10),
    "identifiers": (1, 3, 8),
    "units": (1, 3),
    "long_share": (0.08, 0.16, 0.26),
    "blocks": (1, 3),
}


def _signs(counts: dict[str, float]) -> list[str]:
    return [f"#{name}{step}" for name, steps in _STEPS.items() for step in steps if counts[name] >= step]
