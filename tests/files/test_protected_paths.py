"""Answers are not saved where they would configure a machine, a host or a pipeline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcp_router.files import FileRefusedError, ProtectedPathError, Roots, inspect_target, warn_of_execution
from mcp_router.files.roots import ResolvedPath

PROTECTED = [
    *(
        ".git/hooks/pre-commit",
        "sub/.GIT/config",
        ".git",
        ".g\u200cit/config",
        ".git./config",
        ".github/workflows/x.yml",
    ),
    *(
        ".gitlab-ci.yml",
        ".claude/settings.json",
        ".mcp.json",
        ".vscode/tasks.json",
        ".cursor/rules/x.mdc",
        ".idea/x.xml",
    ),
    *(".codex/config.toml", ".gemini/settings.json", ".devcontainer/devcontainer.json", ".envrc", ".env", ".env.local"),
    *(
        ".ssh/authorized_keys",
        ".npmrc",
        ".bashrc",
        "deep/.ZSHRC",
        ".profile",
        ".husky/pre-commit",
        "node_modules/.bin/x",
    ),
    *(".venv/bin/python", "CLAUDE.md", "docs/AGENTS.md", "claude.local.md", ".cursorrules", ".pre-commit-config.yaml"),
    *("bare.git/hooks/post-receive", "bare.git/x", "myenv/bin/python", "lib/site-packages/x.pth", "sitecustomize.py"),
    *(".config/fish/config.fish", "Jenkinsfile", ".circleci/config.yml", "link/x.yml", ".windsurf/x", ".direnv/x"),
]
ALLOWED = [
    "notes.md",
    "src/app.py",
    "github/x.yml",
    "env.md",
    "claude/notes.md",
    ".gitignore",
    "docs/git.md",
    "Makefile",
]


async def is_protected(folder: Path, name: str) -> bool:
    try:
        await inspect_target(name, Roots.from_settings([folder], base=folder), base=folder)
    except ProtectedPathError:
        return True
    return False


async def test_places_that_configure_something_are_refused(tmp_path: Path) -> None:
    for name in ("objects", "refs"):
        (tmp_path / "bare.git" / name).mkdir(parents=True)
    (tmp_path / "bare.git" / "HEAD").touch()
    (tmp_path / "myenv").mkdir()
    (tmp_path / "myenv" / "pyvenv.cfg").touch()
    (tmp_path / ".github").mkdir()
    (tmp_path / "link").symlink_to(".github")

    assert [name for name in PROTECTED if not await is_protected(tmp_path, name)] == []
    assert [name for name in ALLOWED if await is_protected(tmp_path, name)] == []


async def test_configuration_opens_protected_places(tmp_path: Path) -> None:
    roots = Roots.from_settings([tmp_path], base=tmp_path, protected=[".github/"])

    assert (await inspect_target(".github/workflows/x.yml", roots, base=tmp_path))[1] is None
    with pytest.raises(ProtectedPathError) as refused:
        await inspect_target(".claude/x", roots, base=tmp_path)

    assert refused.value.path == ".claude/x"
    assert refused.value.reason == "an agent's configuration"
    assert "allow_saving_to" in str(refused.value)


async def test_worktree_of_an_agent_is_a_project(tmp_path: Path) -> None:
    assert not await is_protected(tmp_path, ".claude/worktrees/fix/a.py")
    assert await is_protected(tmp_path, ".claude/worktrees/fix/.git/config")


def test_files_that_tools_run_are_warned_of() -> None:
    names = ["Makefile", "package.json", "setup.py", "conftest.py", "pyproject.toml", "Dockerfile", "a/Dockerfile.dev"]
    quiet = ["a.py", "Makefile.md", "notes.txt"]

    def find_warning(name: str) -> str | None:
        return warn_of_execution(ResolvedPath(root=Path("/"), parts=tuple(name.split("/")), name=name))

    assert [name for name in names if find_warning(name) is None] == []
    assert [name for name in quiet if find_warning(name) is not None] == []


async def test_huge_sparse_target_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "disk.img").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)

    with pytest.raises(FileRefusedError, match="at most 67,108,864 are replaced"):
        await inspect_target("disk.img", Roots.from_settings([tmp_path], base=tmp_path), base=tmp_path)
