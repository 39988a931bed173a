"""Resolvers made on demand, for services whose issuers are admitted by a rule and not by a list."""

from collections import OrderedDict
from collections.abc import Callable

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.flight import MAX_FLIGHTS, FlightLimit, TinyLock, renew_after_fork
from jwt_middleware.keys.jwks import JWKSResolver

# What the SDKs of Auth0 keep; a hundred key sets are a few megabytes.
MAX_ISSUERS = 100

Admit = Callable[[str, FlightLimit], JWKSResolver | None]


class ResolverPool:
    """The resolvers of admitted issuers, the least recently used of which make room."""

    def __init__(
        self, admit: Admit, most: int = MAX_ISSUERS, max_flights: int = MAX_FLIGHTS
    ) -> None:
        """
        :param admit: is given the exact ``iss`` of a token, unverified, and the limit to hand to
            the resolver that it makes; ``None`` says that the issuer is not trusted. Nothing of a
            token but this string ever reaches it.
        :param most: resolvers that are kept.
        :param max_flights: fetches that may be under way at once, over all of them.
        :raises ConfigurationError: unless ``most`` is more than ``max_flights``.
        """
        if most <= max_flights:
            raise ConfigurationError(
                f"most={most!r} must be more than max_flights={max_flights!r}: a resolver that is "
                "fetching is never dropped"
            )
        self._admit = admit
        self._most = most
        self._limit = FlightLimit(max_flights)
        self._resolvers: OrderedDict[str, JWKSResolver] = OrderedDict()
        self._lock = TinyLock()
        renew_after_fork(self)

    def __len__(self) -> int:
        return len(self._resolvers)

    def get(self, issuer: str) -> JWKSResolver | None:
        """Return the resolver of an issuer; ``None`` if it is not trusted.

        A name that is not admitted leaves nothing behind, in memory or on the network.
        """
        with self._lock:
            known = self._resolvers.get(issuer)
            if known is not None:
                self._resolvers.move_to_end(issuer)
                return known
        # Foreign code, so not under the lock. Two threads may both make one; the first stays.
        made = self._admit(issuer, self._limit)
        return None if made is None else self._keep(issuer, made)

    def _keep(self, issuer: str, made: JWKSResolver) -> JWKSResolver:
        with self._lock:
            kept = self._resolvers.setdefault(issuer, made)
            dropped = self._make_room()
        for resolver in dropped:
            resolver.close()
        return kept

    def _make_room(self) -> list[JWKSResolver]:
        excess = len(self._resolvers) - self._most
        idle = [name for name, one in self._resolvers.items() if not one.health().is_fetching]
        return [self._resolvers.pop(name) for name in idle[: max(0, excess)]]

    def close(self) -> None:
        """Close every resolver."""
        with self._lock:
            resolvers = list(self._resolvers.values())
            self._resolvers.clear()
        for resolver in resolvers:
            resolver.close()

    def after_fork(self) -> None:
        """Start over in a forked child, with the keys of its parent."""
        self._lock = TinyLock()
