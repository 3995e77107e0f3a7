"""Weighs what was read of a prompt, with the shipped weights; pure Python, so nothing is imported to choose a model."""

import json
import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from mcp_router.routing.inference.features import Reading

_ZERO = 128
_MOST_MET = 8_000


class Heads(NamedTuple):
    """The weights as they ship, and how to read them."""

    labels: tuple[str, ...]
    """The use cases, then the complexities: one byte of a row each."""
    marks: Sequence[int]
    """The checksums of the features' names, rising; each row of weights stands where its feature's mark does."""
    weights: bytes
    scales: tuple[float, ...]
    """What one step of a weight is worth, for each label."""
    bias: tuple[float, ...]
    word_share: float
    settings: dict[str, dict[str, list[float]]]
    """What turns the scores of a head into a confidence."""
    risk: dict[str, tuple[float, float, float]]
    """For each counted number: its mean, its spread, and what it weighs."""
    risk_bias: float
    met: dict[str, bytes]
    """The rows of the names met so far: prompts share most of their words."""


@cache
def load_heads() -> Heads:
    """Return the shipped heads, read once."""
    return parse(Path(__file__).with_name("heads.bin").read_bytes())


def parse(artefact: bytes) -> Heads:
    """Read an artefact: a line of JSON, four bytes for each feature's mark, then a byte for each weight.

    Nothing is taken apart that a look-up does not need: a first call waits for it.
    """
    start = artefact.index(b"\n") + 1
    known = json.loads(artefact[:start])
    end = start + known["features"] * _MARK_BYTES
    marks = array("I", artefact[start:end])
    if sys.byteorder == "big":
        marks.byteswap()
    return Heads(
        labels=tuple(known["labels"]),
        marks=marks,
        weights=artefact[end:],
        scales=tuple(known["scales"]),
        bias=tuple(known["bias"]),
        word_share=known["word_share"],
        settings=known["settings"],
        risk={name: (mean, spread, weight) for name, (mean, spread, weight) in known["risk"].items()},
        risk_bias=known["risk_bias"],
        met={},
    )


_MARK_BYTES = 4


def hash_names(names: Iterable[str]) -> Iterator[int]:
    """Yield the hash of each name; of a million names that are not learnt, six collide with one that is."""
    return map(crc32, map(str.encode, names))


def compute_logits(model: Heads, reading: Reading) -> list[float]:
    """Return the raw score of every label."""
    words, word_count = _sum(model, reading.words)
    signs, sign_count = _sum(model, reading.signs)
    share = model.word_share / math.sqrt(word_count + 4)
    return [
        bias + scale * (share * (word - _ZERO * word_count) + sign - _ZERO * sign_count)
        for bias, scale, word, sign in zip(model.bias, model.scales, words, signs, strict=True)
    ]


def _sum(model: Heads, names: Sequence[str]) -> tuple[list[int], int]:
    met, wide = model.met, len(model.labels)
    new = [name for name in names if name not in met]
    if len(met) + len(new) > _MOST_MET:
        met.clear()
        new = names
    met.update(zip(new, _rows(model, new), strict=True))
    rows = b"".join([met[name] for name in names])
    return [sum(rows[label::wide]) for label in range(wide)], len(rows) // wide


def _rows(model: Heads, names: Sequence[str]) -> Iterator[bytes]:
    """Yield the weights of each name; none for one that is not learnt."""
    marks, wide = model.marks, len(model.labels)
    for one in hash_names(names):
        at = bisect_left(marks, one)
        is_learnt = at < len(marks) and marks[at] == one
        yield model.weights[at * wide : (at + 1) * wide] if is_learnt else b""


def to_probabilities(scores: Sequence[float]) -> list[float]:
    """Return how likely each label is."""
    top = max(scores)
    raised = [math.exp(score - top) for score in scores]
    total = sum(raised)
    return [one / total for one in raised]


def to_confidence(line: Sequence[float], scores: Sequence[float]) -> float:
    """Return how often the best of such scores is right, by how far it stands above the next; never quite 0 or 1."""
    slope, start = line
    second, best = sorted(scores)[-2:]
    return min(max(1 / (1 + math.exp(-slope * (best - second) - start)), LEAST_SURE), MOST_SURE)


LEAST_SURE, MOST_SURE = 0.05, 0.98
