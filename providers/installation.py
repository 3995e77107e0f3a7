"""The command that installs packages into the environment of the running program."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "mcp-llm-router"


def format_install_command(*arguments: str) -> str:
    """Format `pip install ARGUMENTS` so that it changes this environment: pipx and uv keep pip away from theirs."""
    prefix = Path(sys.prefix)
    if "pipx" in prefix.parts and prefix.parent.name == "venvs":
        words = ("pipx", "runpip", prefix.name, "install", *arguments)
    elif find_spec("pip") is None:
        words = ("uv", "pip", "install", "--python", sys.executable, *arguments)
    else:
        words = (sys.executable, "-m", "pip", "install", *arguments)
    return shlex.join(words)


def format_extra_command(extra: str) -> str:
    """Format the command that adds an extra of this distribution, from where it was installed."""
    folder, editable = find_source()
    source = folder or DISTRIBUTION
    return format_install_command(*(("-e",) if editable else ()), f"{source}[{extra}]")


def find_source() -> tuple[str, bool]:
    """Return the folder or URL that the distribution was installed from, and whether it is editable (PEP 610).

    The folder is empty if it came from an index or is not installed.
    """
    # Late imports: only advice and `install` need them.
    import json  # noqa: PLC0415
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415
    from urllib.parse import urlsplit  # noqa: PLC0415
    from urllib.request import url2pathname  # noqa: PLC0415

    try:
        text = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return "", False
    if text is None:
        return "", False
    origin = json.loads(text)
    parts = urlsplit(str(origin.get("url", "")))
    folder = url2pathname(parts.path) if parts.scheme == "file" else parts.geturl()
    return folder, bool(origin.get("dir_info", {}).get("editable", False))
