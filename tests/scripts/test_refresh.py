"""The developer's command that compares our prices with public catalogues."""

from __future__ import annotations

import difflib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import tomlkit

from scripts import refresh_prices

MODELS_DEV = {
    "openai": {"models": {"gpt-6-luna": {"cost": {"input": 0.2, "output": 0.5, "cache_read": 0.01}}}},
    "google": {"models": {"gemini-4-argon": {"cost": {"input": 2, "output": 11}}}},
    "github-copilot": {"models": {"gpt-6-luna": {"cost": {"input": 0, "output": 0}}}},
    "deepseek": {"models": {"deepseek-flash": {"cost": {"input": 0.15, "output": 0.6, "cache_read": 0.003}}}},
    "nobody": {"models": {"x": {}}},
}
LITELLM = {
    "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": "dollars"},
    "gpt-6-luna": {"litellm_provider": "openai", "input_cost_per_token": 3e-07, "output_cost_per_token": 5e-07},
    "xai/grok-4.7": {"litellm_provider": "xai", "input_cost_per_token": 2e-06, "output_cost_per_token": 6e-06},
    "groq/qwen/qwen3.8-27b": {
        "litellm_provider": "groq",
        "input_cost_per_token": 8e-07,
        "output_cost_per_token": 4e-06,
        "cache_read_input_token_cost": 4e-07,
    },
}
OPENROUTER = {"data": [{"id": "openai/gpt-oss-20b", "pricing": {"prompt": "0.00000004", "completion": "0.00000014"}}]}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return Path(shutil.copytree(refresh_prices.ROWS, tmp_path / "rows"))


def catalogue(folder: Path, name: str, document: object) -> str:
    path = folder / name
    path.write_text(json.dumps(document), "utf-8")
    return str(path)


def run(rows: Path, *sources: str, write: bool = False) -> int:
    arguments = ["--rows", str(rows), "--today", "2026-11-24", *(["--write"] if write else [])]
    for source in sources:
        arguments += ["--source", source]
    return refresh_prices.main(arguments)


def changed(rows: Path, name: str) -> list[str]:
    before = (refresh_prices.ROWS / f"{name}.toml").read_text("utf-8").splitlines()
    after = (rows / f"{name}.toml").read_text("utf-8").splitlines()
    return [
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]


def test_a_difference_is_shown_and_nothing_is_written(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(rows, catalogue(tmp_path, "models.dev.json", MODELS_DEV))

    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        "2 models as listed elsewhere.",
        "openai:gpt-6-luna: input_mtok 0.1 -> 0.2  (models.dev)",
        "openai:gpt-6-luna: look at its long-prompt steps, which no catalogue told",
        "gemini:gemini-4-argon: output_mtok 10 -> 11  (models.dev)",
    ]
    assert changed(rows, "openai") == []


def test_what_was_shown_is_written_and_nothing_else_is_touched(rows: Path, tmp_path: Path) -> None:
    code = run(rows, catalogue(tmp_path, "models.dev.json", MODELS_DEV), write=True)

    assert code == 0
    assert changed(rows, "openai") == [
        "-input_mtok = 0.1",
        "+input_mtok = 0.2",
        "-checked = 2026-10-26",
        '-source = "model-prices 0.0.5"',
        "+checked = 2026-11-24",
        '+source = "models.dev"',
    ]
    assert changed(rows, "deepseek") == ["-checked = 2026-11-10", "+checked = 2026-11-24"]
    assert changed(rows, "claude") == []


def test_rewriting_a_row_changes_nothing_else() -> None:
    texts = {path.name: path.read_text("utf-8") for path in refresh_prices.ROWS.glob("*.toml")}

    again = {name: tomlkit.dumps(tomlkit.parse(text)) for name, text in texts.items()}

    assert again == texts
    assert len(texts) > 15


def test_a_dated_price_is_written_where_today_stands(rows: Path, tmp_path: Path) -> None:
    run(rows, catalogue(tmp_path, "models.dev.json", MODELS_DEV), write=True)

    assert changed(rows, "gemini")[:2] == [
        "-    { until = 2026-12-01, input_mtok = 2, output_mtok = 10, cache_read_mtok = 0.1 },",
        "+    { until = 2026-12-01, input_mtok = 2, output_mtok = 11, cache_read_mtok = 0.1 },",
    ]


def test_what_a_plan_includes_is_not_taken_for_free(rows: Path, tmp_path: Path) -> None:
    run(rows, catalogue(tmp_path, "models.dev.json", MODELS_DEV), write=True)

    assert changed(rows, "copilot") == []


def test_a_price_that_was_unknown_is_learned(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(rows, catalogue(tmp_path, "litellm.json", LITELLM), write=True)

    assert "groq:qwen/qwen3.8-27b: cache_read_mtok unknown -> 0.4  (litellm)" in capsys.readouterr().out
    assert "+cache_read_mtok = 0.4" in changed(rows, "groq")


def test_a_price_that_catalogues_dispute_is_left_alone(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = catalogue(tmp_path, "models.dev.json", MODELS_DEV)
    lite = catalogue(tmp_path, "litellm.json", LITELLM)

    code = run(rows, dev, lite, write=True)

    assert code == 1
    assert (
        "openai:gpt-6-luna: catalogues disagree, left alone: models.dev 0.2/0.5/0.01; litellm 0.3/0.5/unknown"
        in capsys.readouterr().out
    )
    assert changed(rows, "openai") == []


@pytest.fixture
def served() -> Iterator[str]:
    class Catalogue(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(OPENROUTER).encode()
            self.send_response(200 if self.path == "/models" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its base class's word
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Catalogue) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_catalogue_is_read_from_its_address(rows: Path, served: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(rows, f"{served}/models")

    assert code == 1
    assert "openrouter:openai/gpt-oss-20b: input_mtok 0.03 -> 0.04  (openrouter.ai)" in capsys.readouterr().out


def test_a_catalogue_that_cannot_be_read_is_said_to_be_so(
    rows: Path, served: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [
        run(rows, f"{served}/nowhere"),
        run(rows, str(tmp_path / "nowhere.json")),
        run(rows, catalogue(tmp_path, "other.json", {"some": {"other": "thing"}})),
    ]

    assert codes == [2, 2, 2]
    errors = capsys.readouterr().err
    assert "404" in errors
    assert "nowhere.json: it cannot be read" in errors
    assert "other.json: this is not the JSON of models.dev, litellm or OpenRouter." in errors


def test_the_shipped_prices_are_those_of_the_installed_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    code = refresh_prices.main(["--today", "2026-11-24"])

    assert (code, capsys.readouterr().out) == (0, "124 models as listed elsewhere.\n")
