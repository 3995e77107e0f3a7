"""`eval`: what it scores, beside what, and on whose prompts."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from mcp_router.cli import main
from mcp_router.routing.inference.evaluation.development import load_development
from mcp_router.routing.inference.evaluation.scoring import (
    Choice,
    Outcome,
    accuracy,
    by_class,
    calibration_error,
    macro_f1,
    score_routing,
)

OWN = (
    '{"text": "Summarize this: the bridge is closed to cars.", "label": "summarization"}\n'
    '{"text": "Is this spam or not? You won a prize.", "label": "classification", "source": "mail"}\n'
)
Told = dict[str, dict[str, dict[str, float]]]


@pytest.fixture(scope="module")
def told() -> Told:
    """What `eval --json` prints of the data that ships."""
    with redirect_stdout(StringIO()) as out:
        assert main(["eval", "--json"]) == 0
    return json.loads(out.getvalue())


def test_what_ships_beats_keyword_rules_even_where_it_never_saw_the_source(told: Told) -> None:
    scores = told["use_case"]

    assert scores["shipped"]["macro_f1"] > scores["unseen"]["macro_f1"] > scores["keywords"]["macro_f1"] + 0.1


def test_sources_left_out_are_told_as_well_as_promised(told: Told) -> None:
    unseen = told["use_case"]["unseen"]

    assert unseen["macro_f1"] >= 0.64
    assert unseen["worst_recall"] >= 0.6


def test_few_choices_change_when_other_words_stand_around(told: Told) -> None:
    unchanged = {name: float(str(share)) for name, share in told["unchanged"].items()}

    assert unchanged.pop("all") >= 0.92
    assert min(unchanged.values()) >= 0.8


def test_recorded_outcomes_lie_between_always_cheapest_and_always_strongest(told: Told) -> None:
    for name, scores in told["difficulty"].items():
        assert 0 <= scores["cheapest"] < scores["strongest"] <= 1, name
        assert 0 < scores["cpt_50"] <= scores["cpt_80"] <= 1, name


def test_every_source_says_whose_it_is_and_under_which_licence(told: Told) -> None:
    assert set(told["by_source"]) | set(told["difficulty"]) <= set(told["origins"])
    assert {row.source for row in load_development().rows} <= set(told["origins"])
    assert not [name for name, origin in told["origins"].items() if "CDLA" in str(origin) or "-SA" in str(origin)]


def test_latency_and_size_are_told(told: Told) -> None:
    assert {f"{length} characters" for length in (200, 2_000, 100_000)} == set(told["latency_ms"])
    assert set(told["bytes"]) == {"heads.bin", "lexicon.txt", "frames/block_names.txt"}


def test_inferred_plans_cost_a_fraction_of_the_baseline(told: Told) -> None:
    costs = {name: row["share"] for name, row in told["cost"].items()}

    assert max(costs.values()) <= 0.5, costs
    assert costs["all"] <= 0.2
    assert costs["authored_agents"] <= 0.12
    assert not any("enterprise" in row or row["without_plan"] for row in told["cost"].values())


def test_languages_frames_and_complexity_are_scored(told: Told) -> None:
    frames = {name: float(str(share)) for name, share in told["frames"].items()}

    assert frames.pop("all") >= 0.92
    assert min(frames.values()) >= 0.85
    assert told["by_language"]["fr"]["shipped"] >= 0.88
    assert told["complexity"]["all"]["shipped"] >= 0.65


def test_ones_own_prompts_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "mine.jsonl"
    data.write_text(OWN, "utf-8")

    code = main(["eval", "--json", "--data", str(data)])

    view = json.loads(capsys.readouterr().out)
    assert code == 0
    assert view["use_case"]["shipped"] | {"classes": {}, "ece": 0.0} == {
        "prompts": 2,
        "macro_f1": 1.0,
        "accuracy": 1.0,
        "ece": 0.0,
        "worst_recall": 1.0,
        "classes": {},
    }
    assert view["use_case"]["unseen"] == {}
    assert view["difficulty"] == {}
    assert view["complexity"] == view["by_language"] == {}
    assert set(view["cost"]) == {"mail", "yours", "all"}
    assert {name: row["prompts"] for name, row in view["by_source"].items()} == {"mail": 1, "yours": 1}


def test_without_json_it_is_a_page_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "mine.jsonl"
    data.write_text(OWN, "utf-8")

    code = main(["eval", "--data", str(data)])

    page = capsys.readouterr().out
    assert code == 0
    assert all(title in page for title in ("use case", "right, by source", "milliseconds", "unchanged", "size:"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is nothing in it"),
        ('{"label": "analysis"}\n', "line 1 is no JSON object with a text and a label"),
        (OWN + "[]\n", "line 3 is no JSON object with a text and a label"),
        ('{"text": "Hi", "label": "chat"}\n', "line 1: there is no use case 'chat'"),
        ('{"text": "Hi"}\n', "line 1 is no JSON object with a text and a label"),
        ('{"text": "Hi", "outcomes": [1]}\n', "line 1 is no JSON object with a text and a label"),
    ],
)
def test_data_that_cannot_be_scored_says_where_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    data = tmp_path / "mine.jsonl"
    data.write_text(text, "utf-8")

    code = main(["eval", "--data", str(data)])

    assert code == 2
    assert why in capsys.readouterr().err


def test_data_that_is_not_there_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["eval", "--data", str(tmp_path / "none.jsonl")])

    assert code == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_figures_are_those_of_the_textbook() -> None:
    choices = [
        Choice(right="a", chosen="a", confidence=0.9),
        Choice(right="a", chosen="b", confidence=0.9),
        Choice(right="b", chosen="b", confidence=0.5),
    ]

    assert accuracy(choices) == pytest.approx(2 / 3)
    assert macro_f1(choices) == pytest.approx(2 / 3)
    assert by_class(choices)["a"].recall == 0.5
    assert calibration_error(choices) == pytest.approx((0.8 + 0.5) / 3)


def test_a_perfect_order_closes_the_gap_at_once_and_a_reversed_one_at_the_end() -> None:
    outcomes = [Outcome(cheap=0, strong=1)] * 20 + [Outcome(cheap=1, strong=1)] * 80
    risks = [1.0] * 20 + [0.0] * 80

    best, worst = score_routing(outcomes, risks), score_routing(outcomes, [-risk for risk in risks])

    assert (best.cheapest, best.strongest) == (0.8, 1.0)
    assert (best.cpt_50, best.cpt_80) == (0.1, 0.16)
    assert (best.quality_20, worst.quality_20) == (1.0, 0.8)
    assert best.apgr == pytest.approx(0.896, abs=0.01)
    assert (worst.cpt_50, worst.cpt_80) == (0.9, 0.96)
    assert worst.apgr == pytest.approx(0.104, abs=0.01)
