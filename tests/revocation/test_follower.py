"""A replica follows its store through losses, outages, forks and threads that end; R4 to R9."""

import gc
import json
import logging
import math
import threading
from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest

from jwt_middleware.revocation.entries import KIND, Entry
from jwt_middleware.revocation.follower import BEAT, OVERLAP, RECONCILED_EVERY, Follower
from jwt_middleware.stores.contract import (
    ABSENT,
    AnyStatement,
    Change,
    Exchange,
    FoundGroup,
    ReadWritten,
)
from jwt_middleware.stores.memory import MemoryStore
from tests.issuing.rings import ISSUER, Faulty
from tests.revocation.world import Revoking, outcome
from tests.support.forking import in_a_child

PATIENCE = 20.0


def known(world: Revoking) -> set[str]:
    return {each.value for each in world.list.replica.living(-math.inf)}


def move(world: Revoking, store: MemoryStore) -> None:
    """Put another store in the place of that of the list, as after a loss or a restored backup."""
    world.shared = store  # type: ignore[assignment]
    world.list._store = store
    world.list.follower._store = store


def test_what_was_learnt_is_never_unlearnt_and_is_given_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """R7: a store that comes back empty is noticed with the next reading, and said loudly."""
    world = Revoking()
    for number in range(120):
        world.list.revoke_session(ISSUER, f"s{number}")
    world.list.follower.read()
    move(world, Faulty(world.clock))
    with caplog.at_level(logging.WARNING, "jwt_middleware.revocation"):
        for _ in range(14):
            world.list.follower.read()
    assert len(known(world)) == 120
    assert len(world.entries()) == 120
    assert "lacks 120 revocations" in caplog.text
    fresh = world.another()
    fresh.follower.read()
    assert len(fresh.replica) == 120


def test_a_store_that_was_set_back_is_given_back_what_it_lost() -> None:
    """R7: its heartbeat is older than the one that was seen."""
    world = Revoking()
    world.list.revoke_session(ISSUER, "early")
    world.list.follower.read()
    backup = Faulty(world.clock)
    whole = world.shared.answer(ReadWritten(KIND, 0.0), math.inf)
    assert isinstance(whole, FoundGroup)
    assert len(whole.documents) == 2
    for each in whole.documents:
        change = Change(KIND, each.name, ABSENT, each.body, None, each.expires_at)
        backup.answer(Exchange((change,)), math.inf)
    world.clock.tick(30)
    world.list.revoke_session(ISSUER, "late")
    world.list.follower.read()
    move(world, backup)
    world.list.follower.read()
    world.list.follower.read()
    assert {json.loads(each.body)["value"] for each in world.entries()} == {"early", "late"}


def test_several_processes_give_the_same_back() -> None:
    """Each entry is written once, whoever is faster."""
    world = Revoking()
    for number in range(60):
        world.list.revoke_session(ISSUER, f"s{number}")
    other = world.another()
    for each in (world.list, other):
        each.follower.read()
    empty = Faulty(world.clock)
    move(world, empty)
    other._store = other.follower._store = empty
    world.list.revoke_session(ISSUER, "s0")
    for _ in range(9):
        for each in (world.list, other):
            each.follower.read()
    assert len(world.entries()) == 60


def test_a_revocation_that_was_committed_late_is_found() -> None:
    """R8: transactions commit out of order, so a minute is read again each time."""
    world = Revoking()
    world.list.follower.read()

    class Late(Faulty):
        """Shows one document only after others that were written later."""

        hidden = ""

        def answer(self, statement: AnyStatement, deadline: float) -> Any:
            found = super().answer(statement, deadline)
            if isinstance(found, FoundGroup) and self.hidden:
                kept = tuple(each for each in found.documents if each.name != self.hidden)
                return FoundGroup(kept, found.now)
            return found

    store = Late(world.clock)
    move(world, store)
    world.list.follower.read()
    world.list.follower.read()
    entry = Entry(ISSUER, "session", "late", world.clock.now() + 1000)
    store.answer(Exchange((entry.change(ABSENT),)), math.inf)
    store.hidden = entry.name
    world.clock.tick(OVERLAP - 1)
    world.list.follower.read()
    assert "late" not in known(world)
    store.hidden = ""
    world.list.follower.read()
    assert "late" in known(world)


def test_everything_is_read_again_now_and_then() -> None:
    """R8: as a net under all else."""
    world = Revoking()
    world.list.follower.read()
    entry = Entry(ISSUER, "session", "missed", world.clock.now() + 9000)
    world.shared.answer(Exchange((entry.change(ABSENT),)), math.inf)
    world.list.follower._since = world.clock.now() + 10 * OVERLAP
    world.clock.tick(RECONCILED_EVERY - 1)
    world.list.follower._since = world.clock.now() + 10 * OVERLAP
    world.list.follower.read()
    world.clock.tick(2)
    world.list.follower.read()
    assert "missed" in known(world)


def test_many_pages_are_read_and_each_entry_is_known_once() -> None:
    world = Revoking()
    for first in range(0, 2500, 50):
        entries = [Entry(ISSUER, "token", f"j{first + each}", 9e9) for each in range(50)]
        world.shared.answer(Exchange(tuple(each.change(ABSENT) for each in entries)), math.inf)
    world.list.follower.read()
    assert len(world.list.replica) == len(known(world)) == 2500
    world.list.follower.read()
    assert len(world.list.replica) == 2500


