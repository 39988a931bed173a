"""The life of the keys of a ring, as pure functions of its document and the time.

A key is *announced* when it is published, *active* when it signs, *retiring* while tokens that it
signed may be valid, and *gone* after that. The document holds instants and no states. So every
process computes the same state at the same instant, without asking the store.

A ring has two lines of keys: those of access tokens, whose public half is published, and those of
refresh tokens, which are shared secrets that leave no process.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn

from jwt_middleware.errors import ConfigurationError

Use = Literal["access", "refresh"]
Phase = Literal["announced", "active", "retiring", "gone", "revoked"]

# What verifiers may add to the end of a token: the leeway of an issuer is at most this.
LEEWAY = 300.0
# A token is begun at one instant and signed a moment later.
MARGIN = 60.0
# A revoked key keeps its name for this long, so that an import cannot bring it back unseen.
REVOKED_FOR = 90 * 86_400.0
# Clocks of one service differ by less, unless one of them is wrong.
BELIEVED_AHEAD = 86_400.0
# Keys that are gone stay in the document, where they have no effect, until there are this many. A
# clock that jumps ahead and is set back has then dropped no key that is needed again.
MOST_OVER = 16


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key in the document of a ring."""

    kid: str
    use: Use
    algorithm: str
    sealed: str = field(repr=False)
    """The private key, encrypted if the ring is; only ``sealing.py`` reads it."""
    published_at: float
    """POSIX time from which verifiers can fetch the key."""
    signs_from: float
    """POSIX time from which it signs, until the next key does."""
    revoked_at: float | None = None
    is_pinned: bool = False
    """Whether it was configured, so that only the configuration removes it."""
    kept_until: float = 0.0
    """POSIX time until which it verifies at least, if it came back from another process."""

    def __reduce__(self) -> NoReturn:
        # Without encryption it has the private key, and a pickle would carry that away.
        raise TypeError("a KeyRecord cannot be pickled or copied: it has a private key")


