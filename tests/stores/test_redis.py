"""Redis: races, servers that fail, a cluster, clients of the application; S1 to S9."""

import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, time
from typing import Any

import pytest
import redis
import redis.asyncio

from jwt_middleware import ConfigurationError
from jwt_middleware.issuing import KeyRing, Minter, TokenPairs
from jwt_middleware.revocation import RevocationList
from jwt_middleware.stores import StoreFailed, connect
from jwt_middleware.stores.contract import ABSENT, Exchange, Read, ReadGroup, Unchanged
from jwt_middleware.stores.redis import RedisStore
from tests.provider.real import lacking
from tests.stores.asking import Asker, change, count, increment
from tests.stores.servers import PREFIX, REDIS, redis_client, redis_store
from tests.support.forking import in_a_child

pytestmark = pytest.mark.service


@pytest.fixture
def store() -> Iterator[RedisStore]:
    made = redis_store()
    yield made
    made.close()


def test_times_are_those_of_the_server(store: RedisStore) -> None:
    """S3."""
    asker = Asker(store)
    asker.exchange(change("a", 0, expires_at=time() + 3600))
    found = asker.ask(Read("k", "a"))
    assert found.document.written_at <= found.now
    assert abs(found.now - time()) < 60


def test_writers_of_one_document_follow_each_other(store: RedisStore) -> None:
    """S2."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: increment(store, "n"), range(80)))
    assert count([Asker(store)], "n") == {80}


def test_nothing_is_created_behind_a_document_that_must_be_absent(store: RedisStore) -> None:
    """S2."""
    for number in range(20):
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


def test_an_exchange_that_is_sent_twice_is_done_once_and_said_twice(store: RedisStore) -> None:
    """As by a client of the application that repeats what had no answer."""
    arguments = ["", "id", "k", "a", 0, "write", b"x", "", ""]
    script = store._scripts["exchange"]
    first, again = (script(keys=[store._key], args=arguments) for _ in range(2))
    assert (first[1], again[1]) == (1, 1)
    assert Asker(store).version("a") == 1
    assert not Asker(store).exchange(change("a", 0))


def test_what_has_expired_leaves_nothing_behind(store: RedisStore) -> None:
    """S4: neither in a group nor in what was written."""
    asker = Asker(store)
    for number in range(30):
        asker.exchange(change(str(number), 0, group="g", expires_at=time() - 1))
    for number in range(5):
        asker.exchange(change("b", number))
    asker.exchange(change("b", 5, None))
    left = {key.decode() for key in redis_client().scan_iter(f"{{{PREFIX}}}*")}
    assert left == {f"{{{PREFIX}}}:last"}


def test_a_forked_child_opens_connections_of_its_own(store: RedisStore) -> None:
    """S6."""
    Asker(store).exchange(change("a", 0))

    def child() -> None:
        assert Asker(store).exchange(change("a", 1))

    assert in_a_child(child) == 0
    assert Asker(store).version("a") == 2


def test_a_client_of_the_application_is_used(store: RedisStore) -> None:
    """Also one that decodes what it reads, as far as bodies are text."""
    for decodes in (False, True):
        client = redis.Redis.from_url(REDIS, decode_responses=decodes)
        again = connect(client, prefix=PREFIX)
        version = Asker(again).version("a")
        assert Asker(again).exchange(change("a", version, b'{"a": 1}', group="ä"))
        found = Asker(again).read("a")
        assert found is not None
        assert (found.body, found.group) == (b'{"a": 1}', "ä")
        client.close()


async def test_an_asynchronous_client_is_used_from_its_own_loop() -> None:
    redis_store().close()
    client = redis.asyncio.Redis.from_url(REDIS)
    again = RedisStore(client, prefix=PREFIX)
    asked = await again.aanswer(Exchange((change("a", 0),)), monotonic() + 20)
    assert asked.is_done  # type: ignore[union-attr]
    refused = again.answer(Read("k", "a"), monotonic() + 20)
    assert isinstance(refused, StoreFailed)
    assert "asynchronous client, which a blocking call cannot use" in refused.reason
    await again.aclose()


def test_loops_come_and_go(store: RedisStore) -> None:
    """S6."""

    async def read() -> Any:
        return await store.aanswer(Read("k", "a"), monotonic() + 20)

    Asker(store).exchange(change("a", 0))
    for _ in range(3):
        assert asyncio.run(read()).document.version == 1


def free_port() -> int:
    """Return a port that is free, as the one that is 10,000 above it is, for the bus of a cluster."""
    while True:
        with socket.socket() as found, socket.socket() as bus:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
            with suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10_000))
                return port


@contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """Run a server of the test's own; give its port."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("redis-server is not installed, and servers of its own are what this is about")
        return
    port = free_port()
    folder.mkdir()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--loglevel", "warning", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        ends_at = monotonic() + 20
        while monotonic() < ends_at:
            try:
                client.ping()
                break
            except redis.AuthenticationError:
                break
            except redis.ConnectionError:
                threading.Event().wait(0.02)
        client.close()
        yield port
    finally:
        process.kill()
        process.wait()


def test_a_server_that_restarts_is_reached_again(tmp_path: Path) -> None:
    """S1. Meanwhile each statement is a failure that says what is wrong."""
    with server(tmp_path / "a") as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0")
        assert Asker(store).exchange(change("a", 0))
    failed = Asker(store).ask(Exchange((change("a", 1),)))
    assert isinstance(failed, StoreFailed)
    assert "cannot be reached" in failed.reason
    store.close()


