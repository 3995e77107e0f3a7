"""What a call names is read, inside the roots only, and put into the prompt so that nothing gets out of its fence."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcp_router.files import (
    FileRefusedError,
    Fingerprint,
    ReadLimits,
    ReadResult,
    Roots,
    SourceFile,
    fence_files,
    find_files,
    read_file,
    read_files,
    unwrap_code,
)
from mcp_router.files.decoding import decode
from mcp_router.files.roots import path_from_spec
from providers.completion import Attachment

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The one allowed folder; what lies beside it is out of bounds."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def put(folder: Path, **files: str) -> None:
    for name, text in files.items():
        write(folder, name.replace("__", "/") + ".py", text)


def write(folder: Path, name: str, content: str | bytes = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def read(home: Path, *specs: str, limits: ReadLimits | None = None) -> ReadResult:
    return await read_files(specs, Roots.from_settings([home], base=home), base=home, limits=limits)


async def names(home: Path, *specs: str) -> list[str]:
    return [found.name for found in await find_files(specs, Roots.from_settings([home], base=home), base=home)]


async def refusal(home: Path, *specs: str, limits: ReadLimits | None = None) -> str:
    with pytest.raises(FileRefusedError) as refused:
        await read(home, *specs, limits=limits)
    return str(refused.value)


# Roots


@pytest.mark.parametrize("spec", ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "..", "../*.txt", "../**/*"])
async def test_what_is_outside_the_roots_is_refused_with_what_to_do(home: Path, spec: str) -> None:
    text = await refusal(home, spec)

    assert text.startswith(f"{spec} ") or "*" in spec
    assert f"outside allowed_roots ({home})" in text
    assert "allowed_roots" in text


@pytest.mark.parametrize("spec", ["link", "folder/secret.txt", "folder/*", "chain"])
async def test_links_that_lead_outside_are_refused(home: Path, spec: str) -> None:
    (home / "link").symlink_to(home.parent / "secret.txt")
    (home / "folder").symlink_to(home.parent)
    (home / "chain").symlink_to("link")

    assert "leads outside allowed_roots" in await refusal(home, spec)


async def test_links_within_the_roots_are_followed_and_their_file_is_read_once(home: Path) -> None:
    write(home, "a.py", "code")
    (home / "link.py").symlink_to("a.py")

    reading = await read(home, "link.py", "a.py")

    assert [(file.name, file.content) for file in reading.files] == [("a.py", "code")]


async def test_a_glob_passes_over_links_that_would_lead_it_outside(home: Path) -> None:
    write(home, "a.txt")
    (home / "link.txt").symlink_to(home.parent / "secret.txt")
    (home / "up").symlink_to(home.parent)

    assert await names(home, "**/*.txt") == ["a.txt"]


async def test_a_link_that_goes_round_in_circles_is_refused(home: Path) -> None:
    (home / "round").symlink_to("round")

    assert "round" in await refusal(home, "round")


@pytest.mark.parametrize("swapped", ["inner", "inner/a.txt"])
async def test_a_link_put_in_between_the_check_and_the_read_leads_nowhere(home: Path, swapped: str) -> None:
    write(home, "inner/a.txt", "mine")
    write(home.parent, "elsewhere/a.txt", "secret")
    found = (await find_files(["inner/a.txt"], Roots.from_settings([home], base=home), base=home))[0]
    (home / swapped).rename(home / "moved")
    (home / swapped).symlink_to(home.parent / "elsewhere" / ("a.txt" if swapped.endswith("txt") else "."))

    with pytest.raises(FileRefusedError, match="a link that was put there since"):
        await read_file(found)


async def test_pipes_and_devices_are_refused_without_being_opened(home: Path) -> None:
    os.mkfifo(home / "pipe")
    everything = Roots.from_settings(["/"], base=home)

    assert "pipe is a pipe, a device or a socket" in await refusal(home, "pipe")
    with pytest.raises(FileRefusedError, match="a pipe, a device or a socket"):
        await read_files(["/dev/zero"], everything, base=home)


@pytest.mark.parametrize("spec", ["/proc/self/environ", "/proc/self/*", "/sys/kernel/*", "/dev/fd/../self/environ"])
async def test_the_windows_into_the_system_are_never_read_even_if_everything_is_allowed(home: Path, spec: str) -> None:
    with pytest.raises(FileRefusedError):
        await read_files([spec], Roots.from_settings(["/"], base=home), base=home)


async def test_no_roots_allow_nothing(home: Path) -> None:
    write(home, "a.txt")

    with pytest.raises(FileRefusedError, match="no folder is allowed"):
        await read_files(["a.txt"], Roots.from_settings([], base=home), base=home)


async def test_a_root_may_be_a_link_and_be_written_with_a_tilde(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "a.txt", "mine")
    (home.parent / "alias").symlink_to(home)
    monkeypatch.setenv("HOME", str(home.parent))
    roots = Roots.from_settings(["~/alias"], base=Path("/"))

    reading = await read_files(["~/alias/a.txt"], roots, base=home)

    assert roots.folders == (home,)
    assert [(file.name, file.content) for file in reading.files] == [("a.txt", "mine")]


async def test_a_file_of_another_root_is_named_from_the_base(home: Path) -> None:
    write(home.parent, "other/b.txt")

    found = await find_files(["../other/*"], Roots.from_settings([home, home.parent / "other"], base=home), base=home)

    assert [one.name for one in found] == ["../other/b.txt"]


# file:// URIs


async def test_a_uri_is_decoded_and_is_never_a_glob(home: Path) -> None:
    write(home, "a b[1]#é.txt", "mine")
    uri = f"file://{home}/a%20b%5B1%5D%23%C3%A9.txt"

    reading = await read(home, uri, uri.replace("file://", "FILE://LocalHost"), uri.replace("file://", "file:"))

    assert [file.content for file in reading.files] == ["mine"]
    assert "does not exist" in await refusal(home, f"file://{home}/*.txt")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("file://server/share/a.txt", "names the machine server"),
        ("file:///etc%2Fpasswd", "outside allowed_roots"),
        ("file:///%2e%2e/etc/passwd", "outside allowed_roots"),
        ("file:///a%00.txt", "no whole path"),
        ("file://", "no whole path"),
        ("file:///a.py#L10", "before # or ?"),
        ("https://example.com/a.py", "use a path, a glob or a file:// URI"),
        ("", "path is empty"),
        ("a\x00b", "not a path on this machine"),
        ("\ud800", "not a path on this machine"),
        ("a" * 5000, "…"),
    ],
)
async def test_what_is_no_file_of_this_machine_is_refused(home: Path, uri: str, why: str) -> None:
    text = await refusal(home, uri)

    assert why in text
    assert len(text) < 600


@pytest.mark.parametrize("uri", ["file:///C:/src/a.py", "file:///C|/src/a.py", "file:/C:/src/a.py"])
def test_a_drive_letter_is_understood_on_windows(uri: str) -> None:
    assert path_from_spec(uri, windows=True).as_posix() == "C:/src/a.py"


# Paths and globs


async def test_what_cannot_be_read_is_all_said_at_once(home: Path) -> None:
    write(home, "folder/a.py")

    assert (await refusal(home, "missing.py", "folder", "*.rs")).split("\n") == [
        f"missing.py does not exist in {home}: check the path, or use a glob such as **/missing.py.",
        "folder is a folder: write folder/**/* (or **/*.py and the like) for the files in it.",
        "*.rs matches no file (hidden, linked and git-ignored files are left out: name them).",
    ]


async def test_a_root_itself_is_a_folder(home: Path) -> None:
    assert "is a folder" in await refusal(home, ".")


async def test_files_come_in_the_order_they_are_named_and_each_once(home: Path) -> None:
    put(home, b="", a="", src__z="", src__a__b="", src__b="")

    assert await names(home, "b.py", "src/**/*.py", "*.py", f"{home}/src/z.py") == [
        "b.py",
        "src/b.py",
        "src/z.py",
        "src/a/b.py",
        "a.py",
    ]


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*", ["a.py"]),
        ("**", ["a.py", "src/b.py", "src/c.ts", "src/deep/d.tsx", "src/deep/er/e.py"]),
        ("**/*.py", ["a.py", "src/b.py", "src/deep/er/e.py"]),
        ("src/*", ["src/b.py", "src/c.ts"]),
        ("src/**/e.py", ["src/deep/er/e.py"]),
        ("src/**/deep/**/*.py", ["src/deep/er/e.py"]),
        ("s?c/[a-b].py", ["src/b.py"]),
        ("src/[!b].*", ["src/c.ts"]),
        ("src/**/*.{ts,tsx}", ["src/c.ts", "src/deep/d.tsx"]),
        ("./{src,nope}/../src/*.py", ["src/b.py"]),
        (".config/*", [".config/x"]),
        (".*/x", [".config/x"]),
    ],
)
async def test_globs_match_as_in_a_shell(home: Path, glob: str, found: list[str]) -> None:
    for name in ["a.py", "src/b.py", "src/c.ts", "src/deep/d.tsx", "src/deep/er/e.py", ".env", ".config/x", ".git/x"]:
        write(home, name)

    assert await names(home, glob) == found


async def test_a_glob_that_goes_up_behind_a_wildcard_is_refused(home: Path) -> None:
    write(home, "src/a.py")

    assert "has .. after a wildcard" in await refusal(home, "*/../../*.txt")


async def test_a_path_with_wildcard_letters_that_exists_is_that_path(home: Path) -> None:
    write(home, "app/[id]/page.tsx")
    write(home, "app/i/page.tsx")

    assert await names(home, "app/[id]/page.tsx") == ["app/[id]/page.tsx"]


async def test_a_glob_of_too_many_alternatives_is_refused(home: Path) -> None:
    assert "fewer braces" in await refusal(home, "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}")


async def test_globs_leave_out_what_git_ignores_as_git_does(home: Path) -> None:
    write(home, ".gitignore", "*.log\n!keep.log\n/build/\nnode_modules\ntmp/*\n!tmp/kept.txt\nbad\\\n")
    write(home, "src/.gitignore", "!*.log\ngenerated/**\n!generated/deep/\n/only_here\n")
    write(home, ".git/info/exclude", "private.txt\n")
    for name in [
        *("a.log", "keep.log", "build/x", "node_modules/x", "tmp/x", "tmp/kept.txt", "private.txt"),
        *("src/b.log", "src/build/x", "src/generated/x", "src/only_here", "src/sub/only_here", "src/sub/private.txt"),
    ]:
        write(home, name)

    assert await names(home, "**") == [
        "keep.log",
        "src/b.log",
        "src/build/x",
        "src/sub/only_here",
        "tmp/kept.txt",
    ]


async def test_a_repository_around_the_root_has_its_ignores_respected(tmp_path: Path) -> None:
    write(tmp_path, ".git/HEAD")
    write(tmp_path, ".gitignore", "node_modules/\n")
    write(tmp_path, "app/node_modules/x.ts")
    write(tmp_path, "app/a.ts")

    assert await names(tmp_path / "app", "**/*.ts") == ["a.ts"]


async def test_an_ignore_file_counts_without_a_repository_too(home: Path) -> None:
    write(home, ".gitignore", "*.log\ngen/\n!keep.log\n")
    for name in ("src/a.py", "src/a.log", "src/keep.log", "src/gen/b.py", "src/deep/gen/c.py", "src/deep/d.py"):
        write(home, name)

    assert await names(home, "src/**/*") == ["src/a.py", "src/keep.log", "src/deep/d.py"]
    assert await names(home, "src/gen/*") == ["src/gen/b.py"]


async def test_what_is_named_itself_is_read_although_git_ignores_it(home: Path) -> None:
    write(home, ".git/HEAD")
    write(home, ".gitignore", "build/\n.env\n")
    write(home, "build/out.txt")
    write(home, ".env")

    assert await names(home, "build/out.txt", ".env", "build/*") == ["build/out.txt", ".env"]


async def test_an_ignore_file_that_is_a_pipe_or_a_link_blocks_nothing(home: Path) -> None:
    write(home, "a.txt")
    write(home, "sub/b.txt")
    os.mkfifo(home / ".gitignore")
    (home / "sub" / ".gitignore").symlink_to(home.parent / "secret.txt")

    assert await names(home, "**") == ["a.txt", "sub/b.txt"]


# Content


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        ("größer → ∞", "utf-8", "utf-8"),
        ("größer", "utf-8-sig", "utf-8-sig"),
        ("größer → ∞ 日本", "utf-16", "utf-16"),
        ("größer", "utf-32", "utf-32"),
        ("plain text, no mark", "utf-16-le", "utf-16-le"),
        ("plain text, no mark", "utf-16-be", "utf-16-be"),
        ("naïve café", "latin-1", "cp1252"),
        ("“Grüße” — für 5 € Ärger", "cp1252", "cp1252"),
        ("Привет, как дела? Это проверка кодировки.", "cp1251", "cp1251"),
        ("これは日本語のテストです。文字コードを調べます。", "shift_jis", "cp932"),
        ("これは日本語です", "iso2022_jp", "iso2022_jp"),
        ("这是一个测试文件,用于检测编码。", "gb18030", "gb18030"),
        ("안녕하세요 이것은 시험입니다", "euc-kr", "cp949"),
        ("", "utf-8", "utf-8"),
    ],
)
async def test_text_is_read_in_the_usual_encodings(home: Path, text: str, encoding: str, said: str) -> None:
    write(home, "a.txt", text.encode(encoding))

    [file] = (await read(home, "a.txt")).files

    assert (file.content, file.encoding) == (text, said)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"GIF89a\x01\x00", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
    ],
)
async def test_images_and_pdfs_become_attachments_whatever_their_name(home: Path, data: bytes, media_type: str) -> None:
    write(home, "picture.txt", data)

    reading = await read(home, "picture.txt")

    assert reading.attachments == (Attachment(name="picture.txt", media_type=media_type, data=data),)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04\x14\x00\x00\x00",
        b"\x7fELF\x02\x01\x01\x00",
        bytes(range(256)),
        b"a\x00b",
        b"\x01\x02\x03abc",
        b"\xff\xfea",
    ],
)
async def test_binary_files_are_refused(home: Path, data: bytes) -> None:
    write(home, "a.bin", data)

    assert f"a.bin is binary ({len(data)} bytes)" in await refusal(home, "a.bin")


async def test_what_only_a_glob_named_is_skipped_with_its_reason(home: Path) -> None:
    write(home, "a.txt", "text")
    write(home, "b.zip", b"PK\x03\x04\x00")
    write(home, "c.txt", "x" * 2_000)

    reading = await read(home, "*", limits=ReadLimits(max_file_bytes=1_000))

    assert [file.name for file in reading.files] == ["a.txt"]
    assert reading.skipped == (
        "b.zip is binary (5 bytes): only text, png, jpeg, webp, gif and PDF are read.",
        "c.txt has 2,000 bytes; at most 1,000 are read. Split it, or name a smaller one.",
    )
    assert "binary" in await refusal(home, "*", "b.zip")
    assert "binary" in await refusal(home, "*.zip")


async def test_too_much_is_refused_with_the_numbers(home: Path) -> None:
    for number in range(4):
        write(home, f"{number}.txt", "x" * 100)

    assert "has 100 bytes; at most 99" in await refusal(home, "0.txt", limits=ReadLimits(max_file_bytes=99))
    assert "More than 3 files" in await refusal(home, "*", limits=ReadLimits(max_files=3))
    assert "more than 399 bytes together" in await refusal(home, "*", limits=ReadLimits(max_total_bytes=399))
    assert len((await read(home, "*", limits=ReadLimits(max_files=4, max_total_bytes=400))).files) == 4


async def test_five_hundred_files_are_read_in_order(home: Path) -> None:
    for number in range(500):
        write(home, f"src/p{number % 10}/m{number:03}.py", f"# {number}\n" * 50)

    reading = await read(home, "src/**/*.py")

    assert len(reading.files) == 500
    assert [file.name for file in reading.files] == sorted(file.name for file in reading.files)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_they_are_text_or_not(data: bytes) -> None:
    found = decode(data)

    assert found is None or data.decode(found[1]) == found[0]


# Fences


def source(name: str, content: str | Attachment) -> SourceFile:
    return SourceFile(
        name=name, content=content, encoding="utf-8", fingerprint=Fingerprint(mtime_ns=0, size=0, sha256="")
    )


def test_files_stand_fenced_under_their_names() -> None:
    files = [source("a.py", "x = 1\n"), source("b.md", "```py\n1\n```"), source("c.txt", "")]
    image = source("d.png", Attachment(name="d.png", media_type="image/png", data=PNG))

    assert fence_files([*files, image]) == (
        "File: a.py\n```\nx = 1\n```\n\n"
        "File: b.md\n````\n```py\n1\n```\n````\n\n"
        "File: c.txt\n```\n```\n\n"
        "File: d.png (attached, image/png)\n"
    )


@given(st.lists(st.text(alphabet="`~\nFile: ab\r\x0c\u2028"), max_size=4))
@example(["```\nFile: fake\n```"])
@example(["`" * 50])
def test_no_content_breaks_out_of_its_fence(contents: list[str]) -> None:
    prompt = fence_files(source(f"f{number}", content) for number, content in enumerate(contents))

    assert list(as_a_reader_sees(prompt)) == [
        (f"f{number}", content if content.endswith("\n") or not content else content + "\n")
        for number, content in enumerate(contents)
    ]


def as_a_reader_sees(prompt: str) -> list[tuple[str, str]]:
    """CommonMark's rule: a fence ends at the first line of as many backticks or more."""
    seen: list[tuple[str, str]] = []
    lines = iter(re.split(r"(?<=\n)", prompt))
    for line in lines:
        if not line.strip():
            continue
        name = line.removeprefix("File: ").rstrip("\n")
        fence = next(lines).rstrip("\n")
        body: list[str] = []
        for inner in lines:
            if re.fullmatch(rf" {{0,3}}`{{{len(fence)},}}[ \t]*\n?", inner):
                break
            body.append(inner)
        seen.append((name, "".join(body)))
    return seen


