"""Clients' tokens, kept as hashes and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from ipaddress import ip_address

from mcp_router.errors import ConfigError
from mcp_router.ledger.queries.rollups import OWNERS
from mcp_router.operations.caller import Caller
from mcp_router.settings import ClientSettings, Settings

_MIN_TOKEN_CHARS = 20
_BEARER = "bearer "

logger = logging.getLogger(__name__)


class ClientTokens:
    """Callers by the SHA-256 of their token."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = dict(callers)

    def __bool__(self) -> bool:
        return bool(self._callers)

    def find_caller(self, authorization: str | None, *, api_key: str | None = None) -> Caller | None:
        """Return the caller for an `Authorization` header, or None if the token is unknown.

        `api_key` is an `x-api-key` header, in which Anthropic's clients send the token.
        """
        if authorization is None and api_key is not None:
            authorization = f"{_BEARER}{api_key}"
        scheme, token = (authorization or "")[: len(_BEARER)], (authorization or "")[len(_BEARER) :]
        given = hashlib.sha256(token.strip().encode()).digest()
        found: Caller | None = None
        # Compare every client, so that the time does not reveal which names exist.
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, given):
                found = caller
        return found if scheme.lower() == _BEARER else None


def load_tokens(settings: Settings) -> ClientTokens:
    """Read the clients' tokens.

    Raises:
        ConfigError: A client's token is missing or given twice, or two clients have the same one.
    """
    callers: dict[bytes, Caller] = {}
    for name, client in settings.configuration.clients.items():
        known = _hash_token(name, client, settings)
        if known is None:
            continue
        if name in OWNERS:
            raise ConfigError(
                f"{settings.path}: clients.{name}: the name is reserved for the server's own user. Choose another."
            )
        if known in callers:
            raise ConfigError(f"{settings.path}: clients.{name}: has the same token as {callers[known].name}.")
        callers[known] = Caller(name=name, sees_all=client.sees_all)
    return ClientTokens(callers)


def _hash_token(name: str, client: ClientSettings, settings: Settings) -> bytes | None:
    if client.token_sha256 is not None and client.token_env is not None:
        raise ConfigError(f"{settings.path}: clients.{name}: has token_sha256 and token_env. Remove one of them.")
    if client.token_sha256 is not None:
        return bytes.fromhex(client.token_sha256)
    if client.token_env is None:
        return None
    token = settings.environ.get(client.token_env, "").strip()
    if not token:
        raise ConfigError(f"{settings.path}: clients.{name}: token_env {client.token_env} is not set.")
    if len(token) < _MIN_TOKEN_CHARS:
        logger.warning(
            "the token of client %s is shorter than %d characters and can be guessed", name, _MIN_TOKEN_CHARS
        )
    return hashlib.sha256(token.encode()).digest()


def require_tokens(host: str, known: ClientTokens, settings: Settings) -> None:
    """Check that an address which others can reach is served only with clients' tokens.

    Raises:
        ConfigError: No client has a token.
    """
    if known or is_loopback(host):
        return
    raise ConfigError(
        f"{settings.path or 'no configuration file'}: clients: --host {host} can be reached by others, so clients "
        "need tokens and none has one. Add [clients.NAME] with token_env (a variable that holds the token) or "
        "token_sha256, or serve on 127.0.0.1."
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
