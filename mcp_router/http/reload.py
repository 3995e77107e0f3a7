"""Reload of the configuration on SIGHUP, without interrupting calls in flight."""

from __future__ import annotations

import logging
from dataclasses import replace

from anyio import to_thread

from mcp_router.app import App
from mcp_router.errors import ConfigError
from mcp_router.http.auth import TokenStore, is_loopback, load_tokens
from mcp_router.ledger.queries.rollups import OWNERS
from mcp_router.settings import Settings, reload

logger = logging.getLogger(__name__)


async def reload_configuration(app: App, tokens: TokenStore, host: str) -> bool:
    """Use the configuration and key file as they are now. If they are invalid, log why and keep the former ones."""
    try:
        settings = serve_others(await to_thread.run_sync(reload, app.settings))
        load_tokens(settings)
        _require_clients(settings, host)
        app.use_settings(settings)
        tokens.use(settings)
    except ConfigError as error:
        logger.error(  # noqa: TRY400 - the text says where; a stack would not
            "the configuration is not reloaded, the former one stays: %s",
            error,
        )
        return False
    logger.warning("the configuration is reloaded from %s", settings.path or "the defaults")
    return True


def _require_clients(settings: Settings, host: str) -> None:
    if not is_loopback(host) and not has_clients(settings):
        raise ConfigError(f"{settings.path}: clients: --host {host} can be reached by others, so clients need tokens.")


def serve_others(settings: Settings) -> Settings:
    """Return the settings of a server that is reached over HTTP, perhaps by clients with tokens."""
    return replace(settings, over_http=True, for_others=settings.for_others or has_clients(settings))


def has_clients(settings: Settings) -> bool:
    """Return whether a client beside the server's own user is configured."""
    return any(name not in OWNERS for name in settings.configuration.clients)
