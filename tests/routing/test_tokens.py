"""No text comes to more tokens than are held for it, by OpenAI's own tokenizer."""

from __future__ import annotations

import base64
import random
import string
import unicodedata
import uuid
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from rs_bpe.bpe import openai

from mcp_router.routing.tokens import estimate_tokens, max_tokens

O200K = openai.o200k_base()
ROOT = Path(__file__).parents[2]
SCRIPTS = {
    "latin extended": (0x180, 0x24F),
    "phonetic": (0x250, 0x2AF),
    "cyrillic extended": (0x460, 0x52F),
    "armenian": (0x531, 0x587),
    "arabic": (0x621, 0x6D3),
    "devanagari": (0x905, 0x939),
    "telugu": (0xC05, 0xC39),
    "sinhala": (0xD85, 0xDC6),
    "lao": (0xE81, 0xEDD),
    "tibetan": (0xF40, 0xFBC),
    "myanmar": (0x1000, 0x1049),
    "georgian": (0x10D0, 0x10F0),
    "ethiopic": (0x1200, 0x137C),
    "cherokee": (0x13A0, 0x13F5),
    "canadian": (0x1401, 0x167F),
    "khmer": (0x1780, 0x17D3),
    "mongolian": (0x1820, 0x1877),
    "vietnamese": (0x1EA0, 0x1EF9),
    "mathematical": (0x2200, 0x22FF),
    "box drawing": (0x2500, 0x257F),
    "braille": (0x2800, 0x28FF),
    "hiragana": (0x3041, 0x3096),
    "katakana": (0x30A1, 0x30FA),
    "rare ideographs": (0x3400, 0x4DBF),
    "ideographs": (0x4E00, 0x9FFF),
    "yi": (0xA000, 0xA48C),
    "hangul": (0xAC00, 0xD7A3),
    "private use": (0xE000, 0xF8FF),
    "full width": (0xFF01, 0xFF5E),
    "cuneiform": (0x12000, 0x12399),
    "hieroglyphs": (0x13000, 0x1342E),
    "mathematical letters": (0x1D400, 0x1D7FF),
    "emoji": (0x1F300, 0x1F9FF),
    "oldest ideographs": (0x20000, 0x2A6D6),
    "combining marks": (0x300, 0x36F),
}


def words(alphabet: str, lengths: tuple[int, int], between: str = " ") -> str:
    chance = random.Random(7)  # noqa: S311 - a test text
    found = ("".join(chance.choices(alphabet, k=chance.randint(*lengths))) for _ in range(600))
    return between.join(found)


def unusual_texts() -> dict[str, str]:
    chance = random.Random(11)  # noqa: S311 - a test text
    mark = "".join(map(chr, range(0x300, 0x36F)))
    texts = {
        name: "".join(chr(chance.randint(first, last)) for _ in range(1_000)) for name, (first, last) in SCRIPTS.items()
    }
    return texts | {
        "lower case": words(string.ascii_lowercase, (3, 9)),
        "upper case": words(string.ascii_uppercase, (3, 9)),
        "titles": words(string.ascii_lowercase, (3, 9)).title(),
        "mixed case": words(string.ascii_letters, (3, 12)),
        "one endless word": words(string.ascii_lowercase, (9, 9), between=""),
        "alternating case": "".join(c.upper() if i % 2 else c for i, c in enumerate("the quick brown fox jumps " * 20)),
        "camel case": " ".join(f"get{word.title()}Of{word.upper()}" for word in words("aeioukrst", (2, 6)).split()),
        "hex": chance.randbytes(2_000).hex(),
        "hex in pairs": chance.randbytes(2_000).hex(" "),
        "base64": base64.b64encode(chance.randbytes(3_000)).decode(),
        "base85": base64.b85encode(chance.randbytes(3_000)).decode(),
        "uuids": " ".join(str(uuid.UUID(bytes=chance.randbytes(16))) for _ in range(100)),
        "digits": words(string.digits, (1, 12)),
        "single digits": words(string.digits, (1, 1)),
        "punctuation": words(string.punctuation, (1, 6)),
        "letters in lines": words(string.ascii_lowercase, (1, 1), between="\n"),
        "letters by tabs": words(string.ascii_letters, (1, 1), between="\t"),
        "letters two spaces apart": words(string.ascii_letters, (1, 1), between="  "),
        "control characters": "".join(chr(chance.randint(1, 31)) for _ in range(1_000)),
        "stacked marks": "".join(letter + "".join(chance.choices(mark, k=5)) for letter in "the quick brown fox" * 9),
        "decomposed": unicodedata.normalize("NFD", "Tiếng Việt là ngôn ngữ chính thức tại Việt Nam. " * 9),
        "leet": "7h3 qu1ck br0wn f0x jum95 0v3r " * 20,
        "genes": words("ACGT", (60, 60)),
        "joined emoji": "👨‍👩‍👧‍👦🏳️‍🌈👩🏽‍💻" * 40,
        "zero width": "a\u200bb\u200cc\u200dd\ufeff" * 100,
    }


def test_unusual_text_never_exceeds_its_maximum() -> None:
    texts = unusual_texts()

    low = {name: (O200K.count(text), max_tokens(text)) for name, text in texts.items()}

    assert {name: found for name, found in low.items() if found[0] > found[1]} == {}


def test_prose_and_code_are_held_at_no_more_than_twice_their_tokens() -> None:
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    texts += [path.read_text("utf-8") for path in sorted((ROOT / "mcp_router/routing").glob("*.py"))]

    ratios = [max_tokens(text) / O200K.count(text) for text in texts if len(text) > 2_000 and "_CUTS" not in text]

    assert min(ratios) > 1
    assert max(ratios) < 2


@settings(max_examples=300)
@given(st.text(max_size=300))
def test_any_text_stays_below_its_maximum(text: str) -> None:
    assert O200K.count(text) <= max_tokens(text) <= len(text.encode()) + 8


def test_the_estimate_of_prose_is_near_its_tokens() -> None:
    text = (ROOT / "docs/budgets.md").read_text("utf-8")

    assert 1 < estimate_tokens(text) / O200K.count(text) < 1.3
