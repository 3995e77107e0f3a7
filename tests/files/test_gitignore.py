"""Rules of a .gitignore: the same as git's, in bounded time."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from mcp_router.files import Roots, find_files
from mcp_router.files.gitignore import is_ignored, parse_rules, read_ignore_file

RULES = [
    "*.log",
    "!keep.log",
    "/build/",
    "docs/**/*.txt",
    "a/**",
    "**/b/c",
    "x[!0-9]y",
    "sp\\ ",
    "#no",
    "\\#yes",
    "t?p",
    "deep/er/",
]
PATHS = [
    *(
        "a.log",
        "keep.log",
        "sub/a.log",
        "build/x",
        "sub/build/x",
        "docs/a.txt",
        "docs/d/e/a.txt",
        "a/b",
        "q/b/c",
        "b/c",
    ),
    *(
        "x1y",
        "xzy",
        "sp ",
        "sp",
        "#no",
        "#yes",
        "tip",
        "top/tap",
        "deep/er/f",
        "deep/er",
        "z/deep/er/f",
        "[id]",
        "é.log",
    ),
]


def list_ignored(folder: Path) -> set[str]:
    files = read_ignore_file(folder / ".gitignore", folder, lambda: None)
    found: set[str] = set()
    for name in PATHS:
        parents = [parent for parent in reversed(Path(name).parents) if parent != Path()]
        entries = [*((folder / parent, True) for parent in parents), (folder / name, False)]
        if any(is_ignored(files, path, is_folder=is_folder, check=lambda: None) for path, is_folder in entries):
            found.add(name)
    return found


def test_rules_ignore_what_git_ignores(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("\n".join(RULES) + "\n")
    checked = subprocess.run(
        ["git", "-C", str(tmp_path), "-c", "core.quotePath=false", "check-ignore", "--no-index", "-z", "--stdin"],
        input="\0".join(PATHS),
        capture_output=True,
        text=True,
        check=False,
    )

    assert list_ignored(tmp_path) == set(filter(None, checked.stdout.split("\0")))


async def test_hostile_rules_and_names_take_bounded_time(tmp_path: Path) -> None:
    hostile = ["*a" * 100 + "*b", "**/" * 60 + "b", "[a-" * 300, "a" * 5_000, " " * 100_000, "/" * 10_000, "\\" * 9]
    (tmp_path / ".gitignore").write_text("\n".join(hostile * 20))
    (tmp_path / ("a" * 200 + ".txt")).write_text("x")
    start = time.perf_counter()

    found = await find_files(["*.txt"], Roots.from_settings([tmp_path], base=tmp_path), base=tmp_path)

    assert len(found) == 1
    assert time.perf_counter() - start < 5


def test_rules_that_git_skips_are_skipped() -> None:
    assert parse_rules(["", "# comment", "bad\\", "/", "a/" * 500], lambda: None) == ()
