"""S1: what every store does, asked by blocking and by awaiting."""

import asyncio
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from jwt_middleware.effects import Steps, arun, run
from jwt_middleware.stores import MemoryStore, SQLiteStore, Store, StoreFailed
from jwt_middleware.stores.contract import (
    ABSENT,
    Change,
    Document,
    Exchange,
    Exchanged,
    Found,
    FoundGroup,
    Query,
    Read,
    ReadGroup,
    ReadSome,
    ReadWritten,
    Unchanged,
    exchange,
    read,
    read_group,
)
from jwt_middleware.stores.redis import RedisStore
from jwt_middleware.stores.sql import SQLStore
from jwt_middleware.testing import Clock
from tests.stores.asking import Asker, change, count, increment
from tests.stores.servers import documents_in_redis, rows_of

ODD_NAMES = [
    "%",
    "_",
    "a'b",
    'a"b',
    "a b",
    "A",
    "a",
    "a;--",
    "*",
    "\\",
    "~" * 255,
    " ",
    "NULL",
    "0",
]


def test_a_document_that_was_never_written_is_absent(asker: Asker, clock: Clock) -> None:
    """S1. The answer names the time of the store's clock (S3)."""
    assert asker.ask(Read("k", "a")) == Found(None, clock.now())
    assert asker.ask(ReadGroup("k", "g")) == FoundGroup((), clock.now())


def test_a_document_is_read_as_it_was_created(asker: Asker, clock: Clock) -> None:
    """S1. Every field comes back, bytes of all values too."""
    body, end = bytes(range(256)), clock.now() + 60.25
    created = asker.ask(Exchange((Change("k", "a", ABSENT, body, "g", end),)))

    assert created == Exchanged(is_done=True, now=clock.now())
    assert asker.read("a") == Document("k", "a", 1, body, "g", end)
    assert asker.exchange(change("b", ABSENT, b""))
    assert asker.read("b") == Document("k", "b", 1, b"", None, None)


def test_a_document_is_created_once(asker: Asker) -> None:
    """S2. The second writer expects it to be absent too, and changes nothing."""
    assert asker.exchange(change("a", ABSENT, b"first"))
    assert asker.exchange(change("a", ABSENT, b"second")) is False
    assert asker.read("a") == Document("k", "a", 1, b"first")


def test_versions_count_the_writes(asker: Asker) -> None:
    """S1. One by one."""
    for version in range(5):
        assert asker.exchange(change("a", version, b"%d" % version))
        assert asker.read("a") == Document("k", "a", version + 1, b"%d" % version)


@pytest.mark.parametrize("expected", [ABSENT, 1, 3])
def test_a_swap_with_another_version_changes_nothing(asker: Asker, expected: int) -> None:
    """S2. Whether it was read too early, or never was."""
    asker.exchange(change("a", 0))
    asker.exchange(change("a", 1, b"second"))

    assert asker.exchange(change("a", expected, b"lost")) is False
    assert asker.exchange(change("a", expected, None)) is False
    assert asker.read("a") == Document("k", "a", 2, b"second")


def test_a_document_that_is_absent_cannot_be_swapped(asker: Asker) -> None:
    """S2. Nor deleted."""
    assert asker.exchange(change("a", 1)) is False
    assert asker.exchange(change("a", 1, None)) is False
    assert asker.read("a") is None


def test_a_deleted_document_is_absent(asker: Asker) -> None:
    """S1. It can be created again."""
    asker.exchange(change("a", 0, group="g"))

    assert asker.exchange(change("a", 1, None))
    assert asker.read("a") is None
    assert asker.names("g") == []
    assert asker.exchange(change("a", ABSENT, b"new"))
    assert asker.version("a") == 1


def test_a_change_may_depend_on_documents_that_it_leaves_alone(asker: Asker) -> None:
    """S2. Whether they must have a version, or be absent."""
    asker.exchange(change("a", 0))
    for name, version, is_done in (("a", 1, True), ("a", 2, False), ("a", ABSENT, False)):
        added = change(f"b{version}", ABSENT)
        statement = Exchange((added,), (Unchanged("k", name, version),))
        assert asker.ask(statement).is_done is is_done
        assert asker.version(added.name) == int(is_done)
    for version, is_done in ((1, False), (ABSENT, True)):
        statement = Exchange((change("c", ABSENT),), (Unchanged("k", "absent", version),))
        assert asker.ask(statement).is_done is is_done
    assert (asker.version("a"), asker.version("c"), asker.version("absent")) == (1, 1, 0)


