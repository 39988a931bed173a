"""The key set of one issuer, as a state machine.

By age a set is *fresh*, then *ahead* (it is refreshed in the background), then *expired* (a request
waits for the refresh, and is served by the old set if it fails), then *dead*.

==============  ======  ===========================================================
set             kid     decision
==============  ======  ===========================================================
fresh, ahead    hit     use; when ahead, begin one refresh in the background
fresh, ahead    miss    wait for a fetch under way, or ask within budget, or unknown
expired         hit     wait for a refresh; while fetches fail, use
expired         miss    wait for a refresh; while fetches fail, unavailable
empty, dead     any     wait for a fetch; while fetches fail, unavailable
==============  ======  ===========================================================

``plan`` decides from memory, a fetch reads what is published, ``state.absorb`` tells what becomes
of the set, and ``settle`` decides for those who waited, without ever asking again. Readers take no
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
        :param jwks_uri: where the set is; found by discovery from ``issuer`` if left out.
        :param issuer: whose keys they are.
        :param discovery: where its discovery document is, if that is not below its name.
        :param options: how the set is fetched and kept.
        :param fetcher: asks over the network; give one for a proxy, a private CA or a client.
        :param clock: where time comes from.
        :param observers: are told what happened, never while a lock is held.
        :param algorithms: those that keys may be used with; none that shares a secret.
        :param seed: what :meth:`export` returned, here or in another process.
        :param rng: where the random part of intervals comes from.
        :param share: in how many fetches may be under way at once, over several resolvers.
        :param distrusted: what was withdrawn of this issuer before.
        :raises ConfigurationError: for an address that keys must not come from, an algorithm that
            is no signature with a public key, or a seed that is none.
        """
        check_resolver(options, fetcher, clock, rng, seed)
        self._name = issuer or jwks_uri or ""
        self._options = options
        self._clock = clock
        self._monotonic = clock.monotonic
        self._wall = clock.now
        self._observers = listed("observers", observers, "[log_event]")
        self._allowed = asymmetric(algorithms)
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """What was withdrawn of it."""
        rng = rng or random.SystemRandom()
        self._own_fetcher = HTTPFetcher()
        location = Location(
            jwks_uri, issuer, options, fetcher or self._own_fetcher, clock, discovery=discovery
        )
        self._download = Download(location, options.max_keys, clock)
        self._limits = FetchLimits(options, rng, clock.monotonic())
        self._held = HeldKeys(Terms(self._name, options, rng, self.distrusted), self._limits, clock)
        self.current = self._held.current
        """The current set; read without a lock."""
        self._fetches = Fetches(self._carry_out, self._limits, share, options.timeout)
        if seed is not None:
            self.current.snapshot = snapshot_from_seed(seed, options, clock, self.distrusted)
        renew_after_fork(self)

    @property
    def snapshot(self) -> Snapshot | None:
        """The set that is held now."""
        return self.current.snapshot

    def after_fork(self) -> None:
        """Start over in a forked child, with the keys of its parent."""
        self._fetches.after_fork()

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the keys to try, or the fetch to wait for. Never waits.

        :param kid: the name that a token's header gives, if it does.
        :param algorithm: the one that the header names.
        :raises KeyUnknown: if no key fits and asking would not help, or must wait.
        :raises KeysUnavailable: if there is no telling.
        """
        snapshot = self.current.snapshot
        if snapshot is not None:
            keys = self._find(snapshot, kid, algorithm)
            is_fresh = self._monotonic() < snapshot.soft_at and self._wall() < snapshot.soft_until
            if keys and is_fresh:
                return keys
        return self._plan_with_care(snapshot, kid, algorithm)

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would name keys from memory."""
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
            # A set arrived since we looked; to ask now would be to ask twice.
            return self.plan(kid, algorithm)
        return self._waiting(waiter, keys if may_be_stale else (), now)

    def _waiting(
        self, waiter: Waiter | Suppressed | None, old_keys: Keys, now: float
    ) -> Keys | Waiter:
        """Return what a request waits for; or the old keys, where it must not or need not wait."""
        if isinstance(waiter, Waiter) and old_keys:
            waiter = with_old_keys(waiter, now)
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
        with self._fetches.lock:
            current = self.snapshot
            # A set that arrived since we looked is the answer: to ask again would be a second fetch
            # for the same question.
            waiter = self._fetches.wait_for_unknown_kid(kid, now) if current is snapshot else None
        if isinstance(waiter, Suppressed):
            raise self._suppressed(waiter, now)
        found = waiter or self._find(current, kid, algorithm)
        if not found:
            raise KeyUnknown("no key fits the header")
        return found

    def _suppressed(self, suppressed: Suppressed, now: float) -> KeyUnknown | KeysUnavailable:
        """Return the refusal of a token whose kid nobody is asked for."""
        self._tell(UnknownKidSuppressed(self._name, suppressed.cause))
        if suppressed.cause == "paused":
            # Nobody can tell whether the key is there.
            return self._unavailable(now)
        # No verdict on the token: a flood of invented kids must neither make a balancer believe
        # that this instance is ill, nor have a good cookie deleted.
        return KeyUnknown(f"no key fits the header ({suppressed.cause})", suppressed.seconds)

    def _refresh_in_background(self, now: float) -> None:
        if self._fetches.is_busy(now):
            return
        with self._fetches.lock:
            fetch = self._fetches.in_background(now)
        self._fetches.send_off(fetch, now)

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
        if keys and state in CURRENT:
            return keys
        if keys and state == "expired":
            return self._stale(keys)
        # A set that is dead on arrival, because a clock was set meanwhile, says nothing.
        if is_over and waiter.fetch.succeeded and state not in {"empty", "dead"}:
            raise self._missed(kid, waiter)
        if waiter.is_in_crowd and not is_over:
            raise self._suppressed(Suppressed("too many waiting", CROWD_PATIENCE), now)
        raise self._unavailable(now)

    def _missed(self, kid: str | None, waiter: Waiter) -> KeyUnknown:
        """Return the refusal of a kid that a fetch has not brought.

        Only a fetch that was begun for this very token is a verdict on it: any other may have begun
        before the key was published. So it counts as a miss once a fetch, too.
        """
        self._tell(UnknownKidMissed(self._name))
        if not waiter.began_it:
            return KeyUnknown("the key set that was on its way has no such key", CROWD_PATIENCE)
        with self._fetches.lock:
            self._limits.unknown_kids.add(kid, self._monotonic())
        return KeyUnknown("the issuer publishes no key that fits the header")

    def _stale(self, keys: Keys) -> Keys:
        self._tell(StaleKeysServed(self._name))
        return keys

    def _unavailable(self, now: float) -> KeysUnavailable:
        backoff = self._limits.backoff
        reason = "closed" if self._limits.is_closed else backoff.last_failure or "not here yet"
        return KeysUnavailable(
            f"the keys of {self._name}: {reason}", retry_after=max(1.0, backoff.ends_at - now)
        )

    def _tell(self, event: Event) -> None:
        if self._observers:
            tell(self._observers, event)

    def _carry_out(self, fetch: SharedFetch) -> None:
        """Fetch, take in, wake who waits, and tell: in this order, so that nobody waits for us."""
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
        """Look, in the background, whether a known key was replaced under its name.

        Only where ``ResolverOptions(replaced_kid_interval=...)`` allows it, and only so often.
        """
        if self._options.replaced_kid_interval is None:
            return
        now = self._monotonic()
        with self._fetches.lock:
            fetch = self._fetches.for_replaced_kid(now)
        self._fetches.send_off(fetch, now)

    def start_warming(self) -> Waiter | None:
        """Begin to fetch as :meth:`warm` does; return what to wait for, if there is anything."""
        with self._fetches.lock:
            self._limits.is_closed = False
        if self._held.state in CURRENT:
            return None
        with self._fetches.lock:
            waiter = self._fetches.wait(self._monotonic(), "warm")
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
        if self._held.state not in CURRENT:
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
        """Refuse to start without keys; raises ``KeysUnavailable`` where they are required."""
        if required and not self.health().is_ready:
            raise self._unavailable(self._monotonic())

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw a key, or every key there is, now; no renewal brings it back.

        :param kid: the name of the key; ``None`` for all that are held. Keys that the issuer
            publishes afterwards are trusted.
        :raises ConfigurationError: if all are to be withdrawn and none was fetched yet.
        """
        with self._fetches.lock:
            self._held.withdraw(kid)
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Take out of the current set what was withdrawn, here or by another source."""
        with self._fetches.lock:
            events = self._held.apply_withdrawals()
        for event in events:
            self._tell(event)

    def health(self) -> KeyHealth:
        """Return how it stands, without asking anybody."""
        return self._held.health(is_fetching=self._fetches.current is not None)

    def export(self) -> dict[str, Any] | None:
        """Return the set as JSON can carry it, to be a ``seed`` elsewhere; ``None`` without one."""
        snapshot = self.current.snapshot
        return None if snapshot is None else export(snapshot, self._clock, self.distrusted)

    def close(self) -> None:
        """Forget the keys, wake who waits, give up what is under way. ``warm`` opens it again."""
        with self._fetches.lock:
            fetch = self._fetches.close()
            self.current.snapshot = None
        if fetch is not None:
            fetch.finish()
        self._own_fetcher.close()

    async def aclose(self) -> None:
        """Do the same; nothing of it waits."""
        self.close()
