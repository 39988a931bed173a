"""An immutable set of verification keys, and how a source of keys stands."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey

# A token without kid, or a kid that several keys share, may cost this many signature checks.
MAX_CANDIDATES = 4

State = Literal["static", "empty", "fresh", "ahead", "expired", "dead", "closed"]
Keys = tuple[VerificationKey, ...]
Kidless = Literal["single", "try", "reject"]

CURRENT: frozenset[State] = frozenset({"static", "fresh", "ahead"})
"""In these states nobody waits for a renewal."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The keys of one issuer at one time. Replaced by one assignment, never changed."""

    keys: Keys
    generation: int = 0
    """The number of the fetch that brought or confirmed it."""
    fetched_at: float = -math.inf
    """The monotonic instant at which that fetch began: nothing in here is younger."""
    soft_at: float = math.inf
    """The monotonic instant from which the set wants to be renewed."""
    hard_at: float = math.inf
    """From here a request waits for the renewal."""
    dead_at: float = math.inf
    """From here the set serves nobody."""
    wall_offset: float = math.inf
    """POSIX time less monotonic time when it was fetched. A greater one means that the monotonic
    clock stood still since: the machine was suspended."""
    url: str = ""
    document: bytes = field(default=b"", repr=False)
    """What was read, so that an unchanged answer is known for one."""
    etag: str | None = None
    last_modified: str | None = None
    imported: Mapping[bytes, VerificationKey] = field(default_factory=dict, repr=False)
    """Keys by the digest of the member that they were read from."""
    soft_until: float = field(init=False, repr=False)
    """``soft_at`` in POSIX time."""
    by_kid: Mapping[str | None, Keys] = field(init=False, repr=False)
    _serving: dict[tuple[str | None, str], Keys] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_kid: dict[str | None, Keys] = {}
        for key in self.keys:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
        object.__setattr__(self, "by_kid", by_kid)
        object.__setattr__(self, "soft_until", self.soft_at + self.wall_offset)
        object.__setattr__(self, "_serving", {})

    @property
    def kids(self) -> frozenset[str]:
        """The names of its keys."""
        return frozenset(kid for kid in self.by_kid if kid is not None)

    def instant(self, now: float, wall: float) -> float:
        """Return the monotonic instant that it is, as if the clock had never stood still.

        :param now: the monotonic clock.
        :param wall: POSIX time; what goes back on it makes nothing younger.
        """
        return max(now, wall - self.wall_offset)

    def state(self, now: float, wall: float) -> State:
        """Return what its age makes of it."""
        now = self.instant(now, wall)
        if now < self.soft_at:
            return "fresh"
        if now < self.hard_at:
            return "ahead"
        return "expired" if now < self.dead_at else "dead"

    def holds(self, key: VerificationKey) -> bool:
        """Return whether this very key object is in the set."""
        return key in self.by_kid.get(key.kid, ())

    def named(self, kid: str, algorithm: Algorithm) -> Keys:
        """Return the keys of exactly this name that may serve; the name is compared as it is."""
        known = self._serving.get((kid, algorithm.name))
        if known is not None:
            return known
        return self._learn(kid, algorithm, self.by_kid.get(kid, ()))

    def all_serving(self, algorithm: Algorithm) -> Keys:
        """Return every key that may serve, whatever its name, up to the number that is tried."""
        known = self._serving.get((None, algorithm.name))
        if known is not None:
            return known
        return self._learn(None, algorithm, self.keys)

    def unnamed(self, algorithm: Algorithm, kidless: Kidless) -> Keys:
        """Return the keys for a token that names none.

        RFC 7515 §4.1.4 leaves kid open; without one, only what leaves no choice is safe to guess.
        """
        serving = self.all_serving(algorithm)
        if kidless == "reject" or (kidless == "single" and len(serving) > 1):
            return ()
        return serving

    def _learn(
        self, kid: str | None, algorithm: Algorithm, keys: Iterable[VerificationKey]
    ) -> Keys:
        serving = tuple(key for key in keys if key.may_serve(algorithm))[:MAX_CANDIDATES]
        # Only hits are remembered, so this holds no more than keys times algorithms. Two threads
        # may both write it, and both write the same.
        if serving:
            self._serving[kid, algorithm.name] = serving
        return serving


SnapshotT = TypeVar("SnapshotT", Snapshot, Snapshot | None)


class CurrentSet(Generic[SnapshotT]):
    """What a source holds now: replaced by one assignment, and read without a lock."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: SnapshotT) -> None:
        self.snapshot: SnapshotT = snapshot


def state_of(snapshot: Snapshot | None, now: float, wall: float) -> State:
    """Return how a set stands, or that there is none."""
    return "empty" if snapshot is None else snapshot.state(now, wall)


@dataclass(frozen=True, slots=True)
class KeyHealth:
    """How a source of keys stands, told from memory."""

    state: State
    """``static``, ``empty``, ``fresh``, ``ahead``, ``expired``, ``dead`` or ``closed``."""
    is_ready: bool
    """Whether there are keys to verify with."""
    keys: int
    failures: int = 0
    """Fetches that failed since the last that did not."""
    last_failure: str | None = None
    """Why the last of them failed, in a few fixed words."""
    is_degraded: bool = False
    """Whether keys serve beyond their time because they cannot be renewed."""
    is_fetching: bool = False
    age: float | None = None
    """Seconds since the keys were published as they are here."""
    generation: int = 0
    last_success_at: float | None = None
    """POSIX time of the last fetch that succeeded."""
    next_attempt_in: float = 0.0
    """Seconds until the next fetch is allowed."""
