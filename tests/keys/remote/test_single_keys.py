"""Keys that are published one by one: fetched by key id, and invented key ids stay harmless."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from time import monotonic
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jwt_middleware import ConfigurationError, Issuer, KeysUnavailable, ResolverOptions
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.errors import KeyUnknown, Refused
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse
from jwt_middleware.keys.remote.shared_fetch import Waiter
from jwt_middleware.keys.remote.single_keys import MAX_SERVING, SingleKeys
from jwt_middleware.keys.snapshot import Keys
from jwt_middleware.keys.source import RemoteKeySource
from jwt_middleware.testing import Clock, KeyPair
from tests.keys.web import Web

ES256 = ALGORITHMS["ES256"]
BASE = "https://keys.example"
PAIR = KeyPair.generate("ES256", "a")


def kid_of(number: int) -> str:
    return str(UUID(int=number))


def pem_of(pair: KeyPair) -> bytes:
    public = pair.private.public_key()
    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


class KeyServer(Web):
    """Publishes keys by their numbers. It may hold its answers back, or not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = Event()
        self.goes_on.set()
        self.is_down = False

    def publish(self, *numbers: int, status: int = 200) -> None:
        for number in numbers:
            self.answers[f"{BASE}/{kid_of(number)}"] = FetchResponse(status, {}, pem_of(PAIR))

    def fetch(self, request: FetchRequest) -> FetchResponse:
        response = super().fetch(request)
        self.goes_on.wait(10)
        if self.is_down:
            raise OSError
        return response


@pytest.fixture
def web() -> KeyServer:
    return KeyServer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(web: KeyServer, clock: Clock) -> SingleKeys:
    return source_of(web, clock)


def source_of(web: KeyServer, clock: Clock, **options: float) -> SingleKeys:
    return SingleKeys(
        f"{BASE}/{{kid}}",
        "https://id.example",
        algorithms=["ES256"],
        options=ResolverOptions(**options),  # type: ignore[arg-type]
        fetcher=web,
        clock=clock,
    )


def resolved(source: SingleKeys, kid: str | None) -> Keys:
    planned = source.plan(kid, ES256)
    if not isinstance(planned, Waiter):
        return planned
    return source.settle(kid, ES256, planned.perform(monotonic() + 10))


def outcome(source: SingleKeys, number: int) -> str:
    try:
        resolved(source, kid_of(number))
    except Refused as refused:
        return refused.code
    return "found"


def test_a_key_is_fetched_once_by_its_key_id(source: SingleKeys, web: KeyServer) -> None:
    """And found in memory from then on."""
    web.publish(1, 2)
    assert isinstance(source, RemoteKeySource)
    assert not source.has(kid_of(1), ES256)

    (key,) = resolved(source, kid_of(1))

    assert key.kid == kid_of(1)
    assert source.has(kid_of(1), ES256)
    assert not source.has(kid_of(2), ES256)
    assert resolved(source, kid_of(1)) == (key,)
    assert web.asked == [f"{BASE}/{kid_of(1)}"]
    assert source.snapshot is None
    assert source.export() is None


@pytest.mark.parametrize(
    "kid", [None, "", "a", "../x", f"{kid_of(1)}/..", f"{kid_of(1)}\n", kid_of(10).upper()]
)
def test_what_is_no_uuid_gets_into_no_address(
    source: SingleKeys, web: KeyServer, kid: str | None
) -> None:
    """It is refused without a fetch, and spends nothing."""
    for _ in range(5):
        with pytest.raises(KeyUnknown):
            source.plan(kid, ES256)
    web.publish(1)
    assert not source.has(kid, ES256)
    assert outcome(source, 1) == "found"
    assert len(web.asked) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_key_that_is_not_published_is_unknown(
    source: SingleKeys, web: KeyServer, clock: Clock, status: int
) -> None:
    """A verdict on the token, not an outage; the same key id is asked for again later."""
    web.publish(9, status=status)
    web.publish(1)

    assert [outcome(source, 9) for _ in range(3)] == ["key_unknown"] * 3
    assert len(web.asked) == 1
    assert outcome(source, 1) == "found"
    clock.tick(10)
    web.publish(9)
    assert outcome(source, 9) == "found"


