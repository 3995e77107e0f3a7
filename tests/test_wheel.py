"""The wheel that is built from here holds the program and nothing else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mcp_router import __version__

ROOT = Path(__file__).parent.parent
UPLOT = {  # dist/ and LICENSE of uplot 1.6.32 on npm
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


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


def test_the_charting_library_is_as_published_and_under_its_licence(wheel: zipfile.Path) -> None:
    vendored = wheel / "mcp_router" / "http" / "dashboard" / "vendor"
    licences = wheel / f"mcp_llm_router-{__version__}.dist-info" / "licenses"

    assert {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in vendored.iterdir()} == UPLOT
    told = licences / "mcp_router" / "http" / "dashboard" / "vendor" / "uPlot.LICENSE"
    assert "Leon Sorokin" in told.read_text("utf-8")
    assert (licences / "LICENSE").exists()


def test_the_wheel_brings_one_command(wheel: zipfile.Path) -> None:
    entry_points = wheel / f"mcp_llm_router-{__version__}.dist-info" / "entry_points.txt"

    assert entry_points.read_text("utf-8").split() == [
        "[console_scripts]",
        "mcp-llm-router",
        "=",
        "mcp_router.cli:main",
    ]
