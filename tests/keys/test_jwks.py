"""The key set of one issuer: herd, unknown kids, outage, rotation, documents, forks."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from jwt_middleware import ConfigurationError, KeysUnavailable, ResolverOptions
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.effects import Gap, Steps, arun, run
from jwt_middleware.errors import KeyUnknown
from jwt_middleware.events import Event, KeySkipped, KeysRefreshed, KeysRefreshFailed
from jwt_middleware.keys.jwks import MAX_WAITING, JWKSResolver
from jwt_middleware.testing import Answer, Clock, FakeIssuer
from jwt_middleware.testing.issuer import JWKS_PATH, OIDC_PATH

RS256 = ALGORITHMS["RS256"]
Keys = tuple[VerificationKey, ...]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(["RS256"]) as issuer:
        yield issuer


@pytest.fixture
def resolver(issuer: FakeIssuer, clock: Clock) -> Iterator[JWKSResolver]:
    resolver = JWKSResolver(issuer.jwks_uri, issuer=issuer.url, clock=clock)
    yield resolver
    resolver.close()


def steps(resolver: JWKSResolver, kid: str | None) -> Steps[Keys]:
    """Do what a guard does with a gap: wait once, then settle."""
    found = resolver.plan(kid, RS256)
    if isinstance(found, Gap):
        landed = yield found.effect
        return resolver.settle(kid, RS256, found.effect.flight, bool(landed))
    return found


def find(resolver: JWKSResolver, kid: str | None) -> Keys:
    return run(steps(resolver, kid))


def fetches(issuer: FakeIssuer) -> int:
    return issuer.requests[JWKS_PATH]


def land(resolver: JWKSResolver) -> None:
    """Wait for the renewal that runs behind the requests."""
    flight = resolver._flight
    if flight is not None:
        flight.future.result(10)


def test_a_cold_herd_of_threads_and_loops_causes_one_fetch(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """Fifty threads and three event loops of a hundred tasks share one flight."""
    issuer.gate.clear()
    kid = issuer.key.kid

    async def herd() -> list[Keys]:
        return await asyncio.gather(*(arun(steps(resolver, kid)) for _ in range(100)))

    with ThreadPoolExecutor(60) as pool:
        threads = [pool.submit(find, resolver, kid) for _ in range(50)]
        loops = [pool.submit(asyncio.run, herd()) for _ in range(3)]
        while not fetches(issuer):
            os.sched_yield()
        issuer.gate.set()
        found = [each.result(20) for each in threads]
        for loop in loops:
            found += loop.result(20)

    assert {keys[0].kid for keys in found} == {kid}
    assert len(found) == 350
    assert fetches(issuer) == 1


def test_a_failing_cold_herd_causes_one_fetch_and_fails_alike(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """Everybody who waited hears of the one failure; nobody asks again."""
    issuer.outage()
    issuer.gate.clear()

    with ThreadPoolExecutor(40) as pool:
        callers = [pool.submit(find, resolver, "a") for _ in range(40)]
        while not fetches(issuer):
            os.sched_yield()
        issuer.gate.set()
        errors = [caller.exception(20) for caller in callers]

    assert all(isinstance(error, KeysUnavailable) for error in errors)
    assert fetches(issuer) == 1


def test_within_the_pause_after_a_failure_nobody_asks(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """The next caller fails at once, with the time to try again; after it, one fetch mends it."""
    issuer.outage()
    with pytest.raises(KeysUnavailable):
        find(resolver, "a")
    issuer.outage(is_out=False)

    with pytest.raises(KeysUnavailable) as refused:
        resolver.plan("a", RS256)
    clock.tick(61)

    assert refused.value.retry_after >= 1
    assert find(resolver, issuer.key.kid)
    assert fetches(issuer) == 2


@pytest.mark.parametrize(("header", "pause"), [("120", 120), ("9999", 300), ("soon", 1)])
def test_retry_after_is_honoured_within_bounds(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock, header: str, pause: float
) -> None:
    """A publisher may ask for up to five minutes of peace; what is no number counts as nothing."""
    issuer.answers[JWKS_PATH] = Answer(429, headers={"Retry-After": header})
    with pytest.raises(KeysUnavailable):
        find(resolver, "a")
    issuer.answers.clear()

    clock.tick(pause - 0.9 if pause > 1 else 0.4)
    with pytest.raises(KeysUnavailable):
        resolver.plan("a", RS256)
    clock.tick(1)

    assert find(resolver, issuer.key.kid)


def test_a_known_kid_never_waits_while_a_fetch_hangs(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """A miss is under way and hangs; the known kid is answered from memory."""
    kid = issuer.key.kid
    find(resolver, kid)
    issuer.gate.clear()
    missing = resolver.plan("unknown", RS256)
    assert isinstance(missing, Gap)
    assert missing.effect.flight.claim()
    missing.effect.flight.start()

    found = resolver.plan(kid, RS256)

    assert not isinstance(found, Gap)
    issuer.gate.set()
    missing.effect.flight.future.result(10)


def test_between_soft_and_hard_age_one_renewal_runs_behind(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """Many requests in the window, none waits, one fetch."""
    kid = issuer.key.kid
    find(resolver, kid)
    clock.tick(301)
    issuer.gate.clear()

    found = [resolver.plan(kid, RS256) for _ in range(50)]
    flight = resolver._flight
    issuer.gate.set()
    land(resolver)

    assert flight is not None
    assert not any(isinstance(keys, Gap) for keys in found)
    assert fetches(issuer) == 2


def test_ten_thousand_invented_kids_cost_two_fetches(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """The budget bounds them, each is simply unknown, and a new key is found when it refills."""
    find(resolver, issuer.key.kid)

    for number in range(10_000):
        with pytest.raises(KeyUnknown):
            find(resolver, f"invented-{number}")
    flood = fetches(issuer) - 1
    new = issuer.rotate(keep=True)
    clock.tick(10.1)

    assert flood == 2
    assert find(resolver, new.kid)[0].kid == new.kid


def test_the_first_token_of_a_new_key_right_after_the_first_fetch_passes(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """The regular fetch does not spend the budget of unknown kids."""
    find(resolver, issuer.key.kid)
    new = issuer.rotate()

    assert find(resolver, new.kid)


def test_one_replayed_kid_does_not_drain_the_budget(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """It is asked for once, then left alone; rotation still finds the budget."""
    find(resolver, issuer.key.kid)
    for _ in range(50):
        with pytest.raises(KeyUnknown):
            find(resolver, "replayed")
    new = issuer.rotate()

    assert fetches(issuer) == 2
    assert find(resolver, new.kid)


def test_a_published_kid_is_no_longer_suppressed(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """The memory of a miss dies as soon as a set has the kid."""
    find(resolver, issuer.key.kid)
    new = issuer.key
    with pytest.raises(KeyUnknown):
        find(resolver, "late")
    issuer.keys.append(type(new)(new.private, new.alg, "late"))
    clock.tick(301)
    find(resolver, new.kid)
    land(resolver)

    assert find(resolver, "late")


def test_few_callers_of_unknown_kids_wait_at_once(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """The ninth is told at once that the key is unknown, so invented kids hold no worker."""
    find(resolver, issuer.key.kid)
    first = resolver.plan("a", RS256)
    waiting = [resolver.plan("a", RS256) for _ in range(MAX_WAITING)]

    with pytest.raises(KeyUnknown):
        resolver.plan("a", RS256)

    assert all(isinstance(each, Gap) for each in [first, *waiting])


BROKEN = {
    "a page": Answer(200, b"<html>maintenance</html>"),
    "an error": Answer(500),
    "no object": Answer(200, b"[]"),
    "another object": Answer(200, b'{"a": 1}'),
    "no usable key": Answer(200, b'{"keys": [null, {"kty": "AKP"}]}'),
    "an empty set": Answer(200, b'{"keys": []}'),
    "too many keys": Answer(200, b'{"keys": [' + b"1," * 200 + b"1]}"),
    "too much": Answer(200, b" " * 300_000),
    "a redirect": Answer(302, headers={"Location": "/elsewhere"}),
    "a strange encoding": Answer(200, b"x", {"Content-Encoding": "br"}),
    "no gzip": Answer(200, b"x", {"Content-Encoding": "gzip"}),
    "not modified, out of nowhere": Answer(304),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_leaves_the_last_good_set_in_place(
    kind: str, resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """Known kids go on until the stale bound, one fetch a pause; then it fails closed."""
    kid = issuer.key.kid
    before = find(resolver, kid)
    if kind == "not modified, out of nowhere":
        resolver.snapshot = None
        issuer.answers[JWKS_PATH] = BROKEN[kind]
        with pytest.raises(KeysUnavailable):
            find(resolver, kid)
        return
    issuer.answers[JWKS_PATH] = BROKEN[kind]
    clock.tick(601)

    kept = [find(resolver, kid) for _ in range(20)]
    asked = fetches(issuer) - 1
    clock.tick(3600)

    assert all(keys == before for keys in kept)
    assert asked == 1
    assert issuer.requests["/elsewhere"] == 0
    if kind != "an empty set":
        with pytest.raises(KeysUnavailable):
            find(resolver, kid)


def test_an_empty_set_said_twice_is_believed(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """An issuer that withdraws everything and says so again after ten seconds means it."""
    kid = issuer.key.kid
    find(resolver, kid)
    issuer.answers[JWKS_PATH] = BROKEN["an empty set"]
    clock.tick(601)
    assert find(resolver, kid)
    clock.tick(11)

    with pytest.raises(KeyUnknown):
        find(resolver, kid)


def test_a_withdrawn_key_is_refused_at_the_hard_age_without_traffic_in_between(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """The first request past the hard age waits for the renewal, which no longer has it."""
    old = issuer.key.kid
    find(resolver, old)
    issuer.rotate()
    clock.tick(601)

    with pytest.raises(KeyUnknown):
        find(resolver, old)


def test_a_key_that_vanished_gets_one_more_look(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """A publisher that drops a live key for a moment loses nobody, even over budget."""
    lost = issuer.key
    find(resolver, lost.kid)
    issuer.rotate()
    clock.tick(601)
    with pytest.raises(KeyUnknown):
        find(resolver, lost.kid)
    for number in range(5):
        with pytest.raises(KeyUnknown):
            find(resolver, f"invented-{number}")
    issuer.keys.append(lost)

    assert find(resolver, lost.kid)


def test_an_unchanged_document_keeps_the_very_key_objects(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """Nothing is imported again, so cached tokens need no second signature check."""
    kid = issuer.key.kid
    (before,) = find(resolver, kid)
    clock.tick(601)

    (after,) = find(resolver, kid)

    assert fetches(issuer) == 2
    assert after is before


def test_an_etag_makes_the_next_fetch_conditional(issuer: FakeIssuer, clock: Clock) -> None:
    """304 renews the set that is there."""
    body = issuer.answer(JWKS_PATH).body
    issuer.answers[JWKS_PATH] = Answer(200, body, {"ETag": '"1"'})
    resolver = JWKSResolver(issuer.jwks_uri, clock=clock)
    (before,) = find(resolver, issuer.key.kid)
    issuer.answers[JWKS_PATH] = Answer(304)
    clock.tick(601)

    (after,) = find(resolver, issuer.key.kid)
    clock.tick(599)

    assert after is before
    assert resolver.health().state == "ahead"
    resolver.close()


@pytest.mark.parametrize(
    ("headers", "soft"),
    [
        ({"Cache-Control": "max-age=2592000"}, 300),
        ({"Cache-Control": "no-store"}, 60),
        ({"Cache-Control": "public, max-age=0"}, 60),
        ({"Cache-Control": "max-age=200", "Age": "50"}, 150),
        ({"Cache-Control": "rubbish"}, 300),
    ],
)
def test_cache_control_may_shorten_and_never_lengthens(
    issuer: FakeIssuer, clock: Clock, headers: dict[str, str], soft: float
) -> None:
    """No header makes us ask more than once a minute, or trust a key longer than configured."""
    body = issuer.answer(JWKS_PATH).body
    issuer.answers[JWKS_PATH] = Answer(200, body, headers)
    resolver = JWKSResolver(issuer.jwks_uri, clock=clock)
    find(resolver, issuer.key.kid)

    assert resolver.snapshot is not None
    age = resolver.snapshot.soft_at - clock.monotonic()
    assert soft * 0.9 <= age <= soft
    resolver.close()


def test_a_waiter_who_gives_up_takes_nothing_from_the_others(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """The first of twenty tasks is cancelled; nineteen pass, with one fetch."""
    issuer.gate.clear()

    async def twenty() -> list[Any]:
        tasks = [asyncio.create_task(arun(steps(resolver, issuer.key.kid))) for _ in range(20)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        issuer.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(twenty())

    assert isinstance(first, asyncio.CancelledError)
    assert all(isinstance(keys, tuple) for keys in others)
    assert fetches(issuer) == 1


def test_a_second_event_loop_goes_on_where_the_first_ended(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """Nothing of a flight belongs to a loop."""
    kid = issuer.key.kid

    for _ in range(2):
        assert asyncio.run(arun(steps(resolver, kid)))
    new = issuer.rotate()

    assert asyncio.run(arun(steps(resolver, new.kid)))


def test_the_wall_clock_plays_no_part(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """A day forward and two back change nothing."""
    find(resolver, issuer.key.kid)

    for jump in (86_400, -172_800):
        clock.jump(jump)
        assert not isinstance(resolver.plan(issuer.key.kid, RS256), Gap)

    assert fetches(issuer) == 1


def test_discovery_finds_the_keys(issuer: FakeIssuer, clock: Clock) -> None:
    """OIDC's document first; RFC 8414's where there is none."""
    resolver = JWKSResolver(issuer=issuer.url, clock=clock)
    assert find(resolver, issuer.key.kid)
    issuer.answers[OIDC_PATH] = Answer(404)
    other = JWKSResolver(issuer=issuer.url, clock=clock)
    assert find(other, issuer.key.kid)
    resolver.close()
    other.close()


def test_discovery_of_another_issuer_is_refused(issuer: FakeIssuer, clock: Clock) -> None:
    """The document must name the issuer byte for byte."""
    resolver = JWKSResolver(issuer=issuer.url + "/", clock=clock)

    with pytest.raises(KeysUnavailable, match="another issuer"):
        find(resolver, issuer.key.kid)
    resolver.close()


def test_distrust_holds_over_renewals(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """The publisher still has the key; we do not take it back."""
    kid = issuer.key.kid
    find(resolver, kid)
    resolver.distrust(kid)
    clock.tick(601)

    with pytest.raises((KeyUnknown, KeysUnavailable)):
        find(resolver, kid)


def test_a_bad_member_is_skipped_and_told(issuer: FakeIssuer, clock: Clock) -> None:
    """One key the set cannot use does not spoil the other, and its name stays out of the event."""
    told: list[Event] = []
    issuer.keys.append(type(issuer.key)(b"x" * 32, "HS256", "shared"))
    resolver = JWKSResolver(issuer.jwks_uri, clock=clock, observers=(told.append,))

    assert find(resolver, issuer.key.kid)

    skipped = [event for event in told if isinstance(event, KeySkipped)]
    assert [event.reason for event in skipped] == ["private_material"]
    assert "shared" not in repr(told)
    assert any(isinstance(event, KeysRefreshed) for event in told)
    resolver.close()


def test_an_observer_that_asks_the_resolver_does_not_lock_it(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """Observers are told outside the lock."""
    seen: list[bool] = []

    def look(event: Event) -> None:
        seen.append(isinstance(event, KeysRefreshFailed) or bool(resolver.plan(kid, RS256)))

    kid = issuer.key.kid
    resolver = JWKSResolver(issuer.jwks_uri, clock=clock, observers=(look,))

    assert find(resolver, kid)
    assert seen == [True]
    resolver.close()


def test_warm_fetches_now_and_health_tells(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """After it the first request asks nobody; required, it raises when the issuer is out."""
    assert resolver.health().state == "empty"
    resolver.warm(required=True)
    asyncio.run(resolver.awarm(5))

    assert (resolver.health().state, resolver.health().is_ready) == ("fresh", True)
    assert fetches(issuer) == 1
    clock.tick(10_000)
    issuer.outage()
    with pytest.raises(KeysUnavailable):
        resolver.warm(required=True)
    assert resolver.health().last_failure == "the key set answered 503"


async def test_warm_refuses_to_stall_a_running_loop(resolver: JWKSResolver) -> None:
    """It names its awaitable twin."""
    with pytest.raises(ConfigurationError, match="await awarm"):
        resolver.warm()


def test_close_wakes_who_waits(resolver: JWKSResolver, issuer: FakeIssuer) -> None:
    """A waiter of a closed resolver is told that keys are unavailable."""
    issuer.gate.clear()
    gap = resolver.plan("a", RS256)
    assert isinstance(gap, Gap)
    waiter = threading.Thread(target=gap.effect.flight.future.result)
    waiter.start()
    resolver.close()
    waiter.join(10)

    with pytest.raises(KeysUnavailable):
        resolver.plan("a", RS256)
    assert not waiter.is_alive()


def test_a_lost_flight_is_replaced(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """A flight that nobody flies any more does not block the next, and lands without effect."""
    lost = resolver.plan("a", RS256)
    assert isinstance(lost, Gap)
    clock.tick(7)

    assert find(resolver, issuer.key.kid)
    before = resolver.snapshot
    lost.effect.flight.fly()

    assert resolver.snapshot is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_keeps_the_keys_and_not_the_flight(
    resolver: JWKSResolver, issuer: FakeIssuer
) -> None:
    """As under a preloading server: the child resolves although a flight hung in its parent."""
    kid = issuer.key.kid
    find(resolver, kid)
    flying = resolver.plan("unknown", RS256)
    assert isinstance(flying, Gap)

    child = os.fork()
    if child == 0:
        is_free = resolver._flight is None and not isinstance(resolver.plan(kid, RS256), Gap)
        os._exit(0 if is_free else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert resolver._flight is flying.effect.flight


def test_a_fetcher_of_ones_own_may_raise_anything(clock: Clock) -> None:
    """What foreign code raises becomes "unavailable", and none of its words leak."""

    class Broken:
        def fetch(self, request: object) -> Any:
            raise LookupError("a secret of the proxy")

        def close(self) -> None:
            pass

    resolver = JWKSResolver("https://id.example/jwks", clock=clock, fetcher=Broken())

    with pytest.raises(KeysUnavailable) as refused:
        find(resolver, "a")

    assert "secret" not in str(refused.value)


def test_a_token_without_kid_is_served_only_where_there_is_no_choice(
    resolver: JWKSResolver, issuer: FakeIssuer, clock: Clock
) -> None:
    """One fitting key: used. Two: unknown."""
    assert find(resolver, None)[0].kid == issuer.key.kid
    issuer.rotate(keep=True)
    clock.tick(601)

    with pytest.raises(KeyUnknown):
        find(resolver, None)


@pytest.mark.parametrize(
    "address",
    [
        "http://id.example/jwks",
        "file:///etc/passwd",
        "https://user:word@id.example/",
        "https://",
        "https://id.example/#x",
        "https://id.example:port/",
    ],
)
def test_an_address_that_keys_must_not_come_from_is_refused(address: str) -> None:
    """At construction, by name."""
    with pytest.raises(ConfigurationError, match="jwks_uri"):
        JWKSResolver(address)


@pytest.mark.parametrize(
    "options",
    [
        {"refresh_after": -1},
        {"max_age": float("nan")},
        {"timeout": float("inf")},
        {"timeout": 0},
        {"max_bytes": 1.5},
        {"allow_http": 1},
        {"refresh_after": 700},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """At construction, naming the option."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        ResolverOptions(**options)


def test_http_is_allowed_by_permission() -> None:
    """``allow_http`` is the explicit option; this machine needs none."""
    allowed = partial(JWKSResolver, options=ResolverOptions(allow_http=True))

    assert allowed("http://id.example/jwks").health().state == "empty"
    assert JWKSResolver("http://localhost/jwks").health().state == "empty"
