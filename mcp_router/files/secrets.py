"""Files that hold secrets, by name or by what stands in them: they are not sent to a vendor.

The patterns are our own. detect-secrets, the library there is, had its last release in May 2024 and brings requests and
PyYAML; its key formats and those of gitleaks are public, and we need only to know whether a file has a secret.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files

from pydantic import BaseModel

from mcp_router.files.roots import FileRefusedError, ResolvedPath, format_path
from mcp_router.files.wildcards import NamePattern, normalize_name


class SecretFileError(FileRefusedError):
    """A file that holds a secret."""

    kind = "secret_file"

    def __init__(self, place: ResolvedPath, found: str) -> None:
        """`found` says what kind of secret, and where."""
        super().__init__(
            f"{format_path(place.name)} is not sent: {found}. If that is intended, ask the user to add the file to "
            "allow_secrets_in in the configuration.",
            path=place.name,
        )
        self.found = found


class _Names(BaseModel):
    """Names of files that hold secrets, in lower case."""

    folders: frozenset[str]
    files: tuple[NamePattern, ...]
    paths: frozenset[str]
    """The ends of whole paths, with `/`."""
    public: tuple[NamePattern, ...]


class _Kind(BaseModel):
    """A kind of secret with a format of its own."""

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


class _Rules(BaseModel):
    names: _Names
    kinds: tuple[_Kind, ...]


@cache
def _load_rules() -> _Rules:
    return _Rules.model_validate(tomllib.loads((files("mcp_router.files") / "secrets.toml").read_text("utf-8")))


_ASSIGNMENT = re.compile(
    r"(?:key|secret|token|passw(?:or)?d|passwd|pwd|passphrase|credentials?|auth)[\"']?\s{0,4}(?::=|=>|[:=])\s{0,4}"
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\s]{8,200})(?P=quote)|(?P<bare>[^\"'`\s,;#(){}\[\]<>$]{16,200})(?=\s|$))",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^\s:/?#@'\"<>]{0,80}:(?P<value>[^\s:/?#@'\"<>{}$*]{3,100})@[\w.\[-]")
_FILLERS = re.compile(
    r"example|sample|placeholder|your|dummy|fake|change.?me|redacted|xxx|\*\*\*|\.\.\.|…|<|\$|%\(|\{|insert|replace"
    r"|^(?:user(?:name)?|pass(?:word|wd)?|pw|pwd|secret|token|key|test(?:ing)?|guest|admin|root|postgres|foo|bar|none)$",
    re.IGNORECASE,
)
_MIN_ENTROPY_BITS = 3.5
"""Per character; words and paths of code have less, random keys more."""
_MIN_RANDOM_CHARACTERS = 16
_WINDOW_CHARACTERS = 32_768
_OVERLAP_CHARACTERS = 512
"""Longer than any pattern that is searched for."""


def refuse_secret_name(place: ResolvedPath) -> None:
    """Let a file pass whose name promises no secret.

    Raises:
        SecretFileError: Its name or folder says that it holds secrets.
    """
    rules = _load_rules().names
    names = [normalize_name(name).casefold() for name in place.path.parts]
    if any(pattern.fullmatch(names[-1]) for pattern in rules.public):
        return
    folder = next((name for name in names[:-1] if name in rules.folders), None)
    if folder is not None:
        raise SecretFileError(place, f"files in {folder} hold secrets")
    is_secret_path = any("/".join(names).endswith(f"/{path}") for path in rules.paths)
    if is_secret_path or any(pattern.fullmatch(names[-1]) for pattern in rules.files):
        raise SecretFileError(place, "files of this name hold secrets")


def refuse_secret_text(place: ResolvedPath, text: str, check: Callable[[], None]) -> None:
    """Let a text pass that holds no secret; `check` raises to stop.

    Raises:
        SecretFileError: A secret stands in it. The message has its line and kind, never the secret.
    """
    for kind, position in _find_secrets(text, check):
        line = text.count("\n", 0, position) + 1
        raise SecretFileError(place, f"line {line} looks like a secret ({kind})")


def _find_secrets(text: str, check: Callable[[], None]) -> Iterator[tuple[str, int]]:
    for kind in _load_rules().kinds:
        check()
        for hint in kind.hints:
            yield from _find_kind(kind, hint, text, check)
    for start in range(0, len(text), _WINDOW_CHARACTERS):
        check()
        window = text[start : start + _WINDOW_CHARACTERS + _OVERLAP_CHARACTERS]
        yield from ((kind, start + position) for kind, position in _find_assigned(window))


def _find_kind(kind: _Kind, hint: str, text: str, check: Callable[[], None]) -> Iterator[tuple[str, int]]:
    position = text.find(hint)
    while position >= 0:
        check()
        # The hint stands within the secret, near its beginning.
        found = kind.pattern.search(text, max(0, position - 80), position + _OVERLAP_CHARACTERS)
        if found is not None:
            yield kind.name, found.start()
        position = text.find(hint, position + len(hint))


def _find_assigned(window: str) -> Iterator[tuple[str, int]]:
    for found in _URL_PASSWORD.finditer(window):
        if not _FILLERS.search(found["value"]):
            yield "password in a URL", found.start()
    for found in _ASSIGNMENT.finditer(window):
        value = found["quoted"] or found["bare"]
        if _is_random(value):
            yield "key or password", found.start()


def _is_random(value: str) -> bool:
    if len(value) < _MIN_RANDOM_CHARACTERS or _FILLERS.search(value) or not re.search(r"\d", value):
        return False
    if not re.search(r"[A-Za-z]", value) or re.search(r"[/\\].*[/\\].*[/\\.]|^[\w-]+(?:\.[A-Za-z_]\w*)+$|://", value):
        return False  # digits alone, a path, an attribute or an address
    counts = Counter(value)
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return entropy >= _MIN_ENTROPY_BITS
