"""Weighs what was read of a prompt, with the shipped weights; pure Python, so nothing is imported to choose a model."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mcp_router.inference.features import Reading

LANE = 3
"""Bytes a weight takes when all heads are summed as one whole number: one addition for each feature, not eleven."""

_ZERO = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Heads:
    """The weights as they ship, and how to read them."""

    labels: tuple[str, ...]
    """The use cases, then the complexities: one lane each."""
    rows: dict[str, int]
    lanes: bytes
    scales: tuple[float, ...]
    """What one step of a weight is worth, for each lane."""
    bias: tuple[float, ...]
    word_share: float
    settings: dict[str, dict[str, list[float]]]
    """What turns the scores of a head into a confidence: temperature, and how often it was right."""
    risk: dict[str, tuple[float, float, float]]
    """For each counted number: its mean, its spread, and what it weighs."""
    risk_bias: float


@cache
def heads() -> Heads:
    """Returns the shipped heads, read once."""
    return parse(files("mcp_router.inference").joinpath("heads.bin").read_bytes())


def parse(artefact: bytes) -> Heads:
    """Reads an artefact: a line of JSON, a line of names for each feature, then a byte for each weight."""
    header, _, rest = artefact.partition(b"\n")
    known = json.loads(header)
    names = rest[: known["names_bytes"]].decode().split("\n")
    weights = rest[known["names_bytes"] :]
    lanes = bytearray(len(weights) * LANE)
    lanes[::LANE] = weights
    return Heads(
        labels=tuple(known["labels"]),
        rows=dict(zip(names, range(len(names)), strict=True)),
        lanes=bytes(lanes),
        scales=tuple(known["scales"]),
        bias=tuple(known["bias"]),
        word_share=known["word_share"],
        settings=known["settings"],
        risk={name: (mean, spread, weight) for name, (mean, spread, weight) in known["risk"].items()},
        risk_bias=known["risk_bias"],
    )


def logits(model: Heads, reading: Reading) -> list[float]:
    """Returns the raw score of every label."""
    words, word_count = _sum(model, reading.words)
    signs, sign_count = _sum(model, reading.signs)
    share = model.word_share / math.sqrt(word_count + 4)
    return [
        bias + scale * (share * (word - _ZERO * word_count) + sign - _ZERO * sign_count)
        for bias, scale, word, sign in zip(model.bias, model.scales, words, signs, strict=True)
    ]


def _sum(model: Heads, names: Sequence[str]) -> tuple[list[int], int]:
    wide, mask = len(model.labels) * LANE, (1 << 8 * LANE) - 1
    found = [row * wide for row in map(model.rows.get, names) if row is not None]
    total = sum([int.from_bytes(model.lanes[at : at + wide], "little") for at in found])
    return [(total >> 8 * LANE * lane) & mask for lane in range(len(model.labels))], len(found)


def chances(scores: Sequence[float], temperature: float) -> list[float]:
    """Returns how likely each label is."""
    top = max(scores)
    raised = [math.exp((score - top) / temperature) for score in scores]
    total = sum(raised)
    return [one / total for one in raised]


def along(knots: Sequence[float], values: Sequence[float], at: float) -> float:
    """Returns the value on the line through the knots; flat beyond both ends."""
    if at <= knots[0]:
        return values[0]
    for left in range(len(knots) - 1):
        if at <= knots[left + 1]:
            part = (at - knots[left]) / (knots[left + 1] - knots[left])
            return values[left] + part * (values[left + 1] - values[left])
    return values[-1]
