"""Reads the development data and perturbs prompts without changing what they ask."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from generate import Prompt, grow

FAMILIES = {
    "mmlu_pro": "mmlu_pro",
    "scholarqa": "scholarqa",
    "qmsum": "qmsum",
    "swe": "swe",
    "banking77": "banking77",
    "pubmed": "pubmed",
    "topical": "topical",
    "qa_": "qa",
}
"""Sources that hold the same texts, or were made by the same hand, are left out together."""

COMPLEXITY = {
    "clinc150": 1,
    "banking77_raw": 1,
    "topical_chat": 1,
    "qa_natural_qa": 1,
    "qa_trivia_qa": 1,
    "qa_openbook_qa": 1,
    "qa_commonsense_qa": 1,
    "commongen": 1,
    "banking77_wrapped": 1,
    "topical_wrapped": 1,
    "mbpp": 1,
    "gsm8k": 2,
    "humaneval": 2,
    "webvoyager": 2,
    "scholarqa_bio": 2,
    "scholarqa_neuro": 2,
    "qmsum_excerpt": 2,
    "pubmed_wrapped": 1,
    "pubmedqa": 2,
    "swebench_verified": 3,
    "logicgrid": 3,
    "mmlu_pro_physics": 3,
    "mmlu_pro_engineering": 3,
}
"""How complex people would call the prompts of a source, by our reading; the others say nothing."""

BEFORE = (
    "Hello! ",
    "Hi there, could you please help me with this? ",
    "Please ",
    "Good morning. I hope you are well. ",
    "I would like you to ",
    "Hey, quick question: ",
    "Bonjour, pourriez-vous m'aider ? ",
    "Salut ! S'il te plaît : ",
    "Hallo, kannst du mir bitte helfen? ",
    "Hola, ¿me puedes ayudar con esto? ",
    "I have been working on this all day and I am a bit lost. ",
    "You are a helpful assistant.\n\n",
    "### Instruction:\n",
    "User: ",
    "Here is what I need:\n\n",
)
AFTER = (
    "\n\nThank you very much in advance!",
    " Thanks!",
    "\n\nMerci beaucoup d'avance !",
    "\n\nLet me know if you need more information.",
    "\n\nSent from my iPhone",
    "\n\nRéponds en français.",
    "\n\nPlease answer in English.",
    "\n\nTake your time and be careful, this is important for my work.",
    "\n\n---\nJane Miller\nOffice 12, second floor",
    "\n\nVielen Dank und viele Grüße",
    "\n\nGracias de antemano.",
    "\n\n### Response:\n",
    "\n\nBy the way, the weather is lovely here today.",
)


def read(path: Path) -> Iterator[dict[str, object]]:
    """Yield the rows of one file of the data."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def scored(row: dict[str, object]) -> dict[str, float | None]:
    """Return how right each model's answer was."""
    return cast("dict[str, float | None]", row.get("correct") or row.get("score"))


def family(source: str) -> str:
    """Return the name under which a source is left out."""
    return next((name for prefix, name in FAMILIES.items() if source.startswith(prefix)), source)


def use_case_rows(data: Path) -> list[Prompt]:
    """Return the labelled prompts."""
    return [
        Prompt(
            text=str(row["text"]),
            label=str(row["label"]),
            source=str(row["source"]),
            origin=str(row["id"]),
            family=family(str(row["source"])),
            complexity=COMPLEXITY.get(str(row["source"])),
        )
        for row in read(data / "use_case_dev.jsonl.gz")
    ]


FILLERS = tuple((Path(__file__).parent / "fillers.txt").read_text(encoding="utf-8").splitlines())


def perturbed(text: str, chance: random.Random) -> str:
    """Return the prompt with courtesies or other words around it, quoted, fenced or in quotation marks."""
    kind = chance.choices(("before", "after", "courtesies", "fence", "quote", "marks"), (20, 20, 40, 8, 6, 6))[0]
    match kind:
        case "before":
            return _filler(chance) + chance.choice(" \n") + text
        case "after":
            return text + chance.choice(" \n") + _filler(chance)
        case "courtesies":
            before, after = chance.choices(((1, 0), (0, 1), (1, 1)), (10, 15, 15))[0]
            return chance.choice(BEFORE) * before + text + chance.choice(AFTER) * after
        case "fence":
            return f"```\n{text}\n```"
        case _:
            return f'"{text}"' if kind == "marks" else "\n".join(f"> {line}" for line in text.split("\n"))


MORE_SUBJECTS = {
    "business": "expert_tasks",
    "biology": "expert_tasks",
    "chemistry": "expert_tasks",
    "economics": "expert_tasks",
    "engineering": "expert_tasks",
    "physics": "expert_tasks",
    "math": "analysis",
}
MORE_EACH = 80


def more_questions(data: Path) -> list[Prompt]:
    """Return questions of the difficulty data whose subject tells their use case; only to learn from."""
    found: dict[str, list[Prompt]] = {}
    for row in read(data / "difficulty_mmlu_pro.jsonl.gz"):
        subject = str(row["category"])
        chosen = found.setdefault(subject, [])
        if subject in MORE_SUBJECTS and len(chosen) < MORE_EACH:
            text = str(row["text"])
            chosen.append(
                Prompt(
                    text=text.partition("\nA. ")[0] if len(chosen) % 3 == 0 else text,
                    label=MORE_SUBJECTS[subject],
                    source=f"written_more_{subject}",
                    origin=str(row["id"]),
                    family="mmlu_pro",
                )
            )
    return [prompt for chosen in found.values() for prompt in chosen]


def _filler(chance: random.Random) -> str:
    return grow(chance.choice(FILLERS), {}, chance)
