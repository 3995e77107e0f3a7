"""Zips what Claude Desktop installs into dist/: the manifest, the two packages, and what describes and builds them.

The host runs it with uv, which brings Python, the dependencies and the charting library at the first start.
"""

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Write the bundle and print where it is."""
    manifest = json.loads((ROOT / "mcpb" / "manifest.json").read_text("utf-8"))
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist") / f"{manifest['name']}-{manifest['version']}.mcpb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for source, name in _files():
            # Always the same time and mode, so that the same files make the same bundle.
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            bundle.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
    print(path)


def _files() -> Iterator[tuple[Path, str]]:
    yield ROOT / "mcpb" / "manifest.json", "manifest.json"
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        yield ROOT / name, name
    for package in ("mcp_router", "providers"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and not {"__pycache__", "vendor"} & set(path.parts):
                yield path, path.relative_to(ROOT).as_posix()


main()
