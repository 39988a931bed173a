"""The key set of one issuer, as a state machine.

By age a set is *fresh*, then *ahead* (it is refreshed in the background), then *expired* (a request
waits for the refresh, and is served by the old set if it fails), then *dead* (not used any more).

==============  ======  ===========================================================
set             kid     decision
==============  ======  ===========================================================
fresh, ahead    hit     use; when ahead, begin one refresh in the background
fresh, ahead    miss    wait for a fetch under way, or fetch in budget, or unknown
expired         hit     wait for a refresh; while fetches fail, use
expired         miss    wait for a refresh; while fetches fail, unavailable
empty, dead     any     wait for a fetch; while fetches fail, unavailable
==============  ======  ===========================================================

``plan`` decides from memory. A fetch gets the published set, ``state.absorb`` computes the next
set, and ``settle`` decides for the callers that waited, without another fetch. Readers take no
lock: they read one attribute.
"""

import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jwt_middleware.checks import listed
from jwt_middleware.clock import Clock, SystemClock
from jwt_middleware.crypto.algorithms import ASYMMETRIC, Algorithm
from jwt_middleware.crypto.jwk import MAX_KID_LENGTH
from jwt_middleware.effects import REQUEST_PATIENCE, Steps, arun, refuse_to_block, run
from jwt_middleware.errors import KeysUnavailable, KeyUnknown
from jwt_middleware.events import (
    Event,
    KeyFetchFinished,
    KeyFetchStarted,
    KeysWaitedFor,
    Observer,
    StaleKeysServed,
    UnknownKidMissed,
    UnknownKidSuppressed,
    tell,
)
from jwt_middleware.forks import renew_after_fork
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.discovery import Location
from jwt_middleware.keys.remote.download import Download
from jwt_middleware.keys.remote.fetch_limits import FetchLimits, Suppressed
from jwt_middleware.keys.remote.fetches import Fetches
from jwt_middleware.keys.remote.held_keys import HeldKeys
from jwt_middleware.keys.remote.http import Fetcher, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions, asymmetric, check_resolver
from jwt_middleware.keys.remote.pool_limits import PoolShare
from jwt_middleware.keys.remote.shared_fetch import (
    CROWD_PATIENCE,
    SharedFetch,
    Waited,
    Waiter,
    with_old_keys,
)
from jwt_middleware.keys.remote.state import Terms
from jwt_middleware.keys.seed import export, snapshot_from_seed
from jwt_middleware.keys.snapshot import CURRENT, KeyHealth, Keys, Snapshot, state_of

_DEFAULTS = ResolverOptions()


