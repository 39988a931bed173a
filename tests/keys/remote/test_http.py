"""Fetching over real HTTP, from servers that behave and from servers that do not."""

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from jwt_middleware.errors import ConfigurationError, KeysUnavailable
from jwt_middleware.keys.document import Rejected
from jwt_middleware.keys.remote import discovery
from jwt_middleware.keys.remote.http import (
    FetchRequest,
    FetchResponse,
    HTTPFetcher,
    _Call,
    _unzipped,
)
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.testing import Answer, Clock, FakeIssuer, KeyPair
from jwt_middleware.testing.issuer import JWKS_PATH, OIDC_PATH
from jwt_middleware.testing.misbehaviour import (
    bomb,
    dripping,
    dripping_headers,
    maintenance,
    redirected,
    truncated,
    zipped,
)
from tests.keys.publisher import Publisher, Steady, outcome, resolve, resolver_of
from tests.keys.web import NAME, web_of

MAX_BYTES = 262_144


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(["ES256"]) as issuer:
        yield issuer


@pytest.fixture
def remote(issuer: FakeIssuer, clock: Clock) -> Iterator[JWKSResolver]:
    resolver = JWKSResolver(issuer.jwks_uri, clock=clock, rng=Steady())
    yield resolver
    resolver.close()


def kid_of(issuer: FakeIssuer) -> str:
    assert issuer.key.kid is not None
    return issuer.key.kid


def body_of(issuer: FakeIssuer) -> bytes:
    return json.dumps(issuer.jwks()).encode()


def fetch(url: str, seconds: float = 5, fetcher: HTTPFetcher | None = None) -> FetchResponse:
    return (fetcher or HTTPFetcher()).fetch(FetchRequest(url, seconds, MAX_BYTES))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(status: int) -> None:
    """A redirect is an error; its destination is never asked (P41)."""
    with FakeIssuer(["ES256"]) as issuer, FakeIssuer(["ES256"]) as elsewhere:
        issuer.answers[JWKS_PATH] = redirected(elsewhere.jwks_uri, status)
        resolver = JWKSResolver(issuer.jwks_uri)

        assert outcome(resolver, "a") == "keys_unavailable"
        assert not elsewhere.requests


def test_redirects_are_not_followed_by_a_client_that_would(issuer: FakeIssuer) -> None:
    """Even a client of one's own that follows redirects does not (P41)."""
    issuer.answers[JWKS_PATH] = redirected("/elsewhere")
    with httpx.Client(follow_redirects=True) as client:
        assert fetch(issuer.jwks_uri, fetcher=HTTPFetcher(client)).status == 302

    assert issuer.requests["/elsewhere"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/jwks",
        "http://10.0.0.1/jwks",
        "file:///etc/passwd",
        "ftp://id.example/jwks",
        "data:application/json,{}",
        "https://user:word@id.example/",
        "https://user@id.example/",
        "https://@id.example/",
        "https://",
        "https:///jwks",
        "https://id.example/#part",
        "https://id.example:port/",
        "https://id.example/a b",
        "https://id.example/\r\nX: y",
        "https://id.example\\@evil.example/",
        "https://[::1",
        "https://id.\u00e9xample/",
        "//id.example/jwks",
        "id.example",
        "",
        None,
        7,
    ],
)
@pytest.mark.parametrize("setting", ["jwks_uri", "issuer"])
def test_an_address_that_keys_must_not_come_from_is_refused(setting: str, url: Any) -> None:
    """Only https, plain addresses, or this machine: anything else fails at construction (P42)."""
    with pytest.raises(ConfigurationError, match=f"^({setting}|issuer)="):
        JWKSResolver(**{setting: url})


@pytest.mark.parametrize(
    "url", ["http://localhost/jwks", "http://127.0.0.1:8000/", "http://127.9.9.9/", "http://[::1]/"]
)
def test_this_machine_may_be_asked_without_tls(url: str) -> None:
    """Loopback needs no TLS, and by permission nobody does (P42)."""
    JWKSResolver(url)
    JWKSResolver("http://id.example/", options=ResolverOptions(allow_http=True))


