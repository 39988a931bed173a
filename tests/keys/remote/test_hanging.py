"""Things that really hang: each caller is back when its own patience ends, and a process can end."""

import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jwt_middleware.errors import KeysUnavailable
from jwt_middleware.keys.remote.discovery import discovery_urls
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.pool_limits import MAX_STUCK, PoolLimit, PoolShare
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.testing import Clock, FakeIssuer, KeyPair
from tests.keys.publisher import ES256, SOON, Steady, aoutcome, landed, outcome
from tests.keys.web import NAME, web_of

# Short, so that a caller whose patience ends with it is soon back.
QUICK = ResolverOptions(timeout=0.02)

Resolved = Callable[[JWKSResolver, str], str]
BOTH_WORLDS = pytest.mark.parametrize(
    "resolved", [outcome, lambda *args: asyncio.run(aoutcome(*args))], ids=["sync", "async"]
)


class Stuck:
    """A fetcher that returns when it is let go, whatever time it was given."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.calls = 0

    def fetch(self, request: FetchRequest) -> FetchResponse:
        self.calls += 1
        self.let_go.wait()
        return FetchResponse(503)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    fetcher = Stuck()
    yield fetcher
    fetcher.let_go.set()
    landed()


def source_of(fetcher: Any, clock: Clock, **extra: Any) -> JWKSResolver:
    return JWKSResolver(
        "https://id.example/jwks.json",
        options=QUICK,
        fetcher=fetcher,
        clock=clock,
        rng=Steady(),
        **extra,
    )


@BOTH_WORLDS
def test_a_fetcher_that_never_returns_holds_nobody(
    resolved: Resolved, stuck: Stuck, clock: Clock
) -> None:
    """The caller is back although the fetcher still hangs, and the next attempt is made."""
    source = source_of(stuck, clock)

    assert resolved(source, "a") == "keys_unavailable"
    assert stuck.calls == 1
    assert source.health().is_fetching

    clock.tick(2)
    assert (source.health().stuck_fetches, source.health().is_fetching) == (1, False)
    assert resolved(source, "a") == "keys_unavailable"
    clock.tick(2)
    assert resolved(source, "a") == "keys_unavailable"
    assert stuck.calls == 2
    assert not stuck.let_go.is_set()


@BOTH_WORLDS
def test_a_host_whose_address_is_never_found_holds_nobody(
    resolved: Resolved, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up of an address has no time limit of its own, the usual outage of a cluster."""
    let_go, asked = threading.Event(), threading.Event()

    def look_up(*_: Any, **__: Any) -> Any:
        asked.set()
        let_go.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    source = source_of(HTTPFetcher(), clock)
    try:
        assert resolved(source, "a") == "keys_unavailable"
        assert asked.wait(SOON)
        clock.tick(2)
        assert source.health().stuck_fetches == 1
        # Neither a second fetcher nor the end of this one waits for the thread that hangs.
        source.close()
    finally:
        let_go.set()
        landed()
    assert source.health().stuck_fetches == 0


@BOTH_WORLDS
def test_a_server_that_accepts_and_never_answers_holds_nobody(
    resolved: Resolved, clock: Clock
) -> None:
    """The connection is made, and then there is nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = JWKSResolver(
            f"http://127.0.0.1:{server.getsockname()[1]}/jwks", options=QUICK, clock=clock
        )
        assert resolved(source, "a") == "keys_unavailable"
        landed()

    assert source.health().last_failure == "took too long"


def test_closing_a_fetcher_waits_for_no_file_of_authorities(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle of certificates may be on a share that hangs as well."""
    import httpx

    let_go, asked = threading.Event(), threading.Event()

    def read_bundle(**_: Any) -> Any:
        asked.set()
        let_go.wait()
        raise OSError("no such file")

    monkeypatch.setattr(httpx, "create_ssl_context", read_bundle)
    fetcher = HTTPFetcher()
    source = source_of(fetcher, clock)
    try:
        assert outcome(source, "a") == "keys_unavailable"
        assert asked.wait(SOON)
        fetcher.close()
        source.close()
    finally:
        let_go.set()
        landed()
    assert source.health().state == "closed"


def test_warming_is_over_in_time_and_says_what_hangs(stuck: Stuck, clock: Clock) -> None:
    """``warm`` has the same limits, whoever begins the fetch."""
    source = source_of(stuck, clock)

    with pytest.raises(KeysUnavailable, match="the fetch is not over"):
        source.warm(required=True)
    asyncio.run(source.awarm(timeout=0.01))

    assert stuck.calls == 1


