"""Answers are saved whole or not at all, never over what changed meanwhile; a call over many files can be resumed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mcp_router.files import (
    BatchTarget,
    FileChangedError,
    FileRefusedError,
    Roots,
    Saved,
    find_files,
    inspect_target,
    plan_targets,
    read_file,
    save,
    save_target,
)

DRAFT = ".mcp-router-{}.tmp"
TASK = "summarize"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def write(folder: Path, name: str, content: str = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".mcp-router.jsonl"
    }


async def saved(home: Path, path: str, text: str, *, overwrite: bool = False) -> Saved:
    place, before = await inspect_target(path, Roots.from_settings([home], base=home), base=home)
    return await save(place, text, expect=before, overwrite=overwrite)


async def test_an_answer_is_saved_and_told_of_in_a_line(home: Path) -> None:
    told = await saved(home, "notes/deep/a.md", "# Title\n\nGröße\n")

    assert told == Saved(path=home / "notes/deep/a.md", bytes=17, lines=3, preview="# Title\n\nGröße")
    assert tree(home) == {"notes/deep/a.md": "# Title\n\nGröße\n"}


async def test_the_preview_is_short_and_has_nothing_a_terminal_obeys(home: Path) -> None:
    told = await saved(home, "a.md", "\x1b[31mred\x1b[0m\u202e" + "x" * 1_000)

    assert told.preview == "red" + "x" * 196 + "…"
    assert told.lines == 1


async def test_what_no_encoding_has_does_not_stop_a_save(home: Path) -> None:
    await saved(home, "a.md", "a\ud800b")

    assert tree(home) == {"a.md": "a?b"}


async def test_an_unchanged_file_is_replaced_and_keeps_its_permissions(home: Path) -> None:
    write(home, "run.sh", "old").chmod(0o750)

    await saved(home, "run.sh", "new")

    assert tree(home) == {"run.sh": "new"}
    assert stat.S_IMODE((home / "run.sh").stat().st_mode) == 0o750


async def test_a_new_file_gets_the_permissions_the_user_gives_new_files(home: Path) -> None:
    plain = write(home, "plain.txt")

    await saved(home, "a.md", "new")

    assert (home / "a.md").stat().st_mode == plain.stat().st_mode


async def test_a_link_within_the_roots_stays_a_link(home: Path) -> None:
    write(home, "real.md", "old")
    (home / "link.md").symlink_to("real.md")

    await saved(home, "link.md", "new")

    assert (home / "link.md").is_symlink()
    assert (home / "real.md").read_text() == "new"


@pytest.mark.parametrize("begun_with", ["old", None])
async def test_a_file_that_changed_meanwhile_is_left_alone_unless_told_otherwise(
    home: Path, begun_with: str | None
) -> None:
    if begun_with is not None:
        write(home, "a.md", begun_with)
    place, before = await inspect_target("a.md", Roots.from_settings([home], base=home), base=home)
    write(home, "a.md", "theirs")

    with pytest.raises(FileChangedError, match=r"a\.md was changed by another program"):
        await save(place, "mine", expect=before)
    kept = tree(home)
    await save(place, "mine", expect=before, overwrite=True)

    assert kept == {"a.md": "theirs"}
    assert tree(home) == {"a.md": "mine"}


async def test_a_file_that_was_only_touched_or_removed_may_be_written(home: Path) -> None:
    touched, removed = write(home, "touched.md", "old"), write(home, "removed.md", "old")
    roots = Roots.from_settings([home], base=home)
    places = [await inspect_target(name, roots, base=home) for name in ("touched.md", "removed.md")]
    os.utime(touched, (1, 1))
    removed.unlink()

    for place, before in places:
        await save(place, "new", expect=before)

    assert tree(home) == {"removed.md": "new", "touched.md": "new"}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../a.md", "outside allowed_roots"),
        ("up/a.md", "outside allowed_roots"),
        ("dangling", "outside allowed_roots"),
        ("folder", "is a folder: name a file in it"),
        ("new/", "is a folder: name a file in it"),
        (".", "is a folder: name a file in it"),
        ("file/a.md", "leads through a file"),
        ("locked.md", "read-only"),
        ("pipe", "a pipe, a device or a socket"),
        (".git/hooks/pre-commit", "belongs to git"),
        ("folder/.GIT/config", "belongs to git"),
    ],
)
async def test_where_nothing_may_be_saved_is_said_before_anything_is_spent(home: Path, path: str, why: str) -> None:
    (home / "up").symlink_to(home.parent)
    (home / "dangling").symlink_to(home.parent / "new.md")
    write(home, "folder/a.md")
    write(home, "file")
    write(home, "locked.md").chmod(0o444)
    os.mkfifo(home / "pipe")

    with pytest.raises(FileRefusedError, match=why):
        await inspect_target(path, Roots.from_settings([home], base=home), base=home)


async def test_a_link_put_in_between_the_look_and_the_save_leads_nowhere(home: Path) -> None:
    write(home, "notes/a.md", "old")
    place, before = await inspect_target("notes/a.md", Roots.from_settings([home], base=home), base=home)
    (home / "notes").rename(home / "moved")
    (home.parent / "elsewhere").mkdir()
    (home / "notes").symlink_to(home.parent / "elsewhere")

    with pytest.raises(FileRefusedError, match="a link that was put there since"):
        await save(place, "mine", expect=before, overwrite=True)

    assert list((home.parent / "elsewhere").iterdir()) == []


async def test_a_target_that_became_a_link_is_not_written_through(home: Path) -> None:
    place, before = await inspect_target("a.md", Roots.from_settings([home], base=home), base=home)
    (home / "a.md").symlink_to(home.parent / "secret.txt")

    with pytest.raises(FileRefusedError):
        await save(place, "mine", expect=before)

    assert (home.parent / "secret.txt").read_text() == "secret"
    assert os.listdir(home) == ["a.md"]  # noqa: PTH208  # without following the link


async def test_what_a_killed_save_left_is_cleared_by_the_next(home: Path) -> None:
    write(home, DRAFT.format("a.md"), "half an ans")

    await saved(home, "a.md", "whole")

    assert tree(home) == {"a.md": "whole"}


async def test_two_saves_of_one_file_do_not_mix(home: Path) -> None:
    draft = write(home, DRAFT.format("a.md"), "theirs, not yet who")
    with draft.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(FileRefusedError, match=r"Another call is saving a\.md"):
            await saved(home, "a.md", "mine")

    assert tree(home) == {DRAFT.format("a.md"): "theirs, not yet who"}


async def test_a_link_in_the_place_of_the_draft_is_not_written_through(home: Path) -> None:
    (home / DRAFT.format("a.md")).symlink_to(home.parent / "secret.txt")

    with pytest.raises(FileRefusedError):
        await saved(home, "a.md", "mine")

    assert (home.parent / "secret.txt").read_text() == "secret"


async def test_the_longest_name_a_file_can_have_can_be_saved(home: Path) -> None:
    name = "ä" * 127

    await saved(home, name, "new")

    assert tree(home) == {name: "new"}


SAVE_FOREVER = """
import sys, anyio
from pathlib import Path
from mcp_router.files import Roots, inspect_target, save

