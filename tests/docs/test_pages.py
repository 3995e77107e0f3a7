"""What README and the pages of docs/ show is what works: commands run, configuration is read, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import anyio
import pytest

from mcp_router.app import App
from mcp_router.cli import main
from mcp_router.ledger.connect import open_ledger
from mcp_router.settings import load
from providers.catalog import Model
from providers.completion import Message, Prompt
from providers.connect import connect
from providers.registry import PROVIDER_NAMES, load_providers, provider_from_table
from scripts import write_tables
from tests.support.front import environment
from tests.vendors import Vendors, vendor_server

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
EVERY_PAGE = (
    README,
    *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "SECURITY")),
    *sorted(DOCS.rglob("*.md")),
)
TOLD_ELSEWHERE = {"pipx", "uv", "make", "sqlite3", "pg_dump", "export"}
"""Programs that a test cannot run: they install what they need from the network, or are not ours to bring."""
COMMAND = "mcp-llm-router"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A piece of code on a page, and the section it stands in."""

    page: str
    section: str
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    found: list[Block] = []
    for section in re.split(r"^(?=## )", page.read_text("utf-8"), flags=re.MULTILINE):
        title = section.partition("\n")[0].lstrip("# ")
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            if language in languages:
                found.append(Block(page=page.name, section=title, language=language, text=text))
    return found


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a `#` behind the page's name may say, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if not link.startswith("https://")]

    def leads(link: str) -> bool:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        return target.exists() and (not anchor or anchor in anchors(target))

    assert [link for link in links if not leads(link)] == []


def test_every_page_can_be_reached_from_the_first() -> None:
    listed = (DOCS / "README.md").read_text("utf-8") + (DOCS / "adr" / "README.md").read_text("utf-8")
    pages = [page.name for page in DOCS.rglob("*.md") if page.name != "README.md"]

    assert "](docs/adr/README.md)" in README.read_text("utf-8")
    assert [name for name in pages if f"]({name})" not in listed] == []


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_every_piece_of_json_can_be_read(page: Path) -> None:
    for block in blocks(page, "json"):
        assert json.loads(block.text)


PIECES = [
    block for name in ("routing", "providers", "security", "extending") for block in blocks(DOCS / f"{name}.md", "toml")
]


