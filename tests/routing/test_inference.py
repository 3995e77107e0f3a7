"""The use case, complexity and risk of a prompt."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_router.routing.inference import features, infer
from mcp_router.routing.inference.evaluation.development import load_development, read_rows
from mcp_router.routing.inference.evaluation.perturbing import PERTURBATIONS
from mcp_router.routing.inference.heads import compute_logits, parse, to_confidence

ROOT = Path(__file__).parents[2]
PROMPTS = [row.text for row in load_development().rows if row.label is not None and not row.left_out][::12]
LEAST_UNCHANGED = 0.92
LEAST_BY_ONE = 0.7
LEAST_NATURAL = 0.85
MOST_BYTES = 1_000_000

OTHER_WORDS: dict[str, Callable[[str], str]] = {
    "a short night": lambda text: f"I slept badly, so bear with me. {text}",
    "a bus": lambda text: f"{text} My bus leaves in five minutes.",
    "Italian courtesies": lambda text: f"Buongiorno, mi potresti aiutare? {text} Grazie mille!",
    "Portuguese thanks": lambda text: f"{text}\n\nMuito obrigado pela ajuda!",
    "a French story": lambda text: f"Hier soir j'ai raté mon train. {text}",
    "dutiful": lambda text: f"You are an assistant. Please do the following task carefully.\n\n{text}",
    "regards": lambda text: f"Dear all,\n\n{text}\n\nKind regards,\nAmélie",
    "answer in German": lambda text: f"{text}\n\nBitte antworte auf Deutsch.",
    "tags": lambda text: f"<prompt>\n{text}\n</prompt>",
    "title case": str.title,
    "tilde fence": lambda text: f"~~~\n{text}\n~~~",
    "chat line": lambda text: f"User: {text}\nAssistant:",
    "no stop": lambda text: text.rstrip(".?! "),
    "three dots": lambda text: f"{text} ...",
}
"""Ways that neither the training nor `eval` knows of."""


@pytest.mark.parametrize(
    ("prompt", "use_case"),
    [
        (
            "Summarize this article in two sentences: The council voted to close the old bridge to cars.",
            "summarization",
        ),
        ("Résume ce texte en trois points : le conseil a voté la fermeture du pont.", "summarization"),
        ("Classify this review as positive or negative: the soup was cold.", "classification"),
        ("Cet avis est-il positif ou négatif ? « La soupe était froide. »", "classification"),
        ("Write a Python function that reverses a linked list.", "code_generation"),
        ("Écris une fonction Python qui inverse une liste chaînée.", "code_generation"),
        ("用Python写一个函数反转链表", "code_generation"),
        ("Salut, ça va ?", "conversation"),
        ("Solve for x: 3x^2 - 5x - 2 = 0", "analysis"),
        ("What is the weather in Lyon tomorrow?", "web_research"),
        ("Quelle est la posologie de l'amoxicilline chez un enfant de 20 kg avec une otite ?", "expert_tasks"),
        ("Can a landlord keep the deposit for normal wear and tear under English law?", "expert_tasks"),
        ("x" * 20_001, "long_context"),
    ],
)
def test_a_plain_request_is_known_for_what_it_is(prompt: str, use_case: str) -> None:
    assert infer(prompt).use_case == use_case


def test_what_is_attached_counts_towards_a_long_context() -> None:
    asked = "Who signed the contract?"

    assert infer(asked, attachments=20_000).use_case == "long_context"
    assert infer(asked, attachments=1_000).use_case != "long_context"


@pytest.mark.parametrize("prompt", ["Write a haiku about autumn.", "Who painted the Night Watch?", "Écris un poème."])
def test_what_is_none_of_the_use_cases_is_a_conversation_and_says_so(prompt: str) -> None:
    told = infer(prompt)

    assert (told.use_case, told.abstained) == ("conversation", True)


@pytest.mark.parametrize("prompt", ["", " ", "\n", "?", "```\n```", "🙂", "\x00", "a" * 19_999, "''", "> \n> "])
def test_any_text_is_read(prompt: str) -> None:
    told = infer(prompt)

    assert 0 <= told.use_case_confidence <= 1
    assert 0 <= told.complexity_confidence <= 1
    assert 0 <= told.risk <= 1


@pytest.mark.parametrize("ways", [PERTURBATIONS, OTHER_WORDS], ids=["those of eval", "others"])
def test_other_words_around_a_prompt_change_few_choices(ways: dict[str, Callable[[str], str]]) -> None:
    before = [infer(prompt).use_case for prompt in PROMPTS]

    unchanged = {
        name: sum(infer(say(prompt)).use_case == one for prompt, one in zip(PROMPTS, before, strict=True))
        / len(PROMPTS)
        for name, say in ways.items()
    }

    assert sum(unchanged.values()) / len(unchanged) >= LEAST_UNCHANGED, unchanged
    assert min(unchanged.values()) >= LEAST_BY_ONE, unchanged


def test_prompts_as_people_type_them_are_told_as_well_as_promised() -> None:
    rows = list(read_rows((ROOT / "benchmarks" / "inference" / "natural.jsonl").read_text("utf-8").splitlines()))

    told = [infer(row.text).use_case == ("conversation" if row.label == "other" else row.label) for row in rows]

    assert sum(told) / len(told) >= LEAST_NATURAL


def test_the_further_a_choice_stands_above_the_next_the_surer_it_is() -> None:
    told = [to_confidence((0.5, 0.0), [0.0, lead, -3.0]) for lead in (0.0, 1.0, 4.0, 1_000.0)]

    assert told[0] == 0.5
    assert told == sorted(told)
    assert told[-1] < 1


def test_the_lexicon_that_ships_is_made_of_the_written_concepts_and_courtesies() -> None:
    written = runpy.run_path(str(ROOT / "benchmarks" / "inference" / "lexicon.py"))["shipped"]

    assert (ROOT / "mcp_router" / "routing" / "inference" / "lexicon.txt").read_text("utf-8") == written()


def test_what_ships_is_small() -> None:
    room = ROOT / "mcp_router" / "routing" / "inference"

    assert sum((room / name).stat().st_size for name in ("heads.bin", "lexicon.txt")) <= MOST_BYTES


def test_a_prompt_scores_the_same_whatever_was_met_before() -> None:
    model = parse((ROOT / "mcp_router" / "routing" / "inference" / "heads.bin").read_bytes())
    reading = features.read_features("Classify this ticket as billing, bug or praise: the export crashes.")
    before = compute_logits(model, reading)
    for number in range(30):
        compute_logits(
            model, features.Reading(words=[f"{number} {word}" for word in range(1_000)], signs=[], counts={})
        )
        assert compute_logits(model, reading) == before

    assert len(model.met) < 10_000
