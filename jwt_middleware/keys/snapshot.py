"""An immutable set of verification keys, and the health of a key source."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey

# The most signature checks for one token without a key id, or with one that several keys share.
MAX_CANDIDATES = 4

State = Literal["static", "empty", "fresh", "ahead", "expired", "dead", "closed"]
Keys = tuple[VerificationKey, ...]
Kidless = Literal["single", "try", "reject"]

CURRENT: frozenset[State] = frozenset({"static", "fresh", "ahead"})
"""In these states no request waits for a refresh."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The keys of one issuer at one time. It is replaced by one assignment and never changed."""

    keys: Keys
    generation: int = 0
    """The number of the fetch that brought or confirmed the set."""
    fetched_at: float = -math.inf
    """The monotonic instant at which that fetch began. The age is counted from here."""
    soft_at: float = math.inf
    """The monotonic instant from which the set is refreshed in the background."""
    hard_at: float = math.inf
    """The monotonic instant from which a request waits for the refresh."""
    dead_at: float = math.inf
    """The monotonic instant from which the set is not used any more."""
    wall_offset: float = math.inf
    """POSIX time minus monotonic time when the set was fetched. If the difference is greater now,
    the monotonic clock has paused since, because the machine was suspended."""
    url: str = ""
    document: bytes = field(default=b"", repr=False)
    """The body that was parsed. An unchanged response is recognized by it."""
    etag: str | None = None
    last_modified: str | None = None
    imported: Mapping[bytes, VerificationKey] = field(default_factory=dict, repr=False)
    """The keys by the digest of the member that they were parsed from."""
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
        """The key ids of the set."""
        return frozenset(kid for kid in self.by_kid if kid is not None)

    def instant(self, now: float, wall: float) -> float:
        """Return the monotonic time, corrected for the time that the machine was suspended.

        :param now: the monotonic time.
        :param wall: the POSIX time; if it goes back, the set does not become younger.
        """
        return max(now, wall - self.wall_offset)

    def state(self, now: float, wall: float) -> State:
        """Return the state of the set by its age."""
        now = self.instant(now, wall)
        if now < self.soft_at:
            return "fresh"
        if now < self.hard_at:
            return "ahead"
        return "expired" if now < self.dead_at else "dead"

    def holds(self, key: VerificationKey) -> bool:
        """Return whether the set holds this key object."""
        return key in self.by_kid.get(key.kid, ())

    def named(self, kid: str, algorithm: Algorithm) -> Keys:
        """Return the keys with exactly this key id that may serve ``algorithm``."""
        known = self._serving.get((kid, algorithm.name))
        if known is not None:
            return known
        return self._learn(kid, algorithm, self.by_kid.get(kid, ()))

    def all_serving(self, algorithm: Algorithm) -> Keys:
        """Return the keys that may serve ``algorithm``, with any key id; four at the most."""
        known = self._serving.get((None, algorithm.name))
        if known is not None:
            return known
        return self._learn(None, algorithm, self.keys)

    def unnamed(self, algorithm: Algorithm, kidless: Kidless) -> Keys:
        """Return the keys for a token without a key id.

        RFC 7515 §4.1.4 makes ``kid`` optional. Without one, only a single fitting key is safe to
        choose, so that is the default.
        """
        serving = self.all_serving(algorithm)
        if kidless == "reject" or (kidless == "single" and len(serving) > 1):
            return ()
        return serving

    def _learn(
        self, kid: str | None, algorithm: Algorithm, keys: Iterable[VerificationKey]
    ) -> Keys:
        serving = tuple(key for key in keys if key.may_serve(algorithm))[:MAX_CANDIDATES]
        # Only hits are stored, so _serving holds at most keys times algorithms. Two threads may
        # write an entry at once, and both write the same value.
        if serving:
            self._serving[kid, algorithm.name] = serving
        return serving


SnapshotT = TypeVar("SnapshotT", Snapshot, Snapshot | None)


class CurrentSet(Generic[SnapshotT]):
    """The current key set of a source. It is replaced by one assignment and read without a lock."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: SnapshotT) -> None:
        self.snapshot: SnapshotT = snapshot


def state_of(snapshot: Snapshot | None, now: float, wall: float) -> State:
    """Return the state of a key set; ``empty`` without one."""
    return "empty" if snapshot is None else snapshot.state(now, wall)


@dataclass(frozen=True, slots=True)
class KeyHealth:
    """The health of a key source. It is known without a fetch."""

    state: State
    """``static``, ``empty``, ``fresh``, ``ahead``, ``expired``, ``dead`` or ``closed``."""
    is_ready: bool
    """Whether there are keys to verify with."""
    keys: int
    failures: int = 0
    """Fetches that failed since the last one that succeeded."""
    last_failure: str | None = None
    """Why the last fetch failed, or none could begin. What it quotes is escaped and cut."""
    is_degraded: bool = False
    """Whether expired keys still serve because they cannot be refreshed."""
    is_fetching: bool = False
    age: float | None = None
    """Seconds since the fetch that brought or confirmed the keys began."""
    generation: int = 0
    last_success_at: float | None = None
    """POSIX time of the last fetch that succeeded."""
    next_attempt_in: float = 0.0
    """Seconds until the next fetch is allowed."""
    stuck_fetches: int = 0
    """Threads that hang in fetches that took too long, such as in the look-up of a host's address.
    At most four; then no fetch begins until one of them ends."""
