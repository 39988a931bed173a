"""The decision, where the scenario table does not reach: faces, drivers, outages, observers."""

import asyncio
import logging
import pickle
from collections.abc import Generator
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware import (
    ANY_AUDIENCE,
    BearerHeader,
    ConfigurationError,
    CookieToken,
    Guard,
    HeaderToken,
    Issuer,
    KeysUnavailable,
    Principal,
    QueryToken,
    Refusal,
    Requirement,
    TokenError,
    capture,
    has_claim,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.effects import arun, run
from jwt_middleware.events import Event, RequestAllowed, RequestRefused
from jwt_middleware.guard.authenticator import AwaitKeys
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.principal import ANONYMOUS
from jwt_middleware.request.view import ASGIView
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.requirements import Match
from jwt_middleware.testing import Clock, FakeIssuer, KeyPair
from jwt_middleware.verdict import Allow, Deny
from tests.faces.calls import InProcess, http_scope, through_asgi
from tests.support.short_form import SECRET, bearer, short_guard, token

FACES = ["asgi", "wsgi"]


async def test_averify_waits_where_it_must(issuer: FakeIssuer, clock: Clock) -> None:
    """And hears of an outage as of a bad token: by an error of ours."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    issuer.outage()

    with pytest.raises(KeysUnavailable):
        await guard.averify(issuer.token(aud="o"))


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


@pytest.mark.parametrize("face", FACES)
async def test_what_nobody_asked_about_is_never_forgiven(
    face: str, issuer: FakeIssuer, clock: Clock
) -> None:
    """Over the budget of unknown keys nobody can tell; an issuer that was asked can."""
    rules = [optional("/**", on_invalid="anonymous")]
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), rules=rules, clock=clock)
    await guard.awarm(required=True)
    faces = InProcess(guard)

    answers = [
        await faces.ask(face, "GET", "/", bearer(with_kid(clock, issuer.url, f"invented-{number}")))
        for number in range(3)
    ]

    assert [answer.status for answer in answers] == [200, 200, 401]
    assert [answer.header("retry-after") for answer in answers] == [None, None, "10"]


def with_kid(clock: Clock, issuer: str, kid: str) -> str:
    claims = {"iss": issuer, "aud": "o", "sub": "alice", "exp": clock.now() + 600}
    return KeyPair.generate("ES256", kid).sign(claims)


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


def test_an_issuer_without_a_name_takes_any_iss_and_says_so(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning at start-up; ``iss`` must still be text."""
    with caplog.at_level(logging.WARNING):
        guard = Guard(key=SECRET, algorithms=["HS256"], audience=ANY_AUDIENCE, clock=clock)

    assert "issuer= is not set" in caplog.text
    assert guard.verify(token(clock, iss="https://whoever/", aud="x")).subject == "alice"
    with pytest.raises(TokenError) as refused:
        guard.verify(token(clock, iss=1))
    assert refused.value.code == "claim_invalid"
    with pytest.raises(TokenError):
        guard.verify(b"bytes")  # type: ignore[arg-type]


def test_a_view_may_ask_for_more_than_its_rule(clock: Clock) -> None:
    """One implementation for every framework: 401 for the anonymous, 403 for the others."""
    seen: list[Event] = []
    guard = short_guard(clock=clock, observers=[seen.append])
    alice = guard.verify(token(clock, scope="a", tenant="acme"))
    nobody, forgiven = ANONYMOUS, replace(ANONYMOUS, refusal="token_expired")
    elsewhere = replace(ANONYMOUS, refusal="a_code_of_a_users_own_source")
    owns = has_claim("tenant", capture("tenant"))

    assert guard.integration.hold(alice, has_scope("a")) is None
    assert guard.integration.hold(alice, owns, {"tenant": "acme"}) is None
    refusals = [
        guard.integration.hold(alice, has_scope("b")),
        guard.integration.hold(alice, owns, {"tenant": "other"}),
        guard.integration.hold(nobody, has_scope("a")),
        guard.integration.hold(forgiven, has_scope("a")),
        guard.integration.hold(elsewhere, has_scope("a")),
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


@dataclass(frozen=True)
class Exempt(SampleRequest):
    """A request to a view that needs no login, as Django's may say."""

    exempt: bool = True

    def needs_no_login(self) -> bool:
        return self.exempt


def test_a_view_may_need_no_login_where_no_rule_speaks(clock: Clock) -> None:
    """In any reading of its path; and it is still refused if it comes to another view."""
    seen: list[Event] = []
    rules = [protect("/a"), protect("/admin", requires=has_scope("x"))]
    guard = short_guard(clock=clock, rules=rules, observers=[seen.append])
    expired, known = token(clock, exp=1), token(clock)

    for sent in (None, expired):
        passed = guard.decide(Exempt("GET", "/b", sent))
        assert isinstance(passed, Allow)
        assert not passed.principal.is_authenticated
        assert passed.response_headers
        assert not seen
        refused = guard.integration.refuse_after_all(passed)
        assert refused is not None
        assert refused.status == 401
        assert isinstance(seen.pop(), RequestRefused)
    statuses = [
        str(guard.decide(Exempt("GET", path, sent, exempt=exempt)))[:3]
        for path, sent, exempt in [
            ("/a", None, True),
            ("/a;x", None, True),
            ("/b", None, False),
            ("/b/../a", None, True),
            ("/admin", known, True),
        ]
    ]
    assert statuses == ["401", "401", "401", "400", "403"]
    settled = guard.decide(Exempt("GET", "/b", known))
    assert isinstance(settled, Allow)
    assert guard.integration.refuse_after_all(settled) is None
    assert settled.principal.is_authenticated


async def test_a_view_that_needs_no_login_is_no_way_around_a_key_that_nobody_asked_for(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """Over the budget of unknown keys the token may be good, and its caller somebody."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    await guard.awarm(required=True)

    def exempt(number: int) -> Any:
        sent = with_kid(clock, issuer.url, f"invented-{number}")
        return guard.decide(Exempt("GET", "/b", sent))

    for number in range(2):
        assert isinstance(await arun(exempt(number)), Allow)
    assert str(exempt(2)) == "401 key_unknown"


def test_an_answer_varies_with_what_a_token_may_stand_in() -> None:
    """A token of the query stands in the address, which every cache goes by."""
    assert short_guard().integration.varies_with == ["Authorization"]
    assert short_guard(token_sources=[QueryToken("t", http=True)]).integration.varies_with == []


EVIDENCE = [
    ({"exp": 1_234_567}, "token_expired", "exp after", "1234567"),
    ({"nbf": 4_000_000_000}, "token_not_yet_valid", "nbf by", "4000000000"),
    ({"iat": 4_000_000_000}, "token_issued_in_future", "iat by", "4000000000"),
    ({"aud": ["b", "a"]}, "audience_mismatch", "'us'", "'a', 'b'"),
    ({"aud": "x\n" + "y" * 500}, "audience_mismatch", "'us'", "'x\\n" + "y" * 92 + "...'"),
    ({"iat": 1_000, "exp": 9_000_000_000}, "lifetime_too_long", "at most 90", "8999999000"),
]


@pytest.mark.parametrize(("claims", "code", "expected", "found"), EVIDENCE)
def test_a_refusal_says_what_was_expected_and_found(
    claims: dict[str, Any], code: str, expected: str, found: str, clock: Clock
) -> None:
    """To observers and the log, cut and escaped; and never to the client."""
    seen: list[Event] = []
    issuer = Issuer(
        "https://a/", audience="us", keys=SECRET, algorithms=["HS256"], max_lifetime=90_000_000
    )
    guard = Guard(issuers=issuer, clock=clock, observers=[seen.append])
    text = token(clock, **{"aud": "us", "iat": int(clock.now()), **claims})

    verdict = guard.decide(SampleRequest("GET", "/", text))

    (event,) = seen
    assert isinstance(event, RequestRefused)
    assert (event.code, event.found) == (code, found)
    assert event.expected.startswith(expected)
    assert isinstance(verdict, Deny)
    assert found not in verdict.body.decode() + str(verdict.headers)


def test_what_a_header_says_is_evidence_too(clock: Clock) -> None:
    """Algorithm, type, issuer and key id, as the configuration names them."""
    seen: list[Any] = []
    issuer = Issuer(
        "https://a/",
        audience=None,
        keys=KeyPair.generate("ES256", "known").jwk,
        algorithms=["ES256"],
        token_types=["at+jwt"],
    )
    other = Issuer("https://b/", audience=None, keys=SECRET, algorithms=["HS256"])
    guard = Guard(issuers=[issuer, other], clock=clock, observers=[seen.append])
    pair = KeyPair.generate("ES256", "un\nknown")
    claims = {"iss": "https://a/", "sub": "alice", "exp": clock.now() + 600}

    def said(text: str) -> tuple[str, str, str]:
        guard.decide(SampleRequest("GET", "/", text))
        event = seen.pop()
        return event.code, event.expected, event.found

    assert said(token(clock)) == ("algorithm_not_allowed", "'ES256'", "'HS256'")
    assert said(pair.sign(claims, {"typ": "dpop+jwt"})) == (
        "type_not_allowed",
        "'at+jwt'",
        "'dpop+jwt'",
    )
    assert said(pair.sign(claims, {"typ": "at+jwt"})) == ("key_unknown", "'known'", "'un\\nknown'")
    assert said(pair.sign({**claims, "iss": "https://c/"})) == (
        "issuer_untrusted",
        "'https://a/', 'https://b/'",
        "'https://c/'",
    )


@pytest.mark.parametrize("face", FACES)
async def test_what_passes_is_told_too(face: str, clock: Clock) -> None:
    """By method, pattern, issuer and a digest that is the same for the same token."""
    told: list[Any] = []
    rules = [public("/open"), protect("/orders/{id}")]
    guard = short_guard(clock=clock, rules=rules, observers=[told.append])
    faces, known = InProcess(guard), token(clock)

    await faces.ask(face, "GET", "/orders/7", bearer(known))
    await faces.ask(face, "PUT", "/orders/8", bearer(known))
    await faces.ask(face, "BREW", "/orders/8", bearer(known + "x"))
    await faces.ask(face, "GET", "/open")
    await faces.ask(face, "GET", "/orders/9")
    guard.explain("GET", "/orders/9")

    kinds = [type(event) for event in told]
    assert kinds == [*[RequestAllowed] * 2, RequestRefused, RequestAllowed, RequestRefused]
    assert [event.method for event in told] == ["GET", "PUT", "other", "GET", "GET"]
    assert [event.pattern for event in told] == [*["/orders/{id}"] * 3, "/open", "/orders/{id}"]
    assert [event.issuer for event in told] == ["https://a/", "https://a/", None, None, None]
    digests = [event.token for event in told]
    assert digests[0] == digests[1] != digests[2]
    assert digests[3:] == [None, None]
    assert known not in str(told)


def test_a_request_waits_once_for_the_same_keys(issuer: FakeIssuer, clock: Clock) -> None:
    """A fetch that is not over in time ends in a 503, never in a second wait for it."""
    guard = Guard(issuers=Issuer(issuer.url, audience="o"), clock=clock)
    steps = guard.decide(SampleRequest("GET", "/", issuer.token(aud="o")))
    assert isinstance(steps, Generator)
    effect = next(steps)
    assert isinstance(effect, AwaitKeys)
    assert effect.waiter.fetch.claim()

    with pytest.raises(StopIteration) as end:
        steps.send(effect.perform(0.0))

    assert (end.value.value.status, end.value.value.code) == (503, "keys_unavailable")


def test_a_token_that_had_to_wait_is_judged_by_the_same_readings(
    issuer: FakeIssuer, clock: Clock
) -> None:
    """The mount points of the application and of the server count after the keys came, too."""
    rules = [protect("/admin", requires=has_role("admin"))]
    alice = issuer.token(aud="o")

    def outcome(path: str, *mounts: str, root: str = "") -> str:
        guard = Guard(issuers=Issuer(issuer.url, audience="o"), rules=rules, clock=clock)
        headers = [(b"authorization", f"Bearer {alice}".encode())]
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        steps = guard.decide(ASGIView({**scope, "root_path": root}), Application((), mounts))
        assert isinstance(steps, Generator)
        return str(run(steps))

    assert outcome("/v1/admin", "/v1") == "403 requirement_not_met"
    assert outcome("/m/admin", root="/m") == "403 requirement_not_met"
    assert outcome("/v1/admin") == "passes as alice"


@pytest.mark.parametrize("duplicate", [copy, deepcopy, pickle.dumps])
def test_a_guard_refuses_to_be_copied(duplicate: Any, clock: Clock) -> None:
    """Half of a copy would be shared with the original."""
    with pytest.raises(TypeError, match="build one in each process"):
        duplicate(short_guard(clock=clock))


@pytest.mark.parametrize("duplicate", [deepcopy, lambda rules: pickle.loads(pickle.dumps(rules))])
def test_copied_rules_decide_as_before(duplicate: Any, clock: Clock) -> None:
    """What a claim is compared with, and what stands for no value, stay what they are."""
    rules = [
        protect("/t/{t}", requires=has_claim("t", capture("t")) & ~has_claim("off")),
        public("/open", methods=["GET"]),
    ]
    guard = short_guard(clock=clock, rules=duplicate(rules))

    def outcome(path: str, **claims: Any) -> str:
        return str(guard.decide(SampleRequest("GET", path, token(clock, **claims))))

    assert outcome("/t/a", t="a") == "passes as alice"
    assert outcome("/t/a", t="a", off=None) == outcome("/t/a", t="b") == "403 requirement_not_met"
    assert outcome("/open") == "passes as anonymous"


@pytest.mark.parametrize("words", [2, 20_000])
def test_what_is_no_token_at_any_length_is_malformed(words: int, clock: Clock) -> None:
    """Two words are an unreadable request (400), be they short or longer than a token may be."""
    guard = short_guard(clock=clock)

    many = guard.decide(SampleRequest("GET", "/", " ".join(["word"] * words)))
    one = guard.decide(SampleRequest("GET", "/", "word" * 20_000))

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

    refused = guard.decide(SampleRequest("GET", path, stale))

    assert isinstance(refused, Deny)
    assert ("Set-Cookie" in dict(refused.headers)) is is_cleared


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_that_will_be_good_keeps_its_cookie(claim: str, clock: Clock) -> None:
    """A clock of ours that went back logs nobody out."""
    source = CookieToken("__Host-token", clear_on_invalid=True)
    guard = short_guard(clock=clock, token_sources=[source])

    refused = guard.decide(
        SampleRequest("GET", "/", token(clock, **{claim: int(clock.now()) + 400}))
    )

    assert isinstance(refused, Deny)
    assert refused.status == 401
    assert "Set-Cookie" not in dict(refused.headers)


def test_a_challenge_names_a_scope_only_where_a_scope_is_what_it_misses(clock: Clock) -> None:
    """Whether a scope would do is judged with the captures of the path."""
    of_tenant = has_claim("tenant", capture("tenant")) & has_scope("write")
    guard = short_guard(clock=clock, rules=[protect("/of/{tenant}/**", requires=of_tenant)])
    known = token(clock, tenant="acme")

    def challenge(path: str) -> str:
        refused = guard.decide(SampleRequest("GET", path, known))
        assert isinstance(refused, Deny)
        return dict(refused.headers)["WWW-Authenticate"]

    assert 'scope="write"' in challenge("/of/acme")
    assert "scope=" not in challenge("/of/other")
