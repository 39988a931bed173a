"""The decision, where the scenario table does not reach: time, memory, options, observers."""

import asyncio
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jwt_middleware
from jwt_middleware import (
    ANY_AUDIENCE,
    BearerHeader,
    ConfigurationError,
    CookieToken,
    Guard,
    GuardOptions,
    HeaderToken,
    Issuer,
    KeyFile,
    KeysUnavailable,
    Principal,
    QueryToken,
    Refusal,
    Requirement,
    ResolverOptions,
    Secret,
    TokenError,
    capture,
    has_claim,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.effects import run
from jwt_middleware.errors import AlgorithmNotAllowed, KeyUnknown, SignatureInvalid, TokenExpired
from jwt_middleware.events import Event, RequestRefused
from jwt_middleware.principal import ANONYMOUS
from jwt_middleware.request.question import Question
from jwt_middleware.rules.requirements import Match
from jwt_middleware.testing import Clock, FakeIssuer, KeyPair, bad_token
from jwt_middleware.testing.issuer import JWKS_PATH
from jwt_middleware.verdict import Deny
from tests.faces.calls import InProcess, http_scope, through_asgi

SECRET = b"0123456789abcdefghijklmnopqrstuv"
HMAC = KeyPair(SECRET, "HS256", None)
FACES = ["asgi", "wsgi"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(["RS256"], now=clock.now) as issuer:
        yield issuer


def short_guard(**options: Any) -> Guard:
    given: dict[str, Any] = {"key": SECRET, "algorithms": ["HS256"], "issuer": "https://a/"}
    return Guard(**{**given, **options})


def token(clock: Clock, **claims: Any) -> str:
    return HMAC.sign({"iss": "https://a/", "exp": clock.now() + 60, "sub": "alice", **claims})


def bearer(text: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {text}")]


def test_a_cached_token_expires_on_time(clock: Clock) -> None:
    """Leeway included, to the second; the wall clock decides."""
    guard = short_guard(clock=clock)
    known = token(clock)
    guard.verify(known)

    clock.tick(89.5)
    assert guard.verify(known).subject == "alice"
    clock.tick(0.5)
    with pytest.raises(TokenExpired):
        guard.verify(known)


def test_a_known_token_is_not_verified_again(issuer: FakeIssuer, clock: Clock) -> None:
    """The very principal comes back, and nobody is asked."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o")

    assert guard.verify(known) is guard.verify(known)
    assert issuer.requests[JWKS_PATH] == 1


def test_known_tokens_alone_keep_the_keys_renewed(issuer: FakeIssuer, clock: Clock) -> None:
    """Past the soft age a known token starts the renewal, and stands without a second check."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    first = guard.verify(known)
    clock.tick(601)

    assert guard.verify(known) is first
    assert issuer.requests[JWKS_PATH] == 2
    assert guard.verify(known) is first


def test_a_cached_token_falls_with_its_key(issuer: FakeIssuer, clock: Clock) -> None:
    """When the renewed set no longer has the key, the token is refused."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    guard.verify(known)
    issuer.rotate()
    clock.tick(601)

    with pytest.raises(KeyUnknown):
        guard.verify(known)


def test_a_cached_token_falls_when_its_key_goes_and_no_later(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """The set was exchanged because of another token: long before its soft age, it counts."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o")
    guard.verify(known)
    issuer.rotate()

    assert guard.verify(issuer.token(aud="o", sub="bob")).subject == "bob"
    with pytest.raises(KeyUnknown):
        guard.verify(known)


def test_a_known_token_is_renewed_again_and_again(issuer: FakeIssuer, clock: Clock) -> None:
    """Each time what is remembered belongs to the current set, and the principal is the same."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    first = guard.verify(known)
    (trust,) = guard._issuers

    for _ in range(3):
        clock.tick(601)
        assert guard.verify(known) is first
        entry = guard._owners._tokens.get(known)
        assert entry is not None
        assert entry.snapshot is trust.source.snapshot


@dataclass
class Changeable:
    """Claims that a request may change."""

    sub: str


def test_a_renewed_token_shares_no_claims_that_may_change(issuer: FakeIssuer, clock: Clock) -> None:
    """What one request writes into its typed claims, the one that renews the token never reads."""
    wanted = Issuer(issuer.url, audience="o", claims_type=Changeable)
    guard = Guard(issuers=wanted, clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    guard.verify(known).typed.sub = "mallory"
    clock.tick(601)

    assert guard.verify(known).typed.sub == "alice"


def test_an_algorithm_of_nobody_is_refused_before_anything_is_read(clock: Clock) -> None:
    """Neither the issuer nor the payload is looked at, so that neither costs anything."""
    guard = Guard(issuers=Issuer("https://a/", audience="o"), clock=clock)

    for payload in ({"iss": "https://nobody/"}, {}, {"iss": 1}):
        with pytest.raises(AlgorithmNotAllowed, match="no issuer signs with it"):
            guard.verify(HMAC.sign(payload))


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_token_in_use_outlives_those_that_were_seen_once(
    is_renewed: bool, issuer: FakeIssuer, clock: Clock
) -> None:
    """A flood of others that come but once does not push it out of memory."""
    wanted = Issuer(issuer.url, audience="o")
    guard = Guard(issuers=wanted, clock=clock, token_cache_size=8)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    first = guard.verify(known)
    if is_renewed:
        clock.tick(601)
    assert guard.verify(known) is first

    for number in range(8):
        guard.verify(issuer.token(aud="o", sub=str(number)))

    assert guard.verify(known) is first


def test_a_key_replaced_under_its_name_is_noticed(issuer: FakeIssuer, clock: Clock) -> None:
    """The token is verified anew, with the new key, and fails."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
    guard.verify(known)
    issuer.keys = [KeyPair.generate("RS256", kid=issuer.key.kid)]
    clock.tick(601)

    with pytest.raises(TokenError) as refused:
        guard.verify(known)
    assert refused.value.code == "signature_invalid"


def test_a_bad_signature_makes_the_guard_look_for_a_replaced_key(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """Where that is asked for, and no more often: anybody can write a bad signature."""
    options = ResolverOptions(replaced_kid_interval=60)
    watchful = Guard(issuers=Issuer(issuer.url, audience="o", resolver=options), clock=clock)
    usual = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    for guard in (usual, watchful):
        issuer.requests.clear()
        guard.verify(issuer.token(aud="o"))
        issuer.arrived.clear()
        for _ in range(3):
            with pytest.raises(SignatureInvalid):
                guard.verify(bad_token("forged", issuer, aud="o"))
        if guard is watchful:
            assert issuer.arrived.wait(10)
        guard.close()
        assert issuer.requests[JWKS_PATH] == (2 if guard is watchful else 1)


def test_distrust_takes_effect_on_cached_tokens(clock: Clock) -> None:
    """At once, on one key or all; an unknown issuer is a mistake."""
    pair = KeyPair.generate("ES256", kid="a")
    guard = Guard(issuers=Issuer("https://a/", audience=None, keys=pair.jwk), clock=clock)
    known = pair.sign({"iss": "https://a/", "exp": clock.now() + 60})
    guard.verify(known)

    guard.distrust("https://a/", "a")

    with pytest.raises(KeyUnknown):
        guard.verify(known)
    assert not guard.health()["https://a/"].is_ready
    with pytest.raises(ConfigurationError, match="no such issuer"):
        guard.distrust("https://b/")


class Meddling(Clock):
    """A clock that calls back at one of its readings, as another thread might come between."""

    def __init__(self) -> None:
        super().__init__()
        self.countdown = -1
        self.meddle: Callable[[], object] = list

    def monotonic(self) -> float:
        self.countdown -= 1
        if self.countdown == 0:
            self.meddle()
        return super().monotonic()


@pytest.mark.parametrize(("calls", "age"), [(1, 0), (2, 301)])
def test_a_key_set_that_changes_meanwhile_leaves_nothing_behind(calls: int, age: float) -> None:
    """A token verified or renewed with a set that is no longer the current one is not remembered."""
    clock = Meddling()
    with FakeIssuer(["RS256"], now=clock.now) as issuer:
        guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
        known = issuer.token(aud="o", exp=int(clock.now()) + 9_000)
        if age:
            guard.verify(known)
            clock.tick(age)
        else:
            guard.warm()
        trust = next(iter(guard._issuers))
        clock.meddle = lambda: trust.source.distrust("another")
        clock.countdown = calls

        assert guard.verify(known).subject == "alice"

        entry = guard._owners._tokens.get(known)
        assert entry is None or entry.snapshot is not trust.source.snapshot
        assert guard.verify(known).subject == "alice"
        guard.close()


async def test_averify_waits_where_it_must(issuer: FakeIssuer, clock: Clock) -> None:
    """And hears of an outage as of a bad token: by an error of ours."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    issuer.outage()

    with pytest.raises(KeysUnavailable):
        await guard.averify(issuer.token(aud="o"))


def test_a_request_waits_once_for_the_same_keys(issuer: FakeIssuer, clock: Clock) -> None:
    """A flight that is not over in time ends in a 503, never in a second wait for it."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    steps = guard.decide(Question("GET", "/", issuer.token(aud="o")))
    assert isinstance(steps, Generator)
    next(steps)

    with pytest.raises(StopIteration) as end:
        steps.send(False)

    assert (end.value.value.status, end.value.value.code) == (503, "keys_unavailable")


def test_a_token_that_had_to_wait_is_judged_by_the_same_readings(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """The mount points of the application and of the server count after the keys came, too."""
    rules = [protect("/admin", requires=has_role("admin"))]
    alice = issuer.token(aud="o")

    def outcome(path: str, *mounts: Any) -> str:
        guard = Guard(issuers=Issuer(issuer.url, audience="o"), rules=rules, clock=clock)
        steps = guard.decide(Question("GET", path, alice), *mounts)
        assert isinstance(steps, Generator)
        return str(run(steps))

    assert outcome("/v1/admin", ("/v1",)) == "403 requirement_not_met"
    assert outcome("/m/admin", (), "/m") == "403 requirement_not_met"
    assert outcome("/v1/admin") == "passes as alice"


@pytest.mark.parametrize("words", [2, 20_000])
def test_what_is_no_token_at_any_length_is_malformed(words: int, clock: Clock) -> None:
    """Two words are an unreadable request (400), be they short or longer than a token may be."""
    guard = short_guard(clock=clock)

    many = guard.decide(Question("GET", "/", " ".join(["word"] * words)))
    one = guard.decide(Question("GET", "/", "word" * 20_000))

    assert str(many) == "400 header_malformed"
    assert str(one) == "401 token_too_large"


@pytest.mark.parametrize(("path", "is_cleared"), [("/a", True), ("/a/../b", False)])
def test_a_cookie_is_cleared_for_what_is_wrong_with_it_alone(
    path: str, is_cleared: bool, clock: Clock
) -> None:
    """A path that cannot be read says nothing of the cookie that came along."""
    stale = token(clock, exp=1)
    guard = short_guard(
        clock=clock, token_sources=[CookieToken("__Host-token", clear_on_invalid=True)]
    )

    refused = guard.decide(Question("GET", path, stale))

    assert isinstance(refused, Deny)
    assert ("Set-Cookie" in dict(refused.headers)) is is_cleared


class SteppedUp(Requirement):
    """A requirement of a user's own: a login of the strong kind (RFC 9470)."""

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        if principal.claims.get("acr") == "strong":
            return None
        return Refusal(
            code="login_too_weak",
            status=401,
            error="insufficient_user_authentication",
            public="A stronger login is required \u2014 really",
            parameters=(("acr_values", "strong"),),
        )


def test_a_challenge_names_a_scope_only_where_a_scope_is_what_it_misses(clock: Clock) -> None:
    """Whether a scope would do is judged with the captures of the path."""
    of_tenant = has_claim("tenant", capture("tenant")) & has_scope("write")
    guard = short_guard(clock=clock, rules=[protect("/of/{tenant}/**", requires=of_tenant)])
    known = token(clock, tenant="acme")

    def challenge(path: str) -> str:
        refused = guard.decide(Question("GET", path, known))
        assert isinstance(refused, Deny)
        return dict(refused.headers)["WWW-Authenticate"]

    assert 'scope="write"' in challenge("/of/acme")
    assert "scope=" not in challenge("/of/other")


@pytest.mark.parametrize("face", FACES)
async def test_a_requirement_may_word_its_own_refusal(face: str, clock: Clock) -> None:
    """Status, error and parameters of the challenge."""
    faces = InProcess(short_guard(clock=clock, rules=[protect("/**", requires=SteppedUp())]))

    refused = await faces.ask(face, "GET", "/", bearer(token(clock)))
    passed = await faces.ask(face, "GET", "/", bearer(token(clock, acr="strong")))

    assert (refused.status, refused.json()["code"]) == (401, "login_too_weak")
    assert refused.header("www-authenticate") == (
        'Bearer realm="api", error="insufficient_user_authentication", '
        'error_description="A stronger login is required ? really", acr_values="strong"'
    )
    assert passed.status == 200


@pytest.mark.parametrize("face", FACES)
async def test_an_outage_without_keys_is_a_503_and_is_never_forgiven(
    face: str, issuer: FakeIssuer, clock: Clock
) -> None:
    """Even where a bad token would pass as anonymous; with Retry-After, without a challenge."""
    issuer.outage()
    rules = [optional("/**", on_invalid="anonymous")]
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), rules=rules, clock=clock)

    answer = await InProcess(guard).ask(face, "GET", "/", bearer(issuer.token(aud="o")))

    assert (answer.status, answer.json()["code"]) == (503, "keys_unavailable")
    assert int(answer.header("retry-after") or 0) >= 1
    assert answer.header("www-authenticate") is None


async def test_averify_awaits_and_verify_refuses_to_block_a_loop(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """Only where it would wait: with the keys at hand both answer."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    known = issuer.token(aud="o")

    with pytest.raises(ConfigurationError, match=r"await Guard\.averify"):
        guard.verify(known)
    assert (await guard.averify(known)).subject == "alice"
    assert guard.verify(known).subject == "alice"
    assert (await guard.averify(known)).subject == "alice"
    await guard.awarm()
    await guard.aclose()


def test_one_guard_serves_two_event_loops(issuer: FakeIssuer, clock: Clock) -> None:
    """``asyncio.run`` twice, with a rotation in between."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    asyncio.run(guard.averify(issuer.token(aud="o")))
    issuer.rotate()

    assert asyncio.run(guard.averify(issuer.token(aud="o"))).subject == "alice"


def test_warm_leaves_nothing_to_fetch(issuer: FakeIssuer, clock: Clock) -> None:
    """And raises, if required, where the issuer is out of reach."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    guard.warm()
    asked = sum(issuer.requests.values())
    guard.verify(issuer.token(aud="o"))

    assert sum(issuer.requests.values()) == asked
    guard.close()
    issuer.outage()
    with pytest.raises(KeysUnavailable):
        Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock).warm(required=True)


def test_identity_tells_issuers_apart(clock: Clock) -> None:
    """Subject 42 of A is not subject 42 of B; and A's key signs for A alone."""
    pairs = {name: KeyPair.generate("ES256", kid="same") for name in ("https://a/", "https://b/")}
    guard = Guard(
        issuers=[Issuer(name, audience=None, keys=pair.jwk) for name, pair in pairs.items()],
        clock=clock,
    )

    def made(signer: str, iss: str) -> str:
        return pairs[signer].sign({"iss": iss, "sub": "42", "exp": clock.now() + 60})

    identities = {guard.verify(made(name, name)).identity for name in pairs}

    assert identities == {"https://a/|42", "https://b/|42"}
    with pytest.raises(TokenError) as refused:
        guard.verify(made("https://a/", "https://b/"))
    assert refused.value.code == "signature_invalid"


def test_the_cache_is_bounded_by_count_and_by_bytes(clock: Clock) -> None:
    """A thousand tokens leave ten; none stays with size nought; the rest still verify."""
    small, tight, none = (
        short_guard(clock=clock, **options)
        for options in (
            {"token_cache_size": 10},
            {"token_cache_bytes": 9_000},
            {"token_cache_size": 0},
        )
    )
    for number in range(100):
        for guard in (small, tight, none):
            guard.verify(token(clock, sub=str(number)))

    assert len(small._owners._tokens) == 10
    assert 0 < tight._owners._tokens.bytes <= 9_000
    assert len(none._owners._tokens) == 0


@pytest.mark.parametrize("face", FACES)
async def test_a_refusal_is_told_to_observers_without_the_token(face: str, clock: Clock) -> None:
    """Code, status and rule; and an observer that raises disturbs nobody."""
    told: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("watching")

    guard = short_guard(clock=clock, observers=[broken, told.append], rules=[protect("/a")])
    bad = token(clock, exp=1)

    answer = await InProcess(guard).ask(face, "GET", "/a", bearer(bad))

    assert answer.status == 401
    (event,) = told
    assert isinstance(event, RequestRefused)
    assert (event.code, event.status, event.rule) == ("token_expired", 401, "protect('/a')")
    assert bad not in repr(event)


@pytest.mark.parametrize("face", FACES)
async def test_protected_is_a_table_of_two_rules(
    face: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The prefixes need a token, the rest is open, and start-up says so."""
    with caplog.at_level(logging.WARNING):
        faces = InProcess(short_guard(clock=clock, protected=["/api/", "/admin"]))

    statuses = {
        path: (await faces.ask(face, "GET", path)).status
        for path in ("/api", "/api/x", "/apis", "/admin/", "/")
    }

    assert statuses == {"/api": 401, "/api/x": 401, "/apis": 200, "/admin/": 401, "/": 200}
    assert "paths outside /api/, /admin are open" in caplog.text


@pytest.mark.parametrize("face", FACES)
async def test_other_headers_may_carry_the_token(face: str, clock: Clock) -> None:
    """The first source that is present decides; a bad token never falls through."""
    guard = short_guard(clock=clock, token_sources=[HeaderToken("X-Token"), BearerHeader()])
    faces = InProcess(guard)
    good, bad = token(clock), token(clock, exp=1)

    passed = await faces.ask(face, "GET", "/", [("X-Token", good)])
    fell = await faces.ask(face, "GET", "/", [("X-Token", bad), *bearer(good)])
    second = await faces.ask(face, "GET", "/", bearer(good))

    assert (passed.status, fell.status, second.status) == (200, 401, 200)
    assert passed.header("vary") == "X-Token"
    assert passed.header("cache-control") == "private"
    assert second.header("vary") is None
    assert fell.header("vary") == "X-Token, Authorization"


@pytest.mark.parametrize("face", FACES)
async def test_the_body_has_the_shape_that_is_asked_for(face: str, clock: Clock) -> None:
    """``oauth``, or a callable's; the realm is the configured one."""
    oauth = InProcess(short_guard(clock=clock, error_body="oauth", realm='my "api"'))
    own = InProcess(
        short_guard(clock=clock, error_body=lambda problem: ("text/plain", problem.code.encode()))
    )

    answer = await oauth.ask(face, "GET", "/")

    assert answer.json() == {
        "error": "token_missing",
        "error_description": "An access token is required",
        "code": "token_missing",
    }
    assert answer.header("www-authenticate") == 'Bearer realm="my \\"api\\""'
    assert (await own.ask(face, "GET", "/")).body == b"token_missing"


async def test_prefixes_give_another_reading(clock: Clock) -> None:
    """Of the guard, and of an application inside that has a ``root_path`` of its own."""
    rules = [
        public("/**", methods=["POST"]),
        protect("/users", requires=has_role("x")),
        public("/v1/**"),
    ]
    outside = InProcess(short_guard(clock=clock, rules=rules, prefixes=["/v1"]))
    good = bearer(token(clock))

    slashed = InProcess(short_guard(clock=clock, rules=rules, prefixes=["/v1/"]))

    assert (await slashed.ask("asgi", "GET", "/v1/users", good)).status == 403
    assert (await outside.ask("asgi", "GET", "/v1/users", good)).status == 403
    assert (await outside.ask("wsgi", "GET", "/v1/users", good)).status == 403
    assert (await outside.ask("asgi", "GET", "/v1/usersx", good)).status == 200


async def test_the_path_is_read_without_the_mount_point(clock: Clock) -> None:
    """ASGI has it in the path, and it comes off at a segment boundary only.

    ``/mopen`` is what a server makes of the target ``open``, which has no slash.
    """
    faces = InProcess(short_guard(clock=clock, rules=[public("/open")]))

    mounted = await through_asgi(faces.asgi, http_scope("GET", "/m/open", root_path="/m"))
    beside = await through_asgi(faces.asgi, http_scope("GET", "/mopen", root_path="/m"))

    assert (mounted.status, beside.status) == (200, 401)


@settings(max_examples=1_500, deadline=None)
@given(
    path=st.text(max_size=60),
    method=st.text(max_size=8),
    credentials=st.binary(max_size=80).map(lambda data: data.decode("latin-1")),
    scheme=st.sampled_from(["", "Bearer ", "bearer", "Basic "]),
)
def test_any_request_gets_an_answer(path: str, method: str, credentials: str, scheme: str) -> None:
    """Whatever stands in path, method and header: 200, 400, 401 or 403, equal on both faces."""
    headers = [("Authorization", scheme + credentials)]

    async def ask() -> tuple[Any, Any]:
        asgi = await through_asgi(FUZZED.asgi, http_scope(method, path, headers))
        return asgi, await FUZZED.ask(
            "wsgi", method, path.encode("utf-8", "replace").decode(), headers
        )

    asgi, wsgi = asyncio.run(ask())

    assert asgi.status in {200, 400, 401, 403}
    assert wsgi.status in {200, 400, 401, 403}


FUZZED = InProcess(
    Guard(
        issuers=Issuer("https://a/", audience=None, keys=SECRET, algorithms=["HS256"]),
        rules=[public("/a/**"), optional("/b/{x}"), protect("/c", requires=has_role("r"))],
    )
)

NAMED = {"issuer": "https://a/", "audience": "x"}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "issuers= is missing"),
    "an unknown option": ({"isuers": 1}, "did you mean 'issuers'"),
    "an option like none": ({"zzzz": 1}, "known are issuers"),
    "both forms": ({"issuers": Issuer("https://a/", audience="x"), "audience": "x"}, "audience="),
    "no issuer": ({"issuers": []}, "trusts nobody"),
    "one issuer twice": ({"issuers": [Issuer("https://a/", audience="x")] * 2}, "twice"),
    "a nameless one of two": (
        {
            "issuers": [
                Issuer("https://a/", audience=None),
                Issuer(None, audience=None, keys=HMAC.jwk, algorithms=["HS256"]),
            ]
        },
        "without a name",
    ),
    "rules and protected": ({**NAMED, "rules": [public("/")], "protected": ["/a"]}, "keep one"),
    "protected as text": ({**NAMED, "protected": "/a"}, "must be a list"),
    "protected, empty": ({**NAMED, "protected": []}, "must be a list"),
    "a rule as text": ({**NAMED, "rules": ["/a"]}, "rule 1 is '/a'"),
    "no source": ({**NAMED, "token_sources": []}, "finds no token"),
    "a source's class": ({**NAMED, "token_sources": [BearerHeader]}, "is no source"),
    "a realm with a break": ({**NAMED, "realm": "a\nb"}, "printable"),
    "an unknown body": ({**NAMED, "error_body": "xml"}, "error_body='xml'"),
    "a prefix without a slash": ({**NAMED, "prefixes": ["v1"]}, "mount points"),
    "prefixes as text": ({**NAMED, "prefixes": "/v1"}, "mount points"),
    "a small token": ({**NAMED, "max_token_size": 10}, "max_token_size=10"),
    "less than no bytes": ({**NAMED, "token_cache_bytes": -1}, "token_cache_bytes=-1"),
    "half a token": ({**NAMED, "token_cache_size": 0.5}, "token_cache_size=0.5"),
    "a cycle of roles": ({**NAMED, "role_hierarchy": {"a": ["b"], "b": ["a"]}}, "a -> b -> a"),
    "roles as text": ({**NAMED, "role_hierarchy": {"a": "b"}}, "no list of names"),
    "a path for an origin": ({**NAMED, "trusted_origins": ["https://a/x"]}, "no exact origin"),
    "text for a flag": ({**NAMED, "cors_preflight": "no"}, "cors_preflight='no'"),
    "a number for a flag": ({**NAMED, "close_on_expiry": 1}, "close_on_expiry=1"),
    "an unknown start": ({**NAMED, "warm_up": True}, "write 'lazy', 'try' or 'require'"),
    "a cookie before a header": (
        {**NAMED, "token_sources": [CookieToken(), BearerHeader()]},
        "put the header first",
    ),
    "plain http": ({"issuer": "http://id.example/", "audience": "x"}, "is not https"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence_at_construction(kind: str) -> None:
    """It names the setting."""
    options, sentence = MISTAKES[kind]

    with pytest.raises(ConfigurationError) as mistake:
        Guard(**options)

    assert sentence in str(mistake.value)


@pytest.mark.parametrize(
    ("bound", "least"),
    [("max_token_size", 256), ("token_cache_size", 0), ("token_cache_bytes", 0)],
)
def test_a_bound_may_be_as_low_as_it_says_and_no_lower(bound: str, least: int) -> None:
    """Its least value is taken, the number below is refused, in words that name the least."""
    short_guard(**{bound: least})

    with pytest.raises(ConfigurationError, match=f"{bound}=.* at least {least}$"):
        short_guard(**{bound: least - 1})


def test_a_guard_keeps_the_observers_that_it_was_given(clock: Clock) -> None:
    """A list that its owner changes afterwards changes nothing of the guard."""
    told: list[Event] = []
    observers = [told.append]
    guard = short_guard(clock=clock, observers=observers)
    observers.clear()

    guard.decide(Question("GET", "/"))

    assert [event.code for event in told if isinstance(event, RequestRefused)] == ["token_missing"]


ISSUER_MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"issuer": ""}, "is no name"),
    "keys twice": ({"keys": SECRET, "jwks_uri": "https://a/"}, "not both"),
    "nothing to go by": ({"issuer": None}, "needs a name"),
    "leeway below nought": ({"leeway": -1}, "leeway=-1"),
    "leeway too wide": ({"leeway": 301}, "at most 300"),
    "leeway as text": ({"leeway": "30"}, "leeway='30'"),
    "an endless lifetime": ({"max_lifetime": float("inf")}, "max_lifetime=inf"),
    "algorithms as text": ({"algorithms": "RS256"}, "is a string"),
    "no algorithm": ({"algorithms": []}, "accepts no token"),
    "none": ({"algorithms": ["none"]}, "unsigned"),
    "a mixture": ({"algorithms": ["HS256", "RS256"]}, "mixes"),
    "an unknown algorithm": ({"algorithms": ["RS265"]}, "did you mean 'RS256'"),
    "an algorithm like none": ({"algorithms": [1]}, "known are"),
    "types as text": ({"token_types": "JWT"}, "token_types='JWT'"),
    "an empty audience": ({"audience": []}, "audience=[]"),
    "a secret from the network": ({"algorithms": ["HS256"]}, "shared secret"),
    "a path with a slash": ({"roles_claim": "https://x/roles"}, "contains a slash"),
    "a path with a gap": ({"scopes_claim": "a..b"}, "empty name"),
    "no key": ({"keys": []}, "holds no key"),
    "a key for nothing": (
        {"keys": KeyPair.generate("ES256").jwk, "algorithms": ["RS256"]},
        "fits none",
    ),
    "a missing file": ({"keys": KeyFile("nowhere.pem")}, "cannot be read"),
    "a secret for public keys": ({"keys": Secret(SECRET)}, "shared secret"),
    "a short secret": ({"keys": "short", "algorithms": ["HS256"]}, "at least 32"),
    "an empty secret": ({"keys": "", "algorithms": ["HS256"]}, "is empty"),
    "PEM for a secret": (
        {"keys": KeyPair.generate("ES256").public_pem, "algorithms": ["HS256"]},
        "PEM",
    ),
    "rubbish for PEM": ({"keys": "rubbish"}, "pem unreadable"),
    "an object": ({"keys": object()}, "cannot verify"),
    "a mapping of nothing": ({"keys": {"a": "b"}}, "neither a JWK"),
}


@pytest.mark.parametrize("kind", ISSUER_MISTAKES)
def test_a_mistaken_issuer_is_a_sentence_at_construction(kind: str) -> None:
    """It names the setting."""
    options, sentence = ISSUER_MISTAKES[kind]
    given: dict[str, Any] = {"issuer": "https://a/", "audience": "x", **options}

    with pytest.raises(ConfigurationError) as mistake:
        Issuer(given.pop("issuer"), **given)

    assert sentence in str(mistake.value)


def test_an_issuer_without_a_name_takes_any_iss_and_says_so(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning at start-up; ``iss`` must still be text."""
    with caplog.at_level(logging.WARNING):
        guard = Guard(key=SECRET, algorithms=["HS256"], audience=ANY_AUDIENCE, clock=clock)

    assert "no issuer= is set" in caplog.text
    assert guard.verify(token(clock, iss="https://whoever/", aud="x")).subject == "alice"
    with pytest.raises(TokenError) as refused:
        guard.verify(token(clock, iss=1))
    assert refused.value.code == "claim_invalid"
    with pytest.raises(TokenError):
        guard.verify(b"bytes")  # type: ignore[arg-type]


def test_the_options_of_a_face_are_those_of_a_guard() -> None:
    """The typed dictionary and the constructor name the same options."""
    import inspect

    signature = inspect.signature(Guard.__init__).parameters
    names = {name for name, each in signature.items() if each.kind is each.KEYWORD_ONLY}

    assert names == set(GuardOptions.__annotations__)


def test_the_table_can_be_asked(clock: Clock) -> None:
    """Which rule decides a request, in its own words."""
    guard = short_guard(clock=clock, rules=[protect("/admin/**", requires=has_role("admin"))])

    nobody = guard.explain("GET", "/admin/7;x")
    alice = guard.explain("GET", "/admin/7", token(clock))
    admin = guard.explain("GET", "/admin", token(clock, roles=["admin"], sub=""))

    assert str(nobody) == (
        "GET /admin/7;x\n"
        "  falls under  protect('/admin/**', requires role admin)\n"
        "  asks for     role admin\n"
        "  method and path    holds\n"
        "  token source       fails: token_missing\n"
        "  shape and claims   not reached\n"
        "  key and signature  not reached\n"
        "  revocation         not reached\n"
        "  origin             not reached\n"
        "  requirement        not reached\n"
        "  comes to     401 token_missing"
    )
    assert alice.outcome == "403 requirement_not_met"
    assert admin.outcome == "passes as a token without a subject"
    assert guard.explain("websocket", "/x", token(clock)).outcome == "passes as alice"
    forged = guard.explain("GET", "/x", token(clock, sub="a\n  comes to     200"))
    assert "\n" not in forged.outcome
    assert guard.explain("GET", "/x").rules == ("no rule: a valid token",)
    dots = guard.explain("GET", "/a/../b\n")
    assert (dots.outcome, dots.rules) == ("400 path_invalid", ())
    assert "'/a/../b\\n'" in str(dots)


async def test_explain_fetches_what_it_needs_and_stalls_no_loop(issuer: FakeIssuer) -> None:
    """Like a request would; on a running loop it says so."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), rules=[optional("/**")])
    known = issuer.token(aud="o", exp=4_000_000_000)

    with pytest.raises(ConfigurationError, match=r"Guard\.explain"):
        guard.explain("GET", "/", known)

    assert guard.explain("GET", "/").outcome == "passes as anonymous"
    explained = await asyncio.to_thread(guard.explain, "GET", "/", known)
    assert explained.outcome == "passes as alice"


def test_a_cookie_can_be_asked_about(clock: Clock) -> None:
    """As a page of our own would send it: the proof of origin holds."""
    guard = short_guard(clock=clock, token_sources=[CookieToken()], rules=[optional("/a")])

    explained = guard.explain("POST", "/", token(clock))

    assert explained.outcome == "passes as alice"
    assert dict(explained.checks)["origin"] == "holds"
    assert dict(guard.explain("POST", "/").checks)["token source"] == "fails: token_missing"
    assert dict(guard.explain("GET", "/a").checks)["token source"] == "not asked for"


def test_what_is_forgiven_is_told(clock: Clock) -> None:
    """A lenient rule names what it forgave; a code of one's own belongs to the requirement."""

    class Paid(Requirement):
        def judge(self, principal: Principal, match: Match) -> Refusal | None:
            return Refusal(code="payment_required", status=402)

    rules = [optional("/lenient", on_invalid="anonymous"), protect("/paid", requires=Paid())]
    guard = short_guard(clock=clock, rules=rules)

    lenient = guard.explain("GET", "/lenient", token(clock, exp=1))
    paid = guard.explain("GET", "/paid", token(clock))

    assert dict(lenient.checks)["token source"] == "forgiven: token_expired"
    assert dict(paid.checks)["requirement"] == "fails: payment_required"
    assert dict(paid.checks)["key and signature"] == "holds"


def test_the_log_explains_a_refusal_in_the_same_words(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """At the level of debugging, without the token; and nothing of it elsewhere."""
    guard = short_guard(clock=clock, rules=[protect("/admin", requires=has_role("admin"))])
    text = token(clock)
    with caplog.at_level(logging.DEBUG, "jwt_middleware"):
        explained = guard.explain("GET", "/admin", text)
    told = caplog.messages[-1]

    assert str(explained) in told
    assert "because     role admin" in told
    assert text not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "jwt_middleware"):
        guard.explain("GET", "/admin", text)
    assert not caplog.messages


def test_a_view_may_ask_for_more_than_its_rule(clock: Clock) -> None:
    """One implementation for every framework: 401 for the anonymous, 403 for the others."""
    seen: list[Event] = []
    guard = short_guard(clock=clock, observers=[seen.append])
    alice = guard.verify(token(clock, scope="a", tenant="acme"))
    nobody, forgiven = ANONYMOUS, replace(ANONYMOUS, refusal="token_expired")
    elsewhere = replace(ANONYMOUS, refusal="a_code_of_a_users_own_source")
    owns = has_claim("tenant", capture("tenant"))

    assert guard.hold(alice, has_scope("a")) is None
    assert guard.hold(alice, owns, {"tenant": "acme"}) is None
    refusals = [
        guard.hold(alice, has_scope("b")),
        guard.hold(alice, owns, {"tenant": "other"}),
        guard.hold(nobody, has_scope("a")),
        guard.hold(forgiven, has_scope("a")),
        guard.hold(elsewhere, has_scope("a")),
    ]

    assert [(deny.status, deny.code) for deny in refusals if deny is not None] == [
        (403, "requirement_not_met"),
        (403, "requirement_not_met"),
        (401, "token_missing"),
        (401, "token_expired"),
        (401, "token_missing"),
    ]
    assert 'scope="b"' in str(refusals[0] and refusals[0].headers)
    assert [event.rule for event in seen if isinstance(event, RequestRefused)] == ["a view"] * 5


def test_a_guard_knows_whether_a_rule_speaks_of_a_request() -> None:
    """In any reading of its path; what cannot be read is nobody's to open."""
    guard = short_guard(rules=[public("/a")])

    assert guard.has_rule(Question("GET", "/a"))
    assert guard.has_rule(Question("GET", "/a;x"))
    assert not guard.has_rule(Question("GET", "/b"))
    assert guard.has_rule(Question("GET", "/b/../a"))
    assert guard.varies_with == ["Authorization"]
    assert short_guard(token_sources=[QueryToken("t", http=True)]).varies_with == []


def test_the_front_door_is_whole() -> None:
    """Every public name exists, is listed in order, and is documented."""
    names = jwt_middleware.__all__

    assert list(names) == sorted(names)
    assert all(hasattr(jwt_middleware, name) for name in names)


def test_many_threads_agree(clock: Clock) -> None:
    """Eight threads, a cache of four: every answer is right."""
    guard = short_guard(clock=clock, token_cache_size=4)
    tokens = {str(number): token(clock, sub=str(number)) for number in range(16)}
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(40):
            wrong.extend(s for s, text in tokens.items() if guard.verify(text).subject != s)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(guard._owners._tokens) <= 4
