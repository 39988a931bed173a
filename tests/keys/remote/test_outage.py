"""A publisher that is down, or answers rubbish: known keys go on serving, and not for ever."""

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware import Guard, Issuer
from jwt_middleware.effects import arun, run
from jwt_middleware.errors import KeysUnavailable, KeyUnknown, Refused
from jwt_middleware.events import KeyDocumentRejected, KeyFetchesPaused, KeyRemoved, StaleKeysServed
from jwt_middleware.keys.remote import shared_fetch
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import STALE_PATIENCE, Waited, Waiter
from jwt_middleware.testing import FakeIssuer
from jwt_middleware.testing.clock import Clock
from jwt_middleware.testing.issuer import JWKS_PATH
from jwt_middleware.testing.misbehaviour import unavailable
from tests.keys.publisher import (
    ES256,
    SOON,
    Publisher,
    Record,
    in_threads,
    landed,
    outcome,
    resolve,
    resolver_of,
    steps,
)

OUTAGES: dict[str, Any] = {
    "an exception": OSError("some host, some port"),
    "a timeout": TimeoutError(),
    "an exception of nobody's": RuntimeError("boom"),
    "500": FetchResponse(500),
    "429": FetchResponse(429),
    "404": FetchResponse(404),
    "401": FetchResponse(401),
    "302": FetchResponse(302, {"location": "https://elsewhere.example/"}),
    "204": FetchResponse(204),
    "a page with 200": FetchResponse(200, {}, b"<html>maintenance</html>"),
    "nothing": FetchResponse(200, {}, b""),
    "half a document": FetchResponse(200, {}, b'{"keys": [{"kty": "EC", '),
    "a list": FetchResponse(200, {}, b"[]"),
    "a number": FetchResponse(200, {}, b"1"),
    "null": FetchResponse(200, {}, b"null"),
    "keys that are no list": FetchResponse(200, {}, b'{"keys": {}}'),
    "no keys": FetchResponse(200, {}, b'{"error": "x"}'),
    "no usable key": FetchResponse(200, {}, b'{"keys": [{"kty": "AKP"}, null]}'),
    "an empty set": FetchResponse(200, {}, b'{"keys": []}'),
    "too much": FetchResponse(200, {}, b" " * 300_000),
    "not UTF-8": FetchResponse(200, {}, b'{"keys": ["\xff"]}'),
    "brackets without end": FetchResponse(200, {}, b"[" * 200_000),
    "members without end": FetchResponse(200, {}, b'{"keys":' * 20_000),
    "a number without end": FetchResponse(200, {}, b'{"keys": [' + b"9" * 100_000 + b"]}"),
    "NaN": FetchResponse(200, {}, b'{"keys": [], "x": NaN}'),
}


def break_with(publisher: Publisher, kind: str) -> None:
    outage = OUTAGES[kind]
    if isinstance(outage, FetchResponse):
        publisher.response = outage
    else:
        publisher.failure = outage


