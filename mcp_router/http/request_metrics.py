"""Counters of this server's HTTP requests and refusals, shared by its workers.

They are kept by prometheus_client: in memory, or in the files of `PROMETHEUS_MULTIPROC_DIR`, which `serve --workers`
sets before its workers start.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from mcp_router import __version__
from mcp_router.logs import observers

_REGISTRY = CollectorRegistry(auto_describe=False)
_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"})

_requests = Counter(
    "mcp_router_http_requests", "HTTP requests that ended", ["method", "route", "status"], registry=_REGISTRY
)
_refused = Counter("mcp_router_refusals", "Refused and failed requests, by kind", ["kind"], registry=_REGISTRY)
_in_flight = Gauge(
    "mcp_router_http_requests_in_flight", "HTTP requests in flight", registry=_REGISTRY, multiprocess_mode="livesum"
)
observers.append(lambda kind: _refused.labels(kind).inc())


def begin() -> None:
    """Count a request as in flight."""
    _in_flight.inc()


def end(*, method: str, route: str, status: int) -> None:
    """Count a request that ended."""
    _in_flight.dec()
    _requests.labels(method if method in _METHODS else "other", route, str(status)).inc()


def collect() -> Iterator[Metric]:
    """Yield the counters of all workers, and the build."""
    registry = _REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry(auto_describe=False)
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    yield from registry.collect()
    build = GaugeMetricFamily("mcp_router_build_info", "Version of this server", labels=["version", "python"])
    build.add_metric([__version__, platform.python_version()], 1)
    yield build