def test_a_group_is_read_on_from_a_name(asker: Asker) -> None:
    """S4. Each of its documents once, whatever is written meanwhile."""
    names = ["a", "a b", "aa", "b", "~"]
    for name in reversed(names):
        asker.exchange(change(name, 0, group="g"))
    for most in (1, 2, 5, 9):
        read: list[str] = []
        while found := asker.ask(ReadGroup("k", "g", most, read[-1] if read else "")).documents:
            read += [each.name for each in found]
        assert read == names


def test_several_documents_are_read_in_one_step(asker: Asker, clock: Clock) -> None:
    """S1. In the order that was asked for; one that is absent or has expired is left out."""
    asker.exchange(change("a", 0), change("b", 0, kind="other"))
    asker.exchange(change("old", 0, expires_at=clock.now() + 1))
    clock.tick(2)
    keys = (("other", "b"), ("k", "absent"), ("k", "old"), ("k", "a"), ("k", "a"))
    found = asker.ask(ReadSome(keys))
    names = [None if each is None else each.name for each in found.documents]
    assert names == ["b", None, None, "a", "a"]
    assert found.now == clock.now()
    assert asker.ask(ReadSome(())).documents == ()


def test_what_was_written_lately_is_read_in_its_order(asker: Asker, clock: Clock) -> None:
    """R8. A document that is written again comes again, and one of another kind does not."""
    begin = clock.now()
    for name in ("c", "a", "b"):
        asker.exchange(change(name, 0))
        clock.tick(1)
    asker.exchange(change("a", 1), change("x", 0, kind="other"))

    def names(since: float, after: str = "", most: int = 9) -> list[str]:
        found = asker.ask(ReadWritten("k", since, after, most))
        assert found.now == clock.now()
        assert all(each.written_at >= since for each in found.documents)
        return [each.name for each in found.documents]

    assert names(begin) == ["c", "b", "a"]
    assert names(begin, most=2) == ["c", "b"]
    assert names(begin + 0.5) == ["b", "a"]
    assert names(begin + 3) == ["a"]
    assert names(begin + 3, after="a") == []
    asker.exchange(change("a", 2, None))
    assert names(begin) == ["c", "b"]
    asker.exchange(change("c", 1, expires_at=clock.now() + 1))
    clock.tick(2)
    assert names(begin) == ["b"]


def test_pages_of_what_was_written_at_one_time_have_each_once(asker: Asker) -> None:
    """The name goes on where the time is the same."""
    written = [f"n{number}" for number in range(9)]
    asker.exchange(*(change(name, 0) for name in written))
    since, after, found = 0.0, "", list[str]()
    while page := asker.ask(ReadWritten("k", since, after, 2)).documents:
        found += [each.name for each in page]
        since, after = page[-1].written_at, page[-1].name
    assert found == written


def test_a_clock_that_goes_back_hides_nothing_that_is_written_then(
    asker: Asker, clock: Clock
) -> None:
    """A follower begins a while before the time of the last answer."""
    clock.jump(1000)
    asker.exchange(change("a", 0))
    clock.jump(-1000)
    now = asker.ask(Read("k", "a")).now
    asker.exchange(change("b", 0))
    found = asker.ask(ReadWritten("k", now - 60)).documents
    assert {each.name for each in found} == {"a", "b"}


def test_an_exchange_may_only_check_that_a_document_is_absent(asker: Asker) -> None:
    """S2. As a condition of other changes."""
    assert asker.exchange(change("a", ABSENT, None), change("b", ABSENT))
    assert asker.exchange(change("b", ABSENT, None), change("c", ABSENT)) is False
    assert (asker.version("b"), asker.version("c")) == (1, 0)


