"""Clients that find a key by its id: this package and four others, used as documented.

``life`` is how many seconds a key set is valid; without it, each client uses its defaults.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.effects import Steps, arun, run
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import Waited, Waiter

RS256 = ALGORITHMS["RS256"]


class Peer:
    """Finds a key, or raises."""

    def __init__(self, url: str, life: float | None) -> None:
        self.url = url
        self.life = life

    async def look(self, kid: str) -> object:
        """Find a key from within an event loop."""
        raise NotImplementedError

    def look_blocking(self, kid: str) -> object:
        """Find a key from a thread without an event loop."""
        return asyncio.run(self.look(kid))

    def lift_limits(self) -> None:
        """Take away what keeps it from asking again so soon after a fetch."""

    def expire(self) -> None:
        """Let the life of the key set pass."""
        time.sleep((self.life or 0) * 1.2)


class Ours(Peer):
    """The resolver of this package, asked as the guard asks it."""

    def __init__(self, url: str, life: float | None) -> None:
        super().__init__(url, life)
        ages = {"refresh_after": life, "max_age": life, "stale_if_error": STALE}
        options = ResolverOptions() if life is None else ResolverOptions(**ages)  # type: ignore[arg-type]
        self.source = JWKSResolver(f"{url}/jwks.json", options=options)

    def _steps(self, waiter: Waiter, kid: str) -> Steps[object]:
        waited = yield waiter
        assert isinstance(waited, Waited)
        return self.source.settle(kid, RS256, waited)

    async def look(self, kid: str) -> object:
        found = self.source.plan(kid, RS256)
        return await arun(self._steps(found, kid)) if isinstance(found, Waiter) else found

    def look_blocking(self, kid: str) -> object:
        found = self.source.plan(kid, RS256)
        return run(self._steps(found, kid)) if isinstance(found, Waiter) else found


class PyJWT(Peer):
    """``PyJWKClient``, which blocks wherever it is called."""

    def __init__(self, url: str, life: float | None) -> None:
        from jwt import PyJWKClient

        super().__init__(url, life)
        more: dict[str, Any] = {} if life is None else {"lifespan": life}
        self.client = PyJWKClient(f"{url}/jwks.json", **more)

    def lift_limits(self) -> None:
        self.client.cooldown_duration = 0

    async def look(self, kid: str) -> object:
        return self.client.get_signing_key(kid)

    def look_blocking(self, kid: str) -> object:
        return self.client.get_signing_key(kid)


class FastMCP(Peer):
    """``JWTVerifier``."""

    def __init__(self, url: str, life: float | None) -> None:
        from fastmcp.server.auth.providers.jwt import JWTVerifier

        super().__init__(url, life)
        self.verifier = JWTVerifier(jwks_uri=f"{url}/jwks.json", issuer=url, audience="a")
        if life is not None:
            self.verifier._cache_ttl = life  # noqa: SLF001 - it has no option

    def lift_limits(self) -> None:
        self.verifier._jwks_refresh_interval = 0  # noqa: SLF001 - as an option would

    async def look(self, kid: str) -> object:
        return await self.verifier._get_jwks_key(kid)  # noqa: SLF001 - it has no public way


class AzureAuth(Peer):
    """``OpenIdConfig``, which keeps a set for a day."""

    def __init__(self, url: str, life: float | None) -> None:
        from fastapi_azure_auth.openid_config import OpenIdConfig

        super().__init__(url, life)
        self.config = OpenIdConfig(config_url=f"{url}/.well-known/openid-configuration")

    async def look(self, kid: str) -> object:
        await self.config.load_config()
        return self.config.signing_keys[kid]

    def expire(self) -> None:
        stamp = self.config._config_timestamp  # noqa: SLF001 - it has no option
        assert stamp is not None
        self.config._config_timestamp = stamp - timedelta(days=2)  # noqa: SLF001


class KeyFetcher(Peer):
    """``AsyncKeyFetcher``, which must be made inside the event loop that it is used in."""

    fetcher: Any = None

    async def look(self, kid: str) -> object:
        from pyjwt_key_fetcher import AsyncKeyFetcher

        if self.fetcher is None:
            uri = {"jwks_uri": f"{self.url}/jwks.json"}
            more: dict[str, Any] = {} if self.life is None else {"cache_ttl": self.life}
            self.fetcher = AsyncKeyFetcher(static_issuer_config={self.url: uri}, **more)
        return await self.fetcher.get_key_by_iss_and_kid(self.url, kid)


# How long ours serves beyond the life of a set, where a scenario gives it one.
STALE = 1.5

PEERS: dict[str, type[Peer]] = {
    "ours": Ours,
    "PyJWKClient": PyJWT,
    "FastMCP": FastMCP,
    "azure-auth": AzureAuth,
    "key-fetcher": KeyFetcher,
}