async def main(home):
    letters = "ab"
    while True:
        place, before = await inspect_target("a.md", Roots.from_settings([home], base=home), base=home)
        await save(place, letters[0] * 30_000_000, expect=before)
        letters = letters[::-1]
        print("saved", flush=True)

anyio.run(main, Path(sys.argv[1]))
"""


def kill_while_it_saves(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, str(home)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"saved\n"
        deadline = time.monotonic() + 30
        while not (home / DRAFT.format("a.md")).exists() and time.monotonic() < deadline:
            pass
        child.kill()


async def test_a_kill_in_the_middle_of_a_save_leaves_the_old_file_or_the_new(home: Path) -> None:
    kill_while_it_saves(home)

    content = (home / "a.md").read_bytes()
    await saved(home, "a.md", "after")

    assert content in {letter * 30_000_000 for letter in (b"a", b"b")}
    assert tree(home) == {"a.md": "after"}


SAVE_WITH_A_FULL_DISK = """
import resource, sys, anyio
from pathlib import Path
from mcp_router.files import FileRefusedError, Roots, inspect_target, save

async def main(home):
    place, before = await inspect_target("a.md", Roots.from_settings([home], base=home), base=home)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        await save(place, "x" * 100_000, expect=before)
    except FileRefusedError as exc:
        print(exc)

