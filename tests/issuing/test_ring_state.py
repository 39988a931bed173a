"""The life of keys, as a function of the document and the time: properties K1, K2, K7, K8, K13."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware import ConfigurationError
from jwt_middleware.issuing.ring_state import (
    LEEWAY,
    MARGIN,
    MOST_OVER,
    KeyRecord,
    RingState,
    Terms,
    Use,
    active,
    announced,
    gone_at,
    has,
    line,
    maintained,
    next_change,
    phase,
    revoked,
    rotated,
    verifying,
    with_lifetime,
)

DAY = 86_400.0
TERMS = Terms("ES256", rotate_every=90 * DAY, announce=DAY, max_lag=60.0)
BEGIN = 1_000 * DAY
LIFETIME = 900.0
_numbers = count()


def make(use: Use, algorithm: str) -> tuple[str, str]:
    number = next(_numbers)
    return f"{use}-{algorithm}-{number:06}", f"sealed {number}"


def kept(state: RingState, now: float, terms: Terms = TERMS, *uses: Use) -> RingState:
    """Do what is due."""
    return maintained(
        with_lifetime(state, "access", LIFETIME), uses or ("access",), now, terms, make
    )


def phases(state: RingState, now: float) -> list[str]:
    return [phase(state, key, now, TERMS) for key in line(state, "access")]


def kid(state: RingState, now: float) -> str:
    key = active(state, "access", now)
    assert key is not None
    return key.kid


def test_a_new_ring_signs_at_once() -> None:
    """K1: its first key is active, and there is nothing more to do."""
    state = kept(RingState(), BEGIN)

    assert phases(state, BEGIN) == ["active"]
    assert kept(state, BEGIN) is state
    assert kept(state, BEGIN + 88 * DAY) is state
    assert next_change(state, BEGIN, TERMS) == BEGIN + 89 * DAY


def test_a_key_is_announced_before_it_signs_and_published_after_it_has_signed() -> None:
    """K2: through all phases, at the instants that the settings say."""
    first = kept(RingState(), BEGIN)
    due = BEGIN + 89 * DAY
    state = kept(first, due)
    change = BEGIN + 90 * DAY

    assert phases(state, due) == ["active", "announced"]
    assert phases(state, change - 1) == ["active", "announced"]
    assert phases(state, change) == ["retiring", "active"]
    over = change + TERMS.max_lag + LIFETIME + LEEWAY + MARGIN
    assert gone_at(state, line(state, "access")[0], TERMS) == over
    assert phases(state, over - 1) == ["retiring", "active"]
    assert phases(state, over) == ["gone", "active"]
    assert [key.kid for key in verifying(state, "access", over, TERMS)] == [kid(state, over)]


def test_a_ring_that_slept_announces_late_and_not_too_short() -> None:
    """K2: a day is a day, whenever somebody comes to look."""
    state = kept(kept(RingState(), BEGIN), BEGIN + 400 * DAY)
    old = kid(state, BEGIN + 400 * DAY)
    heir = announced(state, "access", BEGIN + 400 * DAY)

    assert heir is not None
    assert heir.signs_from == BEGIN + 401 * DAY
    assert kid(state, BEGIN + 401 * DAY - 1) == old


def test_rotating_twice_announces_one_key() -> None:
    """K7: the second call says when the announced key signs."""
    state = kept(RingState(), BEGIN)
    first, heir = rotated(state, "access", BEGIN + 10, TERMS, make)
    second, same = rotated(first, "access", BEGIN + 20, TERMS, make)

    assert second is first
    assert (same.kid, same.signs_from) == (heir.kid, BEGIN + 10 + DAY)
    assert len(second.keys) == 2


def test_rotating_brings_a_scheduled_key_forward() -> None:
    """One that was announced long before its time need not wait for it."""
    late = replace(TERMS, announce=30 * DAY)
    state = maintained(kept(RingState(), BEGIN), ["access"], BEGIN + 61 * DAY, late, make)
    scheduled = announced(state, "access", BEGIN + 61 * DAY)
    assert scheduled is not None
    assert scheduled.signs_from == BEGIN + 91 * DAY

    sooner, heir = rotated(state, "access", BEGIN + 63 * DAY, TERMS, make)
    assert heir.kid == scheduled.kid
    assert heir.signs_from == BEGIN + 63 * DAY
    assert kid(sooner, BEGIN + 63 * DAY) == heir.kid


@pytest.mark.parametrize("has_heir", [False, True])
def test_for_a_revoked_key_another_steps_in_at_once(has_heir: bool) -> None:
    """K1, K2: the announced one, or a new one; the revoked one never comes back."""
    state = kept(RingState(), BEGIN)
    heir = None
    if has_heir:
        state, heir = rotated(state, "access", BEGIN + 1, TERMS, make)
    old = kid(state, BEGIN + 5)

    state = kept(revoked(state, old, BEGIN + 5), BEGIN + 5)

    assert kid(state, BEGIN + 5) != old
    assert heir is None or kid(state, BEGIN + 5) == heir.kid
    assert sorted(phases(state, BEGIN + 5)) == ["active", "revoked"]
    assert revoked(state, old, BEGIN + 9) is state
    assert old not in {key.kid for key in verifying(state, "access", BEGIN + 5, TERMS)}
    assert has(kept(state, BEGIN + 80 * DAY), old)


def test_a_revoked_key_that_was_only_announced_leaves_the_active_one_active() -> None:
    state, heir = rotated(kept(RingState(), BEGIN), "access", BEGIN, TERMS, make)
    old = kid(state, BEGIN)
    state = revoked(state, heir.kid, BEGIN + 1)

    assert kid(state, BEGIN + 2 * DAY) == old
    assert phase(state, heir, BEGIN + 1, TERMS) == "announced"
    assert [each.kid for each in verifying(state, "access", BEGIN + 1, TERMS)] == [old]
    with pytest.raises(KeyError):
        revoked(state, "another", BEGIN)


def test_another_algorithm_is_a_rotation() -> None:
    """K13: announced as every key, and the old tokens verify on."""
    other = replace(TERMS, algorithm="RS256")
    state = kept(kept(RingState(), BEGIN), BEGIN + 1, other)

    assert [key.algorithm for key in line(state, "access")] == ["ES256", "RS256"]
    assert phases(state, BEGIN + 1) == ["active", "announced"]
    assert phases(state, BEGIN + 1 + DAY) == ["retiring", "active"]


def test_a_clock_that_is_behind_signs_with_the_time_of_the_document() -> None:
    """K8: a key that has stopped signing does not begin again."""
    state = kept(kept(RingState(), BEGIN), BEGIN + 89 * DAY)
    state = replace(state, written_at=BEGIN + 90 * DAY)

    assert kid(state, BEGIN + 89 * DAY) == kid(state, BEGIN + 90 * DAY)


def test_a_clock_that_was_a_year_ahead_for_a_moment_stops_no_rotation() -> None:
    """K8: once an operator rotates; by itself no key is moved, because either clock may be wrong."""
    first = kept(RingState(), BEGIN)
    jumped = kept(first, BEGIN + 366 * DAY)
    assert kept(jumped, BEGIN + 1) is jumped
    assert kid(jumped, BEGIN + 1) == kid(first, BEGIN)

    state, heir = rotated(jumped, "access", BEGIN + 2, TERMS, make)
    assert heir.signs_from == BEGIN + 2 + DAY
    assert kid(state, BEGIN + 3) == kid(first, BEGIN)
    assert kid(state, BEGIN + 2 + DAY) == heir.kid
    assert kept(state, BEGIN + 3) is state


def test_a_clock_that_is_back_for_a_moment_moves_no_key_that_has_signed() -> None:
    """K8: one reading at a wrong time changes nothing that tokens depend on."""
    state = kept(RingState(), BEGIN)
    for day in range(0, 97, 8):
        state = kept(state, BEGIN + day * DAY)
    now = BEGIN + 96 * DAY
    before = {key.kid: key.signs_from for key in state.keys if key.signs_from <= now}
    for wrong in (now - 30 * DAY, 0.0):
        back = kept(state, wrong)
        assert {key.kid: key.signs_from for key in back.keys if key.kid in before} == before
        assert kid(kept(back, now), now) == kid(state, now)


def test_a_clock_that_jumps_ahead_and_back_loses_no_key() -> None:
    """K8: what was retiring verifies again, whatever was done in between."""
    state = kept(kept(RingState(), BEGIN), BEGIN + 89 * DAY)
    now = BEGIN + 90 * DAY + 1
    before = {key.kid for key in verifying(state, "access", now, TERMS)}
    assert len(before) == 2

    for ahead in (10, 10_000):
        for _ in range(3):
            jumped = kept(state, now + ahead * DAY)
            state = kept(jumped, now)
            assert before <= {key.kid for key in verifying(state, "access", now, TERMS)}


def test_the_document_does_not_grow_for_ever() -> None:
    state, now = RingState(), BEGIN
    for _ in range(400):
        state = kept(state, now)
        now = next_change(state, now, TERMS)

    assert len(state.keys) <= MOST_OVER + 3


def test_refresh_keys_have_a_line_of_their_own() -> None:
    """F13: a shared secret of their own, which only the processes of the ring must have before."""
    state = maintained(
        with_lifetime(RingState(), "refresh", 90 * DAY), ["access", "refresh"], BEGIN, TERMS, make
    )
    (key,) = line(state, "refresh")
    assert (key.algorithm, phases(state, BEGIN)) == ("HS256", ["active"])

    later = maintained(state, ["access", "refresh"], BEGIN + 90 * DAY, TERMS, make)
    (old, new) = line(later, "refresh")
    assert new.signs_from == BEGIN + 90 * DAY + 2 * TERMS.max_lag
    assert gone_at(later, old, TERMS) > new.signs_from + 90 * DAY


def test_configured_keys_never_leave() -> None:
    """Only the configuration removes them."""
    keys = tuple(
        KeyRecord(f"k{place}", "access", "ES256", "", 0.0, -float(place), is_pinned=True)
        for place in range(3)
    )
    state = RingState(keys)
    assert kid(state, BEGIN) == "k0"
    assert len(verifying(state, "access", BEGIN, TERMS)) == 3
    with pytest.raises(ConfigurationError, match="configured keys"):
        rotated(state, "access", BEGIN, TERMS, make)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["wait", "rotate", "revoke active", "revoke announced", "algorithm"]),
        st.floats(0.0, 200 * DAY),
    ),
    max_size=30,
)


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_one_key_signs_and_verifiers_can_have_it(
    steps: list[tuple[str, float]],
) -> None:
    """K1, K2: at each instant, but for the first key and those that step in for a revoked one."""
    terms, now = TERMS, BEGIN
    state = kept(RingState(), now, terms)
    free = {kid(state, now)}
    for what, seconds in steps:
        now += seconds
        signer, heir = active(state, "access", now), announced(state, "access", now)
        if what == "rotate":
            state, _ = rotated(state, "access", now, terms, make)
        elif what == "algorithm":
            terms = replace(terms, algorithm="RS256" if terms.algorithm == "ES256" else "ES256")
        elif what == "revoke active" and signer is not None:
            state = revoked(state, signer.kid, now)
        elif what == "revoke announced" and heir is not None:
            state = revoked(state, heir.kid, now)
        state = kept(state, now, terms)
        if what == "revoke active":
            free.add(kid(state, now))
        assert kept(state, now, terms) is state
        (signing,) = [
            key for key in line(state, "access") if phase(state, key, now, terms) == "active"
        ]
        assert signing == active(state, "access", now)
        assert signing.kid in free or now - signing.published_at >= terms.announce
        assert signing in verifying(state, "access", now, terms)


def test_a_clock_that_was_years_ahead_for_long_stops_no_rotation_either() -> None:
    """What it has made only verifies, once an operator has called ``rotate()``."""
    first = kept(RingState(), BEGIN)
    ahead = BEGIN + 3_650 * DAY
    jumped = first
    for day in (0, 2, 200):
        jumped = rotated(jumped, "access", ahead + day * DAY, TERMS, make)[0]
    state, heir = rotated(jumped, "access", BEGIN + 2, TERMS, make)

    assert heir.signs_from == BEGIN + 2 + DAY
    assert kid(state, BEGIN + 3) == kid(first, BEGIN)
    assert kid(state, BEGIN + 2 + DAY) == heir.kid
    assert phases(state, BEGIN + 3)[-2:] == ["active", "announced"]
    assert set(phases(state, BEGIN + 3)[:-2]) == {"retiring"}
    assert set(phases(state, BEGIN + 5 * DAY)) == {"active", "gone"}
    assert rotated(state, "access", BEGIN + 3, TERMS, make) == (state, heir)
