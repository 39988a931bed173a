"""SQL servers: races, servers that fail, engines of the application, migrations; S1 to S9."""

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from jwt_middleware import ConfigurationError
from jwt_middleware.errors import RefreshBurnt
from jwt_middleware.issuing import KeyRing, Minter, TokenPairs
from jwt_middleware.stores import StoreFailed, connect
from jwt_middleware.stores.contract import ABSENT, Exchange, Read, ReadSome, Unchanged
from jwt_middleware.stores.sql import _NOW, SQLStore
from jwt_middleware.stores.sql_failures import fault_of
from jwt_middleware.stores.sql_table import documents_table
from tests.stores.asking import Asker, change, count, increment
from tests.stores.servers import TABLE, URLS, engine, sql_store
from tests.support.forking import in_a_child

pytestmark = pytest.mark.service

SERVERS = ["postgresql", "mariadb"]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def store(server: str) -> Iterator[SQLStore]:
    made = sql_store(server)
    yield made
    made.close()


def test_times_are_those_of_the_server(store: SQLStore) -> None:
    """S3: so that machines with different clocks agree."""
    asker = Asker(store)
    first = asker.ask(Read("k", "a")).now
    asker.exchange(change("a", 0, expires_at=first + 3600))
    found = asker.ask(Read("k", "a"))
    assert first <= found.document.written_at <= found.now
    # The server is on this machine.
    assert abs(found.now - time()) < 60


def test_writers_of_one_document_follow_each_other(store: SQLStore) -> None:
    """S2: none is lost."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: increment(store, "n"), range(60)))
    assert count([Asker(store)], "n") == {60}


def test_new_documents_of_many_writers_do_not_wait_for_each_other(store: SQLStore) -> None:
    """S2: nor fail, where they would stand side by side in an index."""
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda n: Asker(store).exchange(change(f"{n % 7}-{n}", ABSENT, group="g")),
                range(120),
            )
        )
    assert all(made)
    assert len(Asker(store).names("g")) == 120


def test_of_many_who_create_one_document_one_does(store: SQLStore) -> None:
    for name in map(str, range(10)):
        with ThreadPoolExecutor(8) as pool:
            made = list(
                pool.map(
                    lambda body, name=name: Asker(store).exchange(
                        change(name, ABSENT, b"%d" % body)
                    ),
                    range(8),
                )
            )
        assert sum(made) == 1


def test_nothing_is_created_behind_a_document_that_must_be_absent(store: SQLStore) -> None:
    """S2: a login that begins while all logins of its subject are ended does not survive it.

    Each side checks that the other has not been there, so that at most one may be done.
    """
    for number in range(30):
        both = [
            Exchange((change(f"a{number}", ABSENT),), (Unchanged("k", f"b{number}", ABSENT),)),
            Exchange((change(f"b{number}", ABSENT),), (Unchanged("k", f"a{number}", ABSENT),)),
        ]
        start = threading.Barrier(2)

        def ask(statement: Exchange, start: threading.Barrier = start) -> bool:
            start.wait()
            return bool(Asker(store).ask(statement).is_done)

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(ask, both)) <= 1


def test_a_document_that_has_expired_is_written_again_while_others_delete(
    server: str, store: SQLStore
) -> None:
    """S2: what is answered as done is there."""
    asker = Asker(store)
    begin = threading.Barrier(5)

    def write(number: int) -> None:
        begin.wait()
        for each in range(40):
            if number:
                # Each write deletes some of what has expired.
                Asker(store).exchange(change(f"other{number}", each))
                continue
            name = f"n{each}"
            assert asker.exchange(change(name, ABSENT, expires_at=time() - 1))
            assert asker.exchange(change(name, ABSENT, b"new"))
            found = asker.read(name)
            assert found is not None
            assert found.body == b"new"

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(write, range(5)))


def test_no_login_survives_the_end_of_all(store: SQLStore) -> None:
    """F11, on a real server: logins that are under way meanwhile end, or are newer."""
    pairs = TokenPairs(Minter(KeyRing(store), issuer="x", audience="a"), store)
    pairs.issue("alice")
    ended = threading.Event()
    begun: list[str] = []

    def log_in(_: int) -> None:
        while not ended.is_set():
            try:
                sid = pairs.issue("alice").sid
            except RefreshBurnt:
                continue
            begun.append(sid)

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(log_in, each) for each in range(3)]
        while len(begun) < 5:
            threading.Event().wait(0.01)
        before = set(begun)
        pairs.revoke_subject("alice")
        ended.set()
        for each in workers:
            each.result()
    assert before.isdisjoint(each.sid for each in pairs.families("alice"))


RACE = """
import sys
from jwt_middleware.issuing import KeyRing, Minter, TokenPairs
from jwt_middleware.stores import connect
store = connect(sys.argv[1], table=sys.argv[2], timeout=20)
pairs = TokenPairs(Minter(KeyRing(store), issuer="x", audience="a"), store, grace=60)
print(len({pairs.refresh(sys.argv[3]).refresh_token for _ in range(10)}), flush=True)
print(pairs.refresh(sys.argv[3]).refresh_token, flush=True)
"""


def test_refreshes_of_several_processes_have_one_successor(server: str, store: SQLStore) -> None:
    """F1, F3."""
    import subprocess

    pairs = TokenPairs(Minter(KeyRing(store), issuer="x", audience="a"), store, grace=60)
    token = pairs.issue("alice").refresh_token
    command = [sys.executable, "-c", RACE, URLS[server], TABLE, token]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [each.communicate(timeout=60)[0].split() for each in started]
    assert [each[0] for each in said] == ["1"] * 3
    assert len({each[1] for each in said}) == 1


def test_a_forked_child_opens_connections_of_its_own(store: SQLStore) -> None:
    """S6: and leaves its parent's alone."""
    asker = Asker(store)
    asker.exchange(change("a", 0))

    def child() -> None:
        assert Asker(store).version("a") == 1
        assert Asker(store).exchange(change("a", 1))

    in_a_child(child)
    assert asker.version("a") == 2