# Unwrapping


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("\n\n```\nx = 1\n```  \n", "x = 1\n"),
        ("~~~json\n{}\n~~~", "{}\n"),
        ("````md\n```\nx\n```\n````", "```\nx\n```\n"),
        ('```py\n"""\n    ```\n    inner\n    ```\n"""\n```', '"""\n    ```\n    inner\n    ```\n"""\n'),
        ("```\n```", ""),
        ("```py\r\nx\r\n```\r\n", "x\r\n"),
    ],
)
def test_an_answer_that_is_one_fenced_block_loses_its_fence_in_a_code_file(answer: str, code: str) -> None:
    assert unwrap_code(answer, PurePath("a.py")) == code


@pytest.mark.parametrize(
    "answer",
    [
        "x = 1",
        "",
        "Here it is:\n```python\nx = 1\n```",
        "```python\nx = 1\n```\nDone.",
        "```python\nx = 1\n```\n\n```python\ny = 2\n```",
        "```python\nx = 1",
        "````\nx\n```",
        "```not ` a fence\nx\n```",
        "```",
        "inline ```x```",
    ],
)
def test_any_other_answer_is_left_alone(answer: str) -> None:
    assert unwrap_code(answer, PurePath("a.py")) == answer


@pytest.mark.parametrize("name", ["notes.md", "NOTES.MD", "a.txt", "b.rst"])
def test_in_prose_a_fence_is_meant(name: str) -> None:
    assert unwrap_code("```\nx\n```", PurePath(name)) == "```\nx\n```"


