"""Token counts of texts: a likely one, and a maximum that no vendor's tokenizer exceeds."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

from providers.completion import Message

_LETTERS = bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1))
_DIGITS = b"0123456789"
_BEYOND_ASCII = bytes(range(128, 256))

_TOKENS_PER_MESSAGE = 6
_SCHEMA_INSTRUCTION = "Answer with one JSON value that satisfies this JSON Schema, and with nothing else, please:\n"
"""What comes with a schema that a vendor gets in words, and more than other vendors add to it."""
_MAX_WORD_LETTERS = 40
"""Letters of the longest word that is read letter by letter."""
_MAX_DISTINCT_WORDS = 20_000
"""Distinct words of one chunk that are read letter by letter; the others count by their length."""
_MAX_TOKENS_PER_LETTER = 0.65
"""What random letters come to in o200k_base, with room: 0.52 in a row, 0.56 one by one."""
_ROOM = 1.15
"""Other tokenizers count up to this many times o200k_base."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_RUNS_OF_SPACES = re.compile(r" {2,16}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

_CUTS = (
    "40007101110000604000101101",  # a
    "23672552237087279134265618",  # b
    "15251590370035147140248622",  # c
    "24711656256467369226256524",  # d
    "23202226462100635000433026",  # e
    "25652146157144256141376237",  # f
    "33760821459262489125257536",  # g
    "27860884377465179251376837",  # h
    "10000003700000106000808120",  # i
    "38762588544675383728398759",  # j
    "36861943243643379323343838",  # k
    "27820558265077169722256709",  # l
    "21731636265326216725366628",  # m
    "25201403352562267610337615",  # n
    "50007304350000216000010115",  # o
    "27561541364046217010376328",  # p
    "76778997799367771474096679",  # q
    "24420626285523167211437507",  # r
    "37381640271335215710244622",  # s
    "27561881276577288122386415",  # t
    "20101214250000417000655234",  # u
    "27550545287446278255556537",  # v
    "26652751355752359225662448",  # w
    "66454598499667839771999358",  # x
    "58654967597432529413696846",  # y
    "46672743385865379774483642",  # z
)
"""For every pair of letters, in tenths, how often o200k_base cuts a word between them.

One row per first letter. Counted in words of sixteen languages and of code, syllables and random letters.
"""

_CHARACTER_TOKENS: tuple[tuple[int, int, float], ...] = (
    (0x00C0, 0x017F, 1.5),  # Latin with diacritics
    (0x0391, 0x03CE, 1.2),  # Greek
    (0x0400, 0x045F, 1.2),  # Cyrillic
    (0x0531, 0x0587, 1.4),  # Armenian
    (0x05D0, 0x05EA, 1.2),  # Hebrew
    (0x060C, 0x064A, 1.3),  # Arabic
    (0x0901, 0x0DC6, 1.6),  # from Devanagari to Sinhala
    (0x0E01, 0x0E4B, 1.3),  # Thai
    (0x1000, 0x1049, 1.6),  # Myanmar
    (0x10D0, 0x10F0, 1.2),  # Georgian
    (0x1780, 0x17D3, 1.6),  # Khmer
    (0x1EA0, 0x1EF9, 2.2),  # Vietnamese
    (0x2010, 0x2027, 1.6),  # dashes, quotes, ellipsis
    (0x3001, 0x3011, 1.6),  # East Asian punctuation
    (0x3041, 0x3096, 1.4),  # Hiragana
    (0x30A1, 0x30FE, 1.4),  # Katakana
    (0xAC00, 0xD7A3, 2.5),  # Hangul
    (0xFF01, 0xFF5E, 1.6),  # full-width forms
)
"""First and last code point of a script, and the tokens of one of its characters at most.

A character of another script counts by its bytes, which is what a tokenizer does with what it seldom met.
"""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text.

    English prose comes to about 15 % more than tokenizers of 2026 count, other languages and code to more.
    Formulas and keys can come out a third too low: `max_tokens` bounds them.
    """
    raw = text.encode("utf-8", "replace")
    ascii_only = raw.translate(None, delete=_BEYOND_ASCII)
    no_letters = ascii_only.translate(None, delete=_LETTERS)
    no_digits = no_letters.translate(None, delete=_DIGITS)
    spaces = no_digits.count(b" ")
    letters = len(ascii_only) - len(no_letters)
    digits = len(no_letters) - len(no_digits)
    # Words take few tokens; a key or an encoded file has no words.
    letters_per_token = 4.2 if spaces * 15 >= letters else 2.0
    return math.ceil(
        (letters + spaces) / letters_per_token
        + digits / 1.6
        + (len(no_digits) - spaces) / 1.5
        + (len(raw) - len(ascii_only)) / 2.6
    )


def max_tokens(text: str) -> int:
    """Return the most tokens that a text can come to: what money is held for.

    Words count by how tokenizers cut them, digits and signs one by one, unusual characters by their bytes.
    """
    chunks = Counter(text.split())
    spaces = text.count(" ")
    line_ends = text.count("\n") + text.count("\r") + text.count("\t")
    unusual_spaces = len(text) - spaces - line_ends - sum(len(chunk) * times for chunk, times in chunks.items())
    # A space alone belongs to the word behind it.
    found = float(len(_RUNS_OF_SPACES.findall(text)) + line_ends + unusual_spaces * 3)
    for chunk, times in chunks.items():
        cached = len(chunk) <= _MAX_WORD_LETTERS
        found += times * (_count_known_chunk(chunk) if cached else _count_chunk(chunk))
    return min(math.ceil(found * _ROOM), len(text.encode("utf-8", "replace"))) + 8


def max_tokens_from_estimate(estimate: int) -> int:
    """Return a maximum for a prompt of which only the estimate is known."""
    return math.ceil(estimate * 1.4) + 8


def estimate_prompt(system: str | None, messages: Iterable[Message], schema: str = "") -> int:
    """Estimate the input tokens of a prompt's texts; a schema for the answer is one of them."""
    texts = _list_texts(system, messages, schema)
    return _TOKENS_PER_MESSAGE * len(texts) + sum(map(estimate_tokens, texts))