def test_loops_come_and_go(store: SQLStore) -> None:
    """S6."""

    async def read() -> Any:
        return await store.aanswer(Read("k", "a"), monotonic() + 20)

    Asker(store).exchange(change("a", 0))
    for _ in range(3):
        assert asyncio.run(read()).document.version == 1


def test_an_engine_of_the_application_is_used(server: str, store: SQLStore) -> None:
    """And its ``MetaData`` gets the table, where migrations find it."""
    metadata = MetaData()
    own = create_engine(URLS[server])
    again = connect(own, metadata=metadata, table=TABLE)
    assert TABLE in metadata.tables
    Asker(store).exchange(change("a", 0))
    assert Asker(again).version("a") == 1
    assert "postgres" in repr(again) or "mysql" in repr(again)
    own.dispose()


async def test_an_asynchronous_engine_is_used_from_its_own_loop() -> None:
    """By psycopg, which is a driver of both kinds. A blocking call says that it cannot use it."""
    sql_store("postgresql").close()
    own = create_async_engine(URLS["postgresql"])
    again = SQLStore(own, table=TABLE)
    asked = await again.aanswer(Exchange((change("a", 0),)), monotonic() + 20)
    assert asked.is_done  # type: ignore[union-attr]
    stale = await again.aanswer(Exchange((change("a", 0),)), monotonic() + 20)
    assert not stale.is_done  # type: ignore[union-attr]
    refused = again.answer(Read("k", "a"), monotonic() + 20)
    assert isinstance(refused, StoreFailed)
    assert "AsyncEngine, which a blocking call cannot use" in refused.reason
    async with own.connect() as other:
        await other.execute(text(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE"))
        late = await again.aanswer(Read("k", "a"), monotonic() + 0.3)
    assert isinstance(late, StoreFailed)
    assert "in time" in late.reason
    await again.aclose()


def test_a_server_that_ends_connections_is_reached_again(server: str, store: SQLStore) -> None:
    """S1: as after a restart."""
    asker = Asker(store)
    asker.exchange(change("a", 0))
    with engine(server).connect() as other:
        if server == "postgresql":
            other.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND query LIKE :table"
                ),
                {"table": f"%{TABLE}%"},
            )
        else:
            rows = other.execute(text("SHOW PROCESSLIST")).all()
            own = other.execute(text("SELECT CONNECTION_ID()")).scalar()
            for row in rows:
                if row[5] == "" and row[4] == "Sleep" and row[0] != own:
                    other.execute(text(f"KILL {row[0]}"))
    assert asker.version("a") == 1


