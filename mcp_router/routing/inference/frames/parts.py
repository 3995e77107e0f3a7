"""The parts of a prompt, recognized by their names."""

import re
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["task", "material", "surroundings"]

MAX_DEPTH = 4
"""Envelopes inside envelopes that are opened."""
MAX_NAME_WORDS = 4
_FEW_WORDS = 3
_FOLDED = str.maketrans(
    "àáâãäåçèéêëìíîïñòóôõöùúûüýÿšžłğışčěřůąęćńśź",
    "aaaaaaceeeeiiiinooooouuuuyyszlgisceruaecnsz",
)
NAME_WORD = re.compile(r"[^\W\d_]+")
_WIDE = re.compile("[\u2e80-\uffef]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Part(NamedTuple):
    """A stretch of a prompt under one name."""

    kind: Kind | None
    """None if its name is unknown, or if it has none."""
    text: str
    is_named: bool


@cache
def _names() -> dict[str, Kind]:
    """Return what blocks hold by the words of their names: three paragraphs, where a later one wins."""
    material, tasks, surroundings = Path(__file__).with_name("block_names.txt").read_text("utf-8").split("\n\n")
    kinds: tuple[tuple[Kind, str], ...] = (("material", material), ("task", tasks), ("surroundings", surroundings))
    return {word: kind for kind, words in kinds for word in words.split()}


@lru_cache(maxsize=2_048)
def find_kind(name: str) -> Kind | None:
    """Return what a block of this name holds; None if the name says nothing."""
    words = NAME_WORD.findall(fold(_CAMEL.sub(" ", name)).replace("_", " "))
    if not words or len(words) > MAX_NAME_WORDS + 2:
        return None
    known = _names()
    kinds = {known.get(word) or known.get(word.removesuffix("s")) for word in words}
    return next((kind for kind in _PRECEDENCE if kind in kinds), None)


_PRECEDENCE: tuple[Kind, ...] = ("surroundings", "task", "material")


def fold(text: str) -> str:
    """Return a text in small letters without accents, as long as before in the scripts that matter here."""
    small = text.lower()
    return small if small.isascii() else small.translate(_FOLDED)


def says_something(text: str) -> bool:
    """Return whether a text has three words, or any in a script without spaces."""
    enough = next(islice(NAME_WORD.finditer(text), _FEW_WORDS - 1, None), None)
    return enough is not None or _WIDE.search(text) is not None