anyio.run(main, Path(sys.argv[1]))
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(home: Path) -> None:
    write(home, "a.md", "old")

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SAVE_WITH_A_FULL_DISK), str(home)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("a.md was not written: the disk is full")
    assert tree(home) == {"a.md": "old"}


# One file for each source


async def targets(
    home: Path, *specs: str, save_to: str, task: str = TASK, resume: bool = False, suffix: str = ".md"
) -> list[BatchTarget]:
    roots = Roots.from_settings([home], base=home)
    sources = await find_files(specs, roots, base=home)
    return await plan_targets(sources, save_to, roots, base=home, task=task, suffix=suffix, resume=resume)


async def answer(target: BatchTarget, text: str, *, task: str = TASK) -> None:
    file = await read_file(target.source)
    await save_target(target, text, source=file.fingerprint, task=task)


@pytest.mark.parametrize(
    ("save_to", "suffix", "names"),
    [
        ("notes", ".md", ["notes/a.py.md", "notes/src/a.py.md", "notes/src/a.ts.md"]),
        ("notes/", ".json", ["notes/a.py.json", "notes/src/a.py.json", "notes/src/a.ts.json"]),
        (
            "notes/*.summary.txt",
            ".md",
            ["notes/a.py.summary.txt", "notes/src/a.py.summary.txt", "notes/src/a.ts.summary.txt"],
        ),
        ("out/*", ".md", ["out/a.py", "out/src/a.py", "out/src/a.ts"]),
        ("./*", ".md", ["a.py", "src/a.py", "src/a.ts"]),
        ("*.md", ".md", ["a.py.md", "src/a.py.md", "src/a.ts.md"]),
    ],
)
async def test_every_source_gets_a_file_of_its_own(home: Path, save_to: str, suffix: str, names: list[str]) -> None:
    for name in ("a.py", "src/a.py", "src/a.ts"):
        write(home, name)

    found = await targets(home, "*.py", "src/*", save_to=save_to, suffix=suffix)

    assert [target.place.name for target in found] == names
    assert not any(target.done for target in found)


async def test_a_source_above_the_base_stays_within_the_folder(home: Path) -> None:
    write(home.parent, "lib/a.py")
    roots = Roots.from_settings([home.parent], base=home)
    sources = await find_files(["../lib/*"], roots, base=home)

    found = await plan_targets(sources, "notes", roots, base=home, task=TASK)

    assert [target.place.name for target in found] == ["notes/_up/lib/a.py.md"]


@pytest.mark.parametrize(
    ("save_to", "why"),
    [
        ("../notes", "outside allowed_roots"),
        ("notes/*/x", "too many wildcards"),
        ("notes/*.*", "too many wildcards"),
        (".git", "belongs to git"),
        ("a.py", "leads through a file"),
    ],
)
async def test_where_answers_cannot_go_is_said_before_anything_is_spent(home: Path, save_to: str, why: str) -> None:
    write(home, "a.py")

    with pytest.raises(FileRefusedError, match=why):
        await targets(home, "a.py", save_to=save_to)


async def test_a_target_that_would_be_anothers_folder_is_refused(home: Path) -> None:
    write(home, "x")
    write(home, "x.md/y")

    with pytest.raises(FileRefusedError, match=r"x\.md/y and x would both be saved"):
        await targets(home, "**", save_to="notes")


