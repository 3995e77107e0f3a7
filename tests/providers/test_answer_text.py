"""The text that a caller gets: without thinking, without a wrapper, and the same whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal

import pytest

from providers import errors
from providers.catalog import Model
from providers.completion import RESTART, Completion, Message, Prompt
from providers.connect import connect
from providers.registry import load_provider
from tests.vendors import Vendors, vendor_server

pytestmark = pytest.mark.anyio

PROMPT = Prompt(messages=(Message(role="user", content="Label it: the app crashes."),), max_output_tokens=500)
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
MODELS = {
    model.id: model
    for name in ("openai", "groq", "gemini", "claude", "openrouter")
    for model in load_provider(name).models
}
LOCAL = Model(provider="local", name="m")


def chat(content: object, finish: str | None = "stop", **choice: object) -> bytes:
    """The bytes of a Chat Completion."""
    message = {"role": "assistant", "content": content, **choice}
    return json.dumps(
        {"model": "m", "choices": [{"message": message, "finish_reason": finish}], "usage": USAGE}
    ).encode()


def events(chunks: Iterable[object]) -> bytes:
    """The bytes of a stream of JSON events."""
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def chat_events(text: str, *, size: int = 3) -> bytes:
    """The bytes of a streamed Chat Completion, in pieces of so many characters."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    chunks: list[object] = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    return (
        events([*chunks, {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}]) + b"data: [DONE]\n\n"
    )


async def complete(
    vendors: Vendors, model: Model = LOCAL, prompt: Prompt = PROMPT, *, stream: bool = False
) -> tuple[Completion, str]:
    """The completion, and the text as a consumer shows it at the end."""
    shown: list[str] = []

    async def show(piece: str) -> None:
        if piece is RESTART:
            shown.clear()
        shown.append(piece)

    connection = connect(load_provider(model.provider), key="test-key-123", base_url=vendors.url(model.provider))
    try:
        return await connection.complete(model, prompt, on_text=show if stream else None), "".join(shown)
    finally:
        await connection.aclose()


THOUGHTS = [
    "<think>\nThey want a label.\n</think>\n\nbug",
    "<think></think>bug",
    "They want a label.\n</think>\n\nbug",
    '<Thinking>They want {"label": 1}</Thinking>\nbug',
    "[THINK]They want a label.[/THINK]bug",
    "◁think▷They want a label.◁/think▷bug",
    "<thought>They want a label.</thought>\nbug",
    "<seed:think>They want a label.</seed:think>bug",
    "<reasoning>They want a label.</reasoning><answer>bug</answer>",
    "<|channel|>analysis<|message|>A label.<|end|><|start|>assistant<|channel|>final<|message|>bug<|return|>",
    "<think>one</think>\n<think>two</think>\nbug",
]
PLAIN = [
    "Close the block with `</think>`, as DeepSeek does.",
    '{"tag": "</think>"}',
    "```xml\n<think>\nno\n</think>\n```",
    "a < b and [x]",
    "<reasoning>the root of some XML</reasoning>",
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_thinking_in_the_content_is_not_part_of_the_text(stream: bool) -> None:
    wrong: dict[str, object] = {}
    async with vendor_server() as vendors:
        for written, wanted in [*((thought, "bug") for thought in THOUGHTS), *((plain, plain) for plain in PLAIN)]:
            vendors.writes("local", chat_events(written) if stream else chat(written))
            completion, shown = await complete(vendors, stream=stream)
            if completion.text != wanted or (stream and shown != wanted):
                wrong[written] = (completion.text, shown)

    assert wrong == {}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_answer_of_nothing_but_thinking_is_empty(stream: bool) -> None:
    async with vendor_server() as vendors:
        vendors.writes("local", chat_events("<think>never ends") if stream else chat("<think>never ends"))

        with pytest.raises(errors.EmptyAnswerError) as caught:
            await complete(vendors, stream=stream)

    assert caught.value.usage is not None


async def test_tag_that_the_prompt_asks_for_is_part_of_the_text() -> None:
    prompt = Prompt(
        messages=(Message(role="user", content="Answer as <reasoning>…</reasoning> and a word."),), max_output_tokens=9
    )
    async with vendor_server() as vendors:
        vendors.writes("local", chat("<reasoning>so</reasoning>bug"))

        completion, _ = await complete(vendors, prompt=prompt)

    assert completion.text == "<reasoning>so</reasoning>bug"


STOPS = [
    "end_turn",
    "COMPLETE",
    "completed",
    "eos",
    "STOP",
    "FINISH_REASON_STOP",
    "eosFound",
    "done",
    "tool_calls",
    None,
    "",
]
LENGTHS = ["length", "MAX_TOKENS", "max_output_tokens", "model_length", "token_limit"]
REFUSALS = ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "content_filter", "sensitive", "content_filtered"]
FAILURES = ["error", "network_error", "insufficient_system_resource", "abort", "not_finished", "a word unknown to us"]


async def test_finish_reasons_of_a_whole_answer_mean_what_their_words_say() -> None:
    found: dict[object, str] = {}
    async with vendor_server() as vendors:
        for finish in (*STOPS, *LENGTHS, *REFUSALS, *FAILURES):
            vendors.writes("local", chat("All of it.", finish))
            try:
                completion, _ = await complete(vendors)
            except errors.ProviderError as error:
                found[finish] = error.kind
            else:
                found[finish] = completion.finish_reason

    wanted = {**dict.fromkeys(STOPS, "stop"), **dict.fromkeys(LENGTHS, "length")}
    wanted |= {**dict.fromkeys(REFUSALS, "content_filter"), **dict.fromkeys(FAILURES, "broken_answer")}
    assert found == wanted


