"""Real clients of OpenAI's and Anthropic's APIs, pointed at `/v1`; the vendors behind it are scripted.

Claude Code comes with `make companions`. The others are looked for in the folder that MCP_ROUTER_TEST_CLIENTS names,
each in its own environment: `litellm`, `llm` and `aider-chat` (Python), `promptfoo` (npm). A test is skipped if its
client is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.e2e.test_clients import INSTALLED, ROOT, needs
from tests.support.front import environment
from tests.support.site import ALICE, CLIENTS, TOKENS, site
from tests.vendors import Vendors, vendor_server

_FOLDER = Path(os.environ.get("MCP_ROUTER_TEST_CLIENTS", str(ROOT / ".cache" / "clients")))
PROGRAMS = {
    "litellm": _FOLDER / "litellm" / "bin" / "python",
    "llm": _FOLDER / "llm" / "bin" / "llm",
    "aider": _FOLDER / "aider-chat" / "bin" / "aider",
    "promptfoo": _FOLDER / "promptfoo" / "node_modules" / ".bin" / "promptfoo",
}
LITELLM = """
import json, sys
import litellm
url, token = sys.argv[1:]
options = {"api_base": f"{url}/v1", "api_key": token, "num_retries": 0, "model": "openai/groq"}
ask = [{"role": "user", "content": "What is the weather?"}]
tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]
said = []
for stream in (False, True):
    answer = litellm.completion(messages=ask, tools=tools, stream=stream, **options)
    answer = litellm.stream_chunk_builder(list(answer), messages=ask) if stream else answer
    message = answer.choices[0].message
    call = message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": "Rain."}
    last = litellm.completion(messages=[*ask, message.model_dump(), result], tools=tools, **options)
    said.append([answer.choices[0].finish_reason, call.function.name, last.choices[0].message.content])
try:
    litellm.completion(messages=ask, **options | {"model": "openai/nothing"})
except litellm.NotFoundError:
    said.append("not found")
print(json.dumps(said))
"""


def needs_program(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not PROGRAMS[name].exists(), reason=f"needs {name} in MCP_ROUTER_TEST_CLIENTS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A user's machine with the router on it."""

    url: str
    home: Path
    vendors: Vendors

    async def run(self, program: Path, *arguments: str, **environ: str) -> str:
        """Run a program to its end, and return what it wrote to stdout."""
        settings = {"PATH": os.environ["PATH"], "HOME": str(self.home), "NO_PROXY": "127.0.0.1,localhost"}
        settings |= {"HTTPS_PROXY": "http://127.0.0.1:9", **environ}
        with anyio.fail_after(100):
            done = await anyio.run_process(
                [str(program), *arguments], env=settings, cwd=self.home, check=False, stdin=subprocess.DEVNULL
            )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()


@asynccontextmanager
async def machine(folder: Path) -> AsyncGenerator[Machine]:
    home = folder / "home"
    home.mkdir()
    async with vendor_server() as vendors, site(folder, environment(vendors, "groq") | TOKENS, CLIENTS) as there:
        yield Machine(url=there.url, home=home, vendors=vendors)


@needs("claude")
async def test_claude_code_runs_a_tool_that_the_routers_model_calls(tmp_path: Path) -> None:
    async with machine(tmp_path) as there:
        there.vendors.says(
            "groq", "All done.", calls=(("Bash", {"command": "echo it-$((40 + 2))", "description": "x"}),)
        )

        said = await there.run(
            INSTALLED / "claude",
            *("-p", "Run it.", "--allowedTools", "Bash", "--output-format", "json"),
            ANTHROPIC_BASE_URL=there.url,
            ANTHROPIC_AUTH_TOKEN=ALICE,
            ANTHROPIC_MODEL="router:code_generation/premium",
            ANTHROPIC_DEFAULT_HAIKU_MODEL="router:code_generation/standard",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )

        asked = [json.dumps(request.body) for request in there.vendors.requests("groq")]

    assert json.loads(said)["result"] == "All done."
    assert any("it-42" in body for body in asked)
    assert not any("x-anthropic-billing-header" in body or "user_id" in body for body in asked)


