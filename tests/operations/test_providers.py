"""`list_providers`: what an agent pays for the list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcp_router.text import to_compact_json
from tests.support.front import front

MAX_TOKENS = 800
MAX_MODELS = 12


async def test_list_with_four_keys_stays_under_800_tokens(tmp_path: Path) -> None:
    bpe: Any = pytest.importorskip("rs_bpe.bpe", reason="counts tokens")
    names = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY")

    async with front(tmp_path, dict.fromkeys(names, "made-up")) as router:
        listed = await router.call("list_providers")

    assert len(bpe.openai.o200k_base().encode(to_compact_json(listed))) < MAX_TOKENS


async def test_list_names_the_strongest_models_and_counts_the_others(tmp_path: Path) -> None:
    async with front(tmp_path, {"OPENAI_API_KEY": "made-up"}) as router:
        providers = {one["name"]: one for one in (await router.call("list_providers"))["providers"]}
        (openai,) = (await router.call("list_providers", provider="openai"))["providers"]

    shown = providers["openai"]
    assert len(shown["models"]) == MAX_MODELS
    assert shown["more_models"] >= 1
    assert len(openai["models"]) >= MAX_MODELS + shown["more_models"]
    assert [name for name, one in providers.items() if one["status"] in ("inactive", "retired") and one["models"]] == []
