"""`install` writes each client's file, keeps what else is in it, and never a key."""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_router.cli import main
from mcp_router.errors import ConfigError
from mcp_router.operations.install import config_files, jsonc
from mcp_router.operations.install.hosts import HOSTS, SERVER, Host, find_host
from mcp_router.operations.install.locations import Machine, locate_config
from mcp_router.operations.install.server_command import Command, Installation, build_command
from mcp_router.settings import load

SECRET = "gsk_canary0123456789canary"
NAMES = tuple(host.name for host in HOSTS)
EVERYBODY = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    return folder


def file_of(name: str, home: Path) -> Path:
    return locate_config(find_host(name), Machine(home=home, environ={}))


def said(name: str, home: Path) -> dict[str, Any]:
    """A client's file as it reads it."""
    text = file_of(name, home).read_text("utf-8")
    if find_host(name).format == "toml":
        return tomllib.loads(text)
    root = jsonc.parse_jsonc(text)
    return {} if root is None else dict(root.value)


def entry_of(name: str, home: Path) -> dict[str, Any]:
    return said(name, home)[find_host(name).table][SERVER]


def beginning(name: str) -> str:
    """A file with comments and another server."""
    table = find_host(name).table
    if find_host(name).format == "toml":
        return (
            f'# mine\nmodel = "gpt-6"  # the best\n\n[{table}.other]\ncommand = "other"\n\n[profiles.x]\nmodel = "y"\n'
        )
    other = '"other": { "command": "other" }, // theirs'
    return f'{{\n  // mine\n  "theme": "dark",\n  "{table}": {{\n    {other}\n  }},\n}}\n'


@EVERYBODY
def test_an_entry_starts_this_server_with_its_full_path(name: str, home: Path) -> None:
    assert main(["install", name]) == 0

    entry = entry_of(name, home)

    assert Path(entry["command"]).is_absolute()
    assert Path(entry["command"]).name == "mcp-llm-router"
    assert os.access(entry["command"], os.X_OK)
    assert entry["args"] == ["serve"]


@EVERYBODY
def test_no_key_is_written_anywhere(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["install", name, "--dry-run"])
    main(["install", name])

    written = [path.read_text("utf-8") for path in home.rglob("*") if path.is_file()]

    assert written
    assert [text for text in (*written, *capsys.readouterr()) if SECRET in text] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("claude-code", "${GROQ_API_KEY:-}"),
        ("claude-desktop", ""),
        ("cursor", "${env:GROQ_API_KEY}"),
        ("vscode", "${env:GROQ_API_KEY}"),
        ("gemini", "${GROQ_API_KEY}"),
        ("windsurf", "${env:GROQ_API_KEY}"),
        ("zed", None),
    ],
)
def test_keys_are_told_as_each_client_reads_its_environment(name: str, told: str | None, home: Path) -> None:
    main(["install", name])

    assert entry_of(name, home)["env"].get("GROQ_API_KEY") == told


def test_codex_is_told_the_names_of_variables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN_API_KEY", "a key under its other name")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1")

    main(["install", "codex"])

    entry = entry_of("codex", home)
    assert {"GROQ_API_KEY", "QWEN_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_HOST"} <= set(entry["env_vars"])
    assert "DASHSCOPE_API_KEY" not in entry["env_vars"]
    assert "env" not in entry


