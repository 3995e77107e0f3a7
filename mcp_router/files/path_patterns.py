"""Patterns of the configuration that name files, with the rules of a `.gitignore`."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mcp_router.files.gitignore import parse_rules
from mcp_router.files.roots import ResolvedPath, expand_home
from mcp_router.files.wildcards import normalize_name


def is_listed(place: ResolvedPath, patterns: Iterable[str]) -> bool:
    """Whether a pattern names a file or a folder above it, relative to its root or as a whole path."""
    return any(_is_match(place, pattern) for pattern in patterns)


def _is_match(place: ResolvedPath, pattern: str) -> bool:
    whole = expand_home(pattern)
    if whole.is_absolute() and place.path.is_relative_to(os.path.realpath(whole)):
        return True
    names = [normalize_name(part) for part in place.parts]
    rules = parse_rules([pattern], check=lambda: None)
    return any(
        rule.is_match(names[:depth]) and (depth < len(names) or not rule.folders_only)
        for rule in rules
        for depth in range(1, len(names) + 1)
    )
