"""A ring as the key source of an issuer, in the process that holds the ring.

It takes over each change of the ring at once. A key that another process has made is read from the
store, as a key set would be fetched.
"""

from typing import Any

from jwt_middleware.checks import shown
from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.effects import run
from jwt_middleware.errors import ConfigurationError, KeysUnavailable, KeyUnknown, StoreUnavailable
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.issuing.ring_state import Use
from jwt_middleware.issuing.shared_ring import STALE, Ring, SharedRing
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.rate_limits import RateLimit
from jwt_middleware.keys.remote.shared_fetch import (
    SharedFetch,
    Waited,
    Waiter,
    until_over,
    with_old_keys,
)
from jwt_middleware.keys.snapshot import CURRENT, CurrentSet, KeyHealth, Keys, Snapshot, state_of

# Reading one document takes milliseconds; a store that hangs has its own limits below this.
READ_SECONDS = 5.0

# Keys that sign are known to all processes before, except one that steps in for a revoked key. So
# the store is asked once a second for a key that is not known.
_UNKNOWN_INTERVAL = 1.0

_USE: Use = "access"


class RingKeys:
    """The keys of a ring that verify access tokens."""

    def __init__(
        self,
        ring: SharedRing,
        name: str,
        clock: Clock,
        distrusted: Distrusted | None = None,
    ) -> None:
        """
        :param name: what messages call the ring.
        :param clock: the clock of the ring.
        :param distrusted: the keys that were withdrawn before.
        """
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """The withdrawn keys."""
        self.current: CurrentSet[Snapshot | None] = CurrentSet(None)
        """The current set. Only :meth:`follow` and withdrawals replace it."""
        self._ring = ring
        self._name = name
        self._clock = clock
        self._is_fixed = ring.is_fixed
        self._followed: Ring | None = None
        self._fetch: SharedFetch | None = None
        self._fetches = 0
        self._budget = RateLimit(1, _UNKNOWN_INTERVAL, clock.monotonic())
        self._lock = TinyLock()
        renew_after_fork(self)
        ring.be_followed_by(self)

    def after_fork(self) -> None:
        """Create a new lock in a forked child, where no thread reads the ring."""
        self._lock = TinyLock()
        self._fetch = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The current key set."""
        return self.current.snapshot

    def follow(self, ring: Ring) -> None:
        """Take over a new state of the ring."""
        with self._lock:
            self._followed = ring
            self.current.snapshot = self._made(ring)

    def _made(self, ring: Ring) -> Snapshot:
        keys = self.distrusted.without(ring.verifiers.get(_USE, ()))
        if self._is_fixed:
            return Snapshot(keys)
        hard_at = ring.read_at + self._ring.terms.max_lag
        # The wall clock decides what the next phase of a key is. Both clocks are compared.
        soft_at = min(ring.read_at + self._ring.terms.max_lag / 2, ring.until - ring.wall_offset)
        return Snapshot(
            keys,
            generation=ring.state.revision,
            fetched_at=ring.read_at,
            soft_at=soft_at,
            hard_at=hard_at,
            dead_at=hard_at + STALE,
            wall_offset=ring.wall_offset,
        )

    def _up_to_date(self) -> Snapshot | None:
        """Return the key set as it is at this moment, as far as the process knows."""
        # A key whose phase has changed since is told to all followers.
        self._ring.at_present(self._ring.terms.max_lag)
        return self.current.snapshot

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would return keys without a wait."""
        snapshot, _, state = self._state()
        return state in CURRENT and bool(_find(snapshot, kid, algorithm))

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the keys to try, or a waiter for the ring to be read.

        :raises KeyUnknown: if the ring has no key that fits.
        :raises KeysUnavailable: if the ring cannot be read at present.
        """
        snapshot, now, state = self._state()
        keys = _find(snapshot, kid, algorithm)
        if state in CURRENT:
            return keys or self._for_unknown(now)
        waiter = self._waiter(now)
        if not keys or state != "expired":
            return waiter
        return with_old_keys(waiter, now) or keys

    def _state(self) -> tuple[Snapshot | None, float, Any]:
        snapshot = self._up_to_date()
        now = self._clock.monotonic()
        state = "static" if self._is_fixed else state_of(snapshot, now, self._clock.now())
        return snapshot, now, state

    def _for_unknown(self, now: float) -> Waiter:
        if self._is_fixed:
            raise KeyUnknown("the ring has no key of that key id")
        with self._lock:
            may_ask = self._budget.take(now)
            delay = self._budget.seconds_until_next(now)
        if not may_ask:
            raise KeyUnknown("the ring has no key of that key id (asked before)", delay)
        return self._waiter(now, began_it=True)

    def _waiter(self, now: float, *, began_it: bool = False) -> Waiter:
        with self._lock:
            fetch = self._fetch
            if fetch is None or fetch.future.done() or now > fetch.started_at + fetch.patience:
                self._fetches += 1
                fetch = self._fetch = SharedFetch(
                    self._read,
                    self._give_up,
                    number=self._fetches,
                    reason="ring",
                    seconds=READ_SECONDS,
                    now=now,
                )
            waiter = until_over(fetch, now)
        if not began_it:
            return waiter
        return Waiter(waiter.fetch, waiter.patience, waiter.began_at, began_it=True)

    def _read(self, fetch: SharedFetch) -> None:
        try:
            run(self._ring.reading(), READ_SECONDS)
            fetch.succeeded = True
        except StoreUnavailable:
            # The ring remembers why.
            return
        except ConfigurationError as problem:
            self._ring.failure = str(problem)

    def _give_up(self, _: SharedFetch, reason: str) -> None:
        self._ring.failure = reason
        with self._lock:
            self._fetch = None

    def settle(self, kid: str | None, algorithm: Algorithm, waited: Waited) -> Keys:
        """Return the keys to try after a wait.

        :raises KeyUnknown: if the ring has no key that fits.
        :raises KeysUnavailable: if the ring could not be read.
        """
        snapshot, _, state = self._state()
        keys = _find(snapshot, kid, algorithm)
        if keys and state in {*CURRENT, "expired"}:
            return keys
        if waited.is_over and waited.waiter.fetch.succeeded and state in CURRENT:
            raise KeyUnknown("the ring has no key of that key id")
        raise self._unavailable()

    def _unavailable(self) -> KeysUnavailable:
        reason = self._ring.failure or "not read yet"
        return KeysUnavailable(f"the keys of {self._name}: {reason}")

    def signature_failed(self) -> None:
        """Do nothing: no key of a ring is replaced under its key id."""

    def start_warming(self) -> Waiter | None:
        """Begin to read the ring; return the waiter for it, or ``None`` if it is known."""
        _, now, state = self._state()
        if state in CURRENT:
            return None
        waiter = self._waiter(now)
        if waiter.fetch.claim():
            waiter.fetch.start()
        return waiter

    def check_warm(self, required: bool) -> None:
        """Raise ``KeysUnavailable`` if keys are ``required`` and there are none."""
        if required and not self.health().is_ready:
            raise self._unavailable()

    def export(self) -> dict[str, Any] | None:
        """Return ``None``: the ring is in its store, and no seed is needed."""
        return None

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw one key, or all keys, from this guard. :meth:`KeyRing.revoke_key` does for all.

        :raises ConfigurationError: if the ring has no key of that key id.
        """
        snapshot = self._up_to_date()
        held = () if snapshot is None else snapshot.keys
        kids = {key.kid for key in held}
        is_known = kid in kids if kid is not None else bool(kids)
        if not is_known and not (kid is not None and self.distrusted.names(kid)):
            raise ConfigurationError(
                f"distrust(kid={shown(kid)}) must name a key of the ring: write kid=None for all, "
                "and "
                "load() the ring first"
            )
        self.distrusted.add(kid, held)
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Remove the withdrawn keys from the current set."""
        with self._lock:
            if self._followed is not None:
                self.current.snapshot = self._made(self._followed)

    def health(self) -> KeyHealth:
        """Return the health of the source, without asking the store."""
        snapshot, now, state = self._state()
        keys = 0 if snapshot is None else len(snapshot.keys)
        fetch = self._fetch
        return KeyHealth(
            state,
            is_ready=keys > 0 and state not in {"dead", "empty"},
            keys=keys,
            last_failure=self._ring.failure,
            is_degraded=state == "expired",
            is_fetching=fetch is not None and not fetch.future.done(),
            age=None if snapshot is None or self._is_fixed else now - snapshot.fetched_at,
            generation=0 if snapshot is None else snapshot.generation,
        )

    def close(self) -> None:
        """Do nothing: the ring may have other users."""


def _find(snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm) -> Keys:
    # Our own tokens always have a key id (K11).
    return () if snapshot is None or kid is None else snapshot.named(kid, algorithm)