async def test_stream_without_finish_reason_is_broken() -> None:
    async with vendor_server() as vendors:
        vendors.writes("local", events([{"choices": [{"delta": {"content": "Half"}}]}]))

        with pytest.raises(errors.BrokenAnswerError):
            await complete(vendors, stream=True)


async def test_json_body_in_reply_to_a_request_for_a_stream_is_the_answer() -> None:
    async with vendor_server() as vendors:
        vendors.writes("local", chat("All of it."))

        completion, shown = await complete(vendors, stream=True)

    assert (completion.text, shown) == ("All of it.", "All of it.")


async def test_stream_with_a_byte_order_mark_is_read() -> None:
    async with vendor_server() as vendors:
        vendors.writes("local", b"\xef\xbb\xbf" + chat_events("All of it."))

        completion, shown = await complete(vendors, stream=True)

    assert (completion.text, shown) == ("All of it.", "All of it.")


async def test_usage_in_the_last_choice_counts_and_zeros_after_it_do_not() -> None:
    last: list[object] = [
        {"choices": [{"delta": {"content": "Hi"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop", "usage": USAGE}]},
        {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
    ]
    async with vendor_server() as vendors:
        vendors.writes("local", events(last))

        completion, _ = await complete(vendors, stream=True)

    assert completion.usage is not None
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (100, 10)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.036}}, Decimal("0.036")),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, Decimal("0.021")),
        ({"cost": 0.02, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.02}}, Decimal("0.02")),
        ({"cost": 0, "is_byok": True}, None),
    ],
)
async def test_openrouter_cost_with_own_keys_is_fee_and_upstream_cost(
    usage: dict[str, object], cost: Decimal | None
) -> None:
    answer = json.loads(chat("Hi")) | {"usage": {**USAGE, **usage}}
    async with vendor_server() as vendors:
        vendors.writes("openrouter", json.dumps(answer).encode())

        completion, _ = await complete(vendors, MODELS["openrouter:openai/gpt-6-luna"])

    assert completion.usage is not None
    assert completion.usage.reported_cost_usd == cost


async def test_groq_tools_streamed_twice_count_once_and_open_is_no_search() -> None:
    tools = [
        {"index": 0, "type": "browser_search", "name": "browser.search", "arguments": '{"query": "q"}'},
        {"index": 1, "type": "browser_search", "name": "browser.open", "arguments": '{"id": 1}'},
        {"index": 2, "type": "browser_search", "arguments": '{"cursor": 1, "pattern": "x"}'},
    ]
    twice: list[object] = [{"choices": [{"delta": {"executed_tools": [tool]}}]} for tool in tools for _ in "ab"]
    end = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}], "x_groq": {"usage": USAGE}}
    async with vendor_server() as vendors:
        vendors.writes("groq", events([*twice, end]))

        completion, _ = await complete(vendors, MODELS["groq:openai/gpt-oss-20b"], stream=True)

    assert completion.usage is not None
    assert completion.usage.searches == 1


@pytest.mark.parametrize(("name", "searches"), [("gemini-2.5-flash-lite", 1), ("gemini-3.5-flash-lite", 3)])
async def test_gemini_searches_are_billed_per_prompt_or_per_query(name: str, searches: int) -> None:
    candidate = {
        "content": {"parts": [{"text": "Hi"}]},
        "finishReason": "STOP",
        "groundingMetadata": {"webSearchQueries": ["a", "b", "", "c"]},
    }
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 2}
    async with vendor_server() as vendors:
        vendors.writes("gemini", json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode())

        completion, _ = await complete(
            vendors, MODELS[f"gemini:{name}"], Prompt(messages=PROMPT.messages, max_output_tokens=50, max_searches=3)
        )

    assert completion.usage is not None
    assert completion.usage.searches == searches


BLOCKS = [
    {"type": "text", "text": "I will search."},
    {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "t", "content": []},
    {"type": "text", "text": "It rains"},
    {"type": "text", "text": " in Oslo."},
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_text_blocks_around_a_search_are_apart(stream: bool) -> None:
    usage = {"input_tokens": 9, "output_tokens": 9}
    started: list[object] = [{"type": "message_start", "message": {"usage": usage}}]
    for index, block in enumerate(BLOCKS):
        empty = {**block, **({"text": ""} if "text" in block else {})}
        started.append({"type": "content_block_start", "index": index, "content_block": empty})
        if "text" in block:
            delta = {"type": "text_delta", "text": block["text"]}
            started.append({"type": "content_block_delta", "index": index, "delta": delta})
    started.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}})
    whole = json.dumps({"content": BLOCKS, "stop_reason": "end_turn", "usage": usage}).encode()
    async with vendor_server() as vendors:
        vendors.writes("claude", events(started) if stream else whole)

        completion, shown = await complete(vendors, MODELS["claude:claude-haiku-5-5"], stream=stream)

    assert completion.text == "I will search.\nIt rains in Oslo."
    assert not stream or shown == completion.text
