"""What an operator sees and sets: warming, seeds, health, events, clocks and options."""

import json
import math
import random
from typing import Any

import pytest

from jwt_middleware.errors import ConfigurationError, KeysUnavailable
from jwt_middleware.events import (
    Event,
    KeyAdded,
    KeyDocumentRejected,
    KeyEvent,
    KeyFetchesPaused,
    KeyFetchFinished,
    KeyFetchStarted,
    KeyRemoved,
    KeySkipped,
    KeysWaitedFor,
    StaleKeysServed,
    UnknownKidMissed,
    UnknownKidSuppressed,
)
from jwt_middleware.keys.remote.freshness import ages
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.rate_limits import Backoff
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import Waiter
from jwt_middleware.keys.snapshot import KeyHealth
from jwt_middleware.testing.clock import Clock
from tests.keys.publisher import (
    ES256,
    URI,
    Publisher,
    Record,
    Steady,
    held_up,
    landed,
    outcome,
    resolve,
    resolver_of,
)
from tests.keys.web import Web


def test_after_warming_the_first_request_asks_nobody(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """``warm`` fetches; the first request then causes no fetch, nor does warming again (P62)."""
    source.warm()
    source.warm(required=True)

    assert outcome(source, "a") == "found"
    assert publisher.fetches == 1


async def test_warming_works_beside_a_loop(source: JWKSResolver, publisher: Publisher) -> None:
    """``awarm`` does the same by awaiting (P62)."""
    await source.awarm(required=True)

    assert not isinstance(source.plan("a", ES256), Waiter)
    assert publisher.fetches == 1


def test_a_start_without_keys_goes_on_unless_keys_are_required(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Without ``required`` an application starts in an outage; with it, it does not (P62)."""
    publisher.failure = OSError()
    source.warm()
    with pytest.raises(KeysUnavailable, match="no answer"):
        source.warm(required=True)
    assert publisher.fetches == 1

    publisher.failure = None
    clock.tick(1)
    source.warm(required=True)


async def test_warming_ends_with_its_timeout(source: JWKSResolver, publisher: Publisher) -> None:
    """A publisher that hangs does not hang the start; what it was waited for arrives later (P62)."""
    publisher.hold()
    await source.awarm(timeout=0.01)
    with pytest.raises(KeysUnavailable):
        await source.awarm(timeout=0.01, required=True)
    publisher.gate.set()
    landed()

    assert source.health().is_ready
    assert publisher.fetches == 1


def test_blocking_warming_ends_with_its_timeout(source: JWKSResolver, publisher: Publisher) -> None:
    """The blocking twin ends on time too (P62)."""
    publisher.hold()
    source.warm(timeout=0.01)

    assert source.health().is_fetching


def test_warming_a_set_that_wants_renewal_does_not_wait(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Keys that are good need no waiting (P62)."""
    clock.tick(301)
    publisher.hold()
    warm.warm(required=True)

    assert warm.health().is_ready


def carried(seed: Any) -> Any:
    return json.loads(json.dumps(seed))


def test_a_seed_spares_the_first_fetch(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """What one process exports, another starts with, as old as it is (P63)."""
    clock.tick(100)
    seed = carried(warm.export())
    other = JWKSResolver(URI, fetcher=publisher, clock=clock, seed=seed, rng=Steady())

    assert outcome(other, "a") == "found"
    assert publisher.fetches == 0
    assert other.health().age == pytest.approx(100)
    clock.tick(501)
    publisher.publish("b")
    assert outcome(other, "a") == "key_unknown"
    assert publisher.fetches == 1


def test_an_old_seed_serves_only_in_an_outage(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A seed past the hard age waits for a renewal; past the stale bound it is nothing (P63)."""
    seed = carried(warm.export())
    publisher.failure = OSError()
    clock.tick(601)
    old = JWKSResolver(URI, fetcher=publisher, clock=clock, seed=seed)
    assert outcome(old, "a") == "found"
    assert publisher.fetches == 1
    clock.tick(3_600)
    dead = JWKSResolver(URI, fetcher=publisher, clock=clock, seed=seed)
    assert dead.health().state == "empty"


BAD_SEEDS: dict[str, dict[str, Any]] = {
    "from the future": {"fetched_at": 1_750_003_600.0},
    "without a date": {"fetched_at": None},
    "with a date that is no number": {"fetched_at": "2025-06-15"},
    "with a date that is none": {"fetched_at": math.nan},
    "with a date that is a boolean": {"fetched_at": True},
    "with a date that no float holds": {"fetched_at": 10**400},
    "without an address": {"url": None},
    "without a document": {"document": None},
    "with a page": {"document": "<html>"},
    "without a usable key": {"document": '{"keys": [null]}'},
    "with half a character": {"document": "\ud800"},
    "with withdrawals that are none": {"distrusted": ["a"]},
    "with names that are none": {"distrusted": {"kids": "a"}},
    "with a name that is no text": {"distrusted": {"kids": [1]}},
    "with a digest that is none": {"distrusted": {"keys": ["xyz"]}},
    "with a digest that is too short": {"distrusted": {"keys": ["00"]}},
}


@pytest.mark.parametrize("kind", BAD_SEEDS)
def test_a_bad_seed_is_refused(kind: str, warm: JWKSResolver, clock: Clock) -> None:
    """A seed that is none, or comes from the future, fails at construction (P63)."""
    seed = {**(warm.export() or {}), **BAD_SEEDS[kind]}

    with pytest.raises(ConfigurationError, match=r"^seed="):
        JWKSResolver(URI, clock=clock, seed=seed)


@pytest.mark.parametrize("name", ["timeout", "max_age", "unknown_kid_burst", "max_bytes"])
def test_a_number_that_no_float_holds_is_no_option(name: str) -> None:
    """It is refused where it is written, and not at the first fetch."""
    with pytest.raises(ConfigurationError, match=f"^{name}=1000"):
        ResolverOptions(**{name: 10**400})  # type: ignore[arg-type]


def test_clocks_of_two_machines_may_differ_a_little(warm: JWKSResolver, clock: Clock) -> None:
    """A seed of a few seconds ahead counts as new (P63)."""
    seed = warm.export() or {}
    seed["fetched_at"] += 30
    source = JWKSResolver(URI, clock=clock, seed=seed)

    assert source.health().age == 0
    assert source.health().state == "fresh"


def test_nothing_fetched_is_nothing_to_export(source: JWKSResolver) -> None:
    """An empty source has no seed to give (P63)."""
    assert source.export() is None


def test_health_tells_how_a_source_stands(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Health names state, age, count, failures and the next attempt, and asks nobody (P64)."""
    assert source.health() == KeyHealth("empty", is_ready=False, keys=0)
    source.warm()
    landed()
    clock.tick(10)
    assert source.health() == KeyHealth(
        "fresh",
        is_ready=True,
        keys=2,
        age=10,
        generation=1,
        last_success_at=clock.now() - 10,
    )
    publisher.failure = OSError()
    clock.tick(600)
    outcome(source, "a")
    assert source.health() == KeyHealth(
        "expired",
        is_ready=True,
        keys=2,
        failures=1,
        last_failure="no answer (OSError)",
        is_degraded=True,
        age=610,
        generation=1,
        last_success_at=clock.now() - 610,
        next_attempt_in=1,
    )
    assert publisher.fetches == 2
    publisher.hold()
    clock.tick(1)
    gap = source.plan("a", ES256)
    assert isinstance(gap, Waiter)
    assert source.health().is_fetching


def test_events_tell_what_happened(
    source: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """Each thing that happens to keys is one event with the issuer's name (P65)."""
    publisher.extra = [None]
    outcome(source, "a")
    outcome(source, "x")
    outcome(source, "x")
    publisher.publish("a")
    clock.tick(601)
    outcome(source, "a")
    publisher.response = publisher.failure = None
    publisher.failure = OSError()
    clock.tick(601)
    outcome(source, "a")

    assert all(isinstance(event, KeyEvent) and event.issuer == URI for event in record.events)
    assert record.events == [
        KeyFetchStarted(URI, "empty"),
        KeyFetchFinished(URI, "empty", "changed", 0.0),
        KeyAdded(URI, "a"),
        KeyAdded(URI, "b"),
        KeySkipped(URI, None, "not_an_object"),
        KeysWaitedFor(URI, 0.0, landed=True),
        KeyFetchStarted(URI, "unknown kid"),
        KeyFetchFinished(URI, "unknown kid", "unchanged", 0.0),
        KeysWaitedFor(URI, 0.0, landed=True),
        UnknownKidMissed(URI),
        UnknownKidSuppressed(URI, "asked before"),
        KeyFetchStarted(URI, "expired"),
        KeyFetchFinished(URI, "expired", "changed", 0.0),
        KeyRemoved(URI, "b"),
        KeySkipped(URI, None, "not_an_object"),
        KeysWaitedFor(URI, 0.0, landed=True),
        KeyFetchStarted(URI, "expired"),
        KeyFetchFinished(URI, "expired", "failed", 0.0),
        KeyFetchesPaused(URI, 1.0, 1, "no answer (OSError)"),
        KeysWaitedFor(URI, 0.0, landed=True),
        StaleKeysServed(URI),
    ]


def test_a_rejected_document_is_an_event_of_its_own(
    source: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """Something that was answered and refused is told apart from no answer (P65)."""
    publisher.extra, publisher.pairs = [None], []
    outcome(source, "a")

    assert [event.outcome for event in record.of(KeyFetchFinished)] == ["rejected"]
    assert record.of(KeyDocumentRejected) == [
        KeyDocumentRejected(URI, "no usable key: the first member was skipped (not_an_object)")
    ]


def test_health_says_that_a_key_is_padded(
    source: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """A fault that a publisher mends in a line is called by its name."""
    jwk = publisher.pairs[0].jwk
    padded = {name: f"{text}=" if name in "xyn" else text for name, text in jwk.items()}
    publisher.extra, publisher.pairs = [padded], []
    outcome(source, "a")

    said = f"no usable key: the first member '{jwk['kid']}' was skipped (member_padded)"
    assert source.health().last_failure == said
    assert record.of(KeyDocumentRejected) == [KeyDocumentRejected(URI, said)]


def test_a_late_outcome_is_told_as_ignored(
    source: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """A fetch whose outcome nobody wants any more still ends with an event (P65)."""
    held_up(source, publisher)
    source.close()
    publisher.gate.set()
    landed()

    assert [event.outcome for event in record.of(KeyFetchFinished)] == ["ignored"]


def test_an_observer_that_raises_disturbs_nobody(
    publisher: Publisher, clock: Clock, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """What an observer raises is logged and swallowed, and the others are told (P65)."""

    def broken(event: Event) -> None:
        raise LookupError

    source = resolver_of(publisher, clock, [broken, record])

    assert outcome(source, "a") == "found"
    assert record.of(KeyFetchFinished)
    assert "observer_failed" in caplog.text


def test_a_wall_clock_that_goes_back_makes_nothing_younger(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Ages go on by the monotonic clock, as do budgets and pauses (P66)."""
    clock.tick(100)
    clock.jump(-86_400)
    assert warm.health().state == "fresh"
    clock.tick(201)
    assert warm.health().state == "ahead"
    clock.tick(300)
    assert warm.health().state == "expired"
    publisher.failure = OSError()
    outcome(warm, "x")
    clock.jump(86_400)
    assert warm.health().next_attempt_in == 1


@pytest.mark.parametrize(
    ("seconds", "state"), [(299, "fresh"), (301, "ahead"), (601, "expired"), (4_300, "dead")]
)
def test_time_that_a_suspended_machine_slept_through_counts(
    seconds: float, state: str, warm: JWKSResolver, clock: Clock
) -> None:
    """The monotonic clock may stand still meanwhile; the greater of both ages counts (P66)."""
    clock.suspend(seconds)

    health = warm.health()

    assert health.state == state
    assert health.age == seconds


def test_after_a_day_asleep_keys_are_fetched_before_they_serve(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A key that was removed meanwhile is refused; where nobody answers, nothing serves (P22, P28)."""
    publisher.publish("b")
    clock.suspend(86_400)
    assert outcome(warm, "a") == "key_unknown"
    assert outcome(warm, "b") == "found"
    assert publisher.fetches == 1

    publisher.failure = OSError()
    clock.suspend(86_400)

    assert outcome(warm, "b") == "keys_unavailable"


def test_a_fetch_sets_the_clocks_right_again(warm: JWKSResolver, clock: Clock) -> None:
    """After it, the set is as old as the fetch, and grows old by both clocks (P66)."""
    clock.suspend(86_400)
    assert outcome(warm, "a") == "found"
    assert warm.health().age == 0
    clock.tick(100)
    assert warm.health().age == 100
    clock.suspend(150)
    assert warm.health().age == 250


def test_an_exported_set_is_as_old_as_it_is_after_a_sleep(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A seed tells the greater age, and a set from one ages while the machine sleeps (P63)."""
    clock.suspend(400)
    seed = carried(warm.export())
    assert seed["fetched_at"] == clock.now() - 400
    other = JWKSResolver(URI, fetcher=publisher, clock=clock, seed=seed, rng=Steady())
    assert other.health().age == 400
    clock.suspend(300)
    assert other.health().state == "expired"


def test_a_discovery_document_ages_while_the_machine_sleeps(
    publisher: Publisher, clock: Clock
) -> None:
    """It names where keys come from, so it is read again (P66)."""
    web = Web()
    issuer = "https://id.example"
    web.put(
        f"{issuer}/.well-known/openid-configuration",
        {"issuer": issuer, "jwks_uri": f"{issuer}/keys"},
    )
    web.put(f"{issuer}/keys", {"keys": [publisher.pairs[0].jwk]})
    source = JWKSResolver(issuer=issuer, fetcher=web, clock=clock)
    assert outcome(source, "a") == "found"
    clock.suspend(43_200)

    assert outcome(source, "a") == "found"

    assert web.asked.count(f"{issuer}/.well-known/openid-configuration") == 2


def test_a_hundred_failures_behind_the_requests_do_not_stop_renewal(
    publisher: Publisher, clock: Clock
) -> None:
    """After a hundred failed renewals the next success is taken in (P67)."""
    source = resolver_of(publisher, clock, max_age=100_000, max_backoff=2)
    source.warm()
    publisher.failure = OSError()
    clock.tick(301)
    for _ in range(100):
        source.plan("a", ES256)
        landed()
        clock.tick(2)
    assert source.health().failures == 100
    publisher.failure = None
    publisher.publish("a", "new")
    source.plan("a", ES256)
    landed()

    assert source.health().failures == 0
    assert resolve(source, "new")[0].kid == "new"


def test_renewals_and_pauses_are_spread() -> None:
    """Several processes drift apart: intervals by a tenth, pauses over their whole length."""
    options, rng = ResolverOptions(), random.Random(1)
    softs = [ages(options, None, rng)[0] for _ in range(200)]
    assert 270 <= min(softs) < 275
    assert 295 < max(softs) <= 300
    floors = [ages(options, 0, rng)[0] for _ in range(200)]
    assert min(floors) >= 60
    pauses = []
    for _ in range(200):
        backoff, pause = Backoff(60, rng), 0.0
        for _ in range(6):
            pause = backoff.failed("x", None, 0)
        pauses.append(pause)
    assert 1 <= min(pauses) < 3
    assert 29 < max(pauses) <= 32


@pytest.mark.parametrize(
    "options",
    [
        {"refresh_after": -1},
        {"refresh_after": 0},
        {"refresh_after": "300"},
        {"refresh_after": True},
        {"max_age": math.nan},
        {"max_age": None},
        {"stale_if_error": -0.1},
        {"stale_if_error": math.inf},
        {"timeout": math.inf},
        {"timeout": 0},
        {"max_bytes": 1.5},
        {"max_keys": 0},
        {"unknown_kid_burst": -1},
        {"unknown_kid_burst": 0.5},
        {"unknown_kid_interval": 0},
        {"max_backoff": -1},
        {"discovery_lifetime": 0},
        {"allow_http": 1},
        {"same_origin": "yes"},
        {"kidless": "maybe"},
        {"kidless": None},
        {"trusted_max_age": -1},
        {"trusted_max_age": 60},
        {"replaced_kid_interval": 0},
        {"max_age": 200},
    ],
    ids=repr,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """A contradictory, negative or non-finite option fails at once, and is named."""
    (name,) = options
    with pytest.raises(ConfigurationError, match=f"{name}="):
        ResolverOptions(**options)


def test_options_are_fixed_and_named() -> None:
    """Options cannot be changed later, nor given by position."""
    options = ResolverOptions(stale_if_error=0, trusted_max_age=3600, kidless="try")

    with pytest.raises(AttributeError):
        options.max_age = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        ResolverOptions(300)  # type: ignore[call-arg]


def test_shared_secrets_never_come_from_a_key_set() -> None:
    """A resolver for HMAC is refused: everybody could read the secret (P35)."""
    with pytest.raises(ConfigurationError, match="shared secret"):
        JWKSResolver(URI, algorithms=["HS256"])
