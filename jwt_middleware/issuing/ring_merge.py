"""What a process does with a ring that its store has lost, or that was set back to an older one."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from jwt_middleware.issuing.ring_state import (
    REVOKED_FOR,
    KeyRecord,
    RingState,
    Terms,
    Use,
    after_signing,
    gone_at,
    has,
    only_verifying,
    signing_time,
)


def merged(
    known: RingState, found: RingState, now: float, terms: Terms, seen_at: float
) -> RingState:
    """Return a document that was found, with what this process knows of its ring besides.

    A revocation is never unlearnt, and no key is lost that has signed.

    :param now: POSIX time of the store.
    :param seen_at: POSIX time when this process last read what it knows.
    """
    if found == known:
        return found
    if found.origin != known.origin or found.revision > known.revision:
        # It may follow what is known here, or only what the store was set back to.
        whole = _with_keys_of_before(known, found, now, terms, seen_at)
    else:
        whole = _of_both(known, found)
    signed = (*_signed(found, now, terms, now), *_signed(known, now, terms, seen_at))
    return _verifying_until(whole, signed, terms)


def _of_both(known: RingState, found: RingState) -> RingState:
    keys = {key.kid: key for key in (*found.keys, *known.keys)}
    return replace(
        found,
        keys=tuple(_revoked_as(key, (found, known)) for key in keys.values()),
        written_at=max(found.written_at, known.written_at),
        longest=_longest(known, found),
        revision=known.revision,
    )


def _with_keys_of_before(
    known: RingState, found: RingState, now: float, terms: Terms, seen_at: float
) -> RingState:
    """Return a document that is in service, with the keys that have signed before.

    They only verify, and for as long as a token that was signed by what is known may be valid.
    """
    keys = [_revoked_as(key, (found, known)) for key in found.keys]
    back = [
        only_verifying(found, key, key.kept_until, now)
        for key in _needed(known, now, terms, seen_at)
        if not has(found, key.kid)
    ]
    longest = _longest(known, found) if found.origin == known.origin else found.longest
    return replace(found, keys=(*keys, *back), longest=longest)


def _needed(known: RingState, now: float, terms: Terms, seen_at: float) -> Iterator[KeyRecord]:
    """Yield the keys by which a token may have been signed that is still valid, or revoked ones."""
    yield from (key for key in known.keys if key.revoked_at and now < key.revoked_at + REVOKED_FOR)
    for key, until in _signed(known, now, terms, seen_at):
        yield replace(key, kept_until=until)


def _signed(
    state: RingState, now: float, terms: Terms, seen_at: float
) -> Iterator[tuple[KeyRecord, float]]:
    """Yield the keys by which a valid token may have been signed, and the end of the last such one.

    :param seen_at: POSIX time from which no process has signed by this document.
    """
    begun = signing_time(state, now)
    for key in state.keys:
        until = min(gone_at(state, key, terms), seen_at + after_signing(state, key.use, terms))
        if key.revoked_at is None and key.signs_from <= begun and now < until:
            yield key, until


def _verifying_until(
    whole: RingState, signed: Iterable[tuple[KeyRecord, float]], terms: Terms
) -> RingState:
    """Return a document in which keys verify for as long as they did in those it was made of.

    Of two keys that signed at once only one signs from now on. By the document alone the other one
    has stopped long ago.
    """
    for key, until in signed:
        whole = replace(
            whole,
            keys=tuple(
                replace(each, kept_until=until)
                if each.kid == key.kid and gone_at(whole, each, terms) < until
                else each
                for each in whole.keys
            ),
        )
    return whole


def _longest(known: RingState, found: RingState) -> tuple[tuple[Use, float], ...]:
    longest = dict(known.longest)
    for use, seconds in found.longest:
        longest[use] = max(seconds, longest.get(use, 0.0))
    return tuple(sorted(longest.items()))


def _revoked_as(key: KeyRecord, states: Iterable[RingState]) -> KeyRecord:
    """Return a key, revoked if it is in one of the states."""
    same = (each for state in states for each in state.keys if each.kid == key.kid)
    instants = [each.revoked_at for each in same if each.revoked_at is not None]
    return replace(key, revoked_at=min(instants)) if instants else key