def test_invented_key_ids_are_few_fetches_and_displace_no_key(
    source: SingleKeys, web: KeyServer, clock: Clock
) -> None:
    """Two at once and one every ten seconds, as for a key set; a key that serves is not affected."""
    web.publish(1)
    assert outcome(source, 1) == "found"

    for number in range(100, 1_100):
        assert outcome(source, number) == "key_unknown"
        assert outcome(source, 1) == "found"

    assert len(web.asked) == 2
    web.publish(2)
    with pytest.raises(KeyUnknown) as refused:
        source.plan(kid_of(2), ES256)
    assert refused.value.retry_after == 10
    clock.tick(10)
    assert outcome(source, 2) == "found"
    assert len(web.asked) == 3


def test_many_callers_share_one_fetch(source: SingleKeys, web: KeyServer) -> None:
    """Before the first key arrives, all of them wait for it."""
    web.publish(1)
    web.goes_on.clear()
    planned = [source.plan(kid_of(1), ES256) for _ in range(100)]
    waiters = [each for each in planned if isinstance(each, Waiter)]
    assert len(waiters) == 100
    assert not any(each.is_in_crowd for each in waiters)

    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(each.perform, monotonic() + 10) for each in waiters]
        web.goes_on.set()
        settled = [source.settle(kid_of(1), ES256, each.result()) for each in found]

    assert len(set(settled)) == 1
    assert len(web.asked) == 1


def test_few_callers_wait_for_an_invented_key_id(source: SingleKeys, web: KeyServer) -> None:
    """Once a key serves: eight wait as long as the fetch takes, others for a second (P68)."""
    web.publish(1)
    assert outcome(source, 1) == "found"

    planned = [source.plan(kid_of(9), ES256) for _ in range(20)]

    crowd = [isinstance(each, Waiter) and each.is_in_crowd for each in planned]
    assert crowd == [False] * 8 + [True] * 12
    first, *others = (each for each in planned if isinstance(each, Waiter))
    waited = [each.perform(monotonic() + 10) for each in (first, *others)]
    for each in waited:
        with pytest.raises(KeyUnknown):
            source.settle(kid_of(9), ES256, each)
    assert web.asked.count(f"{BASE}/{kid_of(9)}") == 1


def test_a_key_serves_through_an_outage_and_not_for_ever(
    source: SingleKeys, web: KeyServer, clock: Clock
) -> None:
    """As a key set does (P21, P22); a new key cannot be told from an invented one meanwhile."""
    web.publish(1)
    assert outcome(source, 1) == "found"
    web.is_down = True

    clock.tick(4_000)
    assert outcome(source, 1) == "found"
    assert source.health().is_degraded
    assert outcome(source, 2) == "keys_unavailable"
    clock.tick(300)
    assert outcome(source, 1) == "keys_unavailable"
    web.is_down = False
    clock.tick(60)
    assert outcome(source, 1) == "found"


def test_one_key_that_fails_makes_no_other_wait(source: SingleKeys, web: KeyServer) -> None:
    """The pause after a failure is that of one key id."""
    web.publish(1)
    web.publish(8, status=500)

    assert outcome(source, 8) == "keys_unavailable"
    assert outcome(source, 8) == "keys_unavailable"
    assert outcome(source, 1) == "found"
    assert len(web.asked) == 2


def test_a_key_that_is_taken_back_is_refused_once_that_is_confirmed(
    source: SingleKeys, web: KeyServer, clock: Clock
) -> None:
    """As an empty key set is: a short fault must not lock callers out (P69)."""
    web.publish(1)
    assert outcome(source, 1) == "found"
    del web.answers[f"{BASE}/{kid_of(1)}"]

    clock.tick(601)
    assert outcome(source, 1) == "found"
    clock.tick(11)
    assert outcome(source, 1) == "key_unknown"


def test_a_page_is_no_key(source: SingleKeys, web: KeyServer) -> None:
    """What is not PEM brings nothing, whatever its status."""
    web.answers[f"{BASE}/{kid_of(1)}"] = FetchResponse(200, {}, b"<html>\xff</html>")

    assert outcome(source, 1) == "keys_unavailable"
    assert source.health().last_failure == "not a key set"