@pytest.mark.parametrize(
    "uri",
    [
        "http://id.example/jwks",
        "file:///etc/passwd",
        "https://user:word@id.example/",
        "https://id.example/#x",
        "",
        None,
        7,
        ["https://id.example"],
    ],
)
def test_a_discovered_address_is_held_to_the_same_rules(uri: Any) -> None:
    """What discovery names is checked like what is configured (P42)."""
    publisher = Publisher("a")
    document = {"issuer": "https://id.example", "jwks_uri": uri}
    publisher.response = FetchResponse(200, {}, json.dumps(document).encode())
    source = JWKSResolver(issuer="https://id.example", fetcher=publisher)

    assert outcome(source, "a") == "keys_unavailable"
    assert {request.url for request in publisher.requests} == {
        "https://id.example/.well-known/openid-configuration",
        "https://id.example/.well-known/oauth-authorization-server",
    }


def test_a_bomb_is_stopped_at_its_decoded_size(issuer: FakeIssuer) -> None:
    """A few kilobytes that unfold to megabytes are cut at the decoded limit (P43)."""
    issuer.answers[JWKS_PATH] = bomb()

    with pytest.raises(Rejected, match="too large"):
        fetch(issuer.jwks_uri)


def test_a_bomb_is_never_unfolded_further_than_that() -> None:
    """Decoding stops one byte beyond the limit, not after the fact (P43)."""
    chunks = _unzipped(iter([bomb(8).body]), 1_000)

    assert len(next(chunks)) == 1_001
    with pytest.raises(Rejected, match="too large"):
        next(chunks)


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "after its end": (gzip.compress(b"{}", mtime=0), b" " * 1_000),
    "members of nothing": (gzip.compress(b"{}", mtime=0), gzip.compress(b"", mtime=0)),
    # RFC 1952 §2.3.1: a file name ends with a zero byte, or never.
    "a name in its header": (b"\x1f\x8b\x08\x08" + bytes(6), b"n" * 1_000),
    # RFC 1951 §3.2.4: a stored block of no bytes that is not the last one.
    "empty blocks": (b"\x1f\x8b\x08\x00" + bytes(6), b"\x00\x00\x00\xff\xff" * 200),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_unfolds_to_nothing_is_counted_as_it_comes(kind: str) -> None:
    """An answer that says little and goes on for ever is cut, and none of it is kept (P43)."""
    first, then = ENDLESS[kind]
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield first
        while True:
            taken += len(then)
            yield then

    with pytest.raises(Rejected):
        for _ in _unzipped(chunks(), 10_000):
            pass

    assert taken <= 20_000


def test_a_large_body_is_cut_whatever_its_announced_length(issuer: FakeIssuer) -> None:
    """What counts is what comes, in chunks or announced small (P43)."""
    issuer.answers[JWKS_PATH] = Answer(200, b" " * (MAX_BYTES + 1))
    with pytest.raises(Rejected, match="too large"):
        fetch(issuer.jwks_uri)
    issuer.answers[JWKS_PATH] = Answer(200, b" " * MAX_BYTES)
    assert len(fetch(issuer.jwks_uri).body) == MAX_BYTES


def test_a_compressed_document_is_read(issuer: FakeIssuer, remote: JWKSResolver) -> None:
    """gzip is understood, as servers use it unasked (P43)."""
    issuer.answers[JWKS_PATH] = zipped(body_of(issuer))

    assert outcome(remote, kid_of(issuer)) == "found"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"x"),
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(b"{}" * 1000, mtime=0)[:-9]),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
        ("deflate", b"x"),
    ],
)
def test_an_encoding_that_is_broken_or_was_not_asked_for_is_refused(
    issuer: FakeIssuer, encoding: str, body: bytes
) -> None:
    """What cannot be decoded within bounds is no document (P43)."""
    issuer.answers[JWKS_PATH] = Answer(200, body, {"Content-Encoding": encoding})

    with pytest.raises(Rejected):
        fetch(issuer.jwks_uri)


