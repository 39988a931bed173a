"""What one process knows of a ring, and how it stays up to date with the others.

The document is read again in the background after half of ``max_lag``, and before the next use
after all of it. In between, which key signs is a function of the document and the time, so that
neither the store nor a lock is asked.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Protocol
from weakref import WeakSet

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.crypto.signing import SigningKey, generate
from jwt_middleware.daemons import start_daemon
from jwt_middleware.effects import Steps, run
from jwt_middleware.errors import ConfigurationError, StoreUnavailable
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.issuing.ring_document import from_bytes, to_bytes
from jwt_middleware.issuing.ring_merge import merged
from jwt_middleware.issuing.ring_state import (
    RingState,
    Terms,
    Use,
    active,
    is_from_the_future,
    line,
    maintained,
    next_change,
    verifying,
    with_lifetime,
)
from jwt_middleware.issuing.sealing import Sealed
from jwt_middleware.logs import log_of
from jwt_middleware.stores.contract import (
    ABSENT,
    Change,
    Exchanged,
    Found,
    Store,
    StoreFailed,
    exchange,
    read,
)

_log = log_of("jwt_middleware")

_KIND = "ring"

# Each process that writes first makes another one read again, and then there is nothing to write.
_MOST_TRIES = 50

# After a failure the background does not try again for this many seconds.
_PAUSE = 1.0

# Where the store stays away, what was read verifies for this many seconds more, as fetched key sets
# do (``stale_if_error``).
STALE = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """The ring as one process knows it for a time. It is replaced and never changed."""

    state: RingState
    signers: Mapping[Use, SigningKey]
    """The active key of each line."""
    verifiers: Mapping[Use, tuple[VerificationKey, ...]]
    since: float
    """POSIX time from which this holds."""
    until: float
    """POSIX time until which it holds."""
    read_at: float
    """The monotonic instant at which reading it began."""
    wall_offset: float
    """POSIX time minus monotonic time then. If the difference is greater now, the monotonic clock
    has paused since, because the machine was suspended."""

    def age(self, monotonic: float, now: float) -> float:
        """Return the seconds since the document was read."""
        return max(monotonic, now - self.wall_offset) - self.read_at


class Follower(Protocol):
    """Something that keeps what it made of a ring."""

    def follow(self, ring: Ring) -> None:
        """Take over a new state of the ring. It must not raise or wait."""
        ...


class SharedRing:
    """One ring in one process."""

    def __init__(
        self, store: Store, name: str, terms: Terms, sealed: Sealed, clock: Clock, *, is_fixed: bool
    ) -> None:
        """:param is_fixed: whether the keys are those of the configuration and never change."""
        self.terms = terms
        self.current: Ring | None = None
        self._followers: WeakSet[Follower] = WeakSet()
        self.failure: str | None = None
        """Why the document could not be read or written last time."""
        self._store = store
        self._name = name
        self._sealed = sealed
        self._clock = clock
        self.is_fixed = is_fixed
        """Whether the keys are those of the configuration."""
        self._must_read = False
        self._longest: dict[Use, float] = {"access": 0.0}
        self._verifiers: dict[str, VerificationKey] = {}
        self._ahead_after = self._failed_until = -math.inf
        self._lock = TinyLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Create a new lock in a forked child, where nothing reads in the background."""
        self._lock = TinyLock()
        self._ahead_after = -math.inf

    def be_followed_by(self, follower: Follower) -> None:
        """Tell a follower of each new state, for as long as it lives."""
        with self._lock:
            self._followers.add(follower)
        if self.current is not None:
            follower.follow(self.current)

    def sign_for(self, use: Use, seconds: float) -> None:
        """Have a line of keys for tokens of this lifetime.

        The document must say so before the first of them is signed, and so it is read again.
        """
        with self._lock:
            if seconds > self._longest.get(use, -1.0):
                # A new object, because another thread may be reading the document for the old one.
                self._longest = {**self._longest, use: seconds}
                self._must_read = not self.is_fixed

    def signer(self, use: Use) -> SigningKey | None:
        """Return the key that signs; ``None`` if the store must be asked first (K14)."""
        ring = self.at_present(self.terms.max_lag)
        return None if ring is None else ring.signers.get(use)

    def at_present(self, max_age: float) -> Ring | None:
        """Return the ring as it is at this moment; ``None`` if what is known is older.

        :param max_age: the seconds since the document was read.
        """
        ring = self.current
        if ring is None or self._must_read:
            return None
        monotonic, now = self._clock.monotonic(), self._clock.now()
        if not self.is_fixed:
            age = ring.age(monotonic, now)
            if age >= max_age:
                return None
            if age >= self.terms.max_lag / 2:
                self._read_ahead(monotonic)
        if not ring.since <= now < ring.until:
            ring = self.accept(ring.state, ring.read_at, ring.wall_offset)
        return ring

    def _read_ahead(self, monotonic: float) -> None:
        if monotonic < self._ahead_after:
            return
        # Without a lock: two threads that read the document at once do no harm.
        self._ahead_after = monotonic + self.terms.max_lag / 2 + _PAUSE
        if not start_daemon("jwt_middleware.ring", self._read_in_background):
            self._ahead_after = monotonic + _PAUSE

    def _read_in_background(self) -> None:
        try:
            run(self.reading())
        except (StoreUnavailable, ConfigurationError) as problem:
            _log.warning("the ring %r could not be read again: %s", self._name, problem)
        self._ahead_after = self._clock.monotonic() + _PAUSE

    def reading(self, *, pauses: bool = True) -> Steps[Ring]:
        """Read the document, do what is due, and return the ring.

        :param pauses: see :meth:`changing`.
        :raises StoreUnavailable: if the store fails, and the document cannot be used as it is.
        :raises ConfigurationError: if the document is not a ring, or its keys cannot be decrypted.
        """
        if self._clock.monotonic() < self._failed_until:
            raise StoreUnavailable(f"the store of the key ring: {self.failure}")
        return (yield from self.changing(_unchanged, pauses=pauses))

    def peeking(self) -> Steps[RingState]:
        """Read the document and change nothing. Its keys are not opened.

        :raises StoreUnavailable: if the store fails.
        :raises ConfigurationError: if the document is not a ring.
        """
        if self.is_fixed and self.current is not None:
            return self.current.state
        found = yield read(self._store, _KIND, self._name)
        if not isinstance(found, Found):
            raise self._failed(found, pauses=False)
        return RingState() if found.document is None else from_bytes(found.document.body)

    def changing(
        self, change: Callable[[RingState, float], RingState], *, pauses: bool = True
    ) -> Steps[Ring]:
        """Change the document, do what is due, and return the ring.

        :param change: returns the changed state; it may be called several times.
        :param pauses: whether the store is left alone for a moment after a failure. Not by a caller
            that is impatient itself.
        :raises StoreUnavailable: if the store fails.
        :raises ConfigurationError: as :meth:`reading` does.
        """
        for _ in range(_MOST_TRIES):
            began, offset = self._now()
            found = yield read(self._store, _KIND, self._name)
            if not isinstance(found, Found):
                raise self._failed(found, pauses=pauses)
            known = self._known(found)
            self._open_all(known, found.now)
            whole = self._with_own(known, found.now)
            due = self._maintained(whole, found.now)
            asked = change(due, found.now)
            wanted = self._maintained(asked, found.now)
            if found.document is not None and wanted == known:
                return self.accept(known, began, offset)
            version = ABSENT if found.document is None else found.document.version
            wanted = replace(
                wanted, origin=wanted.origin or token_hex(8), revision=wanted.revision + 1
            )
            body = to_bytes(wanted)
            answer = yield exchange(self._store, [Change(_KIND, self._name, version, body)])
            if isinstance(answer, Exchanged) and answer.is_done:
                return self.accept(wanted, began, offset)
            if isinstance(answer, StoreFailed):
                failed = self._failed(answer, pauses=pauses)
                # It may have been written. The next use reads it.
                self._must_read = self._must_read or answer.may_be_done
                if asked != due or not self._suffice((known, whole), found.now):
                    raise failed
                # What is due can wait. What the store has lost stays known here meanwhile.
                return self.accept(whole, began, offset)
        raise StoreUnavailable("the ring is written to by too many processes at once")

    def _open_all(self, state: RingState, now: float) -> None:
        """Open the keys that are in use, before another one is made.

        A process with another secret must not write a key that no other process can open.
        """
        for use in self._longest:
            for key in verifying(state, use, now, self.terms):
                self._sealed.open(key.sealed, key.kid, key.use)

    def _known(self, found: Found) -> RingState:
        """Return the state that the store has."""
        if found.document is None:
            return RingState()
        state = from_bytes(found.document.body)
        self._check_kind(state)
        if is_from_the_future(state, found.now):
            _log.warning(
                "the ring %r was written by a clock that was %.0f days ahead of this one: set the "
                "clocks, and call rotate(), because no key rotates by itself until then",
                self._name,
                (state.written_at - found.now) / 86_400,
            )
        return state

    def _with_own(self, state: RingState, now: float) -> RingState:
        """Return what the store has, with what it has lost of the ring that is known here."""
        if self.current is None or state == self.current.state:
            return state
        known, seen_at = self.current.state, self.current.read_at + self.current.wall_offset
        whole = merged(known, state, now, self.terms, seen_at) if state.origin else known
        if whole != state:
            _log.warning(
                "the store has lost a part of the ring %r, which is written to it again", self._name
            )
        return whole

    def _check_kind(self, state: RingState) -> None:
        """Refuse to turn public keys into shared secrets, or the reverse.

        No issuer accepts both (RFC 8725 §2.1), so that all tokens would be refused for a time.
        """
        asked = ALGORITHMS[self.terms.algorithm].is_symmetric
        for key in line(state, "access"):
            if ALGORITHMS[key.algorithm].is_symmetric != asked:
                raise ConfigurationError(
                    f"algorithm={self.terms.algorithm!r} cannot follow {key.algorithm!r} in one "
                    "ring, because no issuer accepts shared secrets and public keys at once: give "
                    "the ring another name="
                )

    def _now(self) -> tuple[float, float]:
        monotonic = self._clock.monotonic()
        return monotonic, self._clock.now() - monotonic

    def _maintained(self, state: RingState, now: float) -> RingState:
        for use, seconds in self._longest.items():
            state = with_lifetime(state, use, seconds)
        return maintained(state, self._longest, now, self.terms, self.make_key)

    def make_key(self, use: Use, algorithm: str) -> tuple[str, str]:
        """Make a key; return its key id, and the private key as the document has it."""
        key = generate(algorithm)
        return key.kid, self._sealed.seal(key, use)

    def _suffice(self, states: Iterable[RingState], now: float) -> bool:
        return all(self._suffices(state, now) for state in states)

    def _suffices(self, state: RingState, now: float) -> bool:
        return all(
            active(state, use, now) is not None and state.lifetime(use) >= seconds
            for use, seconds in self._longest.items()
        )

    def _failed(self, answer: object, *, pauses: bool = True) -> StoreUnavailable:
        self.failure = answer.reason if isinstance(answer, StoreFailed) else "an unknown answer"
        if pauses:
            # A flood of requests must not be one of statements.
            self._failed_until = self._clock.monotonic() + _PAUSE
        return StoreUnavailable(f"the store of the key ring: {self.failure}")

    def accept(self, state: RingState, read_at: float, offset: float) -> Ring:
        """Put a state into service, unless a later one is; return the one in service."""
        longest = self._longest
        ring = self._made(state, read_at, offset, tuple(longest))
        with self._lock:
            known = self.current
            if known is not None and _is_older(ring, known):
                return known
            self.current = ring
            self.failure = None
            self._failed_until = -math.inf
            is_for_all = longest is self._longest and self._suffices(state, ring.since)
            self._must_read = not is_for_all
            followers = list(self._followers)
        for follower in followers:
            follower.follow(ring)
        return ring

    def _made(self, state: RingState, read_at: float, offset: float, uses: tuple[Use, ...]) -> Ring:
        now = self._clock.now()
        signers: dict[Use, SigningKey] = {
            use: self._sealed.open(record.sealed, record.kid, use)
            for use in uses
            if (record := active(state, use, now)) is not None
        }
        verifiers: dict[Use, tuple[VerificationKey, ...]] = {
            use: tuple(
                self._verifier(self._sealed.open(each.sealed, each.kid, use))
                for each in verifying(state, use, now, self.terms)
            )
            for use in uses
        }
        self._sealed.forget_all_but({key.sealed for key in state.keys})
        until = next_change(state, max(now, state.written_at), self.terms)
        return Ring(state, signers, verifiers, now, until, read_at, offset)

    def _verifier(self, key: SigningKey) -> VerificationKey:
        # One object for each key, because a cached token is bound to the object that verified it.
        known = self._verifiers.get(key.kid)
        if known is None:
            known = self._verifiers.setdefault(key.kid, key.verification_key)
        return known


def _unchanged(state: RingState, _: float) -> RingState:
    return state


def _is_older(ring: Ring, known: Ring) -> bool:
    """Return whether what was read is older than what is known, which came from another thread."""
    if ring.state.origin != known.state.origin:
        return ring.read_at < known.read_at
    if ring.state.revision != known.state.revision:
        return ring.state.revision < known.state.revision
    return ring.read_at < known.read_at
