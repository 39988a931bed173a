"""What tokens of admitted issuers may cost: places, budgets and waiting."""

import gc
import threading
import time
from typing import Any

import pytest

from jwt_middleware import (
    ANY_GRANTS,
)
from jwt_middleware.errors import KeyUnknown
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.issuers import admitted_pool
from jwt_middleware.keys.remote import shared_fetch
from jwt_middleware.keys.remote.pool_limits import (
    MAX_PATIENT_WAITERS,
    RETURNING_BURST,
    RETURNING_INTERVAL,
    UNPROVEN_BURST,
    PoolLimit,
    PoolRefusal,
    PoolShare,
)
from jwt_middleware.keys.remote.shared_fetch import CROWD_PATIENCE, Waiter
from jwt_middleware.testing import KeyPair
from tests.issuers.pool_world import World, code_of, crafted, forged, full, roles_by
from tests.keys.publisher import SOON, landed


def test_what_finds_no_place_spends_nothing(world: World) -> None:
    """Forty tenants at once: those that found all places taken come in when there is one again."""
    guard = world.guard(max_flights=2)
    names = [world.name(number) for number in range(UNPROVEN_BURST)]
    world.gate.clear()
    threads = [
        threading.Thread(target=code_of, args=(guard, world.token(name))) for name in names[:2]
    ]
    for thread in threads:
        thread.start()
        assert world.arrived.acquire(timeout=SOON)
    assert {code_of(guard, world.token(name)) for name in names[2:]} == {"key_unknown"}
    world.gate.set()
    for thread in threads:
        thread.join(SOON)

    assert [code_of(guard, world.token(name)) for name in names] == ["passed"] * UNPROVEN_BURST


def test_a_returning_issuer_has_a_small_budget_that_outlives_its_keys(world: World) -> None:
    """Its name is known, so anybody can have it fetched for: twice, and once in ten seconds."""
    guard, names = full(world)
    returning = world.name("returning")
    guard.verify(world.token(returning))
    for name in names:
        guard.verify(world.token(name, sub="43"))
    world.web.asked.clear()
    gc.collect()
    outcomes = []
    for _ in range(5):
        outcomes.append(code_of(guard, forged(world, returning)))
        landed()
        gc.collect()

    assert returning not in guard.health()
    assert outcomes == ["signature_invalid"] * RETURNING_BURST + ["key_unknown"] * 3
    assert len(world.web.asked) == RETURNING_BURST
    with pytest.raises(KeyUnknown) as refused:
        guard.verify(world.token(returning))
    assert refused.value.retry_after == RETURNING_INTERVAL
    world.clock.tick(RETURNING_INTERVAL)
    assert code_of(guard, world.token(returning)) == "passed"


def test_that_budget_is_not_renewed_by_coming_and_going(world: World) -> None:
    """It is of the name, not of the time in between."""
    guard, names = full(world)
    returning = world.name("returning")

    def come_and_go() -> None:
        guard.verify(world.token(returning))
        for name in names:
            world.clock.tick(RETURNING_INTERVAL)
            guard.verify(world.token(name, sub="43"))
        gc.collect()

    come_and_go()
    for _ in range(RETURNING_BURST):
        code_of(guard, forged(world, returning))
        gc.collect()
    world.clock.tick(RETURNING_INTERVAL)
    guard.verify(world.token(returning))
    for name in names:
        guard.verify(world.token(name, sub="43"))
    gc.collect()
    assert returning not in guard.health()

    assert code_of(guard, forged(world, returning)) == "key_unknown"


def test_returning_issuers_take_no_place_of_those_in_service(world: World) -> None:
    """Their publishers hang, and a proven issuer's keys are renewed all the same."""
    guard, names = full(world)
    returning = world.name("returning")
    guard.verify(world.token(returning))
    for name in names:
        guard.verify(world.token(name, sub="43"))
    world.clock.tick(700)
    world.gate.clear()
    world.arrived = threading.Semaphore(0)
    hanging = threading.Thread(target=code_of, args=(guard, forged(world, returning)))
    hanging.start()
    assert world.arrived.acquire(timeout=SOON)

    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(names[1], sub="44")))

    assert next(steps).waiter.fetch.reason == "expired"
    steps.close()
    world.gate.set()
    hanging.join(SOON)


def test_a_place_ends_by_itself(world: World) -> None:
    """Whoever took it went away, and so did the keys: a newcomer finds it free after some time."""
    guard, _ = full(world)
    steps: Any = guard.decide(SampleRequest("GET", "/", crafted(world, 1)))
    next(steps)
    del steps
    gc.collect()
    assert code_of(guard, world.token(world.name("newcomer"))) == "key_unknown"
    world.clock.tick(7)

    assert code_of(guard, world.token(world.name("newcomer"))) == "passed"