def max_prompt_tokens(system: str | None, messages: Iterable[Message], schema: str = "") -> int:
    """Return the most input tokens that a prompt's texts can come to."""
    texts = _list_texts(system, messages, schema)
    return _TOKENS_PER_MESSAGE * len(texts) + sum(map(max_tokens, texts))


def _list_texts(system: str | None, messages: Iterable[Message], schema: str) -> list[str]:
    return [
        system or "",
        _SCHEMA_INSTRUCTION + schema if schema else "",
        *(text for message in messages for text in message.texts),
    ]


def _count_chunk(chunk: str) -> float:
    """Return the most tokens of a chunk without white space."""
    found = 0.0
    ascii_only = chunk
    if not chunk.isascii():
        ascii_only = _NOT_ASCII.sub("", chunk)
        unusual = Counter("".join(_NOT_ASCII.findall(chunk)))
        found += sum(times * _max_character_tokens(one) for one, times in unusual.items())
    found += len(ascii_only.encode().translate(None, delete=_LETTERS))
    found += chunk[0].isdigit()  # the space before a number is a token of its own
    if len(chunk) <= _MAX_WORD_LETTERS:
        return found + sum(map(_max_word_tokens, _WORDS.findall(chunk)))
    words = Counter(_WORDS.findall(chunk)).most_common()
    found += sum(times * _max_word_tokens(word) for word, times in words[:_MAX_DISTINCT_WORDS])
    return found + sum(times * _max_letters_tokens(word) for word, times in words[_MAX_DISTINCT_WORDS:])


_count_known_chunk = lru_cache(maxsize=20_000)(_count_chunk)


def _max_letters_tokens(word: str) -> float:
    return 1 + _MAX_TOKENS_PER_LETTER * len(word)


@lru_cache(maxsize=20_000)
def _max_word_tokens(word: str) -> float:
    if len(word) > _MAX_WORD_LETTERS:
        return _max_letters_tokens(word)
    letters = word.lower().encode()
    cuts = sum(_CUT_BY_PAIR[pair] for pair in pairwise(letters))
    # Tokenizers know fewer words with a capital, and few in capitals.
    if word[0].islower() or len(word) == 1:
        return 1 + cuts
    return 1 + (1.5 if word[1].isupper() else 1.2) * cuts


@lru_cache(maxsize=20_000)
def _max_character_tokens(character: str) -> float:
    point = ord(character)
    if 0x4E00 <= point <= 0x9FFF:  # noqa: PLR2004 - the block of common Chinese characters
        return _max_ideograph_tokens(character)
    known = (tokens for first, last, tokens in _CHARACTER_TOKENS if first <= point <= last)
    return next(known, float(len(character.encode("utf-8", "replace"))))


def _max_ideograph_tokens(character: str) -> float:
    """Rate an ideograph by how common it is: the national standards list the common ones first."""
    simplified = character.encode("gb2312", "ignore")
    if simplified and simplified[0] <= _LAST_COMMON_GB2312:
        return 1.6
    traditional = character.encode("big5", "ignore")
    if traditional and traditional[0] <= _LAST_COMMON_BIG5:
        return 2.0
    return 3.0


_LAST_COMMON_GB2312 = 0xD7
_LAST_COMMON_BIG5 = 0xC6
_CUT_BY_PAIR = {
    (ord("a") + first, ord("a") + second): int(tenths) / 10
    for first, row in enumerate(_CUTS)
    for second, tenths in enumerate(row)
}
