"""The wheel that is built from here holds the program and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import hatch_build
from hatch_build import PUBLISHED, VENDOR
from mcp_router import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-P", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """As much of a tree that was never built as the charting library needs."""
    root = tmp_path / "tree"
    (root / VENDOR).parent.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", root)
    return root


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
    licences = wheel / f"mcp_llm_router-{__version__}.dist-info" / "licenses"

    held = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in (wheel / VENDOR.as_posix()).iterdir()}

    assert held == PUBLISHED
    assert "Leon Sorokin" in (licences / VENDOR.as_posix() / "uPlot.LICENSE").read_text("utf-8")
    assert (licences / "LICENSE").exists()


def test_the_charting_library_is_brought_into_a_tree_that_has_none_and_put_right_where_it_was_changed(
    bare: Path,
) -> None:
    hatch_build.bring(bare)
    (bare / VENDOR / "uPlot.iife.min.js").write_text("changed")
    hatch_build.bring(bare)

    laid = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (bare / VENDOR).iterdir()}
    assert laid == PUBLISHED


def test_a_charting_library_that_its_author_did_not_publish_stops_the_build(bare: Path, tmp_path: Path) -> None:
    carrier = tmp_path / "carrier"
    carrier.mkdir()
    (carrier / "uplot.iife.min.js").write_text("var uPlot=stranger;")
    (carrier / "uplot.min.css").write_text("")

    with pytest.raises(SystemExit, match=r"uPlot.iife.min.js from the package youplot is not what uPlot's author"):
        hatch_build.bring(bare, carrier)
    assert not (bare / VENDOR).exists()


def test_a_build_without_the_charting_library_says_where_it_comes_from(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"comes from the package youplot.*\[build-system\] in pyproject\.toml"):
        hatch_build.bring(bare, tmp_path / "nowhere")


def test_a_licence_that_lost_a_word_of_uplots_stops_the_build(bare: Path) -> None:
    (bare / "LICENSE").write_text((ROOT / "LICENSE").read_text("utf-8").replace("free of charge", "free"), "utf-8")

    with pytest.raises(SystemExit, match=r"uPlot.LICENSE from LICENSE is not"):
        hatch_build.bring(bare)


def test_the_wheel_brings_one_command(wheel: zipfile.Path) -> None:
    entry_points = wheel / f"mcp_llm_router-{__version__}.dist-info" / "entry_points.txt"

    assert entry_points.read_text("utf-8").split() == [
        "[console_scripts]",
        "mcp-llm-router",
        "=",
        "mcp_router.cli:main",
    ]