def test_an_issuer_in_a_full_pool_makes_room_among_the_unproven_first(world: World) -> None:
    """Although the unproven one came later, and one that is proven was not seen for long."""
    guard = world.guard(most=3, max_flights=2)
    proven = [world.name(number) for number in range(2)]
    for name in proven:
        guard.verify(world.token(name))
    late = world.name("late")
    steps: Any = guard.decide(SampleRequest("GET", "/", world.token(late)))
    waited = next(steps).perform(time.monotonic() + SOON)
    (pool,) = guard._issuers._pools
    pool._issuers.pop(late)
    code_of(guard, crafted(world, 1))

    with pytest.raises(StopIteration):
        steps.send(waited)

    assert set(guard.health()) == {*proven, late}


def test_few_wait_patiently_for_issuers_that_are_not_proven(world: World) -> None:
    """Eight over all of them; the others a second from the start of the fetch, and then no more."""
    guard = world.guard(max_flights=4)
    names = [world.name(number) for number in range(3)]

    def patience(name: str) -> float:
        steps: Any = guard.decide(SampleRequest("GET", "/", world.token(name)))
        waiter = next(steps).waiter
        steps.close()
        assert isinstance(waiter, Waiter)
        return waiter.patience

    patient = [patience(names[number % 2]) for number in range(MAX_PATIENT_WAITERS)]
    assert set(patient) == {5.5}
    assert {patience(name) for name in names} == {CROWD_PATIENCE}
    world.clock.tick(0.75)
    assert {patience(name) for name in names} == {CROWD_PATIENCE - 0.75}
    world.clock.tick(0.25)
    with pytest.raises(KeyUnknown) as refused:
        guard.verify(world.token(names[0]))
    assert refused.value.retry_after == CROWD_PATIENCE
    assert not refused.value.condemns_token


def test_whoever_begins_a_fetch_in_a_crowd_is_held_no_longer_than_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each invented name begins a fetch of its own: none holds a worker for as long as that takes."""
    monkeypatch.setattr(shared_fetch, "CROWD_PATIENCE", 0.01)
    guard = world.guard()
    for _ in range(MAX_PATIENT_WAITERS):
        patient: Any = guard.decide(SampleRequest("GET", "/", world.token(world.name("slow"))))
        next(patient)
        patient.close()
    world.gate.clear()

    assert code_of(guard, world.token(world.name("another"))) == "key_unknown"

    assert world.arrived.acquire(timeout=SOON)
    world.gate.set()
    landed()


def test_whoever_waits_for_a_proven_issuer_is_patient(world: World) -> None:
    """However many they are, and however many wait for others: its name cannot be invented."""
    guard = world.guard()
    name = world.name("proven")
    guard.verify(world.token(name))
    world.clock.tick(5_000)
    waiters = []
    for _ in range(MAX_PATIENT_WAITERS):
        unproven: Any = guard.decide(SampleRequest("GET", "/", world.token(world.name("other"))))
        assert next(unproven).waiter.patience == 5.5
        unproven.close()
    for number in range(3 * MAX_PATIENT_WAITERS):
        steps: Any = guard.decide(SampleRequest("GET", "/", world.token(name, sub=str(number))))
        waiters.append(next(steps).waiter)
        steps.close()

    assert {waiter.patience for waiter in waiters} == {5.5}


def test_what_waited_for_keys_that_are_no_longer_in_service_is_not_remembered(
    world: World,
) -> None:
    """It was held against the settings of its time, and the next time it is held against the new."""
    guard, _ = full(world)
    name = world.name("newcomer")
    known = world.token(name)
    steps: Any = guard.decide(SampleRequest("GET", "/", known))
    waited = next(steps).perform(time.monotonic() + SOON)
    world.audience = "new"
    assert code_of(guard, world.token(name, aud="new")) == "passed"

    with pytest.raises(StopIteration) as end:
        steps.send(waited)

    assert end.value.value.principal.subject == "42"
    assert guard._authenticator._tokens.get(known) is None
    assert code_of(guard, known) == "audience_mismatch"


def test_a_proven_issuer_without_a_place_to_fetch_is_unavailable(world: World) -> None:
    """Its keys are too old and another's fetch hangs: that is an outage, and no invented name."""
    guard, names = full(world)
    world.clock.tick(5_000)
    world.gate.clear()
    world.arrived = threading.Semaphore(0)
    hanging = threading.Thread(target=code_of, args=(guard, world.token(names[0], sub="43")))
    hanging.start()
    assert world.arrived.acquire(timeout=SOON)

    assert code_of(guard, world.token(names[1], sub="43")) == "keys_unavailable"
    world.gate.set()
    hanging.join(SOON)