@pytest.mark.parametrize(
    "answer",
    [dripping(b" " * 5_000), dripping_headers(), dripping(b" " * 5_000, pause=2.0)],
    ids=["body", "headers", "one long pause"],
)
def test_a_trickle_ends_at_the_total_time(issuer: FakeIssuer, answer: Answer) -> None:
    """A server that sends byte by byte is cut when the time is up, mid-read too (P44)."""
    issuer.answers[JWKS_PATH] = answer
    began = time.monotonic()

    with pytest.raises(Rejected, match="took too long"):
        fetch(issuer.jwks_uri, seconds=0.3)

    assert time.monotonic() - began < 1.5


def test_a_server_that_never_answers_is_left(issuer: FakeIssuer) -> None:
    """A connection that is accepted and never answered is cut when the time is up (P44)."""
    # The first fetch of a process imports the client, which may take longer than the time below.
    fetch(issuer.jwks_uri)
    issuer.gate.clear()
    began = time.monotonic()

    with pytest.raises(Rejected, match="took too long"):
        fetch(issuer.jwks_uri, seconds=0.4)

    assert time.monotonic() - began < 1.5
    assert issuer.requests[JWKS_PATH] == 2


def test_a_content_type_is_not_required(issuer: FakeIssuer, remote: JWKSResolver) -> None:
    """Google's IAP serves its keys as HTML: the text decides, not its label (P45)."""
    issuer.answers[JWKS_PATH] = Answer(200, body_of(issuer), {"Content-Type": "text/html"})

    assert outcome(remote, kid_of(issuer)) == "found"


def test_a_page_for_people_is_no_key_set(issuer: FakeIssuer, remote: JWKSResolver) -> None:
    """A maintenance page with status 200 is refused by reading it (P45)."""
    issuer.answers[JWKS_PATH] = maintenance()

    assert outcome(remote, kid_of(issuer)) == "keys_unavailable"
    assert remote.health().last_failure == "not JSON"


