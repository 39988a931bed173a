"""Computes the next key set from the current one and the outcome of a fetch.

A failure does not change the set, and an unchanged response keeps its key objects.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jwt_middleware.events import Event, KeyAdded, KeyRemoved, KeySkipped
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.download import Arrived, Failed, Outcome, Unchanged
from jwt_middleware.keys.remote.freshness import ages
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.snapshot import Snapshot

# A set without keys takes effect only if it is still published after this many seconds, because a
# short fault of an issuer must not lock all callers out.
EMPTY_CONFIRMED_AFTER = 10.0

# Key ids are foreign text, so they are shown without control characters and at most this long.
SHOWN_KID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class KeySetState:
    """A key set, and whether the issuer publishes an empty one."""

    snapshot: Snapshot | None = None
    empty_since: float | None = None
    """The monotonic instant at which an empty set was first fetched."""


@dataclass(frozen=True, slots=True)
class Change:
    """The result of applying an outcome to a key set."""

    word: str
    """``changed``, ``unchanged``, ``failed``, ``rejected`` or ``ignored``."""
    state: KeySetState
    events: tuple[Event, ...] = ()
    failure: Failed | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that apply to every set of one source."""

    name: str
    options: ResolverOptions
    rng: random.Random
    """The source of the random part of intervals."""
    distrusted: Distrusted


def absorb(state: KeySetState, outcome: Outcome, number: int, terms: Terms, now: float) -> Change:
    """Apply an outcome to a key set and return the result.

    :param number: the number of the fetch among those of the source.
    """
    if isinstance(outcome, Failed):
        return _failed(state, outcome)
    if isinstance(outcome, Unchanged):
        return _unchanged(state, outcome, number, terms)
    return _arrived(state, outcome, number, terms, now)


def _failed(state: KeySetState, failure: Failed) -> Change:
    return Change("rejected" if failure.is_rejected else "failed", state, failure=failure)


def _unchanged(state: KeySetState, outcome: Unchanged, number: int, terms: Terms) -> Change:
    known = state.snapshot
    if known is None or known.document != outcome.document:
        return Change("ignored", state)
    empty_since = None if known.imported else state.empty_since
    kept = replace(known, keys=terms.distrusted.without(known.keys))
    return Change("unchanged", KeySetState(_aged(kept, outcome, number, terms), empty_since))


def _arrived(state: KeySetState, outcome: Arrived, number: int, terms: Terms, now: float) -> Change:
    if outcome.key_set.is_empty:
        empty_since = now if state.empty_since is None else state.empty_since
        state = replace(state, empty_since=empty_since)
        if now - empty_since < EMPTY_CONFIRMED_AFTER:
            return _failed(state, Failed("the key set is empty", is_rejected=True))
    fresh = Snapshot(
        terms.distrusted.without(outcome.key_set.keys),
        url=outcome.url,
        document=outcome.document,
        etag=outcome.etag,
        last_modified=outcome.last_modified,
        imported=outcome.key_set.imported,
    )
    empty_since_then = state.empty_since if outcome.key_set.is_empty else None
    return Change(
        "changed",
        KeySetState(_aged(fresh, outcome, number, terms), empty_since_then),
        tuple(_changes(state.snapshot, fresh, outcome, terms.name)),
    )


def _aged(snapshot: Snapshot, outcome: Arrived | Unchanged, number: int, terms: Terms) -> Snapshot:
    soft, hard = ages(terms.options, outcome.lifetime, terms.rng)
    hard_at = outcome.asked_at + hard
    return replace(
        snapshot,
        generation=number,
        fetched_at=outcome.asked_at,
        soft_at=outcome.asked_at + soft,
        hard_at=hard_at,
        dead_at=hard_at + terms.options.stale_if_error,
        wall_offset=outcome.wall_offset,
    )


def _changes(
    known: Snapshot | None, fresh: Snapshot, outcome: Arrived, name: str
) -> Iterator[Event]:
    for key in fresh.keys:
        if known is None or not known.holds(key):
            yield KeyAdded(name, shown(key.kid))
    yield from removals(known, fresh, name)
    for skipped in outcome.key_set.skipped:
        yield KeySkipped(name, shown(skipped.kid), skipped.reason)


def removals(known: Snapshot | None, fresh: Snapshot, name: str) -> Iterator[KeyRemoved]:
    """Yield an event for each key that is not in ``fresh`` any more."""
    for key in known.keys if known is not None else ():
        if not fresh.holds(key):
            yield KeyRemoved(name, shown(key.kid))


def shown(kid: str | None) -> str | None:
    """Return a key id as text that can be logged."""
    return None if kid is None else ascii(kid)[1:-1][:SHOWN_KID_LENGTH]