@needs_program("litellm")
async def test_litellm_calls_tools_in_two_rounds_and_knows_errors(tmp_path: Path) -> None:
    async with machine(tmp_path) as there:
        there.vendors.says("groq", "It rains.", calls=(("get_weather", {}),))

        said = await there.run(PROGRAMS["litellm"], "-c", LITELLM, there.url, ALICE)

    answered = ["tool_calls", "get_weather", "It rains."]
    assert json.loads(said.splitlines()[-1]) == [answered, answered, "not found"]


@needs_program("llm")
async def test_llm_streams_runs_tools_and_gets_schemas(tmp_path: Path) -> None:
    async with machine(tmp_path) as there:
        folder = there.home / "llm"
        folder.mkdir()
        (folder / "extra-openai-models.yaml").write_text(
            f"- model_id: router\n  model_name: groq\n  api_base: {there.url}/v1\n  api_key_name: router\n"
            "  supports_tools: true\n  supports_schema: true\n"
        )
        environ = {"LLM_USER_PATH": str(folder)}
        await there.run(PROGRAMS["llm"], "keys", "set", "router", "--value", ALICE, **environ)
        streamed = await there.run(PROGRAMS["llm"], "-m", "router", "Say hello.", **environ)
        there.vendors.says("groq", "Done.", calls=(("llm_version", {}),))
        used = await there.run(PROGRAMS["llm"], "-m", "router", "-T", "llm_version", "Which version?", **environ)
        there.vendors.says("groq", '{"name": "Rex", "age": 3}')
        dog = await there.run(PROGRAMS["llm"], "-m", "router", "--schema", "name, age int", "Invent a dog.", **environ)
        results = json.dumps(there.vendors.requests("groq")[-2].body)

    assert streamed.strip() == "Hello from groq."
    assert used.strip().endswith("Done.")
    assert '"tool"' in results
    assert json.loads(dog) == {"name": "Rex", "age": 3}


@needs_program("aider")
async def test_aider_edits_a_file(tmp_path: Path) -> None:
    async with machine(tmp_path) as there:
        there.vendors.says("groq", "hello.txt\n```\nHello world\n```\n")

        await there.run(
            PROGRAMS["aider"],
            *("--model", "openai/groq", "--edit-format", "whole", "--yes-always", "--no-git", "--no-analytics"),
            *("--no-show-model-warnings", "--no-check-update", "--message", "Write it.", "hello.txt"),
            OPENAI_API_BASE=f"{there.url}/v1",
            OPENAI_API_KEY=ALICE,
        )

        assert (there.home / "hello.txt").read_text("utf-8") == "Hello world\n"


@needs_program("promptfoo")
async def test_promptfoo_evaluates_a_prompt(tmp_path: Path) -> None:
    async with machine(tmp_path) as there:
        provider = {"id": "openai:chat:groq", "config": {"apiBaseUrl": f"{there.url}/v1", "apiKey": ALICE}}
        check = {"vars": {"word": "hello"}, "assert": [{"type": "contains", "value": "Hello from groq."}]}
        config = there.home / "promptfooconfig.json"
        config.write_text(json.dumps({"prompts": ["Say {{word}}."], "providers": [provider], "tests": [check]}))

        said = await there.run(
            PROGRAMS["promptfoo"],
            *("eval", "-c", str(config), "--no-cache", "--no-table", "-o", str(there.home / "out.json")),
            PROMPTFOO_DISABLE_TELEMETRY="1",
            PROMPTFOO_DISABLE_UPDATE="1",
        )

        assert json.loads((there.home / "out.json").read_text("utf-8"))["results"]["stats"]["successes"] == 1, said