UNCACHED: dict[str, dict[str, str]] = {
    "no-store": {"cache-control": "no-store"},
    "no-cache": {"cache-control": "private, no-cache"},
    "max-age=0": {"cache-control": "max-age=0"},
    "garbage": {"cache-control": "max-age=soon"},
    "negative": {"cache-control": "max-age=-5"},
    "an Age beyond max-age": {"cache-control": "max-age=100", "age": "1000"},
    "Expires in the past": {"expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
    "Expires of zero": {"expires": "0"},
    "the least of several": {"cache-control": "max-age=500, max-age=1"},
    "capitals": {"cache-control": "NO-STORE"},
}


@pytest.mark.parametrize("kind", UNCACHED)
def test_no_header_makes_us_ask_more_than_once_a_minute(
    kind: str, publisher: Publisher, clock: Clock
) -> None:
    """Twenty calls in a minute are one fetch, whatever Cache-Control says; then it renews (P46)."""
    publisher.headers = UNCACHED[kind]
    source = resolver_of(publisher, clock)
    for _ in range(20):
        assert outcome(source, "a") == "found"
        clock.tick(2.9)
    assert publisher.fetches == 1
    assert source.snapshot is not None
    assert source.snapshot.hard_at < clock.monotonic() + 60


@pytest.mark.parametrize(
    ("headers", "soft", "hard"),
    [
        ({}, 300, 600),
        ({"cache-control": "max-age=2592000"}, 300, 600),
        ({"cache-control": "public"}, 300, 600),
        ({"cache-control": "max-age=400"}, 300, 400),
        ({"cache-control": 'max-age="200"'}, 160, 200),
        ({"cache-control": "public, max-age=3000", "age": "1358"}, 300, 600),
        ({"cache-control": "max-age=250", "age": "50"}, 160, 200),
        ({"cache-control": "max-age=200", "age": "soon"}, 160, 200),
        (
            {
                "expires": "Sun, 06 Nov 1994 08:52:57 GMT",
                "date": "Sun, 06 Nov 1994 08:49:37 GMT",
            },
            160,
            200,
        ),
    ],
)
def test_cache_control_shortens_and_never_lengthens(
    publisher: Publisher, clock: Clock, headers: dict[str, str], soft: float, hard: float
) -> None:
    """A stated lifetime brings renewals forward; thirty days extend nothing (P46)."""
    publisher.headers = headers
    source = resolver_of(publisher, clock)
    source.warm()

    assert source.snapshot is not None
    assert source.snapshot.soft_at - clock.monotonic() == pytest.approx(soft)
    assert source.snapshot.hard_at - clock.monotonic() == pytest.approx(hard)


def test_a_stated_lifetime_may_lengthen_by_permission(publisher: Publisher, clock: Clock) -> None:
    """``trusted_max_age`` lets an issuer be asked less often, up to that bound (P46)."""
    publisher.headers = {"cache-control": "max-age=86400"}
    source = resolver_of(publisher, clock, trusted_max_age=3600)
    source.warm()

    assert source.snapshot is not None
    assert source.snapshot.hard_at - clock.monotonic() == pytest.approx(3600)
    assert source.snapshot.soft_at - clock.monotonic() == pytest.approx(1800)


def test_an_etag_makes_the_next_fetch_conditional(
    issuer: FakeIssuer, remote: JWKSResolver, clock: Clock
) -> None:
    """The second fetch carries the tag of the first; 304 renews the set (P47)."""
    before = resolve(remote, kid_of(issuer))
    clock.tick(601)
    after = resolve(remote, kid_of(issuer))

    assert after == before
    assert remote.health().state == "fresh"
    conditions = [asked.headers.get("if-none-match") for asked in issuer.asked]
    assert conditions[0] is None
    assert conditions[1] is not None
    issuer.rotate()
    clock.tick(601)
    assert outcome(remote, kid_of(issuer)) == "found"


def test_a_date_makes_the_next_fetch_conditional(publisher: Publisher, clock: Clock) -> None:
    """Without a tag, ``Last-Modified`` is the condition (P47)."""
    publisher.headers = {"last-modified": "Sun, 06 Nov 1994 08:49:37 GMT"}
    source = resolver_of(publisher, clock)
    source.warm()
    clock.tick(601)
    resolve(source, "a")

    assert publisher.requests[1].headers()["If-Modified-Since"] == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_a_condition_is_only_for_the_address_that_it_is_of(clock: Clock) -> None:
    """When the set moves, the tag of the old address goes nowhere (P47)."""
    key = KeyPair.generate("ES256", "k")
    web = web_of(key)
    web.answers[f"{NAME}/keys"] = replace(web.answers[f"{NAME}/keys"], headers={"etag": '"1"'})
    requests: dict[str, FetchRequest] = {}

    class Recording:
        def fetch(self, request: FetchRequest) -> FetchResponse:
            requests[request.url] = request
            return web.fetch(request)

    source = JWKSResolver(issuer=NAME, fetcher=Recording(), clock=clock)
    assert outcome(source, "k") == "found"
    web.put(discovery.discovery_urls(NAME)[0], {"issuer": NAME, "jwks_uri": f"{NAME}/moved"})
    web.put(f"{NAME}/moved", {"keys": [key.jwk]})
    clock.tick(601)
    outcome(source, "k")
    assert requests[f"{NAME}/keys"].etag == '"1"'
    clock.tick(43_201)

    assert outcome(source, "k") == "found"
    assert requests[f"{NAME}/moved"].etag is None


def test_a_fetcher_that_does_not_count_is_counted_for(publisher: Publisher, clock: Clock) -> None:
    """Whatever brings the answer, one that is too large is not read (P43)."""
    source = resolver_of(publisher, clock, max_bytes=len(publisher.document) - 1)
    assert outcome(source, "a") == "keys_unavailable"
    assert source.health().last_failure == "too large"

    exact = resolver_of(publisher, clock, max_bytes=len(publisher.document))
    assert outcome(exact, "a") == "found"


def test_304_out_of_nowhere_is_an_error(source: JWKSResolver, publisher: Publisher) -> None:
    """304 without a set to compare is no answer (P47)."""
    publisher.response = FetchResponse(304)

    assert outcome(source, "a") == "keys_unavailable"
    assert source.health().last_failure == "the key set answered 304"


def test_a_request_says_what_it_accepts_and_who_asks(
    issuer: FakeIssuer, remote: JWKSResolver, clock: Clock
) -> None:
    """Accept names key sets, the product names itself, and cookies are not kept (P48)."""
    issuer.headers["Set-Cookie"] = "session=1"
    outcome(remote, kid_of(issuer))
    clock.tick(601)
    outcome(remote, kid_of(issuer))

    assert len(issuer.asked) == 2
    for asked in issuer.asked:
        assert asked.headers["accept"] == "application/jwk-set+json, application/json;q=0.9"
        assert asked.headers["user-agent"] == "asgi-wsgi-jwt"
        assert "cookie" not in asked.headers


def test_a_client_of_ones_own_asks(issuer: FakeIssuer, clock: Clock) -> None:
    """A user's own client is asked with, and stays the user's to close (P48)."""
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=body_of(issuer), headers={"ETag": '"1"'})

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        source = JWKSResolver("https://id.example/k", fetcher=HTTPFetcher(client), clock=clock)
        assert outcome(source, kid_of(issuer)) == "found"
        source.close()
        assert not client.is_closed
    assert str(seen[0].url) == "https://id.example/k"