@dataclass(frozen=True, slots=True)
class RingState:
    """The document of a ring: its keys, and the last time that a process wrote it."""

    keys: tuple[KeyRecord, ...] = ()
    written_at: float = 0.0
    longest: tuple[tuple[Use, float], ...] = ()
    """The longest lifetime of a token in seconds, by the line that signs it."""
    origin: str = ""
    """A random name of the ring, from its first writing on."""
    revision: int = 0
    """How often the ring was written, also if its store has lost it meanwhile."""

    def lifetime(self, use: Use) -> float:
        """Return the longest lifetime of the tokens of a line."""
        return dict(self.longest).get(use, 0.0)


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings of a ring, as far as they decide on its keys."""

    algorithm: str
    rotate_every: float
    announce: float
    max_lag: float
    """The seconds after which every process has seen a change of the document, or signs no more."""

    def algorithm_of(self, use: Use) -> str:
        """Return the algorithm of new keys of a line."""
        return self.algorithm if use == "access" else "HS256"

    def announce_of(self, use: Use) -> float:
        """Return how long a new key is known before it signs."""
        # Only the processes of the ring must know a key that is not published.
        return self.announce if use == "access" else min(self.announce, 2 * self.max_lag)


_USES: tuple[Use, ...] = ("access", "refresh")

Generate = Callable[[Use, str], tuple[str, str]]
"""Makes a key for a line and an algorithm; returns its key id and the sealed private key."""


def line(state: RingState, use: Use) -> list[KeyRecord]:
    """Return the keys of a line that sign or did or will, in their order."""
    keys = [
        key
        for key in state.keys
        if key.use == use and not (key.revoked_at is not None and key.revoked_at < key.signs_from)
    ]
    # A key that steps in for a revoked one may begin at the same instant.
    return sorted(keys, key=lambda key: (key.signs_from, key.revoked_at is None, key.kid))


def signs_until(state: RingState, key: KeyRecord) -> float:
    """Return the instant at which the next key of the line signs in its place."""
    later = (each.signs_from for each in line(state, key.use) if each.signs_from > key.signs_from)
    return min(later, default=math.inf)


def gone_at(state: RingState, key: KeyRecord, terms: Terms) -> float:
    """Return the instant from which no token that the key may have signed is valid."""
    if key.is_pinned:
        return math.inf
    # A process that has not seen the change yet may sign with the old key for `max_lag` more.
    return max(key.kept_until, signs_until(state, key) + after_signing(state, key.use, terms))


def after_signing(state: RingState, use: Use, terms: Terms) -> float:
    """Return how long after its last signature a key must verify, in seconds."""
    return terms.max_lag + state.lifetime(use) + LEEWAY + MARGIN


def phase(state: RingState, key: KeyRecord, now: float, terms: Terms) -> Phase:
    """Return the phase of a key."""
    if key.revoked_at is not None:
        return "revoked"
    if now < key.signs_from:
        return "announced"
    if now < signs_until(state, key):
        return "active"
    return "retiring" if now < gone_at(state, key, terms) else "gone"


def signing_time(state: RingState, now: float) -> float:
    """Return the instant by which the key that signs is chosen.

    A clock behind the document must not bring back a key that has stopped signing.
    """
    return max(now, state.written_at)


def is_from_the_future(state: RingState, now: float) -> bool:
    """Return whether a document was written by a clock that was days ahead."""
    return state.written_at - now > BELIEVED_AHEAD


def active(state: RingState, use: Use, now: float) -> KeyRecord | None:
    """Return the key that signs; ``None`` if there is none, or it was revoked."""
    now = signing_time(state, now)
    begun = [key for key in line(state, use) if key.signs_from <= now]
    return begun[-1] if begun and begun[-1].revoked_at is None else None


def announced(state: RingState, use: Use, now: float) -> KeyRecord | None:
    """Return the next key of a line; ``None`` if none is announced."""
    now = signing_time(state, now)
    keys = (key for key in line(state, use) if key.revoked_at is None and key.signs_from > now)
    return next(keys, None)


def verifying(state: RingState, use: Use, now: float, terms: Terms) -> list[KeyRecord]:
    """Return the keys that verify: the published ones of an access line."""
    phases = {"announced", "active", "retiring"}
    return [key for key in line(state, use) if phase(state, key, now, terms) in phases]


def next_change(state: RingState, now: float, terms: Terms) -> float:
    """Return the next instant at which a key changes its phase, or one must be announced."""
    return min((at for at in _changes(state, terms) if at > now), default=math.inf)


def _changes(state: RingState, terms: Terms) -> Iterator[float]:
    for key in state.keys:
        if key.revoked_at is None:
            yield key.signs_from
            yield gone_at(state, key, terms)
            yield key.signs_from + terms.rotate_every - terms.announce_of(key.use)


def maintained(
    state: RingState, uses: Iterable[Use], now: float, terms: Terms, generate: Generate
) -> RingState:
    """Return the document with what is due at an instant; the same object if nothing is.

    :param uses: the lines that the ring must have.
    :param now: POSIX time of the store.
    :param generate: makes a key; called only if one is needed.
    """
    at = signing_time(state, now)
    kept = _without_old(state, at, terms)
    for use in uses:
        kept = _with_signer(kept, use, at, terms, generate)
        kept = _with_successor(kept, use, at, terms, generate)
    return state if kept == state else replace(kept, written_at=at)


def _without_old(state: RingState, at: float, terms: Terms) -> RingState:
    over = [key for key in state.keys if _is_over(state, key, at, terms)]
    over.sort(key=lambda key: key.signs_from, reverse=True)
    dropped = {key.kid for key in over[MOST_OVER:]}
    return replace(state, keys=tuple(key for key in state.keys if key.kid not in dropped))


def _is_over(state: RingState, key: KeyRecord, at: float, terms: Terms) -> bool:
    if key.revoked_at is not None and at < key.revoked_at + REVOKED_FOR:
        return False
    return at >= gone_at(state, key, terms)


def _with_signer(
    state: RingState, use: Use, at: float, terms: Terms, generate: Generate
) -> RingState:
    """Return the document with an active key: the first, or the one that steps in."""
    if active(state, use, at) is not None:
        return state
    if (heir := announced(state, use, at)) is not None:
        return _replaced(state, replace(heir, signs_from=at))
    return _with_key(state, _new(use, at, at, terms, generate))


def _with_successor(
    state: RingState, use: Use, at: float, terms: Terms, generate: Generate
) -> RingState:
    """Return the document with a successor announced, if the active key is due."""
    signer = active(state, use, at)
    if signer is None or signer.is_pinned or announced(state, use, at) is not None:
        return state
    ends_at = signer.signs_from + terms.rotate_every
    is_other = signer.algorithm != terms.algorithm_of(use)
    if at < ends_at - terms.announce_of(use) and not is_other:
        return state
    signs_from = at + terms.announce_of(use)
    return _with_key(
        state, _new(use, at, signs_from if is_other else max(signs_from, ends_at), terms, generate)
    )


def rotated(
    state: RingState, use: Use, now: float, terms: Terms, generate: Generate
) -> tuple[RingState, KeyRecord]:
    """Return the document with a successor of the active key, and that successor.

    One that is announced already signs as early as it may; no third key is announced.

    :raises ConfigurationError: if the keys of the ring are configured.
    """
    at = signing_time(state, now)
    signer = active(state, use, at)
    if signer is not None and signer.is_pinned:
        raise ConfigurationError(
            "rotate() has no effect on a ring of configured keys: write the new key first in "
            "KeyRing.from_keys(new, old), or use KeyRing(store)"
        )
    if is_from_the_future(state, now):
        # Only an operator does this, because nothing tells which of the clocks is wrong.
        state, at = replace(_without_future(state, now, terms), written_at=now), now
    heir = announced(state, use, at)
    if heir is None:
        heir = _new(use, at, at + terms.announce_of(use), terms, generate)
        return replace(_with_key(state, heir), written_at=at), heir
    soonest = max(at, heir.published_at + terms.announce_of(use))
    if soonest >= heir.signs_from:
        return state, heir
    heir = replace(heir, signs_from=soonest)
    return replace(_replaced(state, heir), written_at=at), heir


def _without_future(state: RingState, now: float, terms: Terms) -> RingState:
    """Return the document with the keys that a clock ahead has made, which then only verify."""
    return replace(
        state,
        keys=tuple(
            only_verifying(state, key, now + after_signing(state, key.use, terms), now)
            if key.published_at > now
            else key
            for key in state.keys
        ),
    )


def only_verifying(beside: RingState, key: KeyRecord, until: float, now: float) -> KeyRecord:
    """Return a key that verifies until an instant, and signs no more: it comes before all others.

    :param beside: the document whose keys sign.
    """
    others = (each for each in beside.keys if each.use == key.use and each.published_at <= now)
    first = min((each.signs_from for each in others), default=now)
    return replace(key, signs_from=min(key.signs_from, first - 1), kept_until=until)


def revoked(state: RingState, kid: str, now: float) -> RingState:
    """Return the document with a key revoked. It stays revoked.

    :raises KeyError: if the ring has no key of that key id.
    """
    at = signing_time(state, now)
    key = next(key for key in state.keys if key.kid == kid) if has(state, kid) else None
    if key is None:
        raise KeyError(kid)
    if key.revoked_at is not None:
        return state
    return replace(_replaced(state, replace(key, revoked_at=at)), written_at=at)


def has(state: RingState, kid: str) -> bool:
    """Return whether the document has a key of that key id."""
    return any(key.kid == kid for key in state.keys)


def with_lifetime(state: RingState, use: Use, seconds: float) -> RingState:
    """Return the document, which keeps retired keys for tokens of a lifetime as well."""
    if state.lifetime(use) >= seconds:
        return state
    return replace(state, longest=tuple(sorted({**dict(state.longest), use: seconds}.items())))


def _new(use: Use, at: float, signs_from: float, terms: Terms, generate: Generate) -> KeyRecord:
    algorithm = terms.algorithm_of(use)
    kid, sealed = generate(use, algorithm)
    return KeyRecord(kid, use, algorithm, sealed, published_at=at, signs_from=signs_from)


def _with_key(state: RingState, key: KeyRecord) -> RingState:
    return replace(state, keys=(*state.keys, key))


def _replaced(state: RingState, key: KeyRecord) -> RingState:
    return replace(state, keys=tuple(key if each.kid == key.kid else each for each in state.keys))
