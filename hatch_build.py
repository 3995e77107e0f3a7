"""Brings the dashboard's charting library in when the package is built: the repository holds only what we wrote.

It is uPlot, byte for byte as its author publishes it on npm. The build takes it from `youplot`, a package on PyPI that
carries it; nothing of that package is run, and nothing but uPlot goes on.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

CARRIER = "youplot"
_LICENCE = "uPlot.LICENSE"
VENDOR = Path("mcp_router", "http", "dashboard", "vendor")
PUBLISHED = {  # SHA-256 of dist/ and LICENSE of uplot 1.6.31 on npm
    "uPlot.iife.min.js": "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    _LICENCE: "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


class BuildHook(BuildHookInterface[BuilderConfig]):
    """Sees to it that every wheel and every source distribution holds the library."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the files in before they are gathered."""
        del version, build_data
        bring(Path(self.root))


class MetadataHook(MetadataHookInterface):
    """Sees to it that the library's licence is there when the metadata names it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Bring the files in before `license-files` is looked up; the metadata stay as they are."""
        del metadata
        bring(Path(self.root))


def bring(root: Path, carrier: Path | None = None) -> None:
    """Lay the library and its licence where the dashboard looks for them, unless they are there."""
    place = root / VENDOR
    if all((place / name).is_file() and _is_published(name, (place / name).read_bytes()) for name in PUBLISHED):
        return
    contents = carried(carrier) | {_LICENCE: licence((root / "LICENSE").read_text("utf-8"))}
    for name, content in contents.items():
        if not _is_published(name, content):
            source = "LICENSE" if name == _LICENCE else f"the package {CARRIER}"
            sys.exit(f"{name} from {source} is not what uPlot's author published: its SHA-256 is not {PUBLISHED[name]}")
    place.mkdir(exist_ok=True)
    for name, content in contents.items():
        (place / name).write_bytes(content)


def carried(folder: Path | None = None) -> dict[str, bytes]:
    """Read the library out of the package that carries it: from `folder`, or where the package is installed."""
    try:
        folder = folder or Path(str(metadata.distribution(CARRIER).locate_file(f"{CARRIER}/vendor")))
        return {name: (folder / name.lower()).read_bytes() for name in PUBLISHED if name != _LICENCE}
    except (metadata.PackageNotFoundError, FileNotFoundError) as exc:
        sys.exit(
            f"uPlot, which draws the dashboard's charts, comes from the package {CARRIER}, and it is not here ({exc}): "
            "build with isolation, or install what [build-system] in pyproject.toml requires"
        )


def licence(ours: str) -> bytes:
    """Write uPlot's licence: word for word ours, but for its title and whose it is."""
    terms = ours.split("\n\n", 2)[2].rstrip("\n")
    return f"The MIT License (MIT)\n\nCopyright (c) 2022 Leon Sorokin\n\n{terms}".encode()


def _is_published(name: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == PUBLISHED[name]
