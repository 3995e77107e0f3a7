"""Packs the part of the development data that ships: short enough, and under licences that let it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import risks
import rows
from generate import AUTHORED
from scores import Calibration, Held

EACH = 18
"""Prompts of one label of one source."""
EACH_AUTHORED = 6
COMPLEXITIES = ("simple", "medium", "complex")
OUTCOMES_EACH = 150
MOST_CHARS = 2_500
SHARE_ALIKE = ("topical", "qa_natural_qa", "qa_trivia_qa")
"""Not shipped: their terms would bind what they are shipped with, or are not told for each row."""
LLM_ROUTER = "ulab-uiuc/LLMRouter, MIT"
RECORDED = {
    "cruxeval": (
        "claude-3-haiku-20240307",
        "claude-3-5-sonnet-20241022",
        "WildEval/ZeroEval, Apache-2.0; CRUXEval, MIT",
    ),
    "gsm8k": ("codegemma-7b", "llama-3.1-nemotron-51b-instruct", f"{LLM_ROUTER}; GSM8K, train part, MIT"),
    "human_eval": ("codegemma-7b", "qwen2.5-7b-instruct", f"{LLM_ROUTER}; HumanEval, MIT"),
    "mbpp": ("codegemma-7b", "llama-3.1-nemotron-51b-instruct", f"{LLM_ROUTER}; MBPP, CC BY 4.0"),
    "mmlu_pro": (
        "Meta-Llama-3_1-8B-Instruct",
        "gemini-1.5-pro-002",
        "TIGER-AI-Lab/MMLU-Pro, MIT; without questions of MMLU",
    ),
}
"""By benchmark: a cheap and a strong model, and whose the data is."""


def packed(data: Path, held: Held, how: Calibration) -> bytes:
    """Return the file that ships; the same data gives the same bytes."""
    chosen = [*_prompts(held, how), *_long(data), *_outcomes(data)]
    told = {str(row["source"]): f"{row['repo']}, {row['licence']}" for row in rows.read(data / "use_case_dev.jsonl.gz")}
    named = {str(row["source"]) for row in chosen}
    origins = {name: origin for name, origin in told.items() if name in named}
    origins |= {name: "written for this project, MIT" for name in named if name.startswith(AUTHORED)}
    origins |= {f"outcomes of {name}": origin for name, (_, _, origin) in RECORDED.items()}
    lines = [{"origins": dict(sorted(origins.items()))}, *chosen]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _prompts(held: Held, how: Calibration) -> Iterator[dict[str, object]]:
    taken: dict[tuple[str, str], int] = {}
    for at in sorted(held.plain, key=lambda i: int(i) * 7919 % 100_003):
        prompt = held.prompts[at]
        place = prompt.source, prompt.label
        each = EACH_AUTHORED if prompt.source.startswith(AUTHORED) else EACH
        if len(prompt.text) > MOST_CHARS or prompt.source.startswith(SHARE_ALIKE) or taken.get(place, 0) >= each:
            continue
        taken[place] = taken.get(place, 0) + 1
        chosen, confidence = how.told(held.scores[at, : len(held.names)], held.names)
        row: dict[str, object] = {
            "text": prompt.text,
            "source": prompt.source,
            "label": prompt.label,
            "unseen": [chosen, round(confidence, 3)],
            "language": prompt.language,
        }
        if prompt.complexity is not None and prompt.source.startswith(AUTHORED):
            level = int(held.scores[at, len(held.names) :].argmax())
            row |= {"complexity": COMPLEXITIES[prompt.complexity - 1], "unseen_complexity": COMPLEXITIES[level]}
        yield row


def _long(data: Path) -> Iterator[dict[str, object]]:
    """Yield the two ends of some long texts: nothing else of them is read."""
    found = [row for row in rows.read(data / "use_case_dev.jsonl.gz") if row["label"] == "long_context"][::12]
    for row in found:
        text = str(row["text"])
        kept = text[:600] + "\n" + text[-600:]
        yield {"text": kept, "source": row["source"], "label": row["label"], "left_out": len(text) - len(kept)}


def _outcomes(data: Path) -> Iterator[dict[str, object]]:
    for name, kept in sorted(risks.by_name(data).items()):
        if name not in RECORDED:
            continue
        cheap, strong, _ = RECORDED[name]
        known = [(text, right) for text, right in kept if None not in {right[cheap], right[strong]}]
        known = [one for one in known if len(one[0]) <= MOST_CHARS]
        order = np.argsort(np.arange(len(known)) * 7919 % 100_003, kind="stable")[:OUTCOMES_EACH]
        for at in order:
            text, right = known[at]
            yield {"text": text, "source": f"outcomes of {name}", "outcomes": [right[cheap], right[strong]]}