class JWKSResolver:
    """Resolves the keys of one issuer from its published set."""

    def __init__(
        self,
        jwks_uri: str | None = None,
        *,
        issuer: str | None = None,
        name: str | None = None,
        discovery: str | None = None,
        options: ResolverOptions = _DEFAULTS,
        fetcher: Fetcher | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - it has no state
        observers: Iterable[Observer] = (),
        algorithms: Collection[str] = ASYMMETRIC,
        seed: Mapping[str, Any] | None = None,
        rng: random.Random | None = None,
        share: PoolShare | None = None,
        distrusted: Distrusted | None = None,
    ) -> None:
        """
        :param jwks_uri: the address of the set; if left out, discovery finds it from ``issuer``.
        :param issuer: the issuer of the keys.
        :param name: what events and errors call the issuer, if that is not its name.
        :param discovery: the address of the discovery document, if it is not below ``issuer``.
        :param options: the settings for fetching and keeping the set.
        :param fetcher: fetches over the network; pass one for a proxy, a private CA or a client.
        :param clock: the source of time.
        :param observers: called with each event, never while a lock is held.
        :param algorithms: the algorithms that keys may be used with, without shared secrets.
        :param seed: what :meth:`export` returned.
        :param rng: the source of the random part of intervals.
        :param share: the share in the limit of simultaneous fetches over several resolvers.
        :param distrusted: the keys of this issuer that were withdrawn before.
        :raises ConfigurationError: for an address that keys must not be fetched from, an algorithm
            without a public key, or an invalid seed.
        """
        check_resolver(options, fetcher, clock, rng, seed)
        self._name = name or issuer or jwks_uri or ""
        self._options = options
        self._clock = clock
        self._monotonic = clock.monotonic
        self._wall = clock.now
        self._observers = listed("observers", observers, "[print]")
        self._allowed = asymmetric(algorithms)
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """The withdrawn keys of the issuer."""
        rng = rng or random.SystemRandom()
        self._own_fetcher = HTTPFetcher()
        location = Location(
            jwks_uri, issuer, options, fetcher or self._own_fetcher, clock, discovery=discovery
        )
        self._download = Download(location, options.max_keys, clock)
        self._limits = FetchLimits(options, rng, clock.monotonic())
        self._held = HeldKeys(Terms(self._name, options, rng, self.distrusted), self._limits, clock)
        self.current = self._held.current
        """The current set, read without a lock."""
        self._fetches = Fetches(
            self._carry_out, self._limits, share, options.timeout, self._monotonic
        )
        if seed is not None:
            self.current.snapshot = snapshot_from_seed(seed, options, clock, self.distrusted)
        renew_after_fork(self)

    @property
    def snapshot(self) -> Snapshot | None:
        """The current key set."""
        return self.current.snapshot

    def after_fork(self) -> None:
        """Reset the fetches in a forked child, which keeps the keys of its parent."""
        self._fetches.after_fork()

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the keys to try, or a waiter for the fetch that may bring them. It never waits.

        :param kid: the key id in the token's header, if it has one.
        :param algorithm: the algorithm that the header names.
        :raises KeyUnknown: if no key fits, and a fetch would not help or is not allowed yet.
        :raises KeysUnavailable: if the keys cannot be fetched at present.
        """
        snapshot = self.current.snapshot
        if snapshot is not None:
            keys = self._find(snapshot, kid, algorithm)
            is_fresh = self._monotonic() < snapshot.soft_at and self._wall() < snapshot.soft_until
            if keys and is_fresh:
                return keys
        return self._plan_with_care(snapshot, kid, algorithm)

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would return keys without a wait."""
        return self._held.state in CURRENT and bool(self._find(self.snapshot, kid, algorithm))

    def _find(self, snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm) -> Keys:
        """Return the keys of a set that a token may be verified with."""
        if snapshot is None or algorithm.name not in self._allowed:
            return ()
        if kid is None:
            return snapshot.unnamed(algorithm, self._options.kidless)
        return snapshot.named(kid, algorithm)

    def _plan_with_care(
        self, snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm
    ) -> Keys | Waiter:
        self._check_worth_asking(kid, algorithm)
        now = self._monotonic()
        state = state_of(snapshot, now, self._wall())
        keys = self._find(snapshot, kid, algorithm)
        if snapshot is not None and state in CURRENT:
            if not keys:
                return self._plan_for_unknown_kid(snapshot, kid, algorithm, now)
            self._refresh_in_background(now)
            return keys
        may_be_stale = bool(keys) and state == "expired"
        with self._fetches.lock:
            has_news = self.snapshot is not snapshot
            reason = "expired" if state == "expired" else "empty"
            waiter = None if has_news else self._fetches.wait(now, reason)
        if has_news:
            # Another set was installed after it was read above, so a fetch would be the second one.
            return self.plan(kid, algorithm)
        return self._waiting(waiter, keys if may_be_stale else (), now)

    def _waiting(
        self, waiter: Waiter | Suppressed | None, old_keys: Keys, now: float
    ) -> Keys | Waiter:
        """Return the waiter of a request, or ``old_keys`` if it must not or need not wait."""
        if isinstance(waiter, Waiter) and old_keys:
            waiter = with_old_keys(waiter, now)
        if isinstance(waiter, Waiter):
            return waiter
        if old_keys:
            return self._stale(old_keys)
        raise self._unavailable(now) if waiter is None else self._suppressed(waiter, now)

    def _check_worth_asking(self, kid: str | None, algorithm: Algorithm) -> None:
        """Refuse a token that no fetch could help."""
        if algorithm.name not in self._allowed:
            raise KeyUnknown("the issuer has no key for that algorithm")
        if kid is None and self._options.kidless == "reject":
            raise KeyUnknown("the header must name a key")
        if kid is not None and (len(kid) > MAX_KID_LENGTH or self.distrusted.names(kid)):
            raise KeyUnknown("the header names a key that must not be used")

    def _plan_for_unknown_kid(
        self, snapshot: Snapshot, kid: str | None, algorithm: Algorithm, now: float
    ) -> Keys | Waiter:
        """Plan for a token whose key is not in the current set."""
        if snapshot.by_kid.get(kid) if kid is not None else snapshot.all_serving(algorithm):
            raise KeyUnknown("the keys of that key id do not fit the header")
        with self._fetches.lock:
            current = self.snapshot
            # If another set was installed after the caller read it, that set decides, because a
            # second fetch for the same key id would be wasted.
            waiter = self._fetches.wait_for_unknown_kid(kid, now) if current is snapshot else None
        if isinstance(waiter, Suppressed):
            raise self._suppressed(waiter, now)
        found = waiter or self._find(current, kid, algorithm)
        if not found:
            raise KeyUnknown("no key fits the header")
        return found

    def _suppressed(self, suppressed: Suppressed, now: float) -> KeyUnknown | KeysUnavailable:
        """Return the refusal of a token whose key id is not fetched for."""
        self._tell(UnknownKidSuppressed(self._name, suppressed.cause))
        if suppressed.cause == "paused":
            # Without a fetch it is unknown whether the issuer publishes the key.
            return self._unavailable(now)
        # Not a verdict on the token, because a flood of invented key ids must neither make a
        # balancer take this instance out of service nor expire a good cookie.
        return KeyUnknown(f"no key fits the header ({suppressed.cause})", suppressed.seconds)

    def _refresh_in_background(self, now: float) -> None:
        if self._fetches.is_busy(now):
            return
        with self._fetches.lock:
            fetch = self._fetches.in_background(now)
        self._fetches.send_off(fetch)

    def settle(self, kid: str | None, algorithm: Algorithm, waited: Waited) -> Keys:
        """Return the keys to try after a wait. It never begins another fetch.

        :param waited: the result of the waiter that :meth:`plan` returned.
        :raises KeyUnknown: if the issuer does not publish the key.
        :raises KeysUnavailable: if the keys could not be fetched.
        """
        snapshot, now = self.snapshot, self._monotonic()
        state = state_of(snapshot, now, self._wall())
        waiter, is_over = waited.waiter, waited.is_over
        self._tell(KeysWaitedFor(self._name, now - waiter.began_at, is_over))
        keys = self._find(snapshot, kid, algorithm)
        if keys and state in CURRENT:
            return keys
        if keys and state == "expired":
            return self._stale(keys)
        # A set that is dead when it arrives, because a clock was set meanwhile, proves nothing.
        if is_over and waiter.fetch.succeeded and state not in {"empty", "dead"}:
            raise self._missed(kid, waiter)
        if waiter.is_in_crowd and not is_over:
            raise self._suppressed(Suppressed("too many waiting", CROWD_PATIENCE), now)
        raise self._unavailable(now)

    def _missed(self, kid: str | None, waiter: Waiter) -> KeyUnknown:
        """Return the refusal of a key id that a fetch has not brought.

        Only a fetch that was begun for this token is a verdict on it, because any other may have
        begun before the key was published. So one fetch records at most one miss.
        """
        self._tell(UnknownKidMissed(self._name))
        if not waiter.began_it:
            return KeyUnknown("the fetched key set does not have the key", CROWD_PATIENCE)
        with self._fetches.lock:
            self._limits.unknown_kids.add(kid, self._monotonic())
        return KeyUnknown("the issuer does not publish a key that fits the header")

    def _stale(self, keys: Keys) -> Keys:
        self._tell(StaleKeysServed(self._name))
        return keys

    def _unavailable(self, now: float) -> KeysUnavailable:
        return KeysUnavailable(
            f"the keys of {self._name}: {self._fetches.obstacle}",
            retry_after=max(1.0, self._limits.backoff.ends_at - now),
        )

    def _tell(self, event: Event) -> None:
        if self._observers:
            tell(self._observers, event)

    def _carry_out(self, fetch: SharedFetch) -> None:
        """Fetch, apply the outcome, wake the waiters, and notify the observers last."""
        began = self._monotonic()
        self._tell(KeyFetchStarted(self._name, fetch.reason))
        outcome = self._download.fetch(self.current.snapshot)
        with self._fetches.lock:
            is_given_up = self._fetches.current is not fetch
            word, events = self._held.take_in(fetch, outcome, is_given_up=is_given_up)
            self._fetches.free(fetch)
        fetch.finish()
        seconds = self._monotonic() - began
        for event in (KeyFetchFinished(self._name, fetch.reason, word, seconds), *events):
            self._tell(event)

    def signature_failed(self) -> None:
        """Check in the background whether a known key was replaced under its key id.

        ``ResolverOptions(replaced_kid_interval=...)`` allows this, and limits how often.
        """
        if self._options.replaced_kid_interval is None:
            return
        now = self._monotonic()
        with self._fetches.lock:
            fetch = self._fetches.for_replaced_kid(now)
        self._fetches.send_off(fetch)

    def start_warming(self) -> Waiter | None:
        """Begin a fetch as :meth:`warm` does; return the waiter for it, or ``None``."""
        with self._fetches.lock:
            self._limits.is_closed = False
        if self._held.state in CURRENT:
            return None
        with self._fetches.lock:
            waiter = self._fetches.wait(self._monotonic(), "warm")
        if not isinstance(waiter, Waiter):
            return None
        self._fetches.send_off(waiter.fetch)
        return waiter

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Fetch the keys now, unless they are current. It reopens a closed resolver.

        :param timeout: seconds to wait at the most; the fetch continues in the background.
        :param required: whether to raise if the keys cannot be fetched.
        :raises KeysUnavailable: if ``required`` and there are no keys.
        :raises ConfigurationError: if it would block a running event loop.
        """
        if self._held.state not in CURRENT:
            refuse_to_block("warm", "awarm")
        run(self._warming(), REQUEST_PATIENCE if timeout is None else timeout)
        self.check_warm(required)

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Async version of :meth:`warm`."""
        await arun(self._warming(), REQUEST_PATIENCE if timeout is None else timeout)
        self.check_warm(required)

    def _warming(self) -> Steps[None]:
        waiter = self.start_warming()
        if waiter is not None:
            yield waiter

    def check_warm(self, required: bool) -> None:
        """Raise ``KeysUnavailable`` if keys are ``required`` and there are none."""
        if required and not self.health().is_ready:
            raise self._unavailable(self._monotonic())

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw keys permanently: no refresh brings them back.

        :param kid: the key id; ``None`` for all current keys, but not for those published later.
        :raises ConfigurationError: if all keys are to be withdrawn and none was fetched yet.
        """
        with self._fetches.lock:
            self._held.withdraw(kid)
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Remove the withdrawn keys from the current set, also those of another source."""
        with self._fetches.lock:
            events = self._held.apply_withdrawals()
        for event in events:
            self._tell(event)

    def health(self) -> KeyHealth:
        """Return the health of the resolver, without a fetch."""
        now, fetches = self._monotonic(), self._fetches
        return self._held.health(is_fetching=fetches.is_fetching(now), stuck=fetches.stuck(now))

    def export(self) -> dict[str, Any] | None:
        """Return the set as JSON values, for ``seed``; ``None`` without one."""
        snapshot = self.current.snapshot
        return None if snapshot is None else export(snapshot, self._clock, self.distrusted)

    def close(self) -> None:
        """Forget the keys, wake the waiters and abandon the fetch. ``warm`` reopens it."""
        with self._fetches.lock:
            fetch = self._fetches.close()
            self.current.snapshot = None
        if fetch is not None:
            fetch.finish()
        self._own_fetcher.close()

    async def aclose(self) -> None:
        """Async version of :meth:`close`. It does not wait."""
        self.close()