def test_closing_and_opening_again_does_not_lose_count(stuck: Stuck, clock: Clock) -> None:
    """Each round leaves a thread behind, and the fifth begins none."""
    source = source_of(stuck, clock)
    for _ in range(6):
        source.warm(timeout=0)
        source.close()
        clock.tick(2)
    source.warm(timeout=0)

    assert stuck.calls == source.health().stuck_fetches == 4


def test_a_child_has_none_of_the_threads_that_hang(stuck: Stuck, clock: Clock) -> None:
    """They are the parent's, so they count for nothing after a fork."""
    source = source_of(stuck, clock, share=PoolShare(PoolLimit(1)))
    for _ in range(2):
        source.warm(timeout=0)
        clock.tick(2)
        with pytest.raises(KeysUnavailable):
            source.plan("a", ES256)
        clock.tick(2)
    source.warm(timeout=0)
    clock.tick(2)
    assert source.health().stuck_fetches == 3

    source.after_fork()

    assert source.health().stuck_fetches == 0


def test_the_threads_that_hang_are_limited_over_all_issuers_of_a_pool(
    stuck: Stuck, clock: Clock
) -> None:
    """Tokens can name one issuer after another, each with a host that hangs."""
    limit = PoolLimit()
    for _ in range(MAX_STUCK + 10):
        source_of(stuck, clock, share=PoolShare(limit)).warm(timeout=0)
        clock.tick(2)
    assert stuck.calls == MAX_STUCK
    # Those of another kind have a number of their own.
    proven = PoolShare(limit)
    proven.is_proven = True
    source_of(stuck, clock, share=proven).warm(timeout=0)
    assert stuck.calls == MAX_STUCK + 1

    stuck.let_go.set()
    landed()
    source_of(stuck, clock, share=PoolShare(limit)).warm()
    assert stuck.calls == MAX_STUCK + 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_process_ends_and_forks_although_fetches_hang() -> None:
    """Neither the exit of an interpreter nor a child waits for what hangs."""
    program = """
        import os, signal, sys, threading
        from jwt_middleware.keys.remote.options import ResolverOptions
        from jwt_middleware.keys.remote.resolver import JWKSResolver
        from jwt_middleware.errors import KeysUnavailable
        class Stuck:
            def fetch(self, request):
                threading.Event().wait()
        source = JWKSResolver("https://id.example/", fetcher=Stuck(),
                              options=ResolverOptions(timeout=0.02))
        def ask():
            try:
                source.warm(required=True)
            except KeysUnavailable:
                print("unavailable", flush=True)
        ask()
        if (child := os.fork()) == 0:
            signal.alarm(8)
            ask()
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["unavailable", "unavailable", "0"]


def test_a_discovery_that_hangs_leaves_the_address_that_is_known(clock: Clock) -> None:
    """The document is due again and hangs: the next fetch goes to the key set all the same."""
    web, let_go = web_of(KeyPair.generate("ES256", "a")), threading.Event()
    oidc, _ = discovery_urls(NAME)
    is_hanging = False

    class HangingDiscovery:
        def fetch(self, request: FetchRequest) -> FetchResponse:
            if is_hanging and request.url == oidc:
                let_go.wait()
            return web.fetch(request)

    options = ResolverOptions(timeout=0.02, discovery_lifetime=1)
    source = JWKSResolver(issuer=NAME, fetcher=HangingDiscovery(), options=options, clock=clock)
    source.warm(required=True)
    is_hanging = True
    try:
        clock.tick(5_000)
        assert outcome(source, "a") == "keys_unavailable"
        clock.tick(2)
        assert outcome(source, "a") == "keys_unavailable"
        clock.tick(2)

        assert outcome(source, "a") == "found"
        assert source.health().stuck_fetches == 1
    finally:
        let_go.set()
        landed()


def test_a_look_up_that_comes_back_late_is_of_use(clock: Clock) -> None:
    """What hung and then worked brings the keys, without another fetch."""
    with FakeIssuer(["ES256"]) as issuer:
        inner, let_go = HTTPFetcher(), threading.Event()

        class Late:
            def fetch(self, request: FetchRequest) -> FetchResponse:
                let_go.wait(SOON)
                return inner.fetch(FetchRequest(issuer.jwks_uri, SOON, request.max_bytes))

        source = source_of(Late(), clock)
        assert outcome(source, "a") == "keys_unavailable"
        clock.tick(2)
        let_go.set()
        landed()

        assert source.has(issuer.key.kid, ES256)