def test_the_number_of_keys_is_bounded(web: KeyServer, clock: Clock) -> None:
    """The least recently used makes room."""
    source = source_of(web, clock, unknown_kid_burst=1_000)
    numbers = range(1, 2 * MAX_SERVING)
    web.publish(*numbers)
    for number in numbers:
        assert outcome(source, number) == "found"
        assert outcome(source, 1) == "found"

    assert source.health().keys == MAX_SERVING
    assert source.has(kid_of(1), ES256)
    assert not source.has(kid_of(2), ES256)


def test_a_place_that_was_lost_meanwhile_is_said_to_be_unknown(
    source: SingleKeys, web: KeyServer
) -> None:
    """Such as by a caller that settled before."""
    planned = source.plan(kid_of(9), ES256)
    assert isinstance(planned, Waiter)
    waited = planned.perform(monotonic() + 10)

    said = []
    for _ in range(2):
        with pytest.raises(KeyUnknown) as refused:
            source.settle(kid_of(9), ES256, waited)
        said.append(refused.value.retry_after)

    assert said == [1.0, 1.0]
    with pytest.raises(KeyUnknown) as refused:
        source.plan(kid_of(9), ES256)
    assert refused.value.retry_after == 10
    assert len(web.asked) == 1


def test_withdrawn_keys_stay_withdrawn(source: SingleKeys, web: KeyServer, clock: Clock) -> None:
    """By key id, before and after the fetch, and all that serve."""
    web.publish(1, 2, 3, 4)
    with pytest.raises(ConfigurationError, match="fetched yet"):
        source.distrust()
    for number in (2, 3, 4):
        source.distrust(kid_of(number))
        assert outcome(source, number) == "key_unknown"
    # That spends nothing of the budget, which is two.
    assert not web.asked
    assert outcome(source, 1) == "found"

    source.distrust()

    assert outcome(source, 1) == "key_unknown"
    clock.tick(601)
    assert outcome(source, 1) == "key_unknown"


def test_health_and_warming(source: SingleKeys, web: KeyServer, clock: Clock) -> None:
    """Nothing can be fetched before a token names it, so that nothing is required at the start."""
    web.publish(1, 2)
    assert source.start_warming() is None
    source.check_warm(required=True)
    source.signature_failed()
    assert source.health().state == "empty"
    assert outcome(source, 1) == "found"
    clock.tick(301)
    assert outcome(source, 2) == "found"

    assert source.health().state == "fresh"
    assert source.health().keys == 2
    assert source.health().is_ready
    # The first is named by no token any more.
    clock.tick(4_000)
    assert outcome(source, 2) == "found"
    assert source.health().state == "fresh"
    assert source.health().keys == 1


def test_after_close_nothing_is_fetched_until_it_is_opened(
    source: SingleKeys, web: KeyServer
) -> None:
    """A request meanwhile is told that keys are out of reach."""
    web.publish(1)
    assert outcome(source, 1) == "found"
    source.close()

    assert source.health().state == "closed"
    with pytest.raises(KeysUnavailable):
        source.plan(kid_of(1), ES256)
    source.after_fork()
    source.start_warming()
    assert outcome(source, 1) == "found"


@pytest.mark.parametrize(("is_held", "fetches"), [(False, 1), (True, 2)])
def test_a_forked_child_keeps_keys_unless_they_may_be_half_changed(
    source: SingleKeys, web: KeyServer, is_held: bool, fetches: int
) -> None:
    """Which they may be if another thread of the parent held the lock."""
    web.publish(1)
    assert outcome(source, 1) == "found"
    if is_held:
        assert source._lock.acquire(blocking=False)
    source.after_fork()

    assert outcome(source, 1) == "found"
    assert len(web.asked) == fetches


