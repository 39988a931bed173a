"""An immutable set of verification keys, and how a source of keys stands."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey

# A token without kid, or a kid that several keys share, may cost this many signature checks.
MAX_CANDIDATES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The keys of one issuer at one time. Replaced by one assignment, never changed."""

    keys: tuple[VerificationKey, ...]
    generation: int = 0
    soft_at: float = math.inf
    """The monotonic instant from which the set wants to be renewed."""
    hard_at: float = math.inf
    """From here a request waits for the renewal."""
    dead_at: float = math.inf
    """From here the set serves nobody."""
    etag: str | None = None
    digest: bytes = b""
    by_kid: dict[str | None, tuple[VerificationKey, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_kid: dict[str | None, tuple[VerificationKey, ...]] = {}
        for key in self.keys:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
        object.__setattr__(self, "by_kid", by_kid)

    @property
    def kids(self) -> frozenset[str]:
        """The names of its keys."""
        return frozenset(kid for kid in self.by_kid if kid is not None)

    def holds(self, key: VerificationKey) -> bool:
        """Return whether this very key object is in the set."""
        return key in self.by_kid.get(key.kid, ())

    def named(self, kid: str, algorithm: Algorithm) -> tuple[VerificationKey, ...]:
        """Return the keys of exactly this name that may serve."""
        return _serving(self.by_kid.get(kid, ()), algorithm)

    def all_serving(self, algorithm: Algorithm) -> tuple[VerificationKey, ...]:
        """Return every key that may serve, whatever its name."""
        return _serving(self.keys, algorithm)


def _serving(keys: Iterable[VerificationKey], algorithm: Algorithm) -> tuple[VerificationKey, ...]:
    return tuple(key for key in keys if key.may_serve(algorithm))[:MAX_CANDIDATES]


@dataclass(frozen=True, slots=True)
class KeyHealth:
    """How a source of keys stands, told from memory."""

    state: str
    """``static``, ``empty``, ``fresh``, ``ahead``, ``expired`` or ``dead``."""
    is_ready: bool
    """Whether there are keys to verify with."""
    keys: int
    failures: int = 0
    """Fetches that failed since the last that did not."""
    last_failure: str | None = None
