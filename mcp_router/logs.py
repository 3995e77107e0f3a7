"""Log lines: text or JSON, each with the id of its HTTP request, and the cause of every refusal and failure.

Only causes without a caller's words are logged: no prompt, no answer, no key.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

LogFormat = Literal["text", "json"]
LEVELS = ("debug", "info", "warning", "error")

_OWN = ("mcp_router", "providers")
_CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "anthropic", "groq", "mistralai")
"""SDKs that log whole requests, and bodies of errors."""
_FIELDS = ("kind", "cause", "call_id", "client", "method", "path", "status", "seconds", "model", "worker")
"""Fields of a line beside its message, given as `extra`."""
_MAX_CAUSE_CHARS = 500

_logger = logging.getLogger("mcp_router.refusals")


@dataclass(kw_only=True, slots=True)
class RequestRecord:
    """What the log says of one HTTP request."""

    id: str
    client: str | None = None
    kind: str | None = None
    """The kind of its refusal or failure, one word; None without one."""
    cause: str = ""
    call_id: str | None = None


CURRENT: ContextVar[RequestRecord | None] = ContextVar("CURRENT", default=None)
"""The HTTP request that is being answered; None over stdio and on the command line."""
RECORD = "router_request"
"""The record's name in an ASGI scope: sessions of MCP answer in tasks of another request."""
observers: list[Callable[[str], None]] = []
"""Called with the kind of each refusal and failure, for metrics."""


def note_failure(kind: str, cause: str, *, call_id: str | None = None) -> None:
    """Note why the current request is refused or failed. It is logged when the request ends, or now without one."""
    cause = " ".join(cause.split())[:_MAX_CAUSE_CHARS]
    record = CURRENT.get()
    if record is None:
        _logger.info("%s: %s", kind, cause, extra={"kind": kind, "cause": cause, "call_id": call_id})
        return
    if record.kind is None:
        record.kind, record.cause, record.call_id = kind, cause, call_id
        for observer in observers:
            observer(kind)


def configure_logging(log_format: LogFormat = "text", level: str = "warning") -> None:
    """Write log lines to stderr. `level` is that of this program's own lines; libraries log warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for name in _OWN:
        logging.getLogger(name).setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        current = CURRENT.get()
        text = super().format(record)
        return text if current is None else f"{text} request={current.id}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := CURRENT.get()) is not None:
            line["request_id"] = current.id
        fields = cast("dict[str, object]", record.__dict__)
        line |= {name: fields[name] for name in _FIELDS if fields.get(name) is not None}
        if record.exc_info and record.exc_info[0] is not None:
            # Without the exception's text, which can quote a prompt.
            line["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, ensure_ascii=False)
