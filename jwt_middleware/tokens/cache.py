"""The cache of verified tokens.

A plain dictionary that is read without a lock, bounded by count and by bytes. When it is full, the
oldest entry goes, unless it was used since it was last the oldest (second chance). The guard checks
an entry against the clock, the key set and the revocations each time, so a late eviction does not
mean a late refusal.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.principal import Principal

# What an entry of an ordinary token weighs besides its text, in bytes: a principal with a dozen
# claims, generously. Its claims grow with the token, which is why the text counts three times.
_ENTRY_WEIGHT = 2_500
_TEXT_WEIGHT = 3

# What an entry with no claims weighs besides its text, and what each thing in claims becomes at the
# most: a `{}` of two bytes is an object with a dictionary, sixty times as large. Measured.
_EMPTY_WEIGHT = 930
_WEIGHTS = ((b"{", 140), (b"[", 60), (b",", 64), (b":", 80))
_NAME_WEIGHT = 130


@dataclass(slots=True, eq=False)
class Entry:
    """A verified token: its principal, and the conditions under which it is still valid."""

    principal: Principal
    issuer: Any
    """The issuer in service that verified it."""
    key: VerificationKey
    """The key that its signature is good under."""
    algorithm: Algorithm
    kid: str | None
    snapshot: object
    """The key set object that it was verified with."""
    soft_at: float
    """The monotonic instant from which the key set must be consulted."""
    valid_until: float
    """``exp`` and the leeway, in POSIX seconds; infinite for a token without ``exp``."""
    is_shared: bool = True
    """Whether several requests may share the principal object."""
    was_used: bool = False
    unquestioned_until: float = -math.inf
    """POSIX time until which the entry is valid without a look-up: until the token expires, or the
    key set or the rule that admitted the issuer must be consulted by the wall clock."""
    cleared_at: int = 0
    """The version of the revocations at which it was not revoked; 0 if it must be looked up."""
    claims_weight: int = 0
    """What its claims may weigh, in bytes; see :func:`claims_weight`."""


class TokenCache:
    """A bounded cache of verified tokens, keyed by their whole text."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: dict[str, Entry] = {}
        self._queue: deque[str] = deque()
        self._bytes = 0
        self._lock = TinyLock()
        self.get = self._entries.get
        renew_after_fork(self)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """The estimated size of the entries."""
        return self._bytes

    def put(self, token: str, entry: Entry) -> None:
        """Cache a token, or replaces its entry."""
        if not self._max_entries or (weight := _weight(token, entry)) > self._max_bytes:
            return
        with self._lock:
            known = self._entries.get(token)
            if known is None:
                self._make_room(weight)
                self._queue.append(token)
                self._bytes += weight
            else:
                self._bytes += weight - _weight(token, known)
            self._entries[token] = entry

    def forget(self, issuer: object) -> None:
        """Forget every token of an issuer that is not in service any more."""
        with self._lock:
            for token in [text for text, entry in self._entries.items() if entry.issuer is issuer]:
                self._bytes -= _weight(token, self._entries.pop(token))
            self._queue = deque(text for text in self._queue if text in self._entries)

    def clear(self) -> None:
        """Forget every token."""
        with self._lock:
            self._entries.clear()
            self._queue.clear()
            self._bytes = 0

    def after_fork(self) -> None:
        """Start over in a forked child with what is remembered, which may be half changed."""
        self._lock = TinyLock()
        self._queue = deque(self._entries)
        self._bytes = sum(_weight(token, entry) for token, entry in self._entries.items())

    def _make_room(self, weight: int) -> None:
        while self._queue and (
            len(self._entries) >= self._max_entries or self._bytes + weight > self._max_bytes
        ):
            oldest = self._queue.popleft()
            entry = self._entries[oldest]
            if entry.was_used:
                entry.was_used = False
                self._queue.append(oldest)
            else:
                del self._entries[oldest]
                self._bytes -= _weight(oldest, entry)


def _weight(token: str, entry: Entry) -> int:
    ordinary = _ENTRY_WEIGHT + _TEXT_WEIGHT * len(token)
    return max(ordinary, _EMPTY_WEIGHT + len(token) + entry.claims_weight)


def claims_weight(payload: bytes, principal: Principal) -> int:
    """Return an upper bound for the memory of a token's claims, in bytes.

    An attacker who knows how a cache counts sends what counts least: many small values.

    :param payload: the claims as they are signed.
    :param principal: what was read out of them.
    """
    # One wide letter makes every letter of its text four bytes.
    letters = len(payload) if payload.isascii() and b"\\u" not in payload else 4 * len(payload)
    things = sum(weight * payload.count(mark) for mark, weight in _WEIGHTS)
    names = len(principal.scopes) + len(principal.roles) + len(principal.permissions)
    weight = letters + things + _NAME_WEIGHT * names
    # A type of the application's own holds much of it once more.
    return weight if principal.typed is None else 2 * weight