def test_a_statement_that_waits_too_long_is_given_up(server: str, store: SQLStore) -> None:
    """S9: by its deadline, and nothing was done."""
    Asker(store).exchange(change("a", 0))
    with engine(server).connect() as other:
        other.execute(text(f"SELECT * FROM {TABLE} WHERE name = 'a' FOR UPDATE"))
        if server == "postgresql":
            other.execute(text(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE"))
        before = monotonic()
        failed = Asker(store).ask(Exchange((change("a", 1),)), 0.5)
        assert isinstance(failed, StoreFailed)
        assert "in time" in failed.reason
        assert monotonic() - before < 10
        other.rollback()
    assert Asker(store).version("a") in {1, 2}


@pytest.fixture
def silent() -> Iterator[int]:
    """A server that accepts connections and says nothing, as one that was paused does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize("way", ["blocking", "awaiting"])
def test_a_server_that_says_nothing_is_given_up(scheme: str, way: str, silent: int) -> None:
    """S9: by the deadline of the caller, whatever the driver does."""
    store = SQLStore(f"{scheme}://u:hunter2@127.0.0.1:{silent}/d", timeout=1)
    before = monotonic()
    failed = Asker(store, way).ask(Read("k", "a"), 0.4)
    assert isinstance(failed, StoreFailed)
    assert monotonic() - before < 10
    assert "hunter2" not in failed.reason
    assert failed.may_be_done is False


def faults() -> Iterator[Any]:
    gone = "127.0.0.1:1"
    yield "postgresql", f"postgresql+psycopg://u:hunter2@{gone}/d", "cannot be reached"
    yield "mariadb", f"mysql+pymysql://u:hunter2@{gone}/d", "cannot be reached"
    yield "postgresql", URLS["postgresql"].replace("/test", "/hunter2"), "no database of that name"
    yield "mariadb", URLS["mariadb"].replace("/test", "/hunter2"), "no database of that name"
    yield (
        "mariadb",
        URLS["mariadb"].replace("root@", "stranger:hunter2@"),
        "refuses the user or the password",
    )


@pytest.mark.parametrize(("name", "url", "words"), list(faults()))
def test_a_mistake_in_the_url_stops_the_start(name: str, url: str, words: str) -> None:
    """S8, S9: in one sentence, without the password."""
    sql_store(name)
    with pytest.raises(ConfigurationError) as refused:
        SQLStore(url, timeout=5).check()
    said = str(refused.value)
    assert words in said
    assert "hunter2" not in said.replace("/hunter2'", "")


def test_a_table_that_migrations_have_not_made_yet(server: str, store: SQLStore) -> None:
    """S5."""
    missing = SQLStore(URLS[server], table=f"{TABLE}_missing", create_table=False)
    with pytest.raises(ConfigurationError, match=r"documents_table\(metadata\)"):
        missing.check()


def test_a_table_of_a_later_release_is_refused(server: str, store: SQLStore) -> None:
    """S5."""
    with engine(server).begin() as connection:
        connection.execute(text(f"UPDATE {TABLE} SET body = '9' WHERE kind = 'schema'"))
    try:
        again = SQLStore(URLS[server], table=TABLE)
        with pytest.raises(ConfigurationError, match="version 9: install the release"):
            again.check()
    finally:
        with engine(server).begin() as connection:
            connection.execute(text(f"UPDATE {TABLE} SET body = '1' WHERE kind = 'schema'"))


def test_several_processes_may_create_the_table_at_once(server: str, store: SQLStore) -> None:
    """S5."""
    name = f"{TABLE}_new"
    stores = [SQLStore(URLS[server], table=name, timeout=20) for _ in range(6)]
    try:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda each: each.check(), stores))
        assert all(Asker(each).exchange(change(str(n), 0)) for n, each in enumerate(stores))
    finally:
        for each in stores:
            each.close()
        with engine(server).begin() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


def test_a_server_that_is_read_only(server: str, store: SQLStore) -> None:
    """S9: reads go on."""
    Asker(store).exchange(change("a", 0))
    if server == "postgresql":
        arguments: dict[str, Any] = {"options": "-c default_transaction_read_only=on"}
    else:
        arguments = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    own = create_engine(URLS[server], connect_args=arguments)
    reader = SQLStore(own, table=TABLE)
    assert Asker(reader).version("a") == 1
    failed = Asker(reader).ask(Exchange((change("a", 1),)))
    assert isinstance(failed, StoreFailed)
    assert "is read-only" in failed.reason
    own.dispose()


def test_the_table_may_be_in_a_schema() -> None:
    """Of the application's ``MetaData``, which may be given twice."""
    metadata = MetaData(schema="auth")
    assert documents_table(metadata) is documents_table(metadata)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "+05:30", "SYSTEM"])