def test_header_fields_may_be_added_at_each_fetch(issuer: FakeIssuer) -> None:
    """A bearer token for the fetch may come from a file that changes, as in Kubernetes (P48)."""
    tokens = iter(["one", "two"])
    fetcher = HTTPFetcher(headers=lambda: {"Authorization": f"Bearer {next(tokens)}"})
    fetch(issuer.jwks_uri, fetcher=fetcher)
    fetch(issuer.jwks_uri, fetcher=fetcher)
    fetch(issuer.jwks_uri, fetcher=HTTPFetcher(headers={"X-Key": "v"}))

    assert [asked.headers.get("authorization") for asked in issuer.asked] == [
        "Bearer one",
        "Bearer two",
        None,
    ]
    assert issuer.asked[2].headers["x-key"] == "v"


def test_a_proxy_may_be_named(issuer: FakeIssuer) -> None:
    """A proxy is asked in place of the host (P48)."""
    fetcher = HTTPFetcher(proxy=issuer.url)
    answer = fetch("http://keys.invalid/jwks.json", fetcher=fetcher)

    assert answer.status == 404
    assert issuer.asked[0].headers["host"] == "keys.invalid"


@pytest.mark.parametrize("trusts", [True, False])
def test_the_environments_proxy_may_be_ignored(
    trusts: bool, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies of the environment count unless ``trust_env`` says no (P48)."""
    with FakeIssuer(["ES256"]) as proxy:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        fetch(issuer.jwks_uri, fetcher=HTTPFetcher(trust_env=trusts))

        assert (len(proxy.asked), len(issuer.asked)) == ((1, 0) if trusts else (0, 1))


def test_certificates_are_held_against_what_one_gives(issuer: FakeIssuer) -> None:
    """An SSL context of one's own is used, for a private authority (P48)."""
    context = ssl.create_default_context()
    fetcher = HTTPFetcher(verify=context)
    with pytest.raises(Rejected, match="no answer"):
        fetch(issuer.jwks_uri.replace("http:", "https:"), fetcher=fetcher)

    assert fetcher._settings["verify"] is context


def test_a_broken_connection_is_tried_once_more(issuer: FakeIssuer, remote: JWKSResolver) -> None:
    """A body that breaks off is asked for again at once, inside the same fetch."""
    body = body_of(issuer)
    issuer.answers[JWKS_PATH] = iter([truncated(body), Answer(200, body)])

    assert outcome(remote, kid_of(issuer)) == "found"
    assert issuer.requests[JWKS_PATH] == 2


def test_a_connection_that_stays_broken_is_tried_twice(
    issuer: FakeIssuer, remote: JWKSResolver
) -> None:
    """There is one retry and no more, and the text of the failure stays inside."""
    issuer.answers[JWKS_PATH] = truncated(body_of(issuer))
    with pytest.raises(KeysUnavailable) as refused:
        resolve(remote, "a")

    assert issuer.requests[JWKS_PATH] == 2
    assert "no answer (RemoteProtocolError)" in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_refused_connection_is_told_in_a_word() -> None:
    """Nobody listening is ``ConnectError``, without the address."""
    with FakeIssuer(["ES256"]) as issuer:
        url = issuer.jwks_uri
    with pytest.raises(Rejected) as refused:
        fetch(url)

    assert refused.value.reason == "no answer (ConnectError)"


def test_closing_cuts_what_is_under_way(issuer: FakeIssuer) -> None:
    """A fetch that hangs ends when its fetcher is closed."""
    issuer.gate.clear()
    fetcher = HTTPFetcher()
    reasons: list[str] = []

    def hang() -> None:
        try:
            fetch(issuer.jwks_uri, 30, fetcher)
        except Rejected as rejected:
            reasons.append(rejected.reason)

    thread = threading.Thread(target=hang)
    thread.start()
    assert issuer.arrived.wait(10)
    fetcher.close()
    thread.join(10)

    assert reasons == ["took too long"]
    assert not fetcher._calls


def test_a_connection_that_opens_after_the_end_is_cut(issuer: FakeIssuer) -> None:
    """A fetch that is cut while it connects does not go on to read."""
    call = _Call(time.monotonic() + 5)
    ours, theirs = socket.socketpair()

    class Stream:
        def get_extra_info(self, name: str) -> socket.socket:
            return ours

    with ours, theirs:
        call.cut()
        call.trace("connection.connect_tcp.complete", {"return_value": Stream()})
        assert theirs.recv(1) == b""
    assert call.is_over()


def test_a_connection_that_shows_no_socket_is_left_alone() -> None:
    """A transport of one's own may have none."""
    call = _Call(time.monotonic() + 5)

    class Stream:
        def get_extra_info(self, name: str) -> None:
            return None

    call.trace("connection.connect_tcp.complete", {"return_value": Stream()})

    assert call._sockets == []


def test_a_body_is_not_read_beyond_the_time(issuer: FakeIssuer) -> None:
    """Whatever comes after the time is up is not taken (P44)."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"{}"))
    with httpx.Client(transport=transport) as client, pytest.raises(Rejected, match="too long"):
        fetch(issuer.jwks_uri, seconds=0, fetcher=HTTPFetcher(client))


def test_discovery_leaves_no_time_for_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovery and key set share one time; what is left may be nothing (P44)."""
    publisher = Publisher("a")
    readings = iter([0.0, 0.0, 6.0, 6.0])
    monkeypatch.setattr(discovery, "monotonic", lambda: next(readings))
    source = JWKSResolver(issuer="https://id.example", fetcher=publisher)

    assert outcome(source, "a") == "keys_unavailable"
    assert publisher.fetches == 1


def test_an_issuer_with_a_path_is_discovered_in_both_ways() -> None:
    """OIDC appends the well-known path, RFC 8414 inserts it; either serves (P58)."""
    with FakeIssuer(["ES256"], path="/tenant") as issuer:
        assert outcome(JWKSResolver(issuer=issuer.url), kid_of(issuer)) == "found"
        assert issuer.requests["/tenant" + OIDC_PATH] == 1
        issuer.answers["/tenant" + OIDC_PATH] = Answer(404)
        assert outcome(JWKSResolver(issuer=issuer.url), kid_of(issuer)) == "found"
        assert issuer.requests["/.well-known/oauth-authorization-server/tenant"] == 1


def coded(status: int, body: bytes = b"", **fields: str) -> Answer:
    """Return an answer that says its body is gzip, whatever that is."""
    return Answer(status, body, {"Content-Encoding": "gzip", **fields})


def test_304_renews_whatever_encoding_it_repeats(
    issuer: FakeIssuer, remote: JWKSResolver, clock: Clock
) -> None:
    """It has no content (RFC 9110 §15.4.5), so there is nothing to decode."""
    body = gzip.compress(body_of(issuer))
    issuer.answers[JWKS_PATH] = coded(200, body, ETag='"1"')
    first = resolve(remote, kid_of(issuer))
    issuer.answers[JWKS_PATH] = coded(304, ETag='"1"')
    clock.tick(601)

    assert resolve(remote, kid_of(issuer))[0] is first[0]
    assert remote.health().failures == 0
    assert remote.health().age == 0


@pytest.mark.parametrize("status", [404, 410])
def test_a_set_that_has_moved_is_found_whatever_encoding_is_named(
    issuer: FakeIssuer, clock: Clock, status: int
) -> None:
    """Of an answer that there is nothing, nothing is decoded: where to is looked up again."""
    source = JWKSResolver(issuer=issuer.url, clock=clock, rng=Steady())
    resolve(source, kid_of(issuer))
    document = json.dumps({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/moved"}).encode()
    issuer.answers[OIDC_PATH] = Answer(200, document)
    issuer.answers[JWKS_PATH] = coded(status, b"nothing here")
    issuer.answers["/moved"] = Answer(200, body_of(issuer))
    clock.tick(601)

    assert resolve(source, kid_of(issuer))
    assert source.health().failures == 0
    source.close()


def test_no_bytes_of_gzip_are_an_empty_body() -> None:
    """And a document that breaks off is still none."""
    assert b"".join(_unzipped(iter([]), MAX_BYTES)) == b""
    with pytest.raises(Rejected, match="cut short"):
        list(_unzipped(iter([gzip.compress(b"{}")[:-4]]), MAX_BYTES))


class Unreadable:
    """An answer that raises when it is looked at."""

    status = 200
    body = b"{}"

    @property
    def headers(self) -> Any:
        raise RuntimeError("secret")

    def __repr__(self) -> str:
        return "Unreadable()"


@pytest.mark.parametrize(
    "answer",
    [
        FetchResponse(503, {"retry-after": 5}),  # type: ignore[dict-item]
        FetchResponse(503, {5: "retry-after"}),  # type: ignore[dict-item]
        FetchResponse(503, None),  # type: ignore[arg-type]
        FetchResponse("200"),  # type: ignore[arg-type]
        FetchResponse(200, {}, "{}"),  # type: ignore[arg-type]
        FetchResponse(200, {}, None),  # type: ignore[arg-type]
        Unreadable(),
        None,
        (200, {}, b"{}"),
    ],
    ids=repr,
)
def test_whatever_a_users_fetcher_answers_is_a_failed_fetch_and_no_more(
    source: JWKSResolver, publisher: Publisher, answer: Any
) -> None:
    """503 and a pause; no exception of it reaches a request, and no text of it the log."""
    publisher.fetch = lambda request: answer  # type: ignore[method-assign]

    with pytest.raises(KeysUnavailable) as refused:
        resolve(source, "a")

    assert "secret" not in refused.value.detail
    assert source.health().failures == 1
    assert source.health().next_attempt_in > 0


@pytest.mark.parametrize("name", ["etag", "last-modified"])
@pytest.mark.parametrize("value", ["x" * 257, "a\r\nX-Evil: 1", "\u00e9", "", "\x00"])
def test_a_validator_that_is_none_is_not_sent_back(
    publisher: Publisher, clock: Clock, name: str, value: str
) -> None:
    """What a publisher answers goes into a request only as printable text of some length."""
    publisher.headers = {name: value}
    source = resolver_of(publisher, clock)
    resolve(source, "a")
    clock.tick(601)
    resolve(source, "a")

    assert publisher.requests[1].headers() == publisher.requests[0].headers()


def test_an_address_may_be_so_long_and_no_longer(clock: Clock) -> None:
    """Configured it is a mistake, discovered a failed fetch."""
    long = f"{NAME}/{'x' * 8_000}"
    with pytest.raises(ConfigurationError, match="longer than 8,000"):
        JWKSResolver(long)
    web = web_of(KeyPair.generate("ES256", "a"), jwks_uri=long)
    source = JWKSResolver(issuer=NAME, fetcher=web, clock=clock)

    assert outcome(source, "a") == "keys_unavailable"
    assert long not in web.asked
