"""The settings for fetching and keeping a key set."""

import random
from collections.abc import Collection
from dataclasses import dataclass

from jwt_middleware.checks import check_flag, check_kind, is_number, mapped
from jwt_middleware.clock import Clock, check_clock
from jwt_middleware.crypto.algorithms import select
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.snapshot import Kidless

# Options that may be zero or None. The option's docstring says what that means.
_MAY_BE_ZERO = frozenset({"stale_if_error", "unknown_kid_burst"})
_MAY_BE_NONE = frozenset({"trusted_max_age", "replaced_kid_interval"})
_WHOLE = frozenset({"unknown_kid_burst", "max_bytes", "max_keys"})
_FLAGS = ("allow_http", "same_origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverOptions:
    """The settings for fetching and keeping a key set. All times are in seconds.

    :raises ConfigurationError: for a value that is out of range or contradicts another, naming the
        option, the value and the fix.
    """

    refresh_after: float = 300
    """Age from which a set is refreshed in the background. Up to ten percent less at random, so
    that several processes do not fetch at once."""
    max_age: float = 600
    """Age from which a request waits for a refresh: the longest that a withdrawn key serves."""
    stale_if_error: float = 3600
    """How long beyond ``max_age`` a set still serves while its issuer cannot be reached."""
    unknown_kid_burst: int = 2
    """Fetches that unknown key ids may cause at once, in addition to the regular ones."""
    unknown_kid_interval: float = 10
    """Time after which unknown key ids may cause one more fetch."""
    timeout: float = 5
    """The total time that one fetch may take, discovery included."""
    max_bytes: int = 262_144
    """The largest size of a decoded document. Entra's, with certificates, is about 20 KB."""
    max_keys: int = 100
    """The most usable keys that are kept of one set."""
    max_backoff: float = 60
    """The longest pause between fetches that fail."""
    discovery_lifetime: float = 43_200
    """Age from which a discovery document is fetched again."""
    trusted_max_age: float | None = None
    """How far ``Cache-Control: max-age`` may lengthen ``max_age``; by default it only shortens."""
    replaced_kid_interval: float | None = None
    """Least time between fetches after a bad signature with a known key id. By default there are
    no such fetches, because any client can send a bad signature."""
    kidless: Kidless = "single"
    """How to treat a token without a key id. ``single`` accepts it if only one key fits, ``try``
    tries up to four keys, and ``reject`` refuses it."""
    allow_http: bool = False
    """Whether keys may be fetched without TLS from other machines."""
    same_origin: bool = False
    """Whether a discovered ``jwks_uri`` must be on the issuer's own host (Google's is not)."""

    def __post_init__(self) -> None:
        for name in _FLAGS:
            check_flag(name, getattr(self, name))
        for name in self.__slots__:
            if name not in (*_FLAGS, "kidless"):
                _check_number(name, getattr(self, name))
        if self.kidless not in ("single", "try", "reject"):
            raise ConfigurationError(
                f"kidless={self.kidless!r} must be known: write 'single', 'try' or 'reject'"
            )
        self._check_together()

    def _check_together(self) -> None:
        if self.max_age < self.refresh_after:
            raise ConfigurationError(
                f"max_age={self.max_age!r} is less than refresh_after={self.refresh_after!r}: a "
                "set would expire before it is renewed; raise max_age"
            )
        if self.trusted_max_age is not None and self.trusted_max_age < self.max_age:
            raise ConfigurationError(
                f"trusted_max_age={self.trusted_max_age!r} is less than max_age={self.max_age!r} "
                "and would lengthen nothing: raise it, or leave it out"
            )


def _check_number(name: str, value: object) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if name in _WHOLE and type(value) is not int:
        raise ConfigurationError(f"{name}={value!r} must be a whole number, such as 2")
    if not is_number(value) or not (value > 0 or (value == 0 and name in _MAY_BE_ZERO)):
        least = "not negative" if name in _MAY_BE_ZERO else "above 0"
        raise ConfigurationError(f"{name}={value!r} must be a finite number, {least}")


def check_resolver(
    options: object, fetcher: object, clock: Clock, rng: object, seed: object
) -> None:
    """Check the arguments of a resolver.

    :raises ConfigurationError: naming the argument that is wrong.
    """
    check_kind("options", options, ResolverOptions, "ResolverOptions(timeout=3)")
    check_clock(clock)
    if fetcher is not None and not callable(getattr(fetcher, "fetch", None)):
        raise ConfigurationError(f"fetcher={fetcher!r} needs fetch(request): write HTTPFetcher()")
    if rng is not None:
        check_kind("rng", rng, random.Random, "random.Random()")
    if seed is not None:
        mapped("seed", seed, "what export() returned")


def asymmetric(algorithms: Collection[str]) -> frozenset[str]:
    """Return the names of the algorithms that keys may be used with.

    :raises ConfigurationError: for an algorithm with a shared secret.
    """
    chosen = select(algorithms)
    if chosen[0].is_symmetric:
        raise ConfigurationError(
            f"algorithms={[row.name for row in chosen]!r} need a shared secret, which must not be "
            "in a published key set: write algorithms with a public key, such as ['RS256']"
        )
    return frozenset(row.name for row in chosen)