@pytest.mark.parametrize("block", PIECES, ids=lambda block: f"{block.page}: {block.section}")
async def test_every_piece_of_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    if "title" in (table := tomllib.loads(block.text)):
        assert provider_from_table("acme", table).models
        return
    path = tmp_path / "config.toml"
    path.write_text(block.text, "utf-8")
    app = App(load(path, {}), await open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3"))

    app.routes.check(app.catalog, unlisted=app.unlisted)

    await app.aclose()


def lines(page: Path) -> list[tuple[Block, list[str]]]:
    """Every line of shell, as words; what stands behind # is for people."""
    every = [
        (block, shlex.split(line, comments=True)) for block in blocks(page, "sh") for line in block.text.splitlines()
    ]
    return [(block, words) for block, words in every if words]


RUN = [README, *(DOCS / f"{name}.md" for name in ("routing", "providers", "extending", "budgets", "installation"))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
async def test_every_command_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = {words[0] for _, words in lines(page)}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cheaper.toml").write_text('[routes.classification]\nultra_economy = ["groq:openai/gpt-oss-20b"]\n')
    async with vendor_server() as vendors:
        vendors.add(provider_from_table("acme", tomllib.loads(ROW)))
        keys = {} if page == README else environment(vendors, "groq", "openai", "claude") | {"ACME_API_KEY": "made-up"}
        for name, value in ({"HOME": str(tmp_path / "home")} | keys).items():
            monkeypatch.setenv(name, value)
        ended: dict[str, int] = {}
        for block, words in lines(page):
            if words[0] == COMMAND:
                monkeypatch.setenv("MCP_ROUTER_CONFIG", str(configured(block, tmp_path, vendors)))
                ended[shlex.join(words)] = await anyio.to_thread.run_sync(main, words[1:])

    assert programs <= TOLD_ELSEWHERE | {COMMAND}
    assert ended
    assert {words: code for words, code in ended.items() if code != 0} == {}, capsys.readouterr()


def configured(block: Block, folder: Path, vendors: Vendors) -> Path:
    """The configuration that a command's section shows, with what is made up pointed at this machine."""
    path = folder / "config.toml"
    shown = [one.text for one in PIECES if (one.page, one.section) == (block.page, block.section)]
    told = f'database_url = "sqlite:///{folder}/ledger.sqlite3"\n' + "\n".join(shown)
    path.write_text(told.replace("https://api.acme.example/v1", vendors.url("acme")), "utf-8")
    return path


(ROW,) = (block.text for block in PIECES if block.page == "extending.md" and "title =" in block.text)


def test_the_first_call_of_readme_answers_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_ROUTER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    (words,) = (
        words for block, words in lines(README) if block.section.startswith("Try it in") and words[0] == COMMAND
    )
    (told,) = (json.loads(block.text) for block in blocks(README, "json") if block.section.startswith("Try it in"))

    assert main(words[1:]) == 0

    said = json.loads(capsys.readouterr().out)
    assert said | {"call_id": ""} == told | {"call_id": ""}


def test_the_plan_that_is_read_line_by_line_is_of_the_command_above_it() -> None:
    (words,) = (words for block, words in lines(DOCS / "routing.md") if block.section == "A plan, line by line")

    assert words == [COMMAND, *write_tables.EXPLAINED]


async def test_the_dialect_that_is_shown_can_be_asked() -> None:
    (block,) = blocks(DOCS / "extending.md", "python")
    names: dict[str, Any] = {}
    exec(compile(block.text, "extending.md", "exec"), names)  # noqa: S102 - our own page
    pieces: list[str] = []

    async def heard(piece: str) -> None:
        pieces.append(piece)

    adapter = names["create_adapter"](load_providers()[0], key=None, base_url="")
    prompt = Prompt(messages=(Message(role="user", content="Say hello."),), max_output_tokens=9)
    answer = await adapter.complete(Model(provider="acme", name="echo"), prompt, on_text=heard)
    await adapter.aclose()

    assert (answer.text, pieces, answer.usage.input_tokens) == ("Say hello.", ["Say hello."], 2)


async def test_the_row_that_is_shown_is_asked_as_it_says() -> None:
    row = provider_from_table("acme", tomllib.loads(ROW))
    async with vendor_server() as vendors:
        vendors.add(row)
        connection = connect(row, key="made-up", base_url=vendors.url("acme"))
        prompt = Prompt(messages=(Message(role="user", content="Say hello."),), max_output_tokens=9)
        answer = await connection.complete(row.models[0], prompt)
        await connection.aclose()
        (asked,) = vendors.requests("acme")

    assert answer.text == "Hello from acme."
    assert asked.body["max_tokens"] == 9


def test_the_picture_of_a_delegated_task_shows_one_and_needs_nothing_from_elsewhere() -> None:
    picture = ET.parse(DOCS / "pictures" / "delegated.svg")  # noqa: S314 - our own
    text = "".join(picture.getroot().itertext()).replace("\xa0", " ")

    for shown in (
        "the plan, before anything is spent",
        "route",
        "embedded:smollm2-135m-instruct",
        "bug",
        "tokens",
        "cost",
        "saved",
    ):
        assert shown in text
    assert "url(http" not in text


@pytest.mark.parametrize("number", [0, 1], ids=["ask one model", "embed the router"])
async def test_python_of_the_library_page_runs(number: int, tmp_path: Path) -> None:
    async with vendor_server() as vendors:
        environ = environment(vendors, "groq", "qwen") | {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
        block = blocks(DOCS / "library.md", "python")[number]
        done = await anyio.run_process([sys.executable, "-P", "-c", block.text], env=environ, cwd=tmp_path, check=False)

    assert done.returncode == 0, done.stderr.decode()
    assert b"Hello from" in done.stdout


def test_every_provider_has_its_word() -> None:
    assert re.findall(r"^- `(\w+)`: ", (DOCS / "providers.md").read_text("utf-8"), re.MULTILINE) == list(PROVIDER_NAMES)


def test_every_package_of_the_router_is_explained() -> None:
    page = (DOCS / "extending.md").read_text("utf-8")
    explained = set(re.findall(r"`([\w/]+(?:\.py|/))`", page.partition("| package | does |")[2].partition("\n\n")[0]))
    packages = {f"{path.parent.name}/" for path in (ROOT / "mcp_router").glob("*/__init__.py")}
    modules = {path.name for path in (ROOT / "mcp_router").glob("[a-z]*.py")}

    assert explained == packages | modules


def test_every_extra_that_is_installed_is_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    told = [
        name
        for page in EVERY_PAGE
        for names in re.findall(r"\.\[([\w,]+)\]", page.read_text("utf-8"))
        for name in names.split(",")
    ]

    assert told
    assert set(told) <= set(extras)
