"""Keys that are published one by one, each at an address with its key id.

Each key id has a resolver of its own, so that each key is fetched, refreshed, kept through an
outage and withdrawn like a key set. Any client can write an invented key id into a token. So key
ids that were never found share a budget and a few places for waiting callers, and are kept apart
from those that serve.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from cachetools import LRUCache

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.errors import ConfigurationError, KeysUnavailable, KeyUnknown
from jwt_middleware.events import Observer
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.formats.urls import check_url
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.http import Fetcher, FetchRequest, FetchResponse, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.pool_limits import (
    RETURNING_BURST,
    RETURNING_INTERVAL,
    PoolLimit,
    PoolShare,
)
from jwt_middleware.keys.remote.rate_limits import FIRST_PAUSE, RateLimit, UnknownKids
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import Waited, Waiter
from jwt_middleware.keys.snapshot import CurrentSet, KeyHealth, Keys, Snapshot, State

KID = "{kid}"
"""The place of the key id in an address."""

# Only such key ids are put into an address, so that none can lead to another one.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# The keys that serve. An AWS region has a few, and the least recently used one makes room.
MAX_SERVING = 32

# Key ids whose fetch is under way or failed. Each was paid for with the budget.
MAX_ASKED = 16

# Key ids that once served. Each may be fetched again with a budget of its own.
MAX_PROVEN = 128

# How a publisher says that it has no such key. S3 answers 403 where listing is not allowed. For a
# key that was there before, 403 is an outage: a proxy or a permission may be in the way.
_GONE = frozenset({404, 410})
_ABSENT = _GONE | {403}

# The best first.
_STATES: tuple[State, ...] = ("static", "fresh", "ahead", "expired", "dead", "empty", "closed")


AnswerT = TypeVar("AnswerT")


class SingleKeys:
    """Resolves keys by their key ids."""

    def __init__(
        self,
        key_uri: str,
        name: str,
        *,
        algorithms: Iterable[str],
        options: ResolverOptions,
        fetcher: Fetcher | None,
        clock: Clock,
        observers: Iterable[Observer] = (),
        distrusted: Distrusted | None = None,
    ) -> None:
        """
        :param key_uri: the address of a key, with ``{kid}`` in the place of its key id.
        :param name: what events and errors call the issuer.
        :param fetcher: fetches over the network.
        :raises ConfigurationError: for an address that keys must not be fetched from.
        """
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """The withdrawn keys of the issuer."""
        self.current: CurrentSet[Snapshot | None] = CurrentSet(None)
        """Always empty, because there is no set of all keys. So tokens are not cached."""
        self._key_uri = key_uri
        self._name = name
        self._clock = clock
        self._own_fetcher = HTTPFetcher()
        self._fetcher = fetcher or self._own_fetcher
        self._settings: dict[str, Any] = {
            "name": name,
            "algorithms": tuple(algorithms),
            "options": options,
            "clock": clock,
            "observers": tuple(observers),
            "distrusted": self.distrusted,
        }
        burst, interval = options.unknown_kid_burst, options.unknown_kid_interval
        self._budget = RateLimit(burst, interval, clock.monotonic())
        self._limit = PoolLimit()
        self._absent = UnknownKids()
        self._serving: LRUCache[str, _OneKey] = LRUCache(MAX_SERVING)
        # No fewer places than the budget allows at once, so that none displaces another.
        self._most_asked = max(MAX_ASKED, burst)
        self._asked: LRUCache[str, _OneKey] = LRUCache(self._most_asked)
        self._proven: LRUCache[str, RateLimit] = LRUCache(MAX_PROVEN)
        self._is_closed = False
        self._lock = TinyLock()
        renew_after_fork(self)
        check_url("key_uri", key_uri.replace(KID, "kid"), allow_http=options.allow_http)

    def after_fork(self) -> None:
        """Create a new lock in a forked child, which keeps the keys of its parent.

        If another thread held the lock, they may be half changed, and the child starts without.
        """
        if self._lock.locked():
            self._absent = UnknownKids()
            self._serving, self._asked = LRUCache(MAX_SERVING), LRUCache(self._most_asked)
            self._proven = LRUCache(MAX_PROVEN)
        self._lock = TinyLock()

    def _one_key(self, kid: str) -> "_OneKey":
        share = PoolShare(self._limit)
        key = _OneKey(self._key_uri.replace(KID, kid), kid, self._fetcher, share, self._settings)
        key.has_served = kid in self._proven
        return key

    @property
    def snapshot(self) -> Snapshot | None:
        """``None``, because there is no set of all keys."""
        return self.current.snapshot

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the key to try, or a waiter for the fetch that may bring it.

        :raises KeyUnknown: if the key id is not one, or no fetch for it is allowed.
        :raises KeysUnavailable: if the key cannot be fetched at present.
        """
        if kid is None or not _UUID.fullmatch(kid):
            raise KeyUnknown("the header must name a key by a UUID")
        with self._lock:
            if (known := self._known(kid)) is not None:
                # A caller that left before the end of the fetch did not settle this.
                self._drop_if_absent(known)
            key = self._known(kid) or self._newly_asked(kid)
        return key.answer(lambda: key.resolver.plan(kid, algorithm))

    def _known(self, kid: str) -> "_OneKey | None":
        """Return a key that serves or is asked for. One that has arrived serves from now on."""
        key = self._serving.get(kid)
        if key is not None:
            return key
        key = self._asked.get(kid)
        if key is not None and key.has_arrived:
            del self._asked[kid]
            key.share.is_proven = True
            self._serving[kid] = key
            if kid not in self._proven:
                now = self._clock.monotonic()
                self._proven[kid] = RateLimit(RETURNING_BURST, RETURNING_INTERVAL, now)
        return key

    def _newly_asked(self, kid: str) -> "_OneKey":
        """Return a key that was never asked for, and charge the budget.

        :raises KeyUnknown: if it was asked for before, or the budget is used up.
        """
        now = self._clock.monotonic()
        if self._is_closed:
            raise KeysUnavailable(f"the keys of {self._name}: closed", retry_after=FIRST_PAUSE)
        if self.distrusted.names(kid):
            raise KeyUnknown("the header names a key that must not be used")
        if (delay := self._absent.retry_in(kid, now)) > 0:
            raise KeyUnknown("no key of that key id is published (asked before)", delay)
        budget = self._proven.get(kid, self._budget)
        if not budget.take(now):
            seconds = budget.seconds_until_next(now)
            raise KeyUnknown("the key is not known (over budget)", seconds)
        key = self._asked[kid] = self._one_key(kid)
        # Before the first key arrives every caller waits, as for the first key set.
        key.share.is_proven = not self._serving
        return key

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would return a key without a wait."""
        with self._lock:
            key = self._known(kid or "")
        return key is not None and key.resolver.has(kid, algorithm)

    def settle(self, kid: str | None, algorithm: Algorithm, waited: Waited) -> Keys:
        """Return the key to try after a wait. It never begins another fetch.

        :raises KeyUnknown: if the issuer does not publish the key.
        :raises KeysUnavailable: if the key could not be fetched.
        """
        with self._lock:
            key = self._known(kid or "")
            if key is None:
                raise KeyUnknown("no key of that key id is published", FIRST_PAUSE)
            self._drop_if_absent(key)
        return key.answer(lambda: key.resolver.settle(kid, algorithm, waited))

    def _drop_if_absent(self, key: "_OneKey") -> None:
        """Remember that a key id is not published, in place of the resolver that found out."""
        if key.is_absent and not key.held and self._asked.pop(key.kid, None) is not None:
            self._absent.add(key.kid, self._clock.monotonic())

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw one key, or all that serve, permanently.

        :raises ConfigurationError: if all keys are to be withdrawn and none was fetched yet.
        """
        held = tuple(key for each in self._all() for key in each.held)
        if kid is None and not held:
            raise ConfigurationError(
                f"distrust({self._name!r}) cannot withdraw all keys, because no keys were fetched "
                "yet: name the key with kid="
            )
        self.distrusted.add(kid, held)
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Remove the withdrawn keys, also those that another source withdrew."""
        for each in self._all():
            each.resolver.apply_withdrawals()

    def _all(self) -> "list[_OneKey]":
        with self._lock:
            return [*self._serving.values(), *self._asked.values()]

    def signature_failed(self) -> None:
        """Do nothing, because a key is not replaced under its key id."""

    def start_warming(self) -> Waiter | None:
        """Reopen it. No key is fetched before a token names it."""
        with self._lock:
            self._is_closed = False
        return None

    def check_warm(self, required: bool) -> None:
        """Do nothing, because no key can be fetched before a token names it."""

    def export(self) -> dict[str, Any] | None:
        """Return ``None``, because there is no set of all keys."""
        return None

    def health(self) -> KeyHealth:
        """Return the health of the key that is best off, and the number of usable keys.

        Keys that no token names any more grow old without a fetch, and say nothing of the issuer.
        """
        with self._lock:
            keys = list(self._serving.values() or self._asked.values())
        if not keys:
            return KeyHealth("closed" if self._is_closed else "empty", is_ready=False, keys=0)
        healths = [each.resolver.health() for each in keys]
        best = min(
            healths, key=lambda each: (not each.is_ready, _STATES.index(each.state), each.failures)
        )
        return replace(
            best,
            keys=sum(each.keys for each in healths if each.is_ready),
            is_fetching=any(each.is_fetching for each in healths),
            stuck_fetches=sum(each.stuck_fetches for each in healths),
        )

    def close(self) -> None:
        """Forget the keys, wake the waiters and abandon the fetches."""
        keys = self._all()
        with self._lock:
            self._is_closed = True
            self._serving.clear()
            self._asked.clear()
        for each in keys:
            each.resolver.close()
        self._own_fetcher.close()


class _OneKey:
    """One key id and its resolver, for which it is a fetcher."""

    def __init__(
        self, url: str, kid: str, fetcher: Fetcher, share: PoolShare, settings: dict[str, Any]
    ) -> None:
        self.kid = kid
        self.share = share
        self.has_served = False
        """Whether the key was fetched before, and then displaced by others."""
        self.is_absent = False
        """Whether the publisher said last that it has no such key."""
        self._fetcher = fetcher
        self.resolver = JWKSResolver(url, fetcher=self, share=share, **settings)

    @property
    def held(self) -> Keys:
        """The key, if it was fetched."""
        snapshot = self.resolver.snapshot
        return () if snapshot is None else snapshot.keys

    @property
    def has_arrived(self) -> bool:
        """Whether the key was fetched."""
        return bool(self.held)

    def answer(self, ask: Callable[[], AnswerT]) -> AnswerT:
        """Return what the resolver answers; a key that is not published is unknown.

        :raises KeyUnknown: if the publisher has no such key.
        """
        try:
            return ask()
        except KeysUnavailable:
            if not self.is_absent:
                raise
        # With a pause, because the fetch may have begun before this token was made.
        raise KeyUnknown("the issuer does not publish a key of that key id", FIRST_PAUSE)

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the PEM as a map from key id to key, and the lack of it as an empty key set."""
        response = self._fetcher.fetch(request)
        was_there = self.held or self.has_served
        self.is_absent = response.status in (_GONE if was_there else _ABSENT)
        if self.is_absent:
            return replace(response, status=200, body=b'{"keys": []}')
        if response.status != 200:
            return response
        pem = response.body.decode("utf-8", "replace")
        return replace(response, body=json.dumps({self.kid: pem}).encode())
