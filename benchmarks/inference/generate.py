"""Our own prompts: those grown from templates, by a fixed seed, and those that were written out one by one."""

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OWN_TEXTS = 0.5
"""How many of the places for a text hold one of ours, rather than one of the data."""
TEXTUAL = ("pubmed", "qmsum", "swe", "topical")
TEXTS = 0.6
"""How many of the others are texts; the rest are prompts that somebody asks something about."""
_ALTERNATIVES = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One prompt to learn from."""

    text: str
    label: str
    source: str
    """Whole sources are left out to validate."""
    origin: str
    """The template it grew from: features seen in one origin alone are not learnt."""
    complexity: int | None = None
    family: str = ""
    """Prompts around the same texts are left out together."""
    language: str = "en"


AUTHORED = "authored_"
"""What the sources of prompts that were written out begin with; each author is a source, left out as a whole."""


def authored() -> list[Prompt]:
    """Return the prompts that were written out, each author's as they stand."""
    found: list[Prompt] = []
    for path in sorted((HERE / "authors").glob("*.jsonl")):
        source = f"{AUTHORED}{path.stem}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            row = json.loads(line)
            found.append(
                Prompt(
                    text=row["text"],
                    label=row["label"],
                    source=source,
                    origin=f"{source}:{number}",
                    complexity=row["complexity"],
                    family=source,
                    language=row["language"],
                )
            )
    return found


def slots() -> dict[str, list[str]]:
    """Return what may fill each name in braces."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (HERE / "slots.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            name = line[3:]
            found[name] = []
        else:
            found[name].append(line)
    return found


def grow(template: str, fill: dict[str, list[str]], chance: random.Random) -> str:
    """Return one prompt of a template."""
    text = template
    while found := _ALTERNATIVES.search(text):
        text = text[: found.start()] + chance.choice(found[1].split("|")) + text[found.end() :]
    text = _SLOT.sub(lambda slot: chance.choice(fill[slot[1]]) if slot[1] in fill else slot[0], text)
    return text.replace("\\n", "\n").replace("\\\\", "\\").strip()


def _family(passages: dict[str, list[str]], chance: random.Random) -> str:
    if chance.random() < OWN_TEXTS:
        return ""
    return chance.choice(TEXTUAL if chance.random() < TEXTS else sorted(passages))


def written(each: int, passages: dict[str, list[str]]) -> list[Prompt]:
    """Return up to `each` prompts of every template, filled with our own texts and passages of the data."""
    fill = slots()
    found: list[Prompt] = []
    for path in sorted((HERE / "prompts").glob("*.txt")):
        language = "en"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("== "):
                language = line[3:]
                continue
            chance = random.Random(f"{path.stem}:{number}")
            seen: dict[str, str] = {}
            for _ in range(each):
                family = _family(passages, chance)
                texts = fill | {"text": passages[family]} if family else fill
                seen.setdefault(grow(line[2:], texts, chance), family if "{text}" in line else "")
            found.extend(
                Prompt(
                    text=text,
                    label=path.stem,
                    source=f"written_{language}",
                    origin=f"{path.stem}:{number}",
                    complexity=int(line[0]),
                    language=language,
                    family=family,
                )
                for text, family in sorted(seen.items())
                if text
            )
    return found
