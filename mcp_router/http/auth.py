"""Clients' tokens, kept as hashes and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
from collections.abc import Mapping
from ipaddress import ip_address

import anyio

from mcp_router.errors import ConfigError
from mcp_router.ledger.ledger import LedgerError
from mcp_router.ledger.queries.rollups import OWNERS
from mcp_router.ledger.records import ClientToken
from mcp_router.ledger.token_ledger import TokenLedger
from mcp_router.operations.caller import Caller
from mcp_router.settings import ClientSettings, Settings

_MIN_TOKEN_CHARS = 20
_BEARER = "bearer "
_LEDGER_TIMEOUT_S = 2.0

logger = logging.getLogger(__name__)


_REFRESH_S = 0.5
"""How old the tokens read from the ledger can be: a revoked one is refused within this time."""


class ClientTokens:
    """Callers by the SHA-256 of their token."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = dict(callers)

    def __bool__(self) -> bool:
        return bool(self._callers)

    def join(self, callers: Mapping[bytes, Caller]) -> ClientTokens:
        """Return these tokens with others."""
        return ClientTokens({**callers, **self._callers})

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


class TokenStore:
    """The valid tokens: those of the configuration, and those that `token new` wrote to the ledger.

    The ledger's are read again at a request, at most every `_REFRESH_S`. While the ledger is unavailable the last ones
    read stay valid.
    """

    def __init__(self, ledger: TokenLedger, settings: Settings) -> None:
        """Take the configuration's tokens.

        Raises:
            ConfigError: A client's token is missing or given twice.
        """
        self._ledger = ledger
        self._rows: tuple[ClientToken, ...] = ()
        self._read_at = -math.inf
        self._lock = anyio.Lock()
        self._settings = settings
        self._configured = load_tokens(settings)
        self._tokens = self._configured
        self._clients = _list_clients(settings)

    def __bool__(self) -> bool:
        """Whether requests need a token: a client has one, or had one."""
        return bool(self._configured) or any(row.client in self._clients for row in self._rows)

    @property
    def settings(self) -> Settings:
        """The configuration in use."""
        return self._settings

    def use(self, settings: Settings) -> None:
        """Take another configuration.

        Raises:
            ConfigError: A client's token is missing or given twice; the former configuration stays.
        """
        self._configured = load_tokens(settings)
        self._settings, self._clients = settings, _list_clients(settings)
        self._merge()

    async def refresh(self) -> None:
        """Read the ledger's tokens if they are too old."""
        if not self._clients or anyio.current_time() - self._read_at < _REFRESH_S:
            return
        async with self._lock:
            if anyio.current_time() - self._read_at < _REFRESH_S:
                return
            try:
                with anyio.fail_after(_LEDGER_TIMEOUT_S):
                    self._rows = tuple(await self._ledger.read_all())
            except (LedgerError, TimeoutError) as error:
                logger.warning("cannot read tokens; the last ones read stay valid: %s", error)
            self._read_at = anyio.current_time()
            self._merge()

    async def find_caller(self, authorization: str | None, *, api_key: str | None = None) -> Caller | None:
        """Return the caller for an `Authorization` or `x-api-key` header, or None if the token is not valid."""
        await self.refresh()
        return self._tokens.find_caller(authorization, api_key=api_key)

    def _merge(self) -> None:
        clients = self._settings.configuration.clients
        found = {
            bytes.fromhex(row.sha256): Caller(name=row.client, sees_all=clients[row.client].sees_all)
            for row in self._rows
            if row.revoked_at is None and row.client in self._clients
        }
        self._tokens = self._configured.join(found)


def _list_clients(settings: Settings) -> frozenset[str]:
    return frozenset(settings.configuration.clients) - frozenset(OWNERS)


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


def require_tokens(host: str, known: TokenStore, settings: Settings) -> None:
    """Check that an address which others can reach is served only with clients' tokens.

    Raises:
        ConfigError: No client has a token.
    """
    if known or is_loopback(host):
        return
    raise ConfigError(
        f"{settings.path or 'no configuration file'}: clients: --host {host} can be reached by others, so clients "
        "need tokens and none has one. Add [clients.NAME] and run `mcp-llm-router token new NAME`, or set its "
        "token_env (a variable that holds the token) or token_sha256, or serve on 127.0.0.1."
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
