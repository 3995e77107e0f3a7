"""Whatever is sent, the OpenAPI document says what comes back."""

import sys
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest

from tests.support.front import environment
from tests.support.site import site
from tests.vendors import vendor_server


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="needs schemathesis")
async def test_answers_are_those_of_the_openapi_document(tmp_path: Path) -> None:
    async with (
        vendor_server() as vendors,
        site(tmp_path, environment(vendors, "groq", "openai", "claude", "gemini")) as there,
    ):
        run = await anyio.run_process(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{there.url}/api/openapi.json",
                "--checks=all",
                # A schema cannot say which providers, models and files there are today.
                # Arguments are also accepted in the forms that hosts send them, for example a number in a string.
                "--exclude-checks=positive_data_acceptance,negative_data_rejection",
                "--max-examples=15",
                "--seed=7",
                "--no-color",
                "--generation-database=none",
            ],
            cwd=tmp_path,
            check=False,
        )

    assert run.returncode == 0, run.stdout.decode()[-4_000:]
