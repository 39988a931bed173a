"""The settings for fetching and keeping a key set."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, get_args

from jwt_middleware.checks import check_kind, mapped
from jwt_middleware.clock import Clock, usable_clock
from jwt_middleware.crypto.algorithms import select
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.snapshot import Kidless
from jwt_middleware.options import Choice, Count, Flag, Seconds, check_fields

_Time = Annotated[float, Seconds(may_be_zero=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverOptions:
    """The settings for fetching and keeping a key set. All times are in seconds.

    :param refresh_after: age from which a set is refreshed in the background. Up to ten percent
        less at random, so that several processes do not fetch at once.
    :param max_age: age from which a request waits for a refresh: the longest that a withdrawn key
        serves.
    :param stale_if_error: how long beyond ``max_age`` a set still serves while its issuer cannot be
        reached.
    :param unknown_kid_burst: fetches that unknown key ids may cause at once, in addition to the
        regular ones.
    :param unknown_kid_interval: time after which unknown key ids may cause one more fetch.
    :param timeout: the total time that one fetch may take, discovery included.
    :param max_bytes: the largest size of a decoded document. Entra's, with certificates, is about
        20 KB.
    :param max_keys: the most usable keys that are kept of one set.
    :param max_backoff: the longest pause between fetches that fail.
    :param discovery_lifetime: age from which a discovery document is fetched again.
    :param trusted_max_age: how far ``Cache-Control: max-age`` may lengthen ``max_age``; by default
        it only shortens.
    :param replaced_kid_interval: least time between fetches after a bad signature with a known key
        id. By default there are no such fetches, because any client can send a bad signature.
    :param kidless: how to treat a token without a key id. ``single`` accepts it if only one key
        fits, ``try`` tries up to four keys, and ``reject`` refuses it.
    :param allow_http: whether keys may be fetched without TLS from other machines.
    :param same_origin: whether a discovered ``jwks_uri`` must be on the issuer's own host (Google's
        is not).
    :raises ConfigurationError: for a value that is out of range or contradicts another, naming the
        option, the value and the fix.
    """

    refresh_after: _Time = 300
    max_age: _Time = 600
    stale_if_error: Annotated[float, Seconds()] = 3600
    unknown_kid_burst: Annotated[int, Count(0)] = 2
    unknown_kid_interval: _Time = 10
    timeout: _Time = 5
    max_bytes: Annotated[int, Count()] = 262_144
    max_keys: Annotated[int, Count()] = 100
    max_backoff: _Time = 60
    discovery_lifetime: _Time = 43_200
    trusted_max_age: Annotated[float | None, Seconds(may_be_zero=False)] = None
    replaced_kid_interval: Annotated[float | None, Seconds(may_be_zero=False)] = None
    kidless: Annotated[Kidless, Choice(get_args(Kidless))] = "single"
    allow_http: Annotated[bool, Flag()] = False
    same_origin: Annotated[bool, Flag()] = False

    def __post_init__(self) -> None:
        check_fields(self, ResolverOptions)
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


def check_resolver(
    options: object, fetcher: object, clock: Clock, rng: object, seed: object
) -> None:
    """Check the arguments of a resolver.

    :raises ConfigurationError: naming the argument that is wrong.
    """
    check_kind("options", options, ResolverOptions, "ResolverOptions(timeout=3)")
    usable_clock("clock", clock)
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