def test_a_server_that_is_paused_is_given_up(tmp_path: Path) -> None:
    """S9: by the deadline; what was sent may have been done."""
    with server(tmp_path / "a") as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0", timeout=20)
        assert Asker(store).exchange(change("a", 0))
        other = redis.Redis(port=port)
        other.client_pause(3_000)
        before = monotonic()
        for way in ("blocking", "awaiting"):
            failed = Asker(store, way).ask(Exchange((change("a", 1),)), 0.3)
            assert isinstance(failed, StoreFailed)
            assert ("in time" in failed.reason, failed.may_be_done) == (True, True)
        assert monotonic() - before < 10
        other.client_unpause()
        assert Asker(store).version("a") >= 1
        store.close()
        other.close()


@pytest.mark.parametrize(
    ("options", "user", "words"),
    [
        (["--requirepass", "right"], ":hunter2@", "wants another user or password"),
        (["--requirepass", "right"], "", "wants another user or password"),
        (["--maxmemory", "1"], "", "raise maxmemory"),
        (["--min-replicas-to-write", "1"], "", "has fewer replicas"),
    ],
)
def test_a_server_that_refuses(tmp_path: Path, options: list[str], user: str, words: str) -> None:
    """S8, S9: in one sentence, without the password, and surely nothing was done."""
    with server(tmp_path / "a", *options) as port:
        store = RedisStore(f"redis://{user}127.0.0.1:{port}/0")
        failed = Asker(store).ask(Exchange((change("a", 0),)))
        assert isinstance(failed, StoreFailed)
        assert words in failed.reason
        assert "hunter2" not in failed.reason
        assert failed.may_be_done is False
        store.close()


def test_a_replica_can_only_be_read(tmp_path: Path) -> None:
    with server(tmp_path / "a") as port:
        client = redis.Redis(port=port)
        client.config_set("replica-read-only", "yes")
        client.replicaof("127.0.0.1", str(free_port()))
        store = RedisStore(f"redis://127.0.0.1:{port}/0")
        failed = Asker(store).ask(Exchange((change("a", 0),)))
        assert isinstance(failed, StoreFailed)
        assert "is read-only: name the primary" in failed.reason or "primary" in failed.reason
        store.close()
        client.close()


def _until_up(port: int) -> None:
    """Wait until a node knows that all slots of its cluster are served."""
    with redis.Redis(port=port, decode_responses=True) as node:
        ends_at = monotonic() + 20
        while node.cluster("info").get("cluster_state") != "ok":
            assert monotonic() < ends_at
            threading.Event().wait(0.02)


@pytest.mark.slow
def test_a_cluster_of_three_keeps_everything(tmp_path: Path) -> None:
    """S2: logins, rings and revocations, each in exchanges of several documents."""
    with ExitStack() as running:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "3000")
        ports = [running.enter_context(server(tmp_path / str(n), *options)) for n in range(3)]
        nodes = [f"127.0.0.1:{port}" for port in ports]
        command = ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
        for port in ports:
            _until_up(port)
        store = connect(f"redis+cluster://{nodes[0]}")
        pairs = TokenPairs(Minter(KeyRing(store), issuer="x", audience="a"), store)
        first = pairs.issue("alice")
        assert pairs.refresh(first.refresh_token).sid == first.sid
        pairs.issue("alice")
        pairs.revoke_subject("alice")
        assert pairs.families("alice") == ()
        revocations = RevocationList(store, on_lag="refuse")
        revocations.revoke_session("x", first.sid)
        assert revocations.follower.read()
        revocations.close()
        store.close()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (5, "must be a URL or a client of redis-py"),
        ("redis://h:port/0", "is not a URL of Redis"),
        ("redis+sentinel://h:port/service", "is not a URL of Redis"),
        ("redis+cluster://127.0.0.1:1", "cannot be reached"),
    ],
)
def test_what_is_no_server_is_a_mistake(given: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RedisStore(given)
    assert says in str(refused.value)


def test_a_sentinel_that_is_away_is_a_failure() -> None:
    """Nothing is asked before the first statement."""
    store = connect("redis+sentinel://:hunter2@127.0.0.1:1/primary/0", timeout=0.5)
    failed = Asker(store).ask(Read("k", "a"))
    assert isinstance(failed, StoreFailed)
    assert "hunter2" not in failed.reason
    with pytest.raises(ConfigurationError, match="RedisStore"):
        store.check()  # type: ignore[attr-defined]


@pytest.mark.parametrize("prefix", ["{a}", "a b", "", "a:b"])
def test_a_prefix_that_would_be_another_tag_is_a_mistake(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix="):
        RedisStore(REDIS, prefix=prefix)


def test_a_group_is_read_past_what_has_left_it(store: RedisStore) -> None:
    asker = Asker(store)
    for number in range(450):
        asker.exchange(change(f"{number:03}", 0, group="g"))
    for number in range(440):
        asker.exchange(change(f"{number:03}", 1, group=None))
    found = asker.ask(ReadGroup("k", "g", 5)).documents
    assert [each.name for each in found] == ["440", "441", "442", "443", "444"]