def test_the_time_zone_of_a_session_changes_nothing(zone: str) -> None:
    """S3: an hour of local time comes twice a year."""
    sql_store("mariadb").close()
    own = create_engine(URLS["mariadb"])
    with own.connect() as connection:
        if "/" not in zone:
            connection.execute(text("SET SESSION time_zone = :zone"), {"zone": zone})
        found = connection.execute(_NOW["mariadb"]).scalar_one()
        assert abs(float(found) - time()) < 60
    own.dispose()


def test_migrations_make_the_same_table(server: str, store: SQLStore) -> None:
    """S5: with Alembic there is nothing left to change after the table was created."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    metadata = MetaData()
    documents_table(metadata, TABLE)
    with engine(server).connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name == TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_every_statement_finds_its_rows_by_an_index() -> None:
    """S4: on the server whose planner says so in short."""
    sql_store("postgresql").close()
    wanted = {
        "kind = 'k' AND name = 'a'": "Index Scan",
        "kind = 'k' AND group_name = 'g' AND name > 'a' ORDER BY name": f"{TABLE}_by_group",
        "kind = 'k' AND written_at >= 5 ORDER BY written_at, name": f"{TABLE}_by_writing",
        "expires_at <= 5": f"{TABLE}_by_expiry",
    }
    with engine("postgresql").connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        for condition, index in wanted.items():
            plan = connection.execute(text(f"EXPLAIN SELECT * FROM {TABLE} WHERE {condition}"))
            assert index in "\n".join(row[0] for row in plan)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (5, "must be a URL, an Engine or an AsyncEngine"),
        ("nothing", "is not a URL of SQLAlchemy"),
        ("oracle+nothing://u:hunter2@h/d", "does not know"),
        ("mysql+asyncmy://u:hunter2@h/d", "needs the driver asyncmy"),
        (create_engine("sqlite://"), "write connect('sqlite:///tokens.db')"),
    ],
)
def test_what_is_no_server_is_a_mistake(given: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SQLStore(given)
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user:top@s:hunter2@127.0.0.1/db",
        "mysql+pymysql://u:hunter2@127.0.0.1/d?foo=bar",
        "mysql+pymysql://u:hunter2@127.0.0.1/d?charset=nope",
        "mysql+pymysql://u:hunter2@127.0.0.1/d?read_timeout=x",
        "mysql+pymysql://u:hunter2@a..b/d",
    ],
)
def test_what_a_driver_raises_is_a_sentence(url: str) -> None:
    """S8: and no part of the password."""
    with pytest.raises(ConfigurationError) as refused:
        SQLStore(url, timeout=2).check()
    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None


def test_an_unknown_problem_is_said_without_its_text() -> None:
    class Odd(Exception):
        sqlstate = "XX000"

    assert fault_of(Odd("hunter2")).what == "refused the statement"


def test_several_documents_are_read_in_one_statement(store: SQLStore) -> None:
    Asker(store).exchange(change("a", 0), change("b", 0))
    found = Asker(store).ask(ReadSome((("k", "b"), ("k", "c"), ("k", "a"))))
    assert [each and each.name for each in found.documents] == ["b", None, "a"]