@pytest.mark.parametrize("stale", range(3))
def test_changes_are_made_all_or_none(asker: Asker, stale: int) -> None:
    """S2. Wherever the stale one stands among them."""
    asker.exchange(change("swapped", 0, group="g"), change("deleted", 0))
    expected = [1, 1, 0]
    expected[stale] += 1

    is_done = asker.exchange(
        change("swapped", expected[0], b"new"),
        change("deleted", expected[1], None),
        change("created", expected[2]),
    )

    assert is_done is False
    assert asker.read("swapped") == Document("k", "swapped", 1, b"x", "g")
    assert (asker.version("deleted"), asker.version("created")) == (1, 0)
    assert asker.exchange(
        change("swapped", 1, b"new"), change("deleted", 1, None), change("created", 0)
    )
    assert [asker.version(each) for each in ("swapped", "deleted", "created")] == [2, 0, 1]


def test_an_exchange_without_changes_is_done(asker: Asker) -> None:
    """S1."""
    assert asker.exchange()


def test_kinds_have_names_of_their_own(asker: Asker) -> None:
    """S1. One name in two kinds is two documents, and so is one group."""
    asker.exchange(change("a", 0, b"1", kind="k", group="g"))
    asker.exchange(change("a", 0, b"2", kind="K", group="g"))

    assert [asker.read("a", kind) for kind in ("k", "K")] == [
        Document("k", "a", 1, b"1", "g"),
        Document("K", "a", 1, b"2", "g"),
    ]
    assert asker.names("g") == ["a"]


def test_names_are_compared_exactly(asker: Asker) -> None:
    """S1. Whatever they mean elsewhere, such as in SQL."""
    for name in ODD_NAMES:
        assert asker.exchange(change(name, ABSENT, name.encode(), group="g"))

    assert [asker.read(each).body.decode() for each in ODD_NAMES] == ODD_NAMES  # type: ignore[union-attr]
    assert asker.names("g") == sorted(ODD_NAMES)


def test_groups_are_compared_exactly(asker: Asker) -> None:
    """S1. They may be subjects, of any script."""
    groups = ["a", "A", "\u00e9", "e\u0301", "\U0001f600", " a", "a%", "g" * 255]
    for number, group in enumerate(groups):
        asker.exchange(change(str(number), 0, group=group))

    assert [asker.names(group) for group in groups] == [[str(n)] for n in range(len(groups))]


def test_a_group_comes_in_the_order_of_names_and_is_cut(asker: Asker) -> None:
    """S1. Those that come first remain."""
    for name in ("c", "a", "B", "b"):
        asker.exchange(change(name, 0, group="g"))
    asker.exchange(change("d", 0, group="h"), change("e", 0))

    assert asker.names("g") == ["B", "a", "b", "c"]
    assert asker.names("g", most=2) == ["B", "a"]


def test_a_document_changes_its_group_with_its_content(asker: Asker) -> None:
    """S1. It is in one group at most."""
    asker.exchange(change("a", 0, group="g"))
    asker.exchange(change("a", 1, group="h"))
    assert (asker.names("g"), asker.names("h")) == ([], ["a"])

    asker.exchange(change("a", 2))
    assert (asker.names("g"), asker.names("h")) == ([], [])


def test_a_document_is_absent_from_the_instant_of_its_expiry(asker: Asker, clock: Clock) -> None:
    """S4. To readers, to groups and to writers alike."""
    asker.exchange(change("a", 0, group="g", expires_at=clock.now() + 10))
    clock.tick(9.5)
    assert (asker.version("a"), asker.names("g")) == (1, ["a"])

    clock.tick(0.5)
    assert (asker.version("a"), asker.names("g")) == (0, [])
    assert asker.exchange(change("a", 1)) is False
    assert asker.exchange(change("a", ABSENT, b"new"))
    assert asker.read("a") == Document("k", "a", 1, b"new")
    assert asker.names("g") == []


def test_a_write_sets_another_expiry(asker: Asker, clock: Clock) -> None:
    """S4. Later, or none at all."""
    asker.exchange(change("a", 0, expires_at=clock.now() + 10))
    asker.exchange(change("b", 0, expires_at=clock.now() + 10))
    asker.exchange(change("a", 1, expires_at=clock.now() + 20), change("b", 1))

    clock.tick(15)
    assert (asker.version("a"), asker.version("b")) == (2, 2)
    clock.tick(10**9)
    assert (asker.version("a"), asker.version("b")) == (0, 2)