def test_whoever_joins_a_fetch_of_an_issuer_that_is_not_proven_is_in_the_crowd(
    world: World,
) -> None:
    """Where eight wait patiently for such issuers already: for an unknown kid, too."""
    guard = world.guard()
    name = world.name("a")
    assert code_of(guard, forged(world, name)) == "signature_invalid"
    for _ in range(MAX_PATIENT_WAITERS):
        cold: Any = guard.decide(SampleRequest("GET", "/", world.token(world.name("cold"))))
        next(cold).waiter.fetch.claim()
        cold.close()
    claims = {"iss": name, "aud": "api", "sub": "1", "exp": int(world.clock.now()) + 60}
    unknown = KeyPair.generate("ES256", "unknown").sign(claims)
    patience = []
    for _ in range(2):
        steps: Any = guard.decide(SampleRequest("GET", "/", unknown))
        patience.append(next(steps).waiter.patience)
        steps.close()

    assert patience == [5.5, CROWD_PATIENCE]


def test_the_names_that_come_back_are_remembered_longest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is asked for again is not the next to be forgotten."""
    monkeypatch.setattr(admitted_pool, "MAX_RETURNING", 2)
    guard = world.guard(most=2, max_flights=1)
    names = [world.name(number) for number in range(5)]
    for name in names[:4]:
        guard.verify(world.token(name))
    gc.collect()
    code_of(guard, forged(world, names[0]))
    guard.verify(world.token(names[4]))

    (pool,) = guard._issuers._pools
    assert list(pool._returning) == [names[0], names[2]]


def test_a_known_token_that_waited_is_held_against_the_issuer_it_waited_for(world: World) -> None:
    """Although another has remembered it by newer settings, which are to be asked for again."""
    name = world.name("a")
    places = ["roles"]
    guard = world.guard(roles_by(world, places), readmit_after=60, grants=ANY_GRANTS)
    known = world.token(name, roles=["admin"], groups=["reader"])
    guard.verify(known)
    world.clock.tick(700)
    steps: Any = guard.decide(SampleRequest("GET", "/", known))
    waited = next(steps).perform(time.monotonic() + SOON)
    places.append("groups")
    world.clock.tick(61)
    assert guard.verify(known).roles == {"reader"}
    world.clock.tick(301)

    with pytest.raises(StopIteration) as end:
        steps.send(waited)

    assert end.value.value.principal.roles == {"admin"}
    assert guard.verify(known).roles == {"reader"}


def test_an_unknown_kid_that_finds_no_place_keeps_its_budget(world: World) -> None:
    """Another's fetch hangs: both kids of the burst may be asked for when that is over."""
    guard = world.guard(most=3, max_flights=1)
    names = [world.name(number) for number in range(2)]
    for name in names:
        guard.verify(world.token(name))

    def with_kid(kid: str) -> str:
        claims = {"iss": names[1], "aud": "api", "sub": "1", "exp": int(world.clock.now()) + 9_000}
        return KeyPair.generate("ES256", kid).sign(claims)

    world.clock.tick(601)
    guard.verify(world.token(names[1], sub="43"))
    world.gate.clear()
    world.arrived = threading.Semaphore(0)
    hanging = threading.Thread(target=code_of, args=(guard, world.token(names[0], sub="43")))
    hanging.start()
    assert world.arrived.acquire(timeout=SOON)
    for number in range(3):
        with pytest.raises(KeyUnknown) as refused:
            guard.verify(with_kid(f"hindered-{number}"))
        assert not refused.value.condemns_token
    world.gate.set()
    hanging.join(SOON)
    landed()
    asked = len(world.web.asked)

    for number in range(3):
        code_of(guard, with_kid(f"free-{number}"))
    assert len(world.web.asked) == asked + 2


def test_a_place_is_given_back_once() -> None:
    """A second time changes nothing for whoever has the place by then."""
    limit = PoolLimit(most=1)
    one, other = PoolShare(limit), PoolShare(limit)
    assert one.take(0.0, 5.0) is None
    one.give_back()
    assert other.take(0.0, 5.0) is None

    one.give_back()

    assert isinstance(one.take(0.0, 5.0), PoolRefusal)
