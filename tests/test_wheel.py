"""The wheel that is built from here holds the program and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mcp_router import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-P", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


def test_the_wheel_holds_two_packages_and_what_describes_them(wheel: zipfile.Path) -> None:
    assert {one.name for one in wheel.iterdir()} == {
        "mcp_router",
        "providers",
        f"mcp_llm_router-{__version__}.dist-info",
    }


def test_the_wheel_holds_every_file_of_the_packages(wheel: zipfile.Path) -> None:
    here = [path for package in ("mcp_router", "providers") for path in (ROOT / package).rglob("*") if path.is_file()]
    ours = {path.relative_to(ROOT).as_posix() for path in here if path.suffix != ".pyc"}

    held = set(wheel.root.namelist())

    assert {one for one in held if ".dist-info/" not in one and not one.endswith("/")} == ours


def test_the_wheel_brings_one_command(wheel: zipfile.Path) -> None:
    entry_points = wheel / f"mcp_llm_router-{__version__}.dist-info" / "entry_points.txt"

    assert entry_points.read_text("utf-8").split() == [
        "[console_scripts]",
        "mcp-llm-router",
        "=",
        "mcp_router.cli:main",
    ]
