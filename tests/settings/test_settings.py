"""The configuration file and the environment: encodings, errors, placeholders and default roots."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from mcp_router.errors import ConfigError
from mcp_router.settings import load

PLACEHOLDERS = [
    *("$GROQ_API_KEY", "${GROQ_API_KEY}", "${env:GROQ_API_KEY}", "%GROQ_API_KEY%", "{env:GROQ_API_KEY}", "{{KEY}}"),
    *(
        '"gsk_1"',
        "'gsk_1'",
        "<your key>",
        "YOUR_API_KEY",
        "your-key-here",
        "${input:groq}",
        "op://vault/groq",
        "gsk_...",
        "...",
    ),
]
KEYS = ["gsk_abcDEF123", "sk-proj-a_b-c", "test", "key", "local", "1234", "a.b.c-d"]
WRONG = [
    ("[budgets]\ndaily_usd = -1\n", 2, "budgets.daily_usd = -1: must be at least 0."),
    ("[budgets]\n\ndaily_usd = 'lots'\n", 3, 'budgets.daily_usd = "lots": must be a number.'),
    ("[providers.groq]\nrpm = 0\n", 2, "providers.groq.rpm = 0: must be greater than 0."),
    ("[providers.groq]\nrpm = 1.5\n", 2, "providers.groq.rpm = 1.5: must be a whole number."),
    ("providers.groq.enabled = 'x'\n", 1, 'providers.groq.enabled = "x": must be true or false.'),
    ("allowed_roots = '~/src'\n", 1, 'allowed_roots = "~/src": must be a list: [...].'),
    ("baseline = 5\n", 1, "baseline = 5: must be a text in quotes."),
    ("budgets = 5\n", 1, "budgets = 5: must be a table."),
    ("deadline_s = nan\n", 1, "deadline_s = nan: must be"),
    ("# c\nbugdets = 5\n", 2, "bugdets: there is no such key. The keys here are: baseline,"),
    ("[budgets]\nwhen_ledger_is_lost = 'ajar'\n", 2, "= \"ajar\": must be 'closed' or 'open'."),
    ("a = \n", 1, "not valid TOML: invalid value."),
]


def write(folder: Path, data: bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_configuration_is_read_with_a_byte_order_mark(tmp_path: Path, mark: bytes, encoding: str) -> None:
    path = write(tmp_path, mark + "[budgets]\r\ndaily_usd = 5.0\r\n".encode(encoding))

    assert load(path, {}).configuration.budgets.daily_usd == 5


@pytest.mark.parametrize(("text", "line", "message"), WRONG)
def test_errors_name_line_key_and_value(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = write(tmp_path, text.encode())

    with pytest.raises(ConfigError) as wrong:
        load(path, {})

    assert (wrong.value.path, wrong.value.line) == (path, line)
    assert f"{path}, line {line}: " in str(wrong.value)
    assert message in str(wrong.value)
    assert "input should" not in str(wrong.value).lower()


def test_placeholders_count_as_missing_keys_and_are_named() -> None:
    for value in PLACEHOLDERS:
        settings = load(None, {"GROQ_API_KEY": value, "HOME": "/nowhere"})
        assert settings.key("groq", ("GROQ_API_KEY",)) is None, value
        assert (settings.find_key_problem("groq", ("GROQ_API_KEY",)) or "").startswith("GROQ_API_KEY is "), value
    for value in KEYS:
        assert load(None, {"GROQ_API_KEY": value, "HOME": "/nowhere"}).key("groq", ("GROQ_API_KEY",)) == value


@pytest.mark.parametrize(
    "folder", ["/", "/usr", "/etc", "/home", "/usr/lib", "{home}", "{home}/.config", "{home}/x/.git/y"]
)
def test_no_folder_is_allowed_if_started_outside_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    started_in = Path(folder.format(home=tmp_path))
    if str(started_in).startswith(str(tmp_path)):
        started_in.mkdir(parents=True, exist_ok=True)
    if not started_in.is_dir():
        pytest.skip(f"this system has no {folder}")
    monkeypatch.chdir(started_in)

    settings = load(None, {"HOME": str(tmp_path)})

    assert settings.allowed_roots == ()
    assert "not a project" in (settings.no_roots_reason or "")


def test_project_folder_is_the_default_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "src" / "shop"
    (project / "inner").mkdir(parents=True)
    environ = {"HOME": str(tmp_path), "CLAUDE_PROJECT_DIR": str(project)}
    monkeypatch.chdir("/")
    outside = load(None, environ)
    monkeypatch.chdir(project / "inner")
    inside = load(None, environ)

    assert (outside.allowed_roots, outside.working_folder) == ((project,), project)
    assert (inside.allowed_roots, inside.working_folder) == ((project,), project / "inner")


def test_claude_project_dir_that_is_a_home_folder_allows_nothing(tmp_path: Path) -> None:
    assert load(None, {"HOME": str(tmp_path), "CLAUDE_PROJECT_DIR": str(tmp_path)}).allowed_roots == ()