@given(st.text(alphabet="`~ ab\n"))
def test_what_is_fenced_properly_is_unwrapped_to_itself(code: str) -> None:
    code = code.rstrip("\n") + "\n"
    fence = "`" * (3 + max(map(len, re.findall("`+", code)), default=0))

    assert unwrap_code(f"{fence}python\n{code}{fence}", PurePath("a.py")) == code


@given(st.text(alphabet="`~ ab\n"))
def test_unwrapping_takes_off_lines_of_fence_and_nothing_else(answer: str) -> None:
    result = unwrap_code(answer, PurePath("a.py"))

    kept = result == answer
    assert kept or answer.strip().split("\n")[1:-1] == (result.removesuffix("\n").split("\n") if result else [])


# Names


@pytest.mark.parametrize("folder", ["[id]", "[...slug]", "[[...slug]]", "(group)", "{id}", "$id"])
async def test_globs_pass_through_folders_named_with_brackets(home: Path, folder: str) -> None:
    write(home, f"app/{folder}/deep/page.tsx")
    write(home, f"app/{folder}/[slug].tsx")

    assert await names(home, f"app/{folder}/*.tsx") == [f"app/{folder}/[slug].tsx"]
    assert await names(home, f"**/{folder}/**/*.tsx") == [f"app/{folder}/[slug].tsx", f"app/{folder}/deep/page.tsx"]
    assert await names(home, f"app/{folder}/[slug].*") == [f"app/{folder}/[slug].tsx"]


@pytest.mark.parametrize(("on_disk", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
async def test_names_match_in_composed_and_decomposed_form(home: Path, on_disk: str, asked: str) -> None:
    def spell(form: str) -> str:
        return normalize(form, "größe/é.txt")  # pyright: ignore[reportArgumentType] -- a literal for `normalize`

    write(home, spell(on_disk))

    assert await names(home, spell(asked)) == [spell(on_disk)]
    assert await names(home, spell(asked).replace("txt", "*")) == [spell(on_disk)]
    assert await names(home, "*/" + spell(asked).split("/")[1]) == [spell(on_disk)]
