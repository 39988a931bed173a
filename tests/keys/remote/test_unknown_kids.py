"""Kids that nobody knows: anybody can invent one, and a new key must be found all the same."""

from collections import Counter
from typing import Any

import pytest

from jwt_middleware import Guard, Issuer, ResolverOptions
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.errors import KeysUnavailable, KeyUnknown, TokenError
from jwt_middleware.events import UnknownKidMissed, UnknownKidSuppressed
from jwt_middleware.keys.remote.rate_limits import MAX_REMEMBERED
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import CROWD_PATIENCE, Waited, Waiter
from jwt_middleware.testing import FakeIssuer
from jwt_middleware.testing.clock import Clock
from tests.keys.publisher import (
    ES256,
    SOON,
    Publisher,
    Record,
    held_up,
    in_threads,
    landed,
    outcome,
    resolve,
    resolver_of,
)


def test_ten_thousand_invented_kids_cost_two_fetches(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """Ten thousand invented kids in one window cause two fetches; known kids go on (P13)."""
    outcomes = Counter(outcome(warm, f"invented-{number}") for number in range(10_000))

    assert publisher.fetches == 2
    assert outcomes == {"key_unknown": 10_000}
    assert outcome(warm, "a") == "found"


def test_a_flood_gets_one_more_fetch_an_interval(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A flood causes no more than the burst and one fetch for each ten seconds (P13)."""
    for number in range(300):
        outcome(warm, f"invented-{number}")
        clock.tick(0.25)

    assert publisher.fetches == 2 + 7


def test_over_budget_is_unknown_at_once(
    warm: JWKSResolver, publisher: Publisher, record: Record, clock: Clock
) -> None:
    """Over budget a kid is simply unknown: a 401, never a wait, never another error (P14)."""
    outcome(warm, "x")
    outcome(warm, "y")

    with pytest.raises(KeyUnknown) as refused:
        warm.plan("z", ES256)

    assert refused.value.status == 401
    assert refused.value.retry_after == 10
    assert not refused.value.condemns_token
    clock.tick(4)
    with pytest.raises(KeyUnknown) as later:
        warm.plan("z", ES256)
    assert later.value.retry_after == 6
    assert {event.cause for event in record.of(UnknownKidSuppressed)} == {"over budget"}


def test_a_kid_that_the_issuer_does_not_know_is_a_verdict(warm: JWKSResolver, clock: Clock) -> None:
    """Asked for it just now; a moment later nobody asks, and so nobody can tell (P14)."""
    with pytest.raises(KeyUnknown) as refused:
        resolve(warm, "x")
    assert refused.value.retry_after is None
    assert refused.value.condemns_token
    clock.tick(4)

    with pytest.raises(KeyUnknown) as again:
        resolve(warm, "x")

    assert again.value.retry_after == 6
    assert not again.value.condemns_token


@pytest.mark.parametrize(
    ("kid", "reason"),
    [("new", "refresh"), ("new", "expired"), ("new", "empty"), (None, "expired"), (None, "empty")],
)
def test_a_fetch_that_was_not_begun_for_a_token_is_no_verdict_on_it(
    publisher: Publisher, clock: Clock, kid: str | None, reason: str
) -> None:
    """It may have begun before the key was published; nothing is remembered as missed (P17, P29)."""
    source = resolver_of(publisher, clock)
    if reason != "empty":
        source.warm()
        clock.tick({"refresh": 301, "expired": 601}[reason])
    publisher.hold()
    first = source.plan("a", ES256)
    waiter = first if isinstance(first, Waiter) else source.plan(kid, ES256)
    joined = source.plan(kid, ES256)
    assert isinstance(waiter, Waiter)
    assert isinstance(joined, Waiter)
    assert joined.fetch is waiter.fetch
    assert joined.fetch.reason == reason
    publisher.gate.set()
    if waiter.fetch.claim():
        waiter.fetch.fetch_here()
    landed()

    with pytest.raises(KeyUnknown) as refused:
        source.settle(kid, ES256, Waited(joined, True))

    assert refused.value.retry_after == CROWD_PATIENCE
    assert not refused.value.condemns_token
    assert len(source._limits.unknown_kids) == 0


def test_whoever_joins_a_fetch_for_the_same_kid_is_not_condemned_by_it(
    warm: JWKSResolver, clock: Clock
) -> None:
    """Somebody may have guessed the name just before it was published; one miss a fetch (P17)."""
    first, second = warm.plan("2026-12", ES256), warm.plan("2026-12", ES256)
    assert isinstance(first, Waiter)
    assert isinstance(second, Waiter)
    first.fetch.claim()
    first.fetch.fetch_here()

    with pytest.raises(KeyUnknown) as joined:
        warm.settle("2026-12", ES256, Waited(second, True))
    assert len(warm._limits.unknown_kids) == 0
    with pytest.raises(KeyUnknown) as began:
        warm.settle("2026-12", ES256, Waited(first, True))

    assert not joined.value.condemns_token
    assert began.value.condemns_token
    assert warm._limits.unknown_kids.retry_in("2026-12", clock.monotonic()) == 10


def test_a_set_that_is_dead_on_arrival_is_no_verdict(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """The wall clock is set a day ahead during the first fetch: the key is there, and too old."""
    waiter = held_up(source, publisher)
    clock.jump(86_400)
    publisher.gate.set()
    landed()

    with pytest.raises(KeysUnavailable):
        source.settle("a", ES256, Waited(waiter, True))

    assert len(source._limits.unknown_kids) == 0
    assert outcome(source, "a") == "found"


def test_a_fetch_for_another_kid_is_no_verdict_on_this_one(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """It may have begun before the key was published (P29)."""
    plan = warm.plan("x", ES256)
    other = warm.plan("y", ES256)
    assert isinstance(plan, Waiter)
    assert isinstance(other, Waiter)
    assert plan.fetch.claim()
    plan.fetch.fetch_here()

    with pytest.raises(KeyUnknown) as answered:
        warm.settle("x", ES256, Waited(plan, True))
    with pytest.raises(KeyUnknown) as joined:
        warm.settle("y", ES256, Waited(other, True))

    assert answered.value.condemns_token
    assert not joined.value.condemns_token


def test_the_first_fetch_does_not_spend_the_budget_of_unknown_kids(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """The first token of a new key right after the first fetch passes (P15)."""
    publisher.publish("a", "b", "new")

    assert outcome(warm, "new") == "found"
    assert publisher.fetches == 1


def test_regular_renewals_do_not_spend_the_budget_of_unknown_kids(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Renewals by age leave the whole burst for unknown kids (P15)."""
    outcome(warm, "x")
    outcome(warm, "y")
    for _ in range(3):
        clock.tick(600)
        outcome(warm, "a")
    before = publisher.fetches
    outcome(warm, "v")
    outcome(warm, "w")

    assert publisher.fetches == before + 2


def test_a_new_key_is_found_within_ten_seconds_of_a_flood(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A kid that is published serves within ten seconds of first being shown, in a flood (P16)."""
    for number in range(100):
        outcome(warm, f"invented-{number}")
    publisher.publish("a", "b", "new")
    assert outcome(warm, "new") == "key_unknown"
    waited = 0.0
    while outcome(warm, "new") != "found":
        for number in range(20):
            outcome(warm, f"also-invented-{waited}-{number}")
        clock.tick(1)
        waited += 1

    assert waited <= 10


def test_a_replayed_kid_is_asked_for_once(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """One replayed kid is fetched for once, then left alone for 10, 20, 40, 60 seconds (P17)."""
    fetched_at = []
    for second in range(200):
        before = publisher.fetches
        outcome(warm, "replayed")
        if publisher.fetches > before:
            fetched_at.append(second)
        clock.tick(1)

    assert fetched_at == [0, 10, 30, 70, 130, 190]
    assert {event.cause for event in record.of(UnknownKidSuppressed)} == {"asked before"}
    assert len(record.of(UnknownKidMissed)) == len(fetched_at)


def test_while_fetches_fail_nobody_can_tell_whether_a_kid_is_unknown(
    warm: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """Neither when the question failed nor in the pause after it: a 503 without a wait (P26)."""
    publisher.failure = OSError()
    for kid in ("x", "y"):
        with pytest.raises(KeysUnavailable) as refused:
            resolve(warm, kid)
        assert refused.value.retry_after >= 1
    assert outcome(warm, "a") == "found"

    assert publisher.fetches == 1
    assert [event.cause for event in record.of(UnknownKidSuppressed)] == ["paused"]
    # A fetch that failed has shown nothing about the kid.
    assert len(warm._limits.unknown_kids) == 0


def test_a_replayed_kid_leaves_budget_for_a_rotation(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """One replayed kid cannot starve a rotation (P17)."""
    for _ in range(50):
        outcome(warm, "replayed")
    publisher.publish("a", "new")

    assert outcome(warm, "new") == "found"


def test_the_memory_of_a_miss_dies_when_the_kid_is_published(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A kid that was asked for in vain serves as soon as any fetch brings it (P17)."""
    assert outcome(warm, "late") == "key_unknown"
    assert warm._limits.unknown_kids.retry_in("late", clock.monotonic()) == 10
    publisher.publish("a", "late")
    outcome(warm, "another")

    assert outcome(warm, "late") == "found"
    assert warm._limits.unknown_kids.retry_in("late", clock.monotonic()) == 0


def test_the_memory_of_misses_is_bounded(publisher: Publisher, clock: Clock) -> None:
    """However many kids are asked for in vain, only so many are remembered (P17)."""
    source = resolver_of(publisher, clock, unknown_kid_burst=2_000)
    source.warm()
    for number in range(1_100):
        outcome(source, f"invented-{number}")

    assert len(source._limits.unknown_kids) == MAX_REMEMBERED


def test_a_miss_that_is_older_than_the_set_asks_nobody(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A caller who looked before a fetch was over does not fetch again (P18)."""
    seen = warm.snapshot
    assert seen is not None
    publisher.publish("a", "new")
    outcome(warm, "x")

    found = warm._plan_for_unknown_kid(seen, "new", ES256, clock.monotonic())

    assert not isinstance(found, Waiter)
    assert found[0].kid == "new"
    with pytest.raises(KeyUnknown):
        warm._plan_for_unknown_kid(seen, "y", ES256, clock.monotonic())
    assert publisher.fetches == 1


def test_a_miss_rides_along_with_a_fetch_under_way(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A miss during a renewal waits for it and spends no budget (P18)."""
    publisher.hold()
    publisher.publish("a", "new")
    clock.tick(301)
    warm.plan("a", ES256)
    gap = warm.plan("new", ES256)
    assert isinstance(gap, Waiter)
    assert not gap.fetch.claim()
    publisher.gate.set()
    gap.fetch.future.result(SOON)

    assert warm.settle("new", ES256, Waited(gap, True))[0].kid == "new"
    assert publisher.fetches == 1


@pytest.fixture(scope="module")
def issuer() -> Any:
    with FakeIssuer(["ES256"]) as issuer:
        yield issuer


@pytest.mark.parametrize(
    "change",
    [
        {"claims": {"iss": "https://stranger.example"}},
        {"claims": {"aud": "elsewhere"}},
        {"claims": {"exp": 1}},
        {"claims": {"nbf": 9_999_999_999}},
        {"claims": {"iss": None}},
        {"headers": {"alg": "HS256"}},
        {"headers": {"alg": "RS256"}},
        {"headers": {"kid": 7}},
        {"headers": {"kid": "k" * 257}},
        {"headers": {"typ": "logout+jwt"}},
    ],
    ids=repr,
)
def test_a_token_that_is_bad_anyway_asks_nobody(issuer: FakeIssuer, change: Any) -> None:
    """A token that would be refused with any key causes no fetch (P19)."""
    guard = Guard(issuers=Issuer(issuer.url, audience="api", algorithms=["ES256"]))
    issuer.requests.clear()
    claims = issuer.claims(**{"aud": "api", **change.get("claims", {})})
    token = issuer.sign(claims, headers={"kid": "nobody", **change.get("headers", {})})

    with pytest.raises(TokenError):
        guard.verify(token)
    with pytest.raises(TokenError):
        guard.verify(token[:-3] + ".x")

    assert not issuer.requests


def test_an_algorithm_that_is_not_allowed_asks_nobody(publisher: Publisher, clock: Clock) -> None:
    """An algorithm outside the configuration is refused before a fetch, even when cold (P19)."""
    source = resolver_of(publisher, clock)
    for name in ("ES256K", "HS256"):
        with pytest.raises(KeyUnknown):
            source.plan("a", ALGORITHMS[name])
    with pytest.raises(KeyUnknown):
        source.plan("k" * 257, ES256)

    assert publisher.fetches == 0


def test_a_known_kid_with_another_algorithm_asks_nobody(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """A known kid with an algorithm that its key is not for is refused without a fetch (P20)."""
    with pytest.raises(KeyUnknown):
        warm.plan("a", ALGORITHMS["RS256"])

    assert publisher.fetches == 0


def test_a_bad_signature_asks_nobody(warm: JWKSResolver, publisher: Publisher) -> None:
    """A bad signature with a known kid does not fetch, unless that is wanted (P20)."""
    for _ in range(100):
        warm.signature_failed()
    landed()

    assert publisher.fetches == 0


def test_a_replaced_key_is_found_within_a_budget_of_its_own(
    publisher: Publisher, clock: Clock
) -> None:
    """Where it is wanted, bad signatures cause one fetch a minute, in the background (P20)."""
    source = resolver_of(publisher, clock, replaced_kid_interval=60)
    source.warm()
    (old,) = resolve(source, "a")
    publisher.pairs = [Publisher("a").pairs[0]]
    for _ in range(100):
        source.signature_failed()
    landed()

    assert publisher.fetches == 2
    assert resolve(source, "a")[0] is not old
    for number in range(2):
        outcome(source, f"x{number}")
    assert publisher.fetches == 4
    clock.tick(60)
    source.signature_failed()
    landed()
    assert publisher.fetches == 5


def test_few_callers_of_invented_kids_wait_at_once(
    warm: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """Eight wait for a fetch for unknown kids; the rest are told at once, and forgotten (P68)."""
    publisher.hold()
    gaps = [warm.plan(f"invented-{number}", ES256) for number in range(8)]

    with pytest.raises(KeyUnknown):
        warm.plan("one more", ES256)

    assert all(isinstance(gap, Waiter) for gap in gaps)
    assert [event.cause for event in record.of(UnknownKidSuppressed)] == ["too many waiting"]
    assert len(warm._limits.unknown_kids) == 0


def test_a_crowd_with_one_new_kid_waits_a_moment(warm: JWKSResolver, publisher: Publisher) -> None:
    """Callers beyond eight with the very kid that is fetched for wait, but not for long (P68)."""
    publisher.hold()
    gaps = [warm.plan("new", ES256) for _ in range(8 + 3)]

    patience = [gap.patience for gap in gaps if isinstance(gap, Waiter)]
    assert patience == [5.5] * 8 + [CROWD_PATIENCE] * 3


def test_one_of_a_crowd_that_gave_up_waiting_is_told_to_come_back(
    warm: JWKSResolver, publisher: Publisher, record: Record
) -> None:
    """A crowd can be invented: a 401 without a verdict; the eight that waited to the end get a 503."""
    publisher.hold()
    plans = [warm.plan("new", ES256) for _ in range(9)]
    waiters = [plan for plan in plans if isinstance(plan, Waiter)]

    with pytest.raises(KeyUnknown) as crowded:
        warm.settle("new", ES256, Waited(waiters[8], False))
    with pytest.raises(KeysUnavailable):
        warm.settle("new", ES256, Waited(waiters[0], False))

    assert crowded.value.retry_after == CROWD_PATIENCE
    assert not crowded.value.condemns_token
    assert record.of(UnknownKidSuppressed)[-1].cause == "too many waiting"


def test_waits_for_a_set_that_is_not_there_are_not_counted(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Waits on an empty or expired set are uncapped (P68)."""
    publisher.hold()
    assert all(isinstance(source.plan(f"k{number}", ES256), Waiter) for number in range(100))
    publisher.gate.set()
    assert outcome(source, "a") == "found"
    clock.tick(601)
    publisher.hold()
    assert all(isinstance(source.plan(f"k{number}", ES256), Waiter) for number in range(100))


def test_a_herd_of_one_new_kid_shares_one_fetch(warm: JWKSResolver, publisher: Publisher) -> None:
    """After a rotation without notice everybody's token has the new kid, and all pass (P68)."""
    publisher.publish("new")

    assert set(in_threads(60, lambda: outcome(warm, "new"))) == {"found"}
    assert publisher.fetches == 1


def test_no_budget_at_all_means_no_fetch_for_unknown_kids(
    publisher: Publisher, clock: Clock
) -> None:
    """A burst of zero leaves unknown kids to the regular renewals."""
    source = resolver_of(publisher, clock, unknown_kid_burst=0)
    source.warm()
    clock.tick(100)

    assert outcome(source, "x") == "key_unknown"
    assert publisher.fetches == 1
    assert ResolverOptions(unknown_kid_burst=0).unknown_kid_burst == 0
