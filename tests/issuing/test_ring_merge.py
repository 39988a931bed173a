"""Rings that a store has lost, or that were set back to an older one."""

from dataclasses import replace

import pytest

from jwt_middleware.issuing.ring_merge import merged
from jwt_middleware.issuing.ring_state import (
    REVOKED_FOR,
    RingState,
    has,
    phase,
    revoked,
    rotated,
    with_lifetime,
)
from tests.issuing.test_ring_state import BEGIN, DAY, LIFETIME, TERMS, kept, kid, make


def test_what_a_store_has_lost_is_known_here() -> None:
    """A revocation is never unlearnt, and no key is lost, in whatever state the store is."""
    old = replace(kept(RingState(), BEGIN), origin="o", revision=1)
    signer = kid(old, BEGIN)
    new = replace(kept(revoked(old, signer, BEGIN + 1), BEGIN + 1), revision=2)
    rewritten = replace(rotated(old, "access", BEGIN + 2, TERMS, make)[0], revision=2)
    later = replace(rewritten, revision=9)
    another = replace(kept(RingState(), BEGIN + 3), origin="p", revision=1)

    for found in (old, rewritten, later, another):
        whole = merged(new, found, BEGIN + 3, TERMS, BEGIN + 3)
        assert phase(
            whole, next(key for key in whole.keys if key.kid == signer), BEGIN + 3, TERMS
        ) == ("revoked")
        assert {key.kid for key in found.keys} <= {key.kid for key in whole.keys}
        assert whole.revision >= found.revision
        assert {key.kid for key in new.keys} <= {key.kid for key in whole.keys}
        signing = kid(found, BEGIN + 3)
        assert found.origin == new.origin or kid(whole, BEGIN + 3) == signing
    assert merged(new, new, BEGIN, TERMS, BEGIN) is new
    assert merged(old, new, BEGIN, TERMS, BEGIN) == new


def test_keys_that_come_back_from_another_ring_only_verify() -> None:
    """They have signed until a moment ago; those that were only announced are dropped."""
    known, heir = rotated(
        replace(kept(RingState(), BEGIN), origin="o"), "access", BEGIN + 1, TERMS, make
    )
    found = replace(kept(RingState(), BEGIN + 2), origin="p")
    later = BEGIN + 20 * DAY
    whole = merged(known, found, BEGIN + 3, TERMS, BEGIN + 3)
    late = merged(known, found, later, TERMS, later)

    assert kid(whole, BEGIN + 3) == kid(found, BEGIN + 3)
    assert not has(whole, heir.kid)
    (back,) = [key for key in late.keys if key.kid == heir.kid]
    assert phase(late, back, later + LIFETIME, TERMS) == "retiring"
    assert not has(late, kid(known, BEGIN + 1))
    assert kid(late, later) == kid(found, later)


def test_a_ring_that_went_on_from_an_older_one_loses_no_key_that_has_signed() -> None:
    """Whether it was written more or less often since than what is known here."""
    old = replace(kept(RingState(), BEGIN), origin="o", revision=1)
    known, heir = rotated(old, "access", BEGIN, TERMS, make)
    known = with_lifetime(replace(known, revision=2), "access", 2 * LIFETIME)
    now = BEGIN + DAY + 1
    for revision in (2, 3, 9):
        found = replace(rotated(old, "access", now, TERMS, make)[0], revision=revision)
        whole = merged(known, found, now, TERMS, now)
        (back,) = [key for key in whole.keys if key.kid == heir.kid]
        assert phase(whole, back, now + 2 * LIFETIME, TERMS) in {"active", "retiring"}
        assert whole.lifetime("access") == 2 * LIFETIME
        if revision > 2:
            assert kid(whole, now) == kid(found, now)


@pytest.mark.parametrize("revision", [2, 9])
def test_what_both_have_signed_by_verifies_until_it_ends(revision: int) -> None:
    """Two parts of a service went on from one ring for weeks, each with keys of its own.

    Only one key signs from now on. The other one has signed until a moment ago.
    """
    old = replace(kept(RingState(), BEGIN), origin="o", revision=1)
    now = BEGIN + 20 * DAY

    def went_on(days: float, revision: int) -> RingState:
        state, _ = rotated(old, "access", BEGIN + days * DAY, TERMS, make)
        return replace(state, revision=revision)

    for known, found in (
        (went_on(5, 5), old),
        (went_on(5, 5), went_on(1, revision)),
        (went_on(1, 5), went_on(5, revision)),
    ):
        whole = merged(known, replace(found, revision=revision), now, TERMS, now)
        for kid_ in (kid(known, now), kid(found, now)):
            (key,) = [key for key in whole.keys if key.kid == kid_]
            assert phase(whole, key, now + LIFETIME, TERMS) in {"active", "retiring"}
            assert phase(whole, key, now + DAY, TERMS) in {"active", "gone"}


def test_a_process_that_slept_brings_no_key_back() -> None:
    """It has signed nothing since, and whoever went on knows better what is needed."""
    old = replace(kept(RingState(), BEGIN), origin="o", revision=1)
    withdrawn = revoked(old, kid(old, BEGIN), BEGIN + 1)
    now = BEGIN + 1 + REVOKED_FOR
    found = replace(kept(RingState(), now), origin="o", revision=9)
    for known in (old, withdrawn):
        assert merged(known, found, now, TERMS, BEGIN + 2) == found
    assert has(merged(withdrawn, found, now - 1, TERMS, BEGIN + 2), kid(old, BEGIN))
