"""Sending of a message to a webhook. The URL is a secret: it is in no error and no log line."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

_MAX_SECONDS = 10.0
_MIN_ERROR_STATUS = 300
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254", "168.63.129.16")))
"""Addresses outside the link-local ranges where clouds serve a machine's credentials."""


class WebhookError(Exception):
    """A message was not delivered; the text says why, without the URL."""


def find_url_problem(url: str) -> str | None:
    """Return why a URL cannot be a webhook; None if it can."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if not host or parts.scheme not in {"http", "https"}:
        return "is not an https:// URL"
    if parts.scheme == "http" and not _is_loopback_name(host):
        return "must start with https://; http:// is for this machine only"
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if is_allowed_address(str(address), host=host) else "names a link-local, metadata or reserved address"


def is_allowed_address(address: str, *, host: str) -> bool:
    """Return whether a message for a host can go to an address that the host's name stands for."""
    ip = ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return _is_loopback_name(host)
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip in _METADATA)


async def send_webhook(url: str, body: Mapping[str, object]) -> None:
    """Post a message as JSON. Redirects are not followed.

    Raises:
        WebhookError: It was not delivered.
    """
    if (problem := find_url_problem(url)) is not None:
        raise WebhookError(f"the webhook {problem}")
    import aiohttp  # noqa: PLC0415 - only a message needs it
    from aiohttp.resolver import ThreadedResolver  # noqa: PLC0415

    class Resolver(ThreadedResolver):
        """Resolves names to allowed addresses only, and the connection uses what it returns."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            allowed = [one for one in found if is_allowed_address(one["host"], host=host)]
            if not allowed:
                raise OSError("the webhook's name stands for a link-local, metadata or reserved address")
            return allowed

    timeout = aiohttp.ClientTimeout(total=_MAX_SECONDS)
    try:
        connector = aiohttp.TCPConnector(resolver=Resolver())
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(url, json=dict(body), allow_redirects=False) as response,
        ):
            if response.status >= _MIN_ERROR_STATUS:
                raise WebhookError(f"the webhook answered with HTTP status {response.status}")
    except TimeoutError:
        raise WebhookError(f"the webhook did not answer within {_MAX_SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise WebhookError(f"the webhook cannot be reached ({type(error).__name__})") from None


def _is_loopback_name(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