@EVERYBODY
def test_everything_else_in_a_file_stays_letter_by_letter(name: str, home: Path) -> None:
    path = file_of(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(beginning(name), "utf-8")

    main(["install", name])

    kept = said(name, home)
    assert kept[find_host(name).table].pop(SERVER)
    lines = iter(path.read_text("utf-8").splitlines())
    assert [line for line in beginning(name).splitlines() if line not in lines] == []
    assert list(kept[find_host(name).table]) == ["other"]


@EVERYBODY
def test_installing_twice_changes_nothing_the_second_time(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["install", name])
    first = file_of(name, home).read_bytes()
    capsys.readouterr()

    assert main(["install", name]) == 0

    assert file_of(name, home).read_bytes() == first
    assert "nothing to change" in capsys.readouterr().out
    assert list(home.rglob("*.bak")) == []


@EVERYBODY
def test_uninstalling_gives_back_the_file_as_it_was(name: str, home: Path) -> None:
    path = file_of(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(beginning(name), "utf-8")
    main(["install", name])

    assert main(["install", name, "--uninstall"]) == 0

    assert path.read_text("utf-8") == beginning(name)


@pytest.mark.parametrize("text", ["", "{}", '{ "mcpServers": {} }', '{"a":1}\r\n', '{"mcpServers":{"other":{}}}'])
def test_a_file_that_nobody_changed_is_given_back_to_the_byte(text: str, home: Path) -> None:
    path = file_of("claude-code", home)
    path.write_bytes(text.encode())
    path.with_name(f"{path.name}.llm-router.bak").write_text("{")
    for options in ([], ["--config", "mine.toml"]):
        (home / "mine.toml").write_text("")
        os.chdir(home)
        main(["install", "claude-code", *options])

    assert main(["install", "claude-code", "--uninstall"]) == 0

    assert path.read_bytes() == text.encode()


@EVERYBODY
def test_a_file_that_was_made_for_us_goes_and_stays_in_a_backup(name: str, home: Path) -> None:
    main(["install", name])
    made = file_of(name, home).read_bytes()

    assert main(["install", name, "--uninstall"]) == 0

    (backup,) = (path for path in home.rglob("*") if path.is_file())
    assert backup.suffix == ".bak"
    assert backup.read_bytes() == made


@pytest.mark.parametrize(("text", "kept"), [("{}", []), ('{"mcpServers":{}}', ["mcpServers"])])
def test_a_table_that_we_brought_goes_with_us_whatever_was_written_meanwhile(
    text: str, kept: list[str], home: Path
) -> None:
    path = file_of("claude-code", home)
    path.write_text(text)
    main(["install", "claude-code"])
    path.write_text(jsonc.set_member(path.read_text(), ("theme",), "dark"))

    main(["install", "claude-code", "--uninstall"])

    assert json.loads(path.read_text()) == {key: {} for key in kept} | {"theme": "dark"}


@EVERYBODY
def test_uninstalling_where_nothing_is_writes_nothing(name: str, home: Path) -> None:
    assert main(["install", name, "--uninstall"]) == 0

    assert list(home.rglob("*")) == []


@EVERYBODY
def test_a_dry_run_shows_the_lines_and_writes_nothing(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(beginning(name), "utf-8")

    assert main(["install", name, "--dry-run"]) == 0

    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("+") and "mcp-llm-router" in line]
    assert not [line for line in shown.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert {one.name for one in home.rglob("*") if one.is_file()} == {path.name}
    assert path.read_text("utf-8") == beginning(name)


def test_a_dry_run_shows_no_key_that_was_in_the_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file_of("cursor", home).parent.mkdir()
    file_of("cursor", home).write_text(f'{{\n  "mcpServers": {{}},\n  "apiKey": "{SECRET}"\n}}\n', "utf-8")

    main(["install", "cursor", "--dry-run"])

    shown = capsys.readouterr().out
    assert "apiKey" in shown
    assert SECRET not in shown


@EVERYBODY
def test_what_was_there_before_is_kept_beside_it_as_private_as_it_was(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(beginning(name), "utf-8")
    path.chmod(0o600)

    main(["install", name])

    (backup,) = path.parent.glob("*.bak")
    assert backup.name == f"{path.name}.llm-router.bak"
    assert backup.read_text("utf-8") == beginning(name)
    assert {stat.S_IMODE(one.stat().st_mode) for one in (path, backup)} == {0o600}
    assert str(backup) in capsys.readouterr().out


def test_installs_with_other_options_keep_one_backup_of_the_file_before_us(home: Path, tmp_path: Path) -> None:
    path = file_of("cursor", home)
    path.parent.mkdir()
    path.write_text(beginning("cursor"), "utf-8")
    for number in range(4):
        (tmp_path / f"{number}.toml").write_text("")
        assert main(["install", "cursor", "--config", str(tmp_path / f"{number}.toml")]) == 0

    (backup,) = path.parent.glob("*.bak")

    assert backup.read_text("utf-8") == beginning("cursor")


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_install_on_a_path_that_is_not_a_regular_file_is_an_error(
    kind: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of("cursor", home)
    path.parent.mkdir()
    os.mkfifo(path) if kind == "fifo" else path.mkdir()

    assert main(["install", "cursor"]) == 2

    assert f"{path}: is not a regular file" in capsys.readouterr().err


def test_codex_names_what_codex_exec_needs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "codex"]) == 0

    assert 'default_tools_approval_mode = "approve"' in capsys.readouterr().out
    assert "default_tools_approval_mode" not in entry_of("codex", home)


def test_a_new_file_is_for_its_owner_alone(home: Path) -> None:
    main(["install", "claude-desktop"])

    assert stat.S_IMODE(file_of("claude-desktop", home).stat().st_mode) == 0o600


@EVERYBODY
def test_a_malformed_file_is_named_with_its_line_and_left_alone(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(name, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('a = 1\nb = "c\n' if find_host(name).format == "toml" else '{\n  "a": 1\n  "b": 2\n}\n', "utf-8")
    before = path.read_bytes()

    assert main(["install", name]) == 2

    error = capsys.readouterr().err
    assert str(path) in error
    assert "line 2" in error if find_host(name).format == "toml" else "line 3, column 3" in error
    assert path.read_bytes() == before
    assert [one for one in path.parent.iterdir() if one != path] == []


@pytest.mark.parametrize(
    "text", ['{"mcpServers": [1]}', '{"mcpServers": "none"}', "[]", '{"a": 1} {"b": 2}', "{'a': 1}"]
)
def test_a_file_of_another_shape_is_left_alone(text: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file_of("claude-code", home)
    path.write_text(text, "utf-8")

    assert main(["install", "claude-code"]) == 2

    assert "line 1" in capsys.readouterr().err
    assert path.read_text("utf-8") == text


def test_a_server_elsewhere_under_our_name_is_not_overwritten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps({"mcpServers": {SERVER: {"type": "http", "url": "https://example.test/mcp"}}})
    file_of("claude-code", home).write_text(text, "utf-8")

    assert main(["install", "claude-code"]) == 2

    assert "https://example.test/mcp" in capsys.readouterr().err
    assert file_of("claude-code", home).read_text("utf-8") == text


def test_an_unknown_client_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "claude-cod"]) == 2

    error = capsys.readouterr().err
    assert "Did you mean claude-code" in error
    assert [name for name in NAMES if name not in error] == []


def test_keys_that_were_filled_in_and_settings_that_were_added_survive(home: Path) -> None:
    main(["install", "claude-desktop"])
    path = file_of("claude-desktop", home)
    text = path.read_text("utf-8").replace('"GROQ_API_KEY": ""', '"GROQ_API_KEY": "mine"')
    path.write_text(text.replace('"args": [', '"alwaysAllow": ["generate"], // trusted\n      "args": ["-x",'), "utf-8")

    main(["install", "claude-desktop"])

    entry = entry_of("claude-desktop", home)
    assert entry["env"]["GROQ_API_KEY"] == "mine"
    assert entry["alwaysAllow"] == ["generate"]
    assert entry["args"] == ["serve"]
    assert "// trusted" in path.read_text("utf-8")


def test_a_codex_entry_with_a_table_of_its_own_keeps_it(home: Path) -> None:
    path = file_of("codex", home)
    path.parent.mkdir()
    path.write_text(f'[mcp_servers.{SERVER}]\ncommand = "old"\n\n[mcp_servers.{SERVER}.env]\nGROQ_API_KEY = "mine"\n')

    main(["install", "codex"])

    entry = entry_of("codex", home)
    assert entry["env"] == {"GROQ_API_KEY": "mine"}
    assert entry["args"] == ["serve"]
    assert "GROQ_API_KEY" not in entry["env_vars"]


@pytest.mark.parametrize("text", ['mcp_servers = { a = { command = "a" } }\n', 'mcp_servers.a.command = "a"\nx = 1\n'])
def test_other_ways_to_write_a_codex_table_are_understood(text: str, home: Path) -> None:
    path = file_of("codex", home)
    path.parent.mkdir()
    path.write_text(text, "utf-8")

    main(["install", "codex"])
    both = said("codex", home)["mcp_servers"]
    main(["install", "codex", "--uninstall"])

    assert list(both) == ["a", SERVER]
    assert tomllib.loads(path.read_text("utf-8")) == tomllib.loads(text)


def test_a_configuration_that_is_named_is_used_by_the_client_too(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[providers.groq]\napi_key_env = "MY_GROQ"\n')
    os.chdir(tmp_path)

    main(["install", "cursor", "--config", "mine.toml"])

    entry = entry_of("cursor", home)
    assert entry["args"] == ["serve", "--config", str(tmp_path / "mine.toml")]
    assert entry["env"]["MY_GROQ"] == "${env:MY_GROQ}"
    assert "GROQ_API_KEY" not in entry["env"]


def test_a_link_to_a_file_kept_elsewhere_stays_a_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "dotfiles.json").write_text("{}")
    file_of("claude-code", home).symlink_to(tmp_path / "dotfiles.json")

    main(["install", "claude-code"])

    assert file_of("claude-code", home).is_symlink()
    assert SERVER in (tmp_path / "dotfiles.json").read_text("utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_written_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.chmod(0o500)

    assert main(["install", "claude-code"]) == 2

    home.chmod(0o700)
    assert "cannot be written" in capsys.readouterr().err


def test_a_file_that_another_program_writes_meanwhile_is_left_to_it(home: Path) -> None:
    path = file_of("claude-code", home)
    path.write_text("{}")
    change = config_files.plan_install(find_host("claude-code"), path, {"command": "mcp-llm-router"})
    path.write_text('{"theirs": 1}')

    with pytest.raises(ConfigError, match="changed by another program"):
        config_files.write_change(change)

    assert path.read_text("utf-8") == '{"theirs": 1}'
    assert list(home.glob("*.bak")) == []


def test_what_a_client_could_not_resolve_counts_as_not_set(tmp_path: Path) -> None:
    names = ("GROQ_API_KEY", "OLLAMA_HOST", "GROQ_BASE_URL", "MCP_ROUTER_CONFIG", "MCP_ROUTER_DATABASE_URL")

    settings = load(None, {name: f"${{env:{name}}}" for name in names} | {"HOME": str(tmp_path)})

    assert settings.key("groq", ("GROQ_API_KEY",)) is None
    assert settings.base_url("groq", ()) is None
    assert settings.base_url("local", ("OLLAMA_HOST",)) is None
    assert settings.path is None
    assert "env:" not in settings.database_url


PLACES = [
    ("claude-code", "linux", ".claude.json"),
    ("claude-code", "win32", ".claude.json"),
    ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
    ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
    ("claude-desktop", "win32", "AppData/Roaming/Claude/claude_desktop_config.json"),
    ("cursor", "win32", ".cursor/mcp.json"),
    ("vscode", "linux", ".config/Code/User/mcp.json"),
    ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
    ("vscode", "win32", "AppData/Roaming/Code/User/mcp.json"),
    ("codex", "darwin", ".codex/config.toml"),
    ("gemini", "win32", ".gemini/settings.json"),
    ("windsurf", "linux", ".codeium/windsurf/mcp_config.json"),
    ("zed", "linux", ".config/zed/settings.json"),
    ("zed", "darwin", ".config/zed/settings.json"),
    ("zed", "win32", "AppData/Roaming/Zed/settings.json"),
]


@pytest.mark.parametrize(("name", "platform", "there"), PLACES)
def test_each_platform_has_its_place(name: str, platform: str, there: str, tmp_path: Path) -> None:
    machine = Machine(platform=platform, home=tmp_path, environ={})

    assert locate_config(find_host(name), machine) == tmp_path / there


def test_folders_that_were_moved_are_found(tmp_path: Path) -> None:
    moved = {"CODEX_HOME": "c", "CLAUDE_CONFIG_DIR": "d", "GEMINI_CLI_HOME": "g"}
    environ = {name: str(tmp_path / folder) for name, folder in moved.items()} | {"XDG_CONFIG_HOME": "/x"}
    machine = Machine(platform="linux", home=tmp_path, environ=environ)

    assert locate_config(find_host("codex"), machine) == tmp_path / "c" / "config.toml"
    assert locate_config(find_host("claude-code"), machine) == tmp_path / "d" / ".claude.json"
    assert locate_config(find_host("gemini"), machine) == tmp_path / "g" / ".gemini" / "settings.json"
    assert locate_config(find_host("zed"), machine) == Path("/x/zed/settings.json")


def test_a_packaged_claude_desktop_is_found_where_windows_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "Local" / "Packages" / "Claude_abc123").mkdir(parents=True)
    machine = Machine(platform="win32", home=tmp_path, environ={"LOCALAPPDATA": str(tmp_path / "Local")})

    found = locate_config(find_host("claude-desktop"), machine)

    inside = "Local/Packages/Claude_abc123/LocalCache/Roaming/Claude/claude_desktop_config.json"
    assert found == tmp_path / inside


def script(folder: Path, name: str = "mcp-llm-router") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_venv_is_started_by_its_own_script(tmp_path: Path) -> None:
    ours = script(tmp_path / "venv" / "bin")
    script(tmp_path / "other")

    now = Installation(
        prefix=tmp_path / "venv", executable=ours.with_name("python"), search_path=str(tmp_path / "other")
    )

    assert build_command(now) == Command(program=str(ours))


def test_pipx_and_uv_tools_are_started_by_the_link_that_outlives_an_upgrade(tmp_path: Path) -> None:
    ours = script(tmp_path / "venvs" / "mcp-llm-router" / "bin")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mcp-llm-router").symlink_to(ours)

    now = Installation(
        prefix=ours.parent.parent, executable=ours.with_name("python"), search_path=str(tmp_path / "bin")
    )

    assert build_command(now) == Command(program=str(tmp_path / "bin" / "mcp-llm-router"))


def test_uvx_is_started_again_because_what_it_made_is_gone_some_day(tmp_path: Path) -> None:
    ours = script(tmp_path / "cache" / "uv" / "archive-v0" / "x1" / "bin")
    uvx = script(tmp_path / "bin", "uvx")

    now = Installation(
        prefix=ours.parent.parent,
        executable=ours.with_name("python"),
        search_path="",
        uv=str(uvx.with_name("uv")),
        source="mcp-llm-router[embedded]==1.2",
    )

    assert build_command(now) == Command(
        program=str(uvx), arguments=("--from", "mcp-llm-router[embedded]==1.2", "mcp-llm-router")
    )


def test_pipx_run_is_started_again_for_the_same_reason(tmp_path: Path) -> None:
    ours = script(tmp_path / ".cache" / "pipx" / "x1" / "bin")
    pipx = script(tmp_path / "bin", "pipx")

    now = Installation(
        prefix=ours.parent.parent,
        executable=ours.with_name("python"),
        search_path=str(pipx.parent),
        source="/src/router",
    )

    assert build_command(now).arguments == ("run", "--spec", "/src/router", "mcp-llm-router")


def test_without_a_script_the_module_is_started_and_the_current_folder_kept_off_its_path(tmp_path: Path) -> None:
    now = Installation(prefix=tmp_path, executable=tmp_path / "bin" / "python", search_path="")

    assert build_command(now) == Command(program=str(tmp_path / "bin" / "python"), arguments=("-P", "-m", "mcp_router"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(
    before=st.dictionaries(st.text(), JSON),
    key=st.text(),
    value=JSON,
    indent=st.sampled_from([None, 0, 2, "\t"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_a_member_is_put_in_and_taken_out_and_all_others_stay(
    before: dict[str, object], key: str, value: object, indent: int | str | None, newline: str
) -> None:
    text = json.dumps(before, indent=indent).replace("\n", newline)

    added = jsonc.set_member(text, (key,), value)
    gone = jsonc.remove_member(added, (key,))

    assert json.loads(added) == before | {key: value}
    assert json.loads(gone) == {name: one for name, one in before.items() if name != key}


FILLERS = ("", " ", "\n", "\r\n\t", ' // one, } " here\n', "/* two { , */")


def commented(value: object, filler: Callable[[], str]) -> str:
    """JSON as people write it: comments anywhere, and commas at the end."""
    if not isinstance(value, dict | list):
        return json.dumps(value)
    texts = [commented(one, filler) for one in (value.values() if isinstance(value, dict) else value)]
    if isinstance(value, dict):
        pairs = zip(value, texts, strict=True)
        texts = [f"{json.dumps(key)}{filler()}:{filler()}{text}" for key, text in pairs]
    inside = f"{filler()},{filler()}".join(texts) + ("," if texts and filler() else "")
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return f"{opening}{filler()}{inside}{filler()}{closing}"


@settings(deadline=None, max_examples=60)  # a busy machine is no defect
@given(data=st.data(), before=st.dictionaries(st.text("ab"), JSON), key=st.text("abc"), inner=st.text("ab"), value=JSON)
def test_comments_and_commas_at_the_end_survive_every_change(
    data: st.DataObject, before: dict[str, Any], key: str, inner: str, value: object
) -> None:
    def filler() -> str:
        return data.draw(st.sampled_from(FILLERS))

    before = {name: one for name, one in before.items() if name != key or isinstance(one, dict)}
    text = filler() + commented(before, filler) + filler()
    servers = before.get(key, {})

    added = jsonc.set_member(text, (key, inner), value)
    gone = jsonc.remove_member(added, (key, inner))

    assert jsonc.parse_jsonc(text).value == before
    assert jsonc.parse_jsonc(added).value == before | {key: servers | {inner: value}}
    assert jsonc.parse_jsonc(gone).value == before | {
        key: {name: one for name, one in servers.items() if name != inner}
    }
    if inner not in servers:
        assert [added.count(comment.strip()) for comment in FILLERS[4:]] == [
            text.count(comment.strip()) for comment in FILLERS[4:]
        ]


@settings(deadline=None)
@given(text=st.text(alphabet='{}[]",:/* \n\tab1-.'))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        root = jsonc.parse_jsonc(text)
    except jsonc.JsoncError as error:
        line = error.line
    else:
        line = 1
        assert root is None or isinstance(root.value, dict)

    assert 1 <= line <= text.count("\n") + 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "a": 1\n}\n'),
        ("// mine\n", '// mine\n\n{\n  "a": 1\n}\n'),
        ("{}", '{\n  "a": 1\n}'),
        ("{\n}\n", '{\n  "a": 1\n}\n'),
        ('{ "b": 2 }', '{ "b": 2,\n  "a": 1\n}'),
        ('{\n\t"b": 2\n}', '{\n\t"b": 2,\n\t"a": 1\n}'),
        ('{\n  "b": 2, // two\n}', '{\n  "b": 2, // two\n  "a": 1,\n}'),
        ('{\n  "b": 2 // two\n  /* end */\n}', '{\n  "b": 2, // two\n  /* end */\n  "a": 1\n}'),
        ('{\n    "a": 3, // old\n    "b": "// no, */ none"\n}', '{\n    "a": 1, // old\n    "b": "// no, */ none"\n}'),
    ],
)
def test_a_member_goes_where_a_person_would_put_it(before: str, after: str) -> None:
    assert jsonc.set_member(before, ("a",), 1) == after


def test_data_of_clients_is_complete() -> None:
    def complete(one: Host) -> bool:
        return (
            bool(one.linux and one.macos and one.windows and one.docs_url and one.afterwards)
            and ("NAME" in one.reference) == (one.keys == "reference")
            and bool(one.home_env) == bool(one.below)
        )

    assert [one.name for one in HOSTS if not complete(one)] == []


def test_a_start_loads_nothing_of_this() -> None:
    assert not {name for name in ("tomlkit", "mcp_router.operations.install") if name in _loaded_by_serving()}


def _loaded_by_serving() -> set[str]:
    import subprocess  # noqa: PLC0415

    script = (
        "import sys; from mcp_router.cli.parser import create_parser; "
        "create_parser(used=['serve']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