async def test_a_resumed_call_does_only_what_is_missing(home: Path) -> None:
    for name in ("done.py", "edited.py", "lost.py", "changed.py"):
        write(home, name)
    for target in await targets(home, "*.py", save_to="notes"):
        await answer(target, "note")
    write(home, "notes/edited.py.md", "note, bettered by hand")
    (home / "notes/lost.py.md").unlink()
    write(home, "changed.py", "y")
    write(home, "later.py")

    resumed = await targets(home, "*.py", save_to="notes", resume=True)
    again = await targets(home, "*.py", save_to="notes", resume=False)
    other = await targets(home, "*.py", save_to="notes", resume=True, task="translate")

    assert {target.source.name: target.done for target in resumed} == {
        "changed.py": False,
        "done.py": True,
        "edited.py": True,
        "later.py": False,
        "lost.py": False,
    }
    assert not any(target.done for target in [*again, *other])


async def test_what_a_kill_cut_short_in_the_list_spoils_no_other_line(home: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        write(home, name)
    a, b, _ = await targets(home, "*.py", save_to="notes")
    await answer(a, "note")
    with (home / "notes/.mcp-router.jsonl").open("a") as lines:
        lines.write('\n{"task":"8c')
    await answer(b, "note")

    resumed = await targets(home, "*.py", save_to="notes", resume=True)

    assert [target.done for target in resumed] == [True, True, False]


async def test_an_answer_that_was_saved_before_a_kill_is_done_although_nothing_was_noted_after_it(home: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        write(home, name)
        await answer((await targets(home, name, save_to="notes"))[0], f"note on {name}")
        kept = home / "notes/.mcp-router.jsonl"
        kept.write_text(kept.read_text().rpartition("\n")[0])  # a kill before the second of its two lines
    write(home, "notes/b.py.md", "what stood there before the answer")
    (home / "notes/c.py.md").unlink()

    resumed = await targets(home, "*.py", save_to="notes", resume=True)

    assert [target.done for target in resumed] == [True, False, False]


async def test_files_changed_in_their_place_can_be_resumed(home: Path) -> None:
    write(home, "a.py", "old")
    write(home, "b.py", "old")
    await answer((await targets(home, "*.py", save_to="./*"))[0], "new")

    resumed = await targets(home, "*.py", save_to="./*", resume=True)

    assert [(target.place.name, target.done) for target in resumed] == [("a.py", True), ("b.py", False)]


async def test_answers_of_an_earlier_run_are_no_sources_of_the_next(home: Path) -> None:
    write(home, "a.md")
    await answer((await targets(home, "**/*.md", save_to="notes"))[0], "note")

    again = await targets(home, "**/*.md", save_to="notes", resume=True)
    named = await targets(home, "notes/a.md.md", save_to="notes")

    assert [target.source.name for target in again] == ["a.md"]
    assert [target.source.name for target in named] == ["notes/a.md.md"]
    with pytest.raises(FileRefusedError, match="answers saved to notes earlier"):
        await targets(home, "notes/*.md", save_to="notes")


async def test_the_list_of_what_is_done_keeps_no_prompt(home: Path) -> None:
    write(home, "a.py", "content")
    task = "a prompt that nobody should find"

    await answer((await targets(home, "a.py", save_to="notes", task=task))[0], "the answer", task=task)

    kept = (home / "notes/.mcp-router.jsonl").read_text()
    assert hashlib.sha256(b"content").hexdigest() in kept
    assert "nobody" not in kept
    assert "the answer" not in kept


async def test_a_targets_file_that_someone_changed_meanwhile_is_left_alone(home: Path) -> None:
    write(home, "a.py")
    [target] = await targets(home, "a.py", save_to="notes")
    write(home, "notes/a.py.md", "theirs")

    with pytest.raises(FileChangedError):
        await answer(target, "mine")

    assert tree(home / "notes") == {"a.py.md": "theirs"}
    assert not any(target.done for target in await targets(home, "a.py", save_to="notes", resume=True))
