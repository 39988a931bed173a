"""Keys that come, go, flap and are withdrawn."""

import json
import threading
from typing import Any

import pytest

from jwt_middleware.errors import ConfigurationError, KeyUnknown
from jwt_middleware.events import KeyAdded, KeyFetchStarted, KeyRemoved
from jwt_middleware.keys import document
from jwt_middleware.keys.document import without_members
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.keys.remote.shared_fetch import Waited
from jwt_middleware.testing.clock import Clock
from tests.keys.publisher import (
    ES256,
    SOON,
    URI,
    Publisher,
    Record,
    held_up,
    landed,
    outcome,
    pair,
    resolve,
    resolver_of,
)
from tests.presets.documents import certificate


def test_a_removed_key_is_refused_at_the_hard_age_without_traffic(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """With no traffic in between, a removed key is refused from ``max_age`` on (P28)."""
    publisher.publish("b")
    clock.tick(599)
    assert resolve(warm, "a")
    landed()
    other = resolver_of(publisher, clock)
    publisher.publish("a", "b")
    other.warm()
    publisher.publish("b")
    clock.tick(600)

    assert outcome(other, "a") == "key_unknown"


def test_the_age_counts_from_the_question(
    source: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """An answer is as old as its question, however long it took to come (P28)."""
    held_up(source, publisher)
    clock.tick(4)
    publisher.gate.set()
    landed()

    assert source.snapshot is not None
    assert source.snapshot.hard_at == clock.monotonic() - 4 + 600


def test_a_key_that_vanished_gets_one_look_of_its_own(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """A publisher that drops a live key for a moment loses nobody, even over budget (P29)."""
    lost, kept = publisher.pairs
    publisher.pairs = [kept]
    for number in range(5):
        outcome(warm, f"invented-{number}")
    publisher.pairs = [lost, kept]
    clock.tick(1)
    fetches = publisher.fetches

    assert outcome(warm, "a") == "found"
    assert publisher.fetches == fetches + 1
    assert record.of(KeyFetchStarted)[-1].reason == "vanished kid"


def test_a_key_that_is_gone_gets_no_second_look(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A removed key is looked for once on its own budget, then like any unknown kid (P29)."""
    publisher.publish("b")
    for number in range(5):
        outcome(warm, f"invented-{number}")
    fetches = publisher.fetches
    outcomes = {outcome(warm, "a") for _ in range(20)}

    assert outcomes == {"key_unknown"}
    assert publisher.fetches == fetches + 1


def test_ten_rotations_under_two_hundred_readers_lose_nobody(
    publisher: Publisher, clock: Clock
) -> None:
    """Ten rotations, each key replacing the one before last, with two hundred reader threads: no
    failure, and as many fetches as rotations (P30)."""
    source = resolver_of(publisher, clock)
    publisher.publish("k0")
    source.warm()
    current = ["k0"]
    outcomes: set[str] = set()
    is_over = threading.Event()
    turn = threading.Barrier(201)

    def read() -> None:
        while True:
            turn.wait(SOON)
            if is_over.is_set():
                return
            outcomes.add(outcome(source, current[0]))
            turn.wait(SOON)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(200)]
    for reader in readers:
        reader.start()
    for number in range(1, 11):
        publisher.publish(f"k{number - 1}", f"k{number}")
        current[0] = f"k{number}"
        clock.tick(10)
        turn.wait(SOON)
        turn.wait(SOON)
    is_over.set()
    turn.wait(SOON)
    for reader in readers:
        reader.join(SOON)

    assert outcomes == {"found"}
    assert publisher.fetches == 1 + 10


def test_a_reader_sees_one_set_or_the_other(publisher: Publisher, clock: Clock) -> None:
    """A set is exchanged by one assignment: no reader sees a part of it (P31)."""
    source = resolver_of(publisher, clock, refresh_after=1, max_age=1_000)
    source.warm()
    seen: set[frozenset[str]] = set()
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            snapshot = source.snapshot
            assert snapshot is not None
            assert snapshot.kids == {key.kid for key in snapshot.keys}
            seen.add(snapshot.kids)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for number in range(50):
        publisher.publish("a", "b" if number % 2 else "c")
        clock.tick(1.5)
        source.plan("a", ES256)
        landed()
    is_over.set()
    reader.join(SOON)

    assert seen <= {frozenset("ab"), frozenset("ac")}


@pytest.mark.parametrize("answer", ["same body", "304"])
def test_an_unchanged_set_keeps_its_key_objects(
    answer: str,
    warm: JWKSResolver,
    publisher: Publisher,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same body, or 304, renews the set, keeps the very key objects and imports none (P32)."""
    before, snapshot = resolve(warm, "a"), warm.snapshot
    monkeypatch.setattr(document, "import_jwk", None)
    if answer == "304":
        publisher.response = FetchResponse(304)
    clock.tick(601)
    after = resolve(warm, "a")

    assert after[0] is before[0]
    assert warm.snapshot is not snapshot
    assert warm.health().state == "fresh"
    assert warm.health().generation == 2


def test_a_changed_set_keeps_the_objects_of_unchanged_keys(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """A rotation exchanges only the keys that it touches, so cached tokens stay known (P32)."""
    before = resolve(warm, "b")
    publisher.publish("b", "c")
    clock.tick(601)

    assert resolve(warm, "b")[0] is before[0]
    assert [event.kid for event in record.of(KeyAdded)] == ["c"]
    assert [event.kid for event in record.of(KeyRemoved)] == ["a"]


def test_a_kid_is_served_by_keys_of_that_name_alone(
    warm: JWKSResolver, publisher: Publisher
) -> None:
    """A token that names a key is held against keys of that very name only (P33)."""
    publisher.pairs = [Publisher("c").pairs[0]]

    assert {key.kid for key in resolve(warm, "a")} == {"a"}
    assert outcome(warm, "A") == "key_unknown"
    assert outcome(warm, " a") == "key_unknown"


def test_distrust_takes_effect_now_and_survives_renewals(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, record: Record
) -> None:
    """A distrusted key is refused at once and for good, although it is published still (P69)."""
    warm.distrust("a")

    assert outcome(warm, "a") == "key_unknown"
    assert publisher.fetches == 0
    assert [event.kid for event in record.of(KeyRemoved)] == ["a"]
    assert outcome(warm, "b") == "found"
    for changed in (False, True):
        if changed:
            publisher.publish("a", "b", "c")
        clock.tick(601)
        assert outcome(warm, "a") == "key_unknown"
        assert outcome(warm, "b") == "found"


def test_a_distrusted_key_does_not_come_back_under_another_name(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """What is withdrawn is the key itself (P69)."""
    warm.distrust("a")
    publisher.extra = [{**publisher.pairs[0].jwk, "kid": "renamed"}]
    clock.tick(601)

    assert outcome(warm, "renamed") == "key_unknown"


def test_distrust_of_all_keys_leaves_room_for_new_ones(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Without a kid every key that is held is withdrawn; a key published later serves (P69)."""
    warm.distrust()

    assert {outcome(warm, "a"), outcome(warm, "b")} == {"key_unknown"}
    clock.tick(700)
    assert {outcome(warm, "a"), outcome(warm, "b")} == {"key_unknown"}
    publisher.publish("new")
    clock.tick(700)
    assert outcome(warm, "new") == "found"


def test_distrust_before_the_first_fetch_holds(source: JWKSResolver) -> None:
    """A key may be withdrawn by name before it was ever seen (P69)."""
    source.distrust("a")
    source.warm()

    assert outcome(source, "a") == "key_unknown"
    assert outcome(source, "b") == "found"


def test_all_keys_cannot_be_withdrawn_before_there_are_any(source: JWKSResolver) -> None:
    """It would withdraw nothing and say nothing (P69)."""
    with pytest.raises(ConfigurationError, match="no keys were fetched yet"):
        source.distrust()


def seeded(seed: Any, publisher: Publisher, clock: Clock) -> JWKSResolver:
    return JWKSResolver(URI, fetcher=publisher, clock=clock, seed=json.loads(json.dumps(seed)))


def test_a_seed_carries_no_withdrawn_key_and_keeps_it_out_elsewhere(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Neither from the seed, nor from the issuer that publishes it still, by whatever name (P63)."""
    warm.distrust("a")
    seed = warm.export()
    assert seed is not None
    assert publisher.pairs[0].jwk["x"] not in json.dumps(seed)
    other = seeded(seed, publisher, clock)

    assert outcome(other, "b") == "found"
    assert publisher.fetches == 0
    assert outcome(other, "a") == "key_unknown"
    publisher.extra = [{**publisher.pairs[0].jwk, "kid": "renamed"}]
    clock.tick(601)
    assert {outcome(other, "a"), outcome(other, "renamed")} == {"key_unknown"}
    assert other.export() is not None
    assert outcome(seeded(other.export(), publisher, clock), "a") == "key_unknown"


def test_a_seed_from_before_brings_nothing_back(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Where what was withdrawn of an issuer is known (P69)."""
    seed = warm.export()
    warm.distrust("a")

    again = JWKSResolver(URI, fetcher=publisher, clock=clock, seed=seed, distrusted=warm.distrusted)

    assert outcome(again, "a") == "key_unknown"
    assert outcome(again, "b") == "found"


def test_a_seed_of_which_all_was_withdrawn_is_an_empty_one(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """It starts, and trusts nothing of what was there."""
    warm.distrust()

    empty = seeded(warm.export(), publisher, clock)

    assert {outcome(empty, "a"), outcome(empty, "b")} == {"key_unknown"}
    assert empty.health().keys == 0


@pytest.mark.parametrize("is_map", [False, True])
def test_a_seed_without_any_key_left_loads(
    publisher: Publisher, clock: Clock, is_map: bool
) -> None:
    """All was withdrawn, and what is left of the document serves nobody or is nothing at all."""
    made = {"a": certificate(pair("a"))} if is_map else {"keys": [{"kty": "AKP"}, pair("a").jwk]}
    publisher.response = FetchResponse(200, {}, json.dumps(made).encode())
    source = resolver_of(publisher, clock)
    source.warm(required=True)
    source.distrust()
    seed = source.export()
    assert seed is not None
    assert json.loads(seed["document"]) == ({} if is_map else {"keys": [{"kty": "AKP"}]})

    empty = seeded(seed, publisher, clock)

    assert empty.health().keys == 0
    assert outcome(empty, "a") == "key_unknown"


def test_the_same_key_under_another_name_is_withdrawn_before_it_was_seen(
    source: JWKSResolver, publisher: Publisher
) -> None:
    """A name is withdrawn while nothing was fetched; the set then lists its key twice (P69)."""
    source.distrust("a")
    publisher.extra = [{**publisher.pairs[0].jwk, "kid": "renamed"}]

    assert outcome(source, "renamed") == "key_unknown"
    assert outcome(source, "b") == "found"


def test_a_map_of_certificates_is_exported_without_a_withdrawn_key() -> None:
    """As Google publishes them: by name."""
    made = {kid: certificate(pair(kid)) for kid in ("a", "b")}
    body = json.dumps(made).encode()

    left = json.loads(without_members(body, lambda key: key.kid == "a"))

    assert left == {"b": made["b"]}
    assert without_members(body, lambda key: False) == body
    odd = json.dumps({"keys": [{"kty": "AKP"}, None, pair("c").jwk], "more": 1}).encode()
    kept = json.loads(without_members(odd, lambda key: True))
    assert kept == {"keys": [{"kty": "AKP"}, None], "more": 1}


@pytest.mark.parametrize("answer", ["the same", 304])
def test_an_unchanged_answer_brings_no_withdrawn_key_back(
    warm: JWKSResolver, publisher: Publisher, clock: Clock, answer: Any
) -> None:
    """It was withdrawn elsewhere, of the same issuer (P69)."""
    other = JWKSResolver(URI, fetcher=publisher, clock=clock, distrusted=warm.distrusted)
    other.warm(required=True)
    warm.distrust("a")
    if answer == 304:
        publisher.response = FetchResponse(304)
    clock.tick(601)

    assert outcome(other, "a") == "key_unknown"
    assert outcome(other, "b") == "found"
    assert other.snapshot is not None
    assert other.snapshot.kids == {"b"}


def test_distrust_during_a_fetch_holds(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """A fetch that was under way does not bring a withdrawn key back (P69)."""
    publisher.publish("a", "b", "c")
    publisher.hold()
    clock.tick(301)
    resolve(warm, "a")
    assert publisher.arrived.wait(SOON)
    warm.distrust("a")
    publisher.gate.set()
    landed()

    assert outcome(warm, "c") == "found"
    assert outcome(warm, "a") == "key_unknown"


def test_an_unchanged_answer_to_a_set_that_is_gone_is_ignored(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """304 for a set that was dropped meanwhile renews nothing (P32)."""
    publisher.response = FetchResponse(304)
    publisher.hold()
    clock.tick(301)
    resolve(warm, "a")
    assert publisher.arrived.wait(SOON)
    warm.current.snapshot = None
    publisher.gate.set()
    landed()

    assert warm.snapshot is None
    assert warm.health().state == "empty"


def test_settle_after_success_and_a_removed_key_is_unknown(
    warm: JWKSResolver, publisher: Publisher, clock: Clock
) -> None:
    """Who waited for a renewal and finds the key gone hears that it is unknown (P28)."""
    clock.tick(601)
    gap: Any = warm.plan("a", ES256)
    publisher.publish("b")
    assert gap.fetch.claim()
    gap.fetch.fetch_here()

    with pytest.raises(KeyUnknown):
        warm.settle("a", ES256, Waited(gap, True))
