"""What a call says besides its words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mcp_router.routing.inference import infer
from mcp_router.routing.inference.call_shape import hints_from

LABELS = {"type": "object", "properties": {"label": {"type": "string", "enum": ["a", "b"]}}, "required": ["label"]}
RECORD = {"type": "object", "properties": {name: {"type": "string"} for name in ("name", "order_no", "date")}}
DATA = "Hi, it's Gudrun from Halle, I still wait for order 2231, could it come on 4 May?"


@pytest.mark.parametrize(
    ("schema", "label"),
    [
        (LABELS, "classification"),
        ({"type": "boolean"}, "classification"),
        ({"type": "array", "items": {"enum": ["x", "y"]}}, "classification"),
        (RECORD, "summarization"),
        ({"type": "object", "properties": {"code": {"type": "string"}}}, "code_generation"),
        ({"type": "object", "properties": {"summary": {"type": "string"}}}, "summarization"),
    ],
)
def test_shape_of_a_schema_raises_its_class(schema: Mapping[str, object], label: str) -> None:
    hints = hints_from(schema=schema)

    assert max(hints, key=hints.__getitem__) == label


@pytest.mark.parametrize(
    ("names", "label"),
    [(("a.py", "b.ts"), "code_generation"), (("sales.csv",), "analysis"), (("letter.pdf",), "summarization")],
)
def test_kinds_of_files_raise_their_class(names: tuple[str, ...], label: str) -> None:
    hints = hints_from(file_names=names)

    assert list(hints) == [label]


def test_data_without_an_instruction_is_told_by_its_schema() -> None:
    assert infer(DATA, hints=hints_from(schema=LABELS)).use_case == "classification"
    assert infer(DATA, hints=hints_from(schema=RECORD)).use_case == "summarization"


def test_data_without_an_instruction_is_told_by_the_system_text() -> None:
    system = "You are a triage worker. Classify each message as complaint, question or praise. Label only."

    assert infer(DATA, system=system).use_case == "classification"
    assert infer(DATA, system="You are a friendly helper.") == infer(DATA)


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": 3}, {"enum": "x"}, {"items": [1]}])
def test_odd_schemas_say_nothing(schema: Mapping[str, object]) -> None:
    assert hints_from(schema=schema) == {}