def test_a_document_that_is_written_after_its_expiry_is_absent(asker: Asker, clock: Clock) -> None:
    """S4. It was made, and is gone at once."""
    assert asker.exchange(change("a", 0, expires_at=clock.now() - 1))
    assert asker.version("a") == 0


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_a_statement_is_not_begun_after_its_deadline(asker: Asker, seconds: float) -> None:
    """S9. The answer says so, and that nothing was done."""
    for statement in (Read("k", "a"), ReadGroup("k", "g"), Exchange((change("a", 0),))):
        failed = asker.ask(statement, seconds)

        assert isinstance(failed, StoreFailed)
        assert failed.may_be_done is False
    assert asker.read("a") is None


def test_a_statement_that_no_store_can_keep_is_answered_in_words(asker: Asker) -> None:
    """S9. Without what was to be stored."""
    failed = asker.ask(Exchange((change("na\u00efve", 0), change("b", 0))))

    assert isinstance(failed, StoreFailed)
    assert "a name has 1 to 255" in failed.reason
    assert "na\u00efve" not in failed.reason
    assert asker.read("b") is None


def test_statements_are_effects(store: Store, clock: Clock) -> None:
    """The drivers of effects perform them."""

    async def both() -> object:
        return await arun(_only(read_group(store, "k", "g")))

    assert run(_only(exchange(store, [change("a", 0, group="g")]))) == Exchanged(True, clock.now())
    document = Document("k", "a", 1, b"x", "g")
    assert run(_only(read(store, "k", "a"))) == Found(document, clock.now())
    assert asyncio.run(both()) == FoundGroup((document,), clock.now())


def _only(query: Query[Any]) -> Steps[object]:
    return (yield query)


def test_threads_and_loops_at_once_lose_no_update(store: Store) -> None:
    """S2 and S6. One document, counted up by compare-and-swap."""

    async def increments() -> None:
        for _ in range(5):
            while True:
                found = await store.aanswer(Read("k", "n"), monotonic() + 30)
                assert isinstance(found, Found)
                document = found.document
                version, body = (document.version, document.body) if document else (0, b"0")
                swap = Exchange((change("n", version, b"%d" % (int(body) + 1)),))
                done = await store.aanswer(swap, monotonic() + 30)
                assert isinstance(done, Exchanged)
                if done.is_done:
                    break

    def work(number: int) -> None:
        if number % 2:
            asyncio.run(increments())
        else:
            for _ in range(5):
                increment(store, "n")

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)

    assert count([Asker(store)], "n") == {40}
    assert Asker(store).version("n") == 40


def test_a_closed_store_opens_again(asker: Asker) -> None:
    """S6. What it holds is still there."""
    asker.exchange(change("a", 0))
    asker.store.close()
    assert asker.version("a") == 1
    asyncio.run(asker.store.aclose())
    assert asker.version("a") == 1


def test_an_expired_document_does_not_stay_for_ever(store: Store, clock: Clock) -> None:
    """S4. Writes delete what has expired, a few at a time."""
    asker = Asker(store)
    for number in range(200):
        asker.exchange(change(str(number), 0, group="g", expires_at=clock.now() + 1))
    clock.tick(2)
    for number in range(60):
        asker.exchange(change("other", number))

    assert held(store) == 1


def held(store: Store) -> int:
    """Return how many documents a store holds, expired ones included."""
    if isinstance(store, MemoryStore):
        assert store._groups == {}
        return len(store)
    if isinstance(store, SQLStore):
        return rows_of(store)
    if isinstance(store, RedisStore):
        return documents_in_redis()
    assert isinstance(store, SQLiteStore)
    with store._connections.lend(monotonic() + 10) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM jwt_middleware_documents").fetchone()
    return int(rows)


def test_nothing_of_a_document_shows(store: Store) -> None:
    """S8 and S10. Of its content, in a repr of it, of a change or of the store."""
    made = change("a", 0, b"s3cret")
    Asker(store).exchange(made)

    assert "s3cret" not in f"{Asker(store).read('a')!r} {made!r} {store!r}"
