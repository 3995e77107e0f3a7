"""OpenTelemetry spans, where the environment asks for traces: one an attempt, without prompts and answers.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from mcp_router import __version__
from mcp_router.ledger.records import Attempt
from mcp_router.routing.fit import Candidate

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

NAME = "mcp-llm-router"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_FLUSH_SECONDS = 5.0
"""For the last spans to be sent when the server stops."""
_WELL_KNOWN = {"claude": "anthropic", "gemini": "gcp.gemini", "grok": "x_ai", "mistral": "mistral_ai"}
"""What the conventions call a provider, where it is not what we call it."""

logger = logging.getLogger(__name__)


def is_tracing_enabled(environ: Mapping[str, str]) -> bool:
    """Say whether the standard variables want traces sent.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(environ.get(name, "").strip() for name in _ENDPOINTS)


def create_tracer(environ: Mapping[str, str]) -> Tracer | None:
    """Return a tracer, or None without any import if tracing is off."""
    if not is_tracing_enabled(environ):
        return None
    from opentelemetry.trace import get_tracer  # noqa: PLC0415 - only who asks for traces waits for it

    return get_tracer(NAME, __version__)


@asynccontextmanager
async def export_spans(environ: Mapping[str, str]) -> AsyncGenerator[None]:
    """Send the spans of this process, the MCP SDK's too, where the environment says; the last ones at the end."""
    provider = _provider(environ) if is_tracing_enabled(environ) else None
    try:
        yield
    finally:
        if provider is not None:
            with anyio.move_on_after(_FLUSH_SECONDS + 1, shield=True):
                await anyio.to_thread.run_sync(
                    provider.force_flush, int(_FLUSH_SECONDS * 1_000), abandon_on_cancel=True
                )


def _provider(environ: Mapping[str, str]) -> TracerProvider | None:
    chosen = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    protocol = next((environ[name].strip() for name in _PROTOCOLS if environ.get(name, "").strip()), "http/protobuf")
    if chosen != "otlp" or protocol != "http/protobuf":
        logger.warning("traces are sent by otlp over http/protobuf only, not by %s over %s: none are", chosen, protocol)
        return None
    try:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as missing:
        logger.warning(
            "the environment asks for traces (OTEL_…), but %s is missing: install %s[otel]", missing.name, NAME
        )
        return None
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None  # the parent sends them already, for example `opentelemetry-instrument`
    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    about = {"service.version": __version__} | ({} if named else {"service.name": NAME})
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def trace_attempt(maker: Tracer | None, candidate: Candidate, attempts: Sequence[Attempt]) -> Generator[None]:
    """Make a span of one attempt; what came of it is read from `attempts`, where it is the last one by then."""
    if maker is None:
        yield
        return
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    model = candidate.model
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _WELL_KNOWN.get(model.provider, model.provider),
        "gen_ai.request.model": model.name,
        "gen_ai.request.max_tokens": candidate.fit.max_output_tokens,
    }
    before = len(attempts)
    with maker.start_as_current_span(
        f"chat {model.name}",
        kind=SpanKind.CLIENT,
        attributes=asked,
        # An exception's text is the vendor's, and can quote the prompt: the span has its kind instead.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        finally:
            if len(attempts) > before:
                _record_outcome(span, attempts[-1])


def _record_outcome(span: Span, attempt: Attempt) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    attributes = {
        "gen_ai.usage.input_tokens": attempt.input_tokens,
        "gen_ai.usage.output_tokens": attempt.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": attempt.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": attempt.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": attempt.reasoning_tokens,
        "gen_ai.response.finish_reasons": [attempt.finish_reason] if attempt.finish_reason else None,
        "error.type": attempt.error,
        "mcp_router.call_id": attempt.call_id,
        "mcp_router.attempt": attempt.number,
        "mcp_router.client": attempt.client,
        "mcp_router.use_case": attempt.use_case,
        "mcp_router.budget_tier": attempt.budget_tier,
        "mcp_router.cost_usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
        "mcp_router.cost_source": attempt.cost_source,
    }
    span.set_attributes({name: value for name, value in attributes.items() if value is not None})
    if attempt.error is not None:
        span.set_status(StatusCode.ERROR)
