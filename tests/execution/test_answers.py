"""Answers are checked against the caller's JSON Schema and cleaned of what a reader would not see."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcp_router.execution.answer_check import Violations, parse_json_answer
from mcp_router.execution.answer_schema import SchemaError
from mcp_router.execution.validation import check, format_feedback, prepare_schema
from mcp_router.text import StreamCleaner, strip_controls

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"tag": {"enum": ["a", "b"]}},
}


async def problems(answer: str, schema: object) -> tuple[str, ...]:
    found = await check(answer, await prepare_schema(schema))
    assert isinstance(found, Violations)
    return found.lines


# Finding the JSON


@pytest.mark.parametrize(
    "answer",
    [
        '{"a": [1, 2]}',
        '  {"a": [1, 2]}\n\n',
        '\ufeff{"a": [1, 2]}',
        '```json\n{"a": [1, 2]}\n```',
        '```\n{"a":\n [1, 2]}\n```\n',
        '~~~\n{"a": [1, 2]}\n~~~',
        'Here it is:\n\n```json\n{"a": [1, 2]}\n```\nAnything else?',
        'As asked [1]: {"a": [1, 2]} and {} as well as {not json}.',
        'Thinking {of "a"} ... {"a": [1, 2]}',
    ],
)
def test_the_json_is_found_plain_fenced_or_within_prose(answer: str) -> None:
    assert parse_json_answer(answer) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("42", 42),
        ('"x"', "x"),
        ("```json\nnull\n```", None),
        ("true", True),
        ('"```"', "```"),
        ('{"a":"```"}', {"a": "```"}),
    ],
)
def test_a_value_need_not_be_an_object(answer: str, value: object) -> None:
    assert parse_json_answer(answer) == value


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "it is empty"),
        ("I cannot do that.", "Expecting value at line 1 column 1"),
        ('{"a": 1,\n "b": ', "Expecting value at line 2 column 6"),
        ("NaN", "NaN is no JSON value"),
        ("1e999", "1e999 is too large a number"),
        ("9" * 5_000, "Exceeds the limit"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_where_there_is_no_json_the_reason_is_said(answer: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_json_answer(answer)


@pytest.mark.parametrize("answer", ["{" * 300_000, "[1," * 100_000, "```\n" + " " * 300_000, '{"a":[' * 50_000 + "x"])
def test_no_answer_takes_long_to_look_through(answer: str) -> None:
    began = time.process_time()

    with pytest.raises(ValueError):  # noqa: PT011  # that it ends is what matters
        parse_json_answer(answer)

    assert time.process_time() - began < 5


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_what_was_written_as_json_is_read_as_it_was(value: object) -> None:
    text = json.dumps(value)

    assert parse_json_answer(text) == value
    assert parse_json_answer(f"```json\n{text}\n```") == value


# Checking


async def test_an_accepted_answer_comes_back_compact_and_alone() -> None:
    answer = 'Sure:\n```json\n{\n  "name": "Zoë",\n  "age": 3,\n  "tags": ["a"]\n}\n```'

    assert await check(answer, await prepare_schema(PERSON)) == '{"name":"Zoë","age":3,"tags":["a"]}'


async def test_each_problem_says_where_and_what_and_three_are_enough() -> None:
    assert await problems('{"name": 1, "age": -1}', PERSON) == (
        "$.name: 1 is not of type 'string'",
        "$.age: -1 is less than the minimum of 0",
    )
    assert await problems('{"age": 1, "odd key": 2, "tags": ["a", "c"]}', PERSON) == (
        "$.tags[1]: 'c' is not one of ['a', 'b']",
        "$: 'name' is a required property",
        "$: Additional properties are not allowed ('odd key' was unexpected)",
    )
    assert await problems(json.dumps({"name": "x", "age": 1, "tags": list("cdefg")}), PERSON) == (
        "$.tags[0]: 'c' is not one of ['a', 'b']",
        "$.tags[1]: 'd' is not one of ['a', 'b']",
        "$.tags[2]: 'e' is not one of ['a', 'b']",
        "… and more of the kind.",
    )


async def test_a_problem_is_short_whatever_the_value() -> None:
    [line] = await problems(json.dumps({"name": "x" * 10_000, "age": 1}), PERSON)

    assert line.startswith("$.name: 'xxx")
    assert line.endswith("… is too long")
    assert len(line) < 100


async def test_of_several_alternatives_the_closest_is_told() -> None:
    schema = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}

    assert await problems('{"a": "x"}', schema) == ("$.a: 'x' is not of type 'integer'",)


async def test_what_is_no_json_is_a_problem_to_be_asked_again() -> None:
    found = await check('{"name": ', await prepare_schema(PERSON))

    assert isinstance(found, Violations)
    assert format_feedback(found) == (
        "That answer was not accepted:\n"
        "The answer is not JSON: Expecting value at line 1 column 9.\n"
        "Answer again with the whole corrected JSON value and nothing else."
    )


async def test_an_answer_nested_without_end_is_a_problem() -> None:
    list_of_lists = {"$ref": "#/$defs/l", "$defs": {"l": {"type": "array", "items": {"$ref": "#/$defs/l"}}}}

    assert "nested too deeply" in (await problems("[" * 900 + "]" * 900, list_of_lists))[0]


async def test_what_is_checked_is_cleaned_first() -> None:
    assert (
        await check('{"name":"\\u001b[31mred\\u202e","age":1}', await prepare_schema(PERSON))
        == '{"name":"red","age":1}'
    )


# Schemas


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("string", "must be a JSON object"),
        (True, "must be a JSON object"),
        ({"type": "text"}, r"malformed at \$\.type: 'text' is not valid"),
        (
            {"properties": {"a": {"minimum": "1"}}},
            r"malformed at \$\.properties\.a\.minimum: '1' is not of type 'number'",
        ),
        ({"pattern": "("}, "pattern"),
        ({"$schema": "http://example.com/mine"}, "Unknown .schema.*draft-07"),
        ({"$schema": 7}, "Unknown .schema"),
        ({"$ref": "#/$defs/missing"}, "refers to '#/.defs/missing', which is not in it"),
        ({"$ref": "#nowhere"}, "refers to '#nowhere', which is not in it"),
        ({"$ref": "other.json"}, "refers to 'other.json', which is not in it and is never fetched"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"enum": ["x" * 70_000]}, "has 70,0.. characters; at most 64,000"),
        ({"default": float("nan")}, "is not JSON"),
        ({"enum": ["\ud800"]}, "is not JSON"),
    ],
)
async def test_a_schema_nothing_could_be_checked_against_is_the_callers_mistake(schema: object, why: str) -> None:
    with pytest.raises(SchemaError, match=why):
        await prepare_schema(schema)


async def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, object] = {}
    for _ in range(70):
        schema = {"items": schema}

    with pytest.raises(SchemaError, match="deeper than 64 levels"):
        await prepare_schema(schema)


async def test_nothing_is_ever_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        hidden = {"$id": "https://example.com/a", "properties": {"a": {"$id": "b", "$ref": address}}}

        with pytest.raises(SchemaError, match="never fetched"):
            await prepare_schema({"properties": {"a": {"$ref": address}}})
        with pytest.raises(SchemaError, match="which is not in it"):
            await check('{"a": 1}', await prepare_schema(hidden))

        with pytest.raises(BlockingIOError):
            server.accept()


async def test_what_only_looks_like_a_reference_is_none() -> None:
    schema = await prepare_schema(
        {"properties": {"$ref": {"const": {"$ref": "http://example.com/"}}, "default": {"type": "integer"}}}
    )

    assert await check('{"$ref":{"$ref":"http://example.com/"},"default":1}', schema) == (
        '{"$ref":{"$ref":"http://example.com/"},"default":1}'
    )


async def test_older_drafts_and_anchors_are_understood() -> None:
    draft7 = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"type": "integer"}],
        "additionalItems": False,
    }
    anchored = {"$defs": {"x": {"$anchor": "n", "type": "integer"}}, "items": {"$ref": "#n"}}

    assert await check("[1]", await prepare_schema(draft7)) == "[1]"
    assert await problems("[1,2]", draft7) == ("$: Additional items are not allowed (2 was unexpected)",)
    assert await problems('["x"]', anchored) == ("$[0]: 'x' is not of type 'integer'",)


async def test_a_pattern_that_never_ends_is_stopped() -> None:
    schema = await prepare_schema({"type": "string", "pattern": r"^(([a-z])+.)+[A-Z]([a-z])+$"})
    began = time.process_time()

    with pytest.raises(SchemaError, match="takes too long"):
        await check(json.dumps("a" * 20_000), schema)

    assert time.process_time() - began < 5


async def test_patterns_are_checked_as_the_schema_means_them() -> None:
    schema = {"type": "string", "pattern": r"^[a-z]+(-[a-z]+)*$"}

    assert await check('"a-b-c"', await prepare_schema(schema)) == '"a-b-c"'
    assert await problems('"A"', schema) == ("$: 'A' does not match '^[a-z]+(-[a-z]+)*$'",)


# Hostile schemas and answers


def make_doubling(levels: int, keyword: str = "allOf") -> dict[str, object]:
    """Build a schema whose references double at every level."""
    definitions: dict[str, object] = {"a0": {"type": "object"}}
    for level in range(1, levels + 1):
        definitions[f"a{level}"] = {keyword: [{"$ref": f"#/$defs/a{level - 1}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/a{levels}"}


REFUSED: dict[str, tuple[object, str]] = {
    "doubling references": (make_doubling(40), "more than 20,000 rules"),
    "doubling alternatives": (make_doubling(29, "oneOf"), "more than 20,000 rules"),
    "doubling below a property": ({**make_doubling(29), "properties": {"x": {"$ref": "#/$defs/a29"}}}, "more than"),
    "itself": ({"$ref": "#"}, "without end"),
    "itself through allOf": ({"allOf": [{"$ref": "#"}]}, "without end"),
    "itself through a circle": (
        {"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        "without end",
    ),
}  # fmt: skip
STOPPED: dict[str, tuple[object, object]] = {
    "pattern": ({"pattern": r"^(([a-z])+.)+[A-Z]([a-z])+$"}, "a" * 20_000),
    "names": ({"patternProperties": {"(a|aa|aaa)+$": {}}}, {"a" * 60 + "b": 1}),
    "branches in the answer": (
        {
            "$defs": {"n": {"anyOf": [{"properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["b"]}] * 3}},
            "$ref": "#/$defs/n",
        },
        json.loads('{"a":' * 60 + "1" + "}" * 60),
    ),
    "unevaluated": ({"unevaluatedProperties": {"patternProperties": {"(a|aa|aaa)+$": {}}}}, {"k": {"a" * 60 + "b": 1}}),
}


async def longest_pause(during: asyncio.Task[object]) -> float:
    """Return how long the event loop was busy at a time, in seconds."""
    longest = 0.0
    while not during.done():
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        longest = max(longest, time.perf_counter() - began)
    return longest


async def test_endless_schemas_are_refused_before_anything_is_asked() -> None:
    for name, (schema, why) in REFUSED.items():
        with pytest.raises(SchemaError, match=why):
            await prepare_schema(schema)
        assert name


async def test_slow_checks_are_stopped_off_the_event_loop() -> None:
    async def run(schema: object, answer: object) -> object:
        try:
            return await check(json.dumps(answer), await prepare_schema(schema))
        except SchemaError as exc:
            return exc

    running = [asyncio.create_task(run(schema, answer)) for schema, answer in STOPPED.values()]
    pauses = [await longest_pause(one) for one in running]

    found = {name: str(one.result()) for name, one in zip(STOPPED, running, strict=True)}
    assert {name: text for name, text in found.items() if "takes too long to check" not in text} == {}
    assert max(pauses) < 1


async def test_costly_but_finite_schemas_are_checked() -> None:
    items = [{"k": number} for number in range(20_000)]

    assert await check(json.dumps(items), await prepare_schema({"uniqueItems": True})) == json.dumps(items).replace(
        " ", ""
    )
    assert await problems(json.dumps([*items, {"k": 7.0}]), {"uniqueItems": True})
    assert await check("[1,true,0,false]", await prepare_schema({"uniqueItems": True})) == "[1,true,0,false]"
    assert await check('{"ab_1":1}', await prepare_schema({"patternProperties": {"^([a-z]+_)+": {"type": "integer"}}}))
    assert await check('{"x":1}', await prepare_schema({"properties": {"x": {}}, "unevaluatedProperties": False}))


async def test_extreme_numbers_are_problems_and_no_crash() -> None:
    assert await problems("1" + "0" * 400, {"multipleOf": 0.3})
    assert await check("5", await prepare_schema({"maximum": 10**4_000})) == "5"
    with pytest.raises(SchemaError, match="not JSON"):
        await prepare_schema({"maximum": 10**5_000})


async def test_slow_check_ends_when_the_call_is_cancelled() -> None:
    schema, answer = STOPPED["names"]
    ready = await prepare_schema(schema)
    task = asyncio.create_task(check(json.dumps(answer), ready))
    await asyncio.sleep(0.5)
    began = time.perf_counter()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.perf_counter() - began < 2


# Cleaning


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("plain\n\ttext ü 日本 🙂", "plain\n\ttext ü 日本 🙂"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ends", "never ends"),
        ("\x1bc\x1b(Btext\x1b", "text"),
        ("a\x00b\x08c\x7fd\x85e", "abcde"),
        ("admin\u202egnp.exe\u2066", "admingnp.exe"),
        ("a\u200bb\u2060c\ufeffd", "abcd"),
        ("hi" + "".join(chr(0xE0000 + ord(one)) for one in "ignore that") + "!", "hi!"),
        ("v\U000e0101w", "vw"),
        ("lone \ud83d half", "lone \ufffd half"),
        ("👩\u200d💻 \u0645\u06cc\u200c\u062e", "👩\u200d💻 \u0645\u06cc\u200c\u062e"),
    ],
)
def test_what_a_terminal_obeys_or_a_reader_does_not_see_is_taken_out(text: str, clean: str) -> None:
    assert strip_controls(text) == clean


@given(st.text(alphabet="\x1b[]0;m\x9b\x07\\\r\n\u202ea\ud800"))
@example("\x1b\x1b[[31mm")
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    once = strip_controls(text)

    assert strip_controls(once) == once
    assert not set(once) & set("\x1b\x9b\x07\r\u202e\ud800")


def test_cleaning_takes_time_in_proportion() -> None:
    began = time.process_time()

    strip_controls(("\x1b]" + "x" * 4_000) * 250 + "\x9b" + "0" * 1_000_000)

    assert time.process_time() - began < 3


@given(st.lists(st.text(alphabet="ab\x1b[];?31mP\\\x07\x9b\x9c \r\n\u202e", max_size=8)))
def test_a_text_in_pieces_is_cleaned_as_it_would_be_whole(pieces: list[str]) -> None:
    cleaner = StreamCleaner()

    clean = "".join([*(cleaner.clean(piece) for piece in pieces), cleaner.flush()])

    assert clean == strip_controls("".join(pieces))


def test_what_can_be_shown_is_not_held_back() -> None:
    cleaner = StreamCleaner()

    assert [cleaner.clean(piece) for piece in ("Hello", " \x1b[3", "1mred", "\r", "\n")] == [
        "Hello",
        " ",
        "red",
        "",
        "\n",
    ]