def test_a_long_reading_does_not_let_the_replica_grow_old() -> None:
    """R8: without a pause in answers, also where each page takes a while."""
    world = Revoking()
    for first in range(0, 8000, 50):
        entries = [Entry(ISSUER, "token", f"j{first + each}", 9e9) for each in range(50)]
        world.shared.answer(Exchange(tuple(each.change(ABSENT) for each in entries)), math.inf)
    world.list.follower.read()

    ages: list[float] = []

    class Slow(Faulty):
        """Takes a part of the lag for each page of a long reading."""

        def answer(self, statement: AnyStatement, deadline: float) -> Any:
            if isinstance(statement, ReadWritten) and statement.since < world.clock.now() - 6:
                ages.append(world.list.follower.fresh_until - world.clock.monotonic())
                world.clock.tick(0.3)
            return world.shared_before.answer(statement, deadline)

    world.shared_before = world.shared
    world.clock.tick(100)
    world.list.follower.read()
    world.list.follower._store = Slow(world.clock)
    world.list.follower._reconciles_at = -math.inf
    world.list.follower.read()
    assert len(ages) > 6
    assert min(ages) > 0


def test_what_has_expired_is_forgotten_when_everything_is_read() -> None:
    world = Revoking()
    world.list.revoke_token(ISSUER, "short", world.clock.now() + 60)
    world.list.revoke_token(ISSUER, "long", world.clock.now() + 6000)
    world.list.follower.read()
    world.clock.tick(RECONCILED_EVERY + 1)
    world.list.follower.read()
    assert (known(world), len(world.list.replica)) == ({"long"}, 1)


def test_a_store_that_can_only_be_read_is_followed() -> None:
    world = Revoking()
    world.list.revoke_subject(ISSUER, "bob")
    world.shared.is_read_only = True
    reader = world.another()
    guard = world.checked_by(reader)
    assert reader.follower.read()
    assert outcome(guard, world.token("bob")) == "revoked"
    assert outcome(guard, world.token("alice")) == "good"


@pytest.mark.parametrize("body", [b"{", b"[]", b'["a"]', b'["a", true]', b'{"a": 1}', b"[" * 9999])
def test_an_odd_heartbeat_stops_nothing(body: bytes) -> None:
    world = Revoking()
    world.shared.answer(Exchange((Change(KIND, BEAT, ABSENT, body),)), math.inf)
    assert world.list.follower.read()
    world.clock.tick(100)
    assert world.list.follower.read()
    assert world.list.follower.failure is None


class Raising(MemoryStore):
    """A store of an application that raises instead of answering."""

    def answer(self, statement: Any, deadline: float) -> Any:
        raise OSError("redis://:s3cret@host")


def test_a_store_that_raises_is_one_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """S8: and its text is not shown."""
    world = Revoking()
    move(world, Raising())
    assert world.list.follower.read() is False
    assert world.list.follower.failure == "it raised OSError"
    assert outcome(world.checking, world.token()) == "unavailable"
    assert "s3cret" not in caplog.text


def test_a_store_with_another_answer_is_one_that_is_away() -> None:
    world = Revoking()
    store = Faulty(world.clock)
    store.answer = lambda statement, deadline: "no"  # type: ignore[method-assign, assignment, return-value]
    move(world, store)
    assert world.list.follower.read() is False
    assert outcome(world.checking, world.token()) == "unavailable"


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another thread brings about."""
    ticks = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if holds():
            return
        ticks.wait(0.01)
    raise AssertionError("it did not come about")


def followed() -> tuple["ref[Follower]", set[threading.Thread]]:
    """Let a list follow its store and forget it; return what is left of it, and its threads."""
    before = set(threading.enumerate())
    world = Revoking(max_lag=0.02)
    assert outcome(world.checking, world.token()) == "good"
    world.another().revoke_subject(ISSUER, "bob")
    until(lambda: "bob" in known(world))
    first = world.list.follower._first
    world.list.close()
    until(lambda: world.list.follower._first is not first)
    assert outcome(world.checking, world.token("bob")) == "revoked"
    return ref(world.list.follower), set(threading.enumerate()) - before


def test_the_thread_follows_by_itself_and_ends_with_its_list() -> None:
    """R4, S6: also after it was closed and used again."""
    left, threads = followed()
    assert threads
    gc.collect()
    until(lambda: left() is None)
    until(lambda: not any(each.is_alive() for each in threads))


def test_a_forked_child_follows_on_a_thread_of_its_own() -> None:
    """R5, S6: what the parent knew stays known, and its first request waits for a reading."""
    world = Revoking()
    token = world.token("bob")
    assert outcome(world.checking, token) == "good"
    world.list.revoke_subject(ISSUER, "bob")

    def child() -> None:
        assert world.list.follower.fresh_until == -math.inf
        assert "bob" in known(world)
        assert outcome(world.checking, token) == "revoked"
        assert world.list.follower._first is not None

    assert in_a_child(child) == 0


def test_a_fork_between_an_entry_and_its_version_hides_nothing() -> None:
    """Another thread of the parent may be there; the child looks every token up again."""
    world = Revoking()
    token = world.token("bob")
    assert [outcome(world.checking, token) for _ in range(2)] == ["good"] * 2
    world.list.replica._learn(Entry(ISSUER, "subject", "bob", math.inf, int(world.clock.now())))

    def child() -> None:
        assert [outcome(world.checking, token) for _ in range(3)] == ["revoked"] * 3

    assert in_a_child(child) == 0


def test_without_threads_a_replica_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As below some servers. The strict mode needs none."""
    monkeypatch.setattr("jwt_middleware.revocation.follower.start_daemon", lambda *_: False)
    world = Revoking()
    assert outcome(world.checking, world.token()) == "unavailable"
    assert world.list.follower.failure == "no thread can be started to read it"
    strict = world.checked_by(world.another(mode="strict"))
    assert outcome(strict, world.token()) == "good"
