"""Files with secrets go to no vendor: named ones are refused, those of a glob skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_router.files import ReadResult, Roots, SecretFileError, read_files

PRIVATE_KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nAAAA\n"
SECRET_NAMES = [
    *(".env", ".env.production", "config/prod.env", ".ENV", "id_rsa", "deploy/server.key", "cert.p12", ".ssh/config"),
    *(
        ".netrc",
        ".npmrc",
        ".aws/credentials",
        "credentials.json",
        "service-account-1.json",
        ".git-credentials",
        "secrets.yaml",
    ),
]
PUBLIC_NAMES = [
    ".env.example",
    "id_rsa.pub",
    "environment.py",
    "keys.md",
    "secrets.py",
    "credentials.py",
    "tokenizer.json",
]
SECRET_TEXTS = [
    PRIVATE_KEY,
    "aws = AKIA" + "QYLPMN5HHHFPZAM2",
    "t = 'ghp" + "_" + "a1B2" * 9 + "'",
    "github" + "_pat_" + "A1b2" * 8,
    "OPENAI=sk-" + "proj-abcDEF123456789_xyz",
    "k: sk-" + "ant-api03-abcdefghijklmnop",
    "gsk" + "_" + "aB3d" * 13,
    "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "hf_" + "aB3d" * 9,
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "DATABASE=postgres://app:hunter2Zq@db.internal/main",
    "password = 'tr0ub4dor&3xK9pQz7'",
    '{"api_key": "9f86d081884c7d659a2feaa0c55ad015"}',
    "CLIENT_SECRET=q8ZkP2vX7nB4mR9tY3wL6",
]
PUBLIC_TEXTS = [
    "key = settings.api_key_from_environment_v2",
    "password = input('your password')",
    "API_KEY=<your key>",
    "postgresql://user:password@host:5432/name",
    "https://${USER}:${PASSWORD}@host/",
    "token = tokens[index + 1]",
    "task-force and risk-averse: sk-learn is not a key",
    "sha = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
    "monkey: banana-split-with-cream",
]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def read(folder: Path, *specs: str, allowed: tuple[str, ...] = ()) -> ReadResult:
    return await read_files(specs, Roots.from_settings([folder], base=folder, secrets=allowed), base=folder)


async def is_refused(folder: Path, name: str) -> bool:
    try:
        await read(folder, name)
    except SecretFileError:
        return True
    return False


async def test_files_are_refused_by_names_that_promise_secrets(tmp_path: Path) -> None:
    for name in SECRET_NAMES + PUBLIC_NAMES:
        write(tmp_path, name, "x")

    assert [name for name in SECRET_NAMES if not await is_refused(tmp_path, name)] == []
    assert [name for name in PUBLIC_NAMES if await is_refused(tmp_path, name)] == []


async def test_files_are_refused_by_secrets_in_their_text(tmp_path: Path) -> None:
    for number, text in enumerate(SECRET_TEXTS + PUBLIC_TEXTS):
        write(tmp_path, f"{number}.txt", f"first line\n{text}\n")
    found = [
        text for number, text in enumerate(SECRET_TEXTS + PUBLIC_TEXTS) if await is_refused(tmp_path, f"{number}.txt")
    ]

    assert found == SECRET_TEXTS


async def test_refusal_names_line_and_setting_but_not_the_secret(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt", "one\ntwo\n" + SECRET_TEXTS[1])

    with pytest.raises(SecretFileError) as refused:
        await read(tmp_path, "notes.txt")

    assert refused.value.path == "notes.txt"
    assert refused.value.found == "line 3 looks like a secret (AWS key)"
    assert "allow_secrets_in" in str(refused.value)
    assert "QYLPMN" not in str(refused.value)


async def test_glob_skips_secrets_with_a_warning(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "plain")
    write(tmp_path, "b.txt", SECRET_TEXTS[0])
    write(tmp_path, "c.key", "x")

    result = await read(tmp_path, "*")

    assert [file.name for file in result.files] == ["a.txt"]
    assert [warning.partition(" ")[0] for warning in result.skipped] == ["b.txt", "c.key"]


async def test_link_to_a_secret_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ".env", "x")
    (tmp_path / "notes.txt").symlink_to(".env")

    assert await is_refused(tmp_path, "notes.txt")


@pytest.mark.parametrize("pattern", [".env", "app/", "app/.env", "/app/*", "{root}/app"])
async def test_configuration_allows_secrets(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, "app/.env", SECRET_TEXTS[1])

    result = await read(tmp_path, "app/.env", allowed=(pattern.format(root=tmp_path),))

    assert len(result.files) == 1
