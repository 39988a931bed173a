"""What is particular to the store in memory."""

import os
from threading import Thread

import pytest

from jwt_middleware.stores import MemoryStore
from jwt_middleware.stores.contract import Document
from jwt_middleware.stores.memory import _LOOKED_AT
from jwt_middleware.testing import Clock
from tests.stores.asking import Asker, change
from tests.support.forking import in_a_child

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def test_a_write_deletes_a_bounded_number_of_expired_documents(clock: Clock) -> None:
    """S4. However many have expired, and readers delete none."""
    store = MemoryStore(clock)
    asker = Asker(store)
    for number in range(1_000):
        asker.exchange(change(str(number), 0, expires_at=clock.now() + 1))
    clock.tick(1)

    assert asker.read("0") is None
    assert len(store) == 1_000
    asker.exchange(change("other", 0))
    assert len(store) == 1_001 - _LOOKED_AT


def test_living_documents_do_not_shield_expired_ones(clock: Clock) -> None:
    """S4. All are looked at in turn."""
    store = MemoryStore(clock)
    asker = Asker(store)
    for number in range(300):
        asker.exchange(change(str(number), 0, expires_at=clock.now() + 1 if number % 3 else None))
    clock.tick(1)
    for version in range(20):
        asker.exchange(change("0", version + 1))

    assert len(store) == 100


def test_a_group_without_documents_is_forgotten(clock: Clock) -> None:
    """S4. Whether they were deleted, or moved to another group."""
    store = MemoryStore(clock)
    asker = Asker(store)
    asker.exchange(change("a", 0, group="g"), change("b", 0, group="h"))
    asker.exchange(change("a", 1, group="i"), change("b", 1, None))

    assert store._groups == {("k", "i"): {"a"}}


def test_no_thread_comes_between_the_check_and_the_change(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2. Another one that creates the same document waits, and finds it."""
    store = MemoryStore(clock)
    done: list[bool] = []
    genuine = store._live

    def live_then_let_others_run(key: tuple[str, str], now: float) -> Document | None:
        found = genuine(key, now)
        monkeypatch.setattr(store, "_live", genuine)
        other.start()
        other.join(0.05)
        return found

    def create() -> None:
        done.append(Asker(store).exchange(change("a", 0)))

    other = Thread(target=create)
    monkeypatch.setattr(store, "_live", live_then_let_others_run)
    create()
    other.join(30)

    assert sorted(done) == [False, True]


@forks
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_copy_of_its_own(clock: Clock) -> None:
    """S6. Neither sees what the other writes."""
    asker = Asker(MemoryStore(clock))
    asker.exchange(change("a", 0))

    def work() -> None:
        assert asker.version("a") == 1
        assert asker.exchange(change("a", 1))

    assert in_a_child(work) == 0
    assert asker.version("a") == 1


@forks
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_was_forked_within_an_exchange_has_all_of_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2. What another thread had half done is completed."""
    store = MemoryStore(clock)
    asker = Asker(store)
    asker.exchange(change("a", 0, group="g"), change("b", 0))
    statuses = []

    def forget(key: tuple[str, str]) -> None:
        # The first change is made, the second is not.
        monkeypatch.undo()
        statuses.append(in_a_child(work))
        store._forget(key)

    def work() -> None:
        assert [asker.version(each) for each in "abc"] == [2, 0, 1]
        assert (asker.names("g"), asker.names("h")) == ([], ["a"])

    monkeypatch.setattr(store, "_forget", forget)
    asker.exchange(change("a", 1, group="h"), change("b", 1, None), change("c", 0))

    assert statuses == [0]
    work()


def test_a_lock_that_was_held_during_a_fork_is_renewed(clock: Clock) -> None:
    """S6."""
    store = MemoryStore(clock)
    with store._lock:
        store.after_fork()
        assert Asker(store).exchange(change("a", 0))
