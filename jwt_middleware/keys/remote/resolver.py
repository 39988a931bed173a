"""The key set of one issuer, as a state machine.

By age a set is *fresh*, then *ahead* (a renewal runs behind the requests), then *expired* (a
request waits for the renewal, and is served by the old set if it fails), then *dead*.

==============  ======  ===========================================================
set             kid     decision
==============  ======  ===========================================================
fresh, ahead    hit     use; when ahead, start one renewal behind it
fresh, ahead    miss    wait for a fetch under way, or ask within budget, or unknown
expired         hit     wait for a renewal; while fetches fail, use
expired         miss    wait for a renewal; while fetches fail, unavailable
empty, dead     any     wait for a fetch; while fetches fail, unavailable
==============  ======  ===========================================================

``plan`` decides from memory, a fetch reads what is published, ``_absorb`` takes in what it brought,
and ``settle`` decides for those who waited, without ever asking again. Readers take no lock: they
read one attribute.
"""

import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jwt_middleware.checks import check_kind, listed, mapped
from jwt_middleware.clock import Clock, SystemClock, check_clock
from jwt_middleware.crypto.algorithms import ASYMMETRIC, Algorithm, select
from jwt_middleware.crypto.jwk import MAX_KID_LENGTH
from jwt_middleware.effects import REQUEST_PATIENCE, Steps, arun, refuse_to_block, run
from jwt_middleware.errors import ConfigurationError, KeysUnavailable, KeyUnknown
from jwt_middleware.events import (
    Event,
    KeysWaitedFor,
    Observer,
    StaleKeysServed,
    UnknownKidMissed,
    UnknownKidSuppressed,
    tell,
)
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.discovery import Location
from jwt_middleware.keys.remote.download import Intake
from jwt_middleware.keys.remote.fetch_limits import Suppressed
from jwt_middleware.keys.remote.http import Fetcher, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.shared_fetch import (
    CROWD_PATIENCE,
    Share,
    SharedFetch,
    Waited,
    Waiter,
    brief,
)
from jwt_middleware.keys.remote.state import KeySetHolder
from jwt_middleware.keys.seed import snapshot_from_seed
from jwt_middleware.keys.snapshot import Keys, Snapshot, state_of

_DEFAULTS = ResolverOptions()