@pytest.mark.parametrize("address", ["http://keys.example/{kid}", "file:///{kid}", "/{kid}"])
def test_an_address_without_tls_is_refused(web: KeyServer, clock: Clock, address: str) -> None:
    """As that of a key set is, in the words of the setting."""
    with pytest.raises(ConfigurationError, match="key_uri"):
        SingleKeys(
            address,
            "n",
            algorithms=["ES256"],
            options=ResolverOptions(),
            fetcher=web,
            clock=clock,
        )


def test_what_refuses_a_key_that_was_there_is_an_outage(
    source: SingleKeys, web: KeyServer, clock: Clock
) -> None:
    """A proxy or a permission in the way says 403 too. For a key that was never there it is none."""
    web.publish(1)
    assert outcome(source, 1) == "found"
    web.answers[f"{BASE}/{kid_of(1)}"] = FetchResponse(403)
    for _ in range(4):
        clock.tick(700)
        assert outcome(source, 1) == "found"
    clock.tick(3_000)
    assert outcome(source, 1) == "keys_unavailable"


def test_a_refused_key_that_served_and_made_room_is_an_outage_too(
    web: KeyServer, clock: Clock
) -> None:
    source = source_of(web, clock, unknown_kid_burst=MAX_SERVING + 1)
    web.publish(*range(MAX_SERVING + 1))
    for number in range(MAX_SERVING + 1):
        assert outcome(source, number) == "found"
    web.answers[f"{BASE}/{kid_of(0)}"] = FetchResponse(403)

    assert outcome(source, 0) == "keys_unavailable"


def test_a_key_that_served_comes_back_whatever_invented_ones_cost(
    web: KeyServer, clock: Clock
) -> None:
    """It has a budget of its own, after it made room and after a close."""
    source = source_of(web, clock, unknown_kid_burst=MAX_SERVING + 1)
    web.publish(*range(MAX_SERVING + 1))
    for number in range(MAX_SERVING + 1):
        assert outcome(source, number) == "found"
    for number in range(1_000, 1_100):
        assert outcome(source, number) == "key_unknown"

    assert outcome(source, 0) == "found"
    source.close()
    source.start_warming()
    assert outcome(source, 1) == "found"
    assert outcome(source, 2_000) == "key_unknown"


def test_invented_key_ids_at_once_displace_no_honest_one(web: KeyServer, clock: Clock) -> None:
    """There is a place for each that the budget allows."""
    source = source_of(web, clock, unknown_kid_burst=20)
    web.publish(1)
    web.goes_on.clear()
    planned = source.plan(kid_of(1), ES256)
    assert isinstance(planned, Waiter)
    for number in range(100, 119):
        with suppress(KeysUnavailable):
            source.plan(kid_of(number), ES256)
    web.goes_on.set()

    assert source.settle(kid_of(1), ES256, planned.perform(monotonic() + 10))


def test_health_is_that_of_the_keys_that_serve(
    source: SingleKeys, web: KeyServer, clock: Clock
) -> None:
    """A withdrawn key says nothing of the others."""
    web.publish(1)
    other = FetchResponse(200, {}, pem_of(KeyPair.generate("ES256", "b")))
    web.answers[f"{BASE}/{kid_of(2)}"] = other
    assert [outcome(source, number) for number in (1, 2)] == ["found", "found"]
    source.distrust(kid_of(1))

    assert outcome(source, 1) == "key_unknown"
    assert (source.health().is_ready, source.health().keys) == (True, 1)


def test_a_key_id_whose_caller_left_is_no_key(
    source: SingleKeys, web: KeyServer, clock: Clock
) -> None:
    """Nobody settled the answer, which was that there is no such key."""
    for _ in range(3):
        planned = source.plan(kid_of(9), ES256)
        assert isinstance(planned, Waiter)
        planned.perform(monotonic() + 10)
        with suppress(KeyUnknown):
            source.plan(kid_of(9), ES256)
        clock.tick(60)

    assert source.health().keys == 0
    assert not source._serving


def test_keys_one_by_one_need_a_budget() -> None:
    """Each is unknown at first."""
    with pytest.raises(ConfigurationError, match="unknown_kid_burst=0 would fetch no key"):
        Issuer(
            "https://a/",
            audience="a",
            key_uri="https://a/keys/{kid}",
            resolver=ResolverOptions(unknown_kid_burst=0),
        )
