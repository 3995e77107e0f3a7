"""MCP hosts that can start this server: where their configuration is and what an entry looks like.

Names and paths are fields of `Host`; only the two file formats are code (`jsonc.py`, `toml_tables.py`). Rows were
compared in November 2026 with these pages and, if npm has the host, with the host itself:

- https://code.claude.com/docs/en/mcp
- https://modelcontextprotocol.io/docs/develop/connect-local-servers, and for Windows packages
  https://github.com/anthropics/claude-code/issues/26073
- https://cursor.com/docs/context/mcp
- https://code.visualstudio.com/docs/agents/reference/mcp-configuration
- https://developers.openai.com/codex/mcp
- https://github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md
- https://docs.windsurf.com/windsurf/cascade/mcp
- https://zed.dev/docs/ai/mcp
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mcp_router.errors import UnknownNameError

SERVER = "llm-router"
"""The name of this server in hosts."""

Keys = Literal["reference", "names", "inherited", "blank"]
"""How a host passes keys on: as references that it resolves, as names of variables, by inheritance of its whole
environment, or not at all, so that users write them into the file.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One program that can start the server."""

    name: str
    title: str
    docs_url: str
    table: str
    """The key of the servers in its file."""
    linux: tuple[str, ...]
    """Paths of its file: the first that exists, or the first. `~`, `{config}`, `{appdata}` and `{localappdata}` are
    the usual folders, `*` matches any name.
    """
    macos: tuple[str, ...]
    windows: tuple[str, ...]
    home_env: str = ""
    """A variable that moves its folder."""
    below: str = ""
    """Its file below the folder that this variable names."""
    format: Literal["json", "toml"] = "json"
    keys: Keys = "reference"
    reference: str = ""
    """Its syntax for an environment variable, with `NAME` for the variable."""
    also: Mapping[str, object] = field(default_factory=dict[str, object])
    """Further keys of an entry, unless it has them already."""
    afterwards: str
    """What the user does next."""


_HOME_CURSOR = ("~/.cursor/mcp.json",)
_HOME_WINDSURF = ("~/.codeium/windsurf/mcp_config.json",)
_ZED = "zed/settings.json"

HOSTS: tuple[Host, ...] = (
    Host(
        name="claude-code",
        title="Claude Code",
        docs_url="https://code.claude.com/docs/en/mcp",
        table="mcpServers",
        linux=("~/.claude.json",),
        macos=("~/.claude.json",),
        windows=("~/.claude.json",),
        home_env="CLAUDE_CONFIG_DIR",
        below=".claude.json",
        # Without `:-` an unset variable is reported as an error.
        reference="${NAME:-}",
        also={"type": "stdio"},
        afterwards="`claude mcp list` shows it connected.",
    ),
    Host(
        name="claude-desktop",
        title="Claude Desktop",
        docs_url="https://modelcontextprotocol.io/docs/develop/connect-local-servers",
        table="mcpServers",
        linux=("{config}/Claude/claude_desktop_config.json",),
        macos=("~/Library/Application Support/Claude/claude_desktop_config.json",),
        windows=(
            "{localappdata}/Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json",
            "{appdata}/Claude/claude_desktop_config.json",
        ),
        keys="blank",
        afterwards="Write your keys between the empty quotes under `env`, then quit Claude Desktop and start it again.",
    ),
    Host(
        name="cursor",
        title="Cursor",
        docs_url="https://cursor.com/docs/context/mcp",
        table="mcpServers",
        linux=_HOME_CURSOR,
        macos=_HOME_CURSOR,
        windows=_HOME_CURSOR,
        reference="${env:NAME}",
        also={"type": "stdio"},
        afterwards="Switch it on under Settings, MCP.",
    ),
    Host(
        name="vscode",
        title="VS Code",
        docs_url="https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
        table="servers",
        linux=("{config}/Code/User/mcp.json",),
        macos=("~/Library/Application Support/Code/User/mcp.json",),
        windows=("{appdata}/Code/User/mcp.json",),
        reference="${env:NAME}",
        also={"type": "stdio"},
        afterwards="Run `MCP: List Servers` and start it.",
    ),
    Host(
        name="codex",
        title="Codex CLI",
        docs_url="https://developers.openai.com/codex/mcp",
        table="mcp_servers",
        linux=("~/.codex/config.toml",),
        macos=("~/.codex/config.toml",),
        windows=("~/.codex/config.toml",),
        home_env="CODEX_HOME",
        below="config.toml",
        format="toml",
        keys="names",
        # Its defaults: 10 s to start, too short for `uvx` on a cold cache; 60 s per call, too short for many files.
        also={"startup_timeout_sec": 60, "tool_timeout_sec": 300},
        # Not written: it would also end the questions of interactive sessions.
        afterwards="`codex mcp list` shows it enabled. `codex exec` cannot ask and cancels calls: to allow them, add "
        'default_tools_approval_mode = "approve" (and required = true, so that it waits for the server) to the entry.',
    ),
    Host(
        name="gemini",
        title="Gemini CLI",
        docs_url="https://github.com/google-gemini/gemini-cli/blob/main/docs/tools/mcp-server.md",
        table="mcpServers",
        linux=("~/.gemini/settings.json",),
        macos=("~/.gemini/settings.json",),
        windows=("~/.gemini/settings.json",),
        home_env="GEMINI_CLI_HOME",
        below=".gemini/settings.json",
        reference="${NAME}",
        # Milliseconds. Its default lets `gemini mcp list` wait for 5 s only.
        also={"timeout": 600_000},
        afterwards="`gemini mcp list` shows it connected, in folders that it trusts.",
    ),
    Host(
        name="windsurf",
        title="Windsurf",
        docs_url="https://docs.windsurf.com/windsurf/cascade/mcp",
        table="mcpServers",
        linux=_HOME_WINDSURF,
        macos=_HOME_WINDSURF,
        windows=_HOME_WINDSURF,
        reference="${env:NAME}",
        afterwards="Press the refresh button of Cascade's MCP panel.",
    ),
    Host(
        name="zed",
        title="Zed",
        docs_url="https://zed.dev/docs/ai/mcp",
        table="context_servers",
        linux=(f"{{config}}/{_ZED}",),
        macos=(f"~/.config/{_ZED}",),
        windows=("{appdata}/Zed/settings.json",),
        keys="inherited",
        # Versions before 2026 need `source`. Its default limit for a call is 60 s.
        also={"source": "custom", "timeout": 300},
        afterwards="The dot beside its name in the Agent Panel's settings turns green.",
    ),
)


def find_host(name: str) -> Host:
    """Return a host by name.

    Raises:
        UnknownNameError: No host has this name.
    """
    for one in HOSTS:
        if one.name == name:
            return one
    raise UnknownNameError("host", name, [one.name for one in HOSTS])