class JWKSResolver(KeySetHolder):
    """Resolves the keys of one issuer from its published set."""

    def __init__(
        self,
        jwks_uri: str | None = None,
        *,
        issuer: str | None = None,
        discovery: str | None = None,
        options: ResolverOptions = _DEFAULTS,
        fetcher: Fetcher | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - it has no state
        observers: Iterable[Observer] = (),
        algorithms: Collection[str] = ASYMMETRIC,
        seed: Mapping[str, Any] | None = None,
        spread: random.Random | None = None,
        share: Share | None = None,
        distrusted: Distrusted | None = None,
    ) -> None:
        """
        :param jwks_uri: where the set is; found by discovery from ``issuer`` if left out.
        :param issuer: whose keys they are.
        :param discovery: where its discovery document is, if that is not below its name.
        :param options: how the set is fetched and kept.
        :param fetcher: asks over the network; give one for a proxy, a private CA or a client.
        :param clock: where time comes from.
        :param observers: are told what happened, never while a lock is held.
        :param algorithms: those that keys may be used with; none that shares a secret.
        :param seed: what :meth:`export` returned, here or in another process.
        :param spread: where the random part of intervals comes from.
        :param share: in how many fetches may be under way at once, over several resolvers.
        :param distrusted: what was withdrawn of this issuer before.
        :raises ConfigurationError: for an address that keys must not come from, an algorithm that
            is no signature with a public key, or a seed that is none.
        """
        check_kind("options", options, ResolverOptions, "ResolverOptions(timeout=3)")
        check_clock(clock)
        if fetcher is not None and not callable(getattr(fetcher, "fetch", None)):
            raise ConfigurationError(
                f"fetcher={fetcher!r} has no fetch(request): write HTTPFetcher()"
            )
        if spread is not None:
            check_kind("spread", spread, random.Random, "random.Random()")
        if seed is not None:
            mapped("seed", seed, "what export() returned")
        own_fetcher = HTTPFetcher()
        location = Location(
            jwks_uri, issuer, options, fetcher or own_fetcher, clock, discovery=discovery
        )
        super().__init__(
            issuer or jwks_uri or "",
            Intake(location, options.max_keys, clock),
            own_fetcher=own_fetcher,
            options=options,
            clock=clock,
            observers=listed("observers", observers, "[log_event]"),
            spread=spread or random.SystemRandom(),
            share=share,
            distrusted=distrusted,
        )
        self._allowed = _asymmetric(algorithms)
        self._monotonic = clock.monotonic
        self._wall = clock.now
        if seed is not None:
            self.snapshot = snapshot_from_seed(seed, options, clock, self.distrusted)

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the keys to try, or the fetch to wait for. Never waits.

        :param kid: the name that a token's header gives, if it does.
        :param algorithm: the one that the header names.
        :raises KeyUnknown: if no key fits and asking would not help, or must wait.
        :raises KeysUnavailable: if there is no telling.
        """
        snapshot = self.snapshot
        if snapshot is not None:
            keys = self._find(snapshot, kid, algorithm)
            is_fresh = self._monotonic() < snapshot.soft_at and self._wall() < snapshot.soft_until
            if keys and is_fresh:
                return keys
        return self._plan_with_care(snapshot, kid, algorithm)

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would name keys from memory."""
        return self._state in {"fresh", "ahead"} and bool(self._find(self.snapshot, kid, algorithm))

    def _find(self, snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm) -> Keys:
        """Return the keys of a set that a token may be verified with."""
        if snapshot is None or algorithm.name not in self._allowed:
            return ()
        if kid is not None:
            return snapshot.named(kid, algorithm)
        # RFC 7515 §4.1.4 leaves kid open; without one, only what leaves no choice is safe to guess.
        serving = snapshot.all_serving(algorithm)
        if self._options.kidless == "try" or len(serving) == 1:
            return () if self._options.kidless == "reject" else serving
        return ()

    def _plan_with_care(
        self, snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm
    ) -> Keys | Waiter:
        self._check_worth_asking(kid, algorithm)
        now = self._monotonic()
        state = state_of(snapshot, now, self._wall())
        keys = self._find(snapshot, kid, algorithm)
        if snapshot is not None and state in {"fresh", "ahead"}:
            if not keys:
                return self._plan_for_unknown_kid(snapshot, kid, algorithm, now)
            self._renew_behind(now)
            return keys
        may_be_stale = bool(keys) and state == "expired"
        with self._ledger.lock:
            has_news = self.snapshot is not snapshot
            reason = "expired" if state == "expired" else "empty"
            waiter = None if has_news else self._ledger.wait(now, reason)
        if has_news:
            # A set arrived since we looked; to ask now would be to ask twice.
            return self.plan(kid, algorithm)
        return self._waiting(waiter, keys if may_be_stale else (), now)

    def _waiting(
        self, waiter: Waiter | Suppressed | None, old_keys: Keys, now: float
    ) -> Keys | Waiter:
        """Return what a request waits for; or the old keys, where it must not or need not wait."""
        if isinstance(waiter, Waiter) and old_keys:
            waiter = brief(waiter, now)
        if isinstance(waiter, Waiter):
            return waiter
        if old_keys:
            return self._stale(old_keys)
        raise self._unavailable(now) if waiter is None else self._suppressed(waiter, now)

    def _check_worth_asking(self, kid: str | None, algorithm: Algorithm) -> None:
        """Refuse what no fetch could make good."""
        if algorithm.name not in self._allowed:
            raise KeyUnknown("no key of this issuer is for that algorithm")
        if kid is None and self._options.kidless == "reject":
            raise KeyUnknown("the header names no key")
        if kid is not None and (len(kid) > MAX_KID_LENGTH or self.distrusted.names(kid)):
            raise KeyUnknown("the header names a key that is not to be used")

    def _plan_for_unknown_kid(
        self, snapshot: Snapshot, kid: str | None, algorithm: Algorithm, now: float
    ) -> Keys | Waiter:
        """Plan for a token whose key is not in a set that is good."""
        if snapshot.by_kid.get(kid) if kid is not None else snapshot.all_serving(algorithm):
            raise KeyUnknown("no key fits the header, and one of that name is there")
        with self._ledger.lock:
            current = self.snapshot
            # A set that arrived since we looked is the answer: to ask again would be a second fetch
            # for the same question.
            waiter = self._ledger.wait_for_unknown_kid(kid, now) if current is snapshot else None
        if waiter is None:
            return self._found(current, kid, algorithm)
        if isinstance(waiter, Waiter):
            return waiter
        raise self._suppressed(waiter, now)

    def _suppressed(self, suppressed: Suppressed, now: float) -> KeyUnknown | KeysUnavailable:
        """Return the refusal of a token whose kid nobody is asked for."""
        self._tell(UnknownKidSuppressed(self._name, suppressed.cause))
        if suppressed.cause == "paused":
            # Nobody can tell whether the key is there.
            return self._unavailable(now)
        if suppressed.cause == "asked before":
            return KeyUnknown("the issuer was asked for that key a moment ago")
        # A flood of invented kids must not make a balancer believe that this instance is ill.
        return KeyUnknown(f"no key fits the header ({suppressed.cause})", suppressed.seconds)

    def _found(self, snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm) -> Keys:
        if keys := self._find(snapshot, kid, algorithm):
            return keys
        raise KeyUnknown("no key fits the header")

    def _renew_behind(self, now: float) -> None:
        if self._ledger.is_busy(now):
            return
        with self._ledger.lock:
            fetch = self._ledger.fetch_in_background(now, "refresh")
        self._send_off(fetch, now)

    def _send_off(self, fetch: SharedFetch | None, now: float) -> None:
        if fetch is not None and fetch.claim() and not fetch.fetch_in_background():
            # No thread to be had. A request that has to wait will fetch by itself; until then, not
            # every request need try.
            with self._ledger.lock:
                self._ledger.backoff.pause(now)

    def settle(self, kid: str | None, algorithm: Algorithm, waited: Waited) -> Keys:
        """Return the keys to try after waiting; never asks for another fetch.

        :param waited: what came of the effect that :meth:`plan` asked for.
        :raises KeyUnknown: if the issuer does not publish the key.
        :raises KeysUnavailable: if there is still no telling.
        """
        snapshot, now = self.snapshot, self._monotonic()
        state = state_of(snapshot, now, self._wall())
        waiter, is_over = waited.waiter, waited.is_over
        self._tell(KeysWaitedFor(self._name, now - waiter.began_at, is_over))
        keys = self._find(snapshot, kid, algorithm)
        if keys and state in {"fresh", "ahead"}:
            return keys
        if keys and state == "expired":
            return self._stale(keys)
        if is_over and waiter.fetch.succeeded and snapshot is not None:
            raise self._missed(kid, waiter.fetch)
        if waiter.is_in_crowd and not is_over:
            raise self._suppressed(Suppressed("too many waiting", CROWD_PATIENCE), now)
        raise self._unavailable(now)

    def _missed(self, kid: str | None, answered: SharedFetch) -> KeyUnknown:
        """Note that a kid is unknown; remember it if a fetch for this very kid has shown it."""
        self._tell(UnknownKidMissed(self._name))
        if answered.kid is not None and answered.kid != kid:
            # The fetch may have begun before the key was published.
            return KeyUnknown("the key set that was on its way has no such key", CROWD_PATIENCE)
        if answered.kid == kid:
            with self._ledger.lock:
                self._ledger.missed.add(kid, self._monotonic())
        return KeyUnknown("the issuer publishes no key that fits the header")

    def _stale(self, keys: Keys) -> Keys:
        self._tell(StaleKeysServed(self._name))
        return keys

    def _unavailable(self, now: float) -> KeysUnavailable:
        backoff = self._ledger.backoff
        reason = "closed" if self._ledger.is_closed else backoff.last_failure or "not here yet"
        return KeysUnavailable(
            f"the keys of {self._name}: {reason}", retry_after=max(1.0, backoff.opens_at - now)
        )

    def _tell(self, event: Event) -> None:
        if self._observers:
            tell(self._observers, event)

    def signature_failed(self) -> None:
        """Look, behind the requests, whether a known key was replaced under its name.

        To be called when a signature does not verify. Does nothing unless
        ``ResolverOptions(replaced_kid_interval=...)`` allows it, and then at most so often.
        """
        if self._options.replaced_kid_interval is None:
            return
        now = self._monotonic()
        with self._ledger.lock:
            fetch = self._ledger.fetch_for_replaced_kid(now)
        self._send_off(fetch, now)

    def start_warming(self) -> Waiter | None:
        """Begin to fetch as :meth:`warm` does; return what to wait for, if there is anything."""
        with self._ledger.lock:
            self._ledger.is_closed = False
        if self._state in {"fresh", "ahead"}:
            return None
        with self._ledger.lock:
            waiter = self._ledger.wait(self._monotonic(), "warm")
        if not isinstance(waiter, Waiter):
            return None
        if waiter.fetch.claim():
            # On a thread even where we may block: a fetch here would not end with the timeout.
            waiter.fetch.fetch_on_thread()
        return waiter

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Fetch now unless there are good keys; open again what was closed.

        :param timeout: seconds to wait at the most; the fetch goes on behind.
        :param required: raise where keys cannot be had, instead of starting without.
        :raises KeysUnavailable: if ``required`` and there are none.
        :raises ConfigurationError: if it would block a running event loop.
        """
        if self._state not in {"fresh", "ahead"}:
            refuse_to_block("warm", "awarm")
        run(self._warming(), REQUEST_PATIENCE if timeout is None else timeout)
        self.check_warm(required)

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Do the same by awaiting."""
        await arun(self._warming(), REQUEST_PATIENCE if timeout is None else timeout)
        self.check_warm(required)

    def _warming(self) -> Steps[None]:
        waiter = self.start_warming()
        if waiter is not None:
            yield waiter

    def check_warm(self, required: bool) -> None:
        """Refuse to start without keys.

        :raises KeysUnavailable: if they are ``required`` and there are none.
        """
        if required and not self.health().is_ready:
            raise self._unavailable(self._monotonic())


def _asymmetric(algorithms: Collection[str]) -> frozenset[str]:
    chosen = select(algorithms)
    if chosen[0].is_symmetric:
        raise ConfigurationError(
            f"algorithms={[row.name for row in chosen]!r} need a shared secret, and what a key set "
            "publishes is none"
        )
    return frozenset(row.name for row in chosen)