@pytest.mark.parametrize("kind", OUTAGES)
def test_known_keys_outlast_an_outage_of_any_kind(
    kind: str, warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Whatever goes wrong, known keys serve until the stale bound, with one fetch a pause (P21)."""
    before = resolve(warm, "a")
    break_with(publisher, kind)
    clock.tick(650)

    kept = [resolve(warm, "a") for _ in range(50)]

    assert publisher.fetches == 1
    assert all(keys == before for keys in kept)
    assert warm.health().is_degraded
    clock.tick(3_500)
    if kind != "an empty set":
        assert resolve(warm, "a") == before
        assert publisher.fetches == 2


def test_stale_service_ends_at_its_bound(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """At ``max_age`` and ``stale_if_error`` together it fails closed, and not before (P22)."""
    publisher.failure = OSError()
    clock.tick(4_199)
    assert outcome(warm, "a") == "found"
    clock.tick(1)

    assert outcome(warm, "a") == "keys_unavailable"
    assert warm.health().state == "dead"
    assert not warm.health().is_ready
    publisher.failure = None
    clock.tick(120)
    assert outcome(warm, "a") == "found"


def test_without_stale_service_the_hard_age_is_the_end(publisher: Publisher, clock: Clock) -> None:
    """``stale_if_error=0`` fails closed at the hard age (P22)."""
    source = resolver_of(publisher, clock, stale_if_error=0)
    source.warm()
    publisher.failure = OSError()
    clock.tick(600)

    assert outcome(source, "a") == "keys_unavailable"


@pytest.mark.parametrize("kind", OUTAGES)
def test_a_failure_never_touches_the_set(
    kind: str, warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A failed fetch leaves the very snapshot in place (P23)."""
    snapshot = warm.snapshot
    break_with(publisher, kind)
    clock.tick(301)
    resolve(warm, "a")
    landed()

    assert publisher.fetches == 1
    assert warm.snapshot is snapshot


def test_stale_service_is_the_same_on_every_path(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """Stale keys serve on the failed path and on the paused one, asked for before or not (P24)."""
    publisher.failure = OSError()
    clock.tick(601)

    assert outcome(warm, "a") == "found"
    assert outcome(warm, "a") == "found"
    assert outcome(warm, "b") == "found"
    assert publisher.fetches == 1
    assert len(record.of(StaleKeysServed)) == 3


def test_an_unknown_kid_of_an_expired_set_is_unavailable(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Without a set that is good there is no telling whether a kid is unknown (P24)."""
    publisher.failure = OSError()
    clock.tick(601)

    assert outcome(warm, "new") == "keys_unavailable"
    assert outcome(warm, "new") == "keys_unavailable"
    assert publisher.fetches == 1


def test_a_hit_during_a_fetch_of_an_expired_set_waits_for_it(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Past the hard age a request waits for the renewal, and is served by the old set if that
    takes too long (P24)."""
    clock.tick(601)
    first, second = warm.plan("a", ES256), warm.plan("b", ES256)
    assert isinstance(first, Waiter)
    assert isinstance(second, Waiter)
    assert first.fetch.future is second.fetch.future

    assert warm.settle("b", ES256, Waited(second, False))[0].kid == "b"


def test_the_first_success_ends_the_pauses(
    source: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """Pauses double up to a minute; the first success starts over at one second (P25)."""
    publisher.failure = OSError()
    for _ in range(9):
        outcome(source, "a")
        clock.tick(source.health().next_attempt_in)
    assert [event.seconds for event in record.of(KeyFetchesPaused)] == [
        1,
        2,
        4,
        8,
        16,
        32,
        60,
        60,
        60,
    ]

    publisher.failure = None
    assert outcome(source, "a") == "found"
    assert source.health().failures == 0
    publisher.failure = OSError()
    clock.tick(601)
    outcome(source, "a")
    assert record.of(KeyFetchesPaused)[-1].seconds == 1


@pytest.mark.parametrize(
    ("stated", "pause"), [("120", 120), ("9999", 300), ("0", 1), ("soon", 1), ("-5", 1), ("1e3", 1)]
)
def test_retry_after_is_honoured_within_bounds(
    source: JWKSResolver, publisher: Publisher, stated: str, pause: float
) -> None:
    """``Retry-After`` lengthens the pause, up to five minutes (P25)."""
    publisher.response = FetchResponse(429, {"retry-after": stated})
    outcome(source, "a")

    assert source.health().next_attempt_in == pytest.approx(pause)


def test_retry_after_may_be_a_date(source: JWKSResolver, publisher: Publisher) -> None:
    """A date in ``Retry-After`` counts from the answer's own ``Date`` (P25)."""
    headers = {
        "date": "Sun, 06 Nov 1994 08:49:37 GMT",
        "retry-after": "Sun, 06 Nov 1994 08:51:07 GMT",
    }
    publisher.response = FetchResponse(503, headers)
    outcome(source, "a")

    assert source.health().next_attempt_in == pytest.approx(90)


def test_the_cache_control_of_an_error_page_is_ignored(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """An error that says it keeps for an hour is asked again after a second (P25)."""
    publisher.response = FetchResponse(503, {"cache-control": "max-age=3600"})
    clock.tick(601)
    outcome(warm, "a")
    publisher.response = None
    clock.tick(1)
    outcome(warm, "a")

    assert warm.health().state == "fresh"


def test_unavailable_is_503_and_unknown_is_401() -> None:
    """No keys is a 503 that says when to come again; an unknown kid is a 401 (P26)."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.answers[JWKS_PATH] = unavailable("30")
        guard = Guard(issuers=Issuer(issuer.url, audience="api"))
        token = issuer.token(aud="api")
        with pytest.raises(KeysUnavailable) as unknown:
            guard.verify(token)
        with pytest.raises(KeysUnavailable) as still:
            asyncio.run(guard.averify(token))
        assert (unknown.value.status, still.value.status) == (503, 503)
        assert 29 < still.value.retry_after <= 30

        good = Guard(issuers=Issuer(issuer.url, audience="api"))
        issuer.answers.clear()
        good.warm()
        strange = issuer.sign(issuer.claims(aud="api"), headers={"kid": "nobody"})
        with pytest.raises(KeyUnknown) as missing:
            good.verify(strange)
        assert missing.value.status == 401


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from([200, 200, 200, 304, 302, 500]),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["keys", "kty", "kid", "n", "e", "crv", "x", "y", "use", "alg"]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=20,
        ).map(lambda value: __import__("json").dumps({"keys": [value]}).encode()),
    ),
    headers=st.dictionaries(
        st.sampled_from(["cache-control", "age", "expires", "date", "etag", "retry-after"]),
        st.text(max_size=20),
        max_size=3,
    ),
)
def test_no_answer_whatever_raises_anything_of_anybody_elses(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    """Any bytes whatever leave the set in place and raise only our own errors (P27)."""
    clock, publisher = Clock(), Publisher("a")
    source = resolver_of(publisher, clock)
    source.warm()
    good = source.snapshot
    assert good is not None
    publisher.response = FetchResponse(status, headers, body)
    clock.tick(601)
    try:
        found = resolve(source, "a")
    except Refused:
        found = ()

    health = source.health()
    if health.failures:
        assert source.snapshot is good
        assert found
    else:
        assert source.snapshot is not good


@pytest.mark.parametrize("failure", [KeyError("x"), MemoryError(), RecursionError(), ValueError()])
def test_a_fetcher_may_raise_anything(
    failure: Exception, source: JWKSResolver, publisher: Publisher
) -> None:
    """What a user's fetcher raises becomes "unavailable", and none of its words leak (P27)."""
    publisher.failure = failure
    with pytest.raises(KeysUnavailable) as refused:
        resolve(source, "a")

    assert type(failure).__name__ in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.public == "The token cannot be verified at the moment"


def test_an_empty_set_said_twice_is_believed(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """No keys at all, said again at least ten seconds later, ends stale service (P69)."""
    publisher.publish()
    clock.tick(601)
    assert outcome(warm, "a") == "found"
    assert [event.detail for event in record.of(KeyDocumentRejected)] == ["the key set is empty"]
    clock.tick(9)
    assert outcome(warm, "a") == "found"
    clock.tick(2)

    assert outcome(warm, "a") == "key_unknown"
    assert len(record.of(KeyRemoved)) == 2
    assert warm.health().state == "fresh"
    assert not warm.health().is_ready
    publisher.publish("a")
    assert outcome(warm, "a") == "found"


@pytest.mark.parametrize("is_the_same", [False, True])
def test_an_empty_set_that_was_a_slip_is_forgotten(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, is_the_same: bool
) -> None:
    """A good set in between makes the next empty one the first again (P69)."""
    before = publisher.pairs
    publisher.publish()
    clock.tick(601)
    outcome(warm, "a")
    publisher.pairs = before if is_the_same else before[:1]
    clock.tick(5)
    assert outcome(warm, "a") == "found"
    publisher.publish()
    clock.tick(601)

    assert outcome(warm, "a") == "found"


def test_a_herd_past_the_hard_age_is_served_by_the_old_set(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """In an outage fifty threads past the hard age cause one fetch, and all are served (P21)."""
    publisher.failure = OSError()
    clock.tick(601)

    assert set(in_threads(50, lambda: outcome(warm, "a"))) == {"found"}
    assert publisher.fetches == 1


def expired(source: JWKSResolver, clock: Clock) -> JWKSResolver:
    clock.tick(700)
    assert source.health().state == "expired"
    return source


def test_a_publisher_that_hangs_holds_nobody_for_long_while_old_keys_serve(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """A second after the renewal began, everybody is served by the old set at once (P21, P28)."""
    source = expired(warm, clock)
    publisher.hold()
    waits = []
    for _ in range(3):
        gap = source.plan("a", ES256)
        assert isinstance(gap, Waiter)
        waits.append(gap.patience)
        clock.tick(0.4)

    served = source.plan("a", ES256)

    assert waits == pytest.approx([STALE_PATIENCE, STALE_PATIENCE - 0.4, STALE_PATIENCE - 0.8])
    assert [key.kid for key in served] == ["a"]  # type: ignore[union-attr]
    assert record.of(StaleKeysServed)
    # One that the old set does not hold has nothing to be served by.
    unknown = source.plan("x", ES256)
    assert isinstance(unknown, Waiter)
    assert unknown.patience == pytest.approx(5.5 - 1.2)


@pytest.mark.parametrize("drive", [run, lambda steps: asyncio.run(arun(steps))])
def test_whoever_starts_the_renewal_waits_no_longer_than_the_others(
    drive: Any,
    warm: JWKSResolver,
    publisher: Publisher,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fetch goes on on a thread, and what it brings serves from then on."""
    monkeypatch.setattr(shared_fetch, "STALE_PATIENCE", 0.01)
    source = expired(warm, clock)
    publisher.publish("a", "new")
    publisher.hold()

    assert [key.kid for key in drive(steps(source, "a"))] == ["a"]

    assert publisher.arrived.wait(SOON)
    assert threading.get_ident() not in publisher.threads[1:]
    publisher.gate.set()
    landed()
    assert outcome(source, "new") == "found"


def test_while_its_publisher_answers_a_removed_key_is_refused_after_one_wait(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """The short wait is longer than an answer takes (P28)."""
    publisher.publish("b")

    assert outcome(expired(warm, clock), "a") == "key_unknown"
