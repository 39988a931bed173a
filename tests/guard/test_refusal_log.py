"""The line on a refused request: what it says, when it is written, and how many there may be."""

import json
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jwt_middleware import (
    AdmittedIssuers,
    CookieToken,
    Guard,
    Issuer,
    Principal,
    Refusal,
    Requirement,
    Secret,
    has_role,
    protect,
)
from jwt_middleware.errors import refusals
from jwt_middleware.events import Event, RequestRefused
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.guard.refusal_log import LINES_AT_ONCE, RefusalLog
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse
from jwt_middleware.rules.requirements import Match
from jwt_middleware.testing import Clock
from jwt_middleware.testing.keys import KeyPair
from tests.faces.calls import InProcess
from tests.keys.publisher import in_threads
from tests.support.short_form import bearer

FACES = ["asgi", "wsgi"]
LOGGER = "jwt_middleware.requests"
PAGE = Path(__file__).parents[2] / "docs/errors.md"
NAME = "https://id.example/"
PAIR = KeyPair.generate("ES256", "k1")
MARK = "s3cret"
OURS = "9f41b0bd-8ac4-4fc6-9b0a-2a1f0d8e6a10"
THEIRS = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ISS = "https://login.example/{}/v2.0"


class Lines:
    """Collects what the logger is given, at the level at which it is given."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self) -> list[str]:
        told = [each.getMessage() for each in self._caplog.records if each.name == LOGGER]
        self._caplog.clear()
        return told


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    with caplog.at_level(logging.INFO, LOGGER):
        yield Lines(caplog)


def guard_of(clock: Clock, **options: Any) -> Guard:
    issuer = Issuer(
        NAME,
        audience="orders",
        keys=PAIR.jwk,
        algorithms=["ES256"],
        required_values={"plan": "gold"},
    )
    return Guard(
        issuers=[
            issuer,
            Issuer("https://b/", audience=None, keys=Secret("k" * 32), algorithms=["HS256"]),
        ],
        rules=[protect("/admin", requires=has_role("admin")), protect("/**")],
        clock=clock,
        **options,
    )


def signed(clock: Clock, header: dict[str, Any] | None = None, **claims: Any) -> str:
    members = {
        "iss": NAME,
        "aud": "orders",
        "sub": MARK,
        "exp": clock.now() + 60,
        "plan": "gold",
        **claims,
    }
    return PAIR.sign({k: v for k, v in members.items() if v is not ...}, header or {})


# The change to a good token, and what the line says between rule and digest.
ROWS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("audience_mismatch", {"aud": "billing"}, {}, "expected 'orders', found 'billing'"),
    ("audience_mismatch", {"aud": []}, {}, "expected 'orders', found none"),
    (
        "audience_mismatch",
        {"aud": ["Orders/", "x"]},
        {},
        "found 'Orders/', 'x', they differ only in upper and lower case and by a slash at the end",
    ),
    (
        "issuer_untrusted",
        {"iss": NAME[:-1]},
        {},
        f"found '{NAME[:-1]}', they differ only by a slash at the end",
    ),
    ("issuer_untrusted", {"iss": "a\nrefused 200"}, {}, "found 'a\\nrefused 200'"),
    ("claim_invalid", {"iss": [MARK]}, {}, "expected a string, found an array"),
    ("claim_invalid", {"aud": {"x": MARK}}, {}, "array of strings, found an object"),
    ("claim_invalid", {"exp": MARK}, {}, "expected a number of seconds, found a string"),
    ("claim_invalid", {"sub": 7}, {}, "expected a string, found a number"),
    ("claim_invalid", {"plan": MARK}, {}, "expected 'gold', found a string"),
    ("claim_invalid", {"plan": "Gold"}, {}, "found a string, they differ only in upper and lower"),
    ("claim_missing", {"plan": ...}, {}, "claim 'plan' is required"),
    ("token_expired", {"exp": 1_000}, {}, "expected exp after 1749999970, found 1000"),
    ("type_not_allowed", {}, {"typ": "dpop+jwt"}, "'at+jwt', 'jwt', none, found 'dpop+jwt'"),
    ("key_unknown", {}, {"kid": "K1"}, "expected 'k1', found 'K1', they differ only in upper and"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
@pytest.mark.parametrize("face", FACES)
async def test_a_refusal_is_one_line_with_both_sides(
    face: str, row: tuple[str, dict[str, Any], dict[str, Any], str], clock: Clock, lines: Lines
) -> None:
    """The same on each face, in the event and in ``explain``; and nothing of it for the client."""
    code, claims, header, says = row
    seen: list[Event] = []
    guard = guard_of(clock, observers=[seen.append])
    text = signed(clock, header, **claims)

    answer = await InProcess(guard).ask(face, "GET", "/orders", bearer(text))

    (line,) = lines()
    (event,) = seen
    assert isinstance(event, RequestRefused)
    assert event.code == code
    assert says in event.detail
    issuer = "" if event.judged_by is None else f"issuer '{NAME}'; "
    assert line == (
        f"refused 401 {code}; GET under protect('/**'); {issuer}{event.detail}; token {event.token}"
    )
    assert (event.judged_by is None) == (
        code == "issuer_untrusted" or isinstance(claims.get("iss"), list)
    )
    assert MARK not in line
    assert not [part for part in text.split(".") if part in line]
    assert event.detail == guard.explain("GET", "/orders", text).because
    assert lines() == []
    sent = answer.body.decode() + str(answer.headers)
    assert not [each for each in ("found", "expected", "differ") if each in sent]


def test_a_key_of_another_kind_is_told(clock: Clock, lines: Lines) -> None:
    """The id is right, so the kinds of the keys are compared."""
    rsa = KeyPair.generate("RS256", "k1")
    issuer = Issuer(NAME, audience=None, keys=[PAIR.jwk, rsa.jwk | {"kid": "r"}])
    guard = Guard(issuers=issuer, clock=clock)
    claims = {"iss": NAME, "exp": clock.now() + 60}

    guard.decide(SampleRequest("GET", "/", rsa.sign(claims)))

    assert "expected a key for RS256, found EC P-256 ES256" in lines()[0]


def test_other_refusals_say_what_they_compare(clock: Clock, lines: Lines) -> None:
    """A requirement, an origin, an ambiguous path, and a request without a token."""
    guard = guard_of(clock, token_sources=[CookieToken()], trusted_origins=["https://app.example"])
    text = signed(clock)

    class Foreign(SampleRequest):
        __slots__ = ()

        def headers(self, name: str) -> list[str]:
            fields = {"origin": "https://evil.example", "host": "api.example"}
            return [fields[name]] if name in fields else []

    guard.decide(SampleRequest("GET", "/admin", text))
    guard.decide(Foreign("POST", "/orders", text))
    guard.decide(SampleRequest("GET", "/a/../b"))
    guard.decide(SampleRequest("BREW", "/a"))
    admin, origin, path, missing = lines()

    assert admin.startswith(
        f"refused 403 requirement_not_met; GET under protect('/admin', requires role admin); "
        f"issuer '{NAME}'; role admin; token "
    )
    assert (
        "expected 'https://api.example', 'https://app.example', found 'https://evil.example'"
        in origin
    )
    assert path == "refused 400 path_invalid; GET under no rule; the path has a dot segment"
    assert missing == "refused 401 token_missing; other under protect('/**')"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tid": THEIRS}, f"expected '{OURS}', found another tenant"),
        ({"iss": ISS.format(THEIRS)}, f"iss, expected '{ISS.format('{tenantid}')}', found"),
        ({"tid": OURS.upper()}, "expected one tenant's id in lower case, found a string"),
        ({"kid": "other"}, f"expected '{ISS.format(THEIRS)}', found '{ISS.format(OURS)}'"),
    ],
)
def test_a_tenant_is_compared_too(
    changes: dict[str, Any], says: str, clock: Clock, lines: Lines
) -> None:
    """The tenant, the issuer of the tenant, and the issuer of the key."""
    other = {**PAIR.jwk, "kid": "other", "issuer": ISS.format(THEIRS)}
    issuer = Issuer(ISS.format("{tenantid}"), audience=None, keys=[PAIR.jwk, other], tenants=[OURS])
    kid = {"kid": changes.pop("kid", "k1")}
    claims = {"iss": ISS.format(OURS), "tid": OURS, "exp": clock.now() + 60, **changes}

    Guard(issuers=issuer, clock=clock).decide(SampleRequest("GET", "/", PAIR.sign(claims, kid)))

    assert says in lines()[0]


def test_a_rule_that_admits_issuers_has_no_list_of_names(clock: Clock, lines: Lines) -> None:
    """So that the expected side says what it is."""
    guard = Guard(issuers=AdmittedIssuers(lambda _: None), clock=clock)

    guard.decide(SampleRequest("GET", "/", signed(clock)))

    assert f"expected an admitted issuer, found '{NAME}'" in lines()[0]


def test_a_cached_token_that_expires_says_when(clock: Clock, lines: Lines) -> None:
    """Though it is never read again."""
    guard = guard_of(clock)
    request = SampleRequest("GET", "/orders", signed(clock))
    guard.decide(request)
    ends = int(clock.now()) + 60
    clock.tick(300)

    guard.decide(request)

    (line,) = lines()
    assert f"issuer '{NAME}'; expected exp after {int(clock.now()) - 30}, found {ends}" in line


def test_what_a_view_refuses_is_a_line_too(clock: Clock, lines: Lines) -> None:
    """It has no path of its own."""
    guard = guard_of(clock)
    principal = guard.verify(signed(clock))

    guard.integration.hold(principal, has_role("admin"))
    guard.integration.unknown_user()

    assert lines() == [
        f"refused 403 requirement_not_met; under a view; issuer '{NAME}'; role admin",
        "refused 401 user_unknown; under a view",
    ]


def test_a_refusal_that_was_put_off_keeps_its_reason(clock: Clock, lines: Lines) -> None:
    """A view without a login was exempt, and the view that ran after all was not."""

    class Exempt(SampleRequest):
        __slots__ = ()

        def needs_no_login(self) -> bool:
            return True

    guard = Guard(issuers=Issuer(NAME, audience="orders", keys=PAIR.jwk), clock=clock)
    allow: Any = guard.decide(Exempt("GET", "/b", signed(clock, aud="billing")))
    assert lines() == []

    guard.integration.refuse_after_all(allow)

    assert "found 'billing'" in lines()[0]


def test_a_discovery_and_a_key_set_say_what_is_wrong_with_them(clock: Clock, lines: Lines) -> None:
    """In the line of a 503, and in the health of the guard."""

    class Publisher:
        def fetch(self, request: FetchRequest) -> FetchResponse:
            if request.url.endswith("/jwks"):
                members = [{"kty": "EC", "kid": "e\n1", "use": "enc"}, {"kty": "RSA"}]
                return FetchResponse(200, {}, json.dumps({"keys": members}).encode())
            return FetchResponse(200, {}, json.dumps({"issuer": NAME[:-1]}).encode())

    fetcher = Publisher()
    found = Issuer(NAME, audience=None, fetcher=fetcher)
    fixed = Issuer("https://b/", audience=None, jwks_uri="https://b/jwks", fetcher=fetcher)
    guard = Guard(issuers=[found, fixed], clock=clock)
    guard.warm()

    for name in (NAME, "https://b/"):
        guard.decide(SampleRequest("GET", "/", PAIR.sign({"iss": name, "exp": clock.now() + 60})))

    health = guard.health()
    one, other = lines()
    assert one.startswith(
        f"refused 503 keys_unavailable; GET under no rule: a valid token; issuer '{NAME}'"
    )
    assert f"expected '{NAME}', found '{NAME[:-1]}', they differ only by a slash" in one
    assert "discovery names another issuer" in (health[NAME].last_failure or "")
    said = "no usable key: the first member 'e\\n1' was skipped (use_not_sig), and 1 more"
    assert health["https://b/"].last_failure == said
    assert said.replace("\\", "\\") in other


def test_where_nobody_listens_nothing_is_built(
    clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above ``INFO`` and without observers no event, no digest and no budget is touched."""
    guard = guard_of(clock)
    text = signed(clock, aud="billing")
    with caplog.at_level(logging.WARNING, LOGGER):
        monkeypatch.setattr("jwt_middleware.guard.decision._refused", None)
        monkeypatch.setattr("jwt_middleware.guard.decision._digest", None)
        for _ in range(3 * LINES_AT_ONCE):
            assert str(guard.decide(SampleRequest("GET", "/", text))) == "401 audience_mismatch"
    monkeypatch.undo()
    caplog.clear()
    with caplog.at_level(logging.INFO, LOGGER):
        guard.decide(SampleRequest("GET", "/", text))
    assert "left out" not in caplog.text
    assert len(caplog.records) == 1


def test_a_flood_is_some_lines_and_a_number(clock: Clock, lines: Lines) -> None:
    """Ten lines at once and one a second; the next line says how many there were besides."""
    guard = guard_of(clock)
    bad = SampleRequest("GET", "/", signed(clock, aud="billing"))

    for _ in range(1_000):
        guard.decide(bad)
    first = lines()
    clock.tick(1)
    for _ in range(500):
        guard.decide(bad)
    (second,) = lines()
    clock.tick(1)
    guard.decide(bad)
    (third,) = lines()

    assert len(first) == LINES_AT_ONCE
    assert not [line for line in first if "left out" in line]
    assert second.endswith("; 990 more were left out of the log")
    assert third.endswith("; 499 more were left out of the log")


def test_threads_share_one_limit(clock: Clock, lines: Lines) -> None:
    """No line too many, and every refusal is a line or is counted."""
    guard = guard_of(clock)
    bad = SampleRequest("GET", "/", signed(clock, aud="billing"))

    in_threads(8, lambda: [guard.decide(bad) for _ in range(50)])
    written = len(lines())
    clock.tick(1)
    guard.decide(bad)

    assert written == LINES_AT_ONCE
    assert lines()[0].endswith("; 390 more were left out of the log")


def test_a_socket_is_refused_by_the_same_line(clock: Clock, lines: Lines) -> None:
    """Its method is its kind, as in events."""
    guard_of(clock).decide(SampleRequest("WEBSOCKET", "/chat"))

    assert lines() == ["refused 401 token_missing; WEBSOCKET under protect('/**')"]


def test_a_flood_of_one_code_hides_no_other(clock: Clock, lines: Lines) -> None:
    """A scanner without a token does not silence what a deployment got wrong."""
    guard = guard_of(clock)
    for _ in range(100):
        guard.decide(SampleRequest("GET", "/"))
    lines()

    guard.decide(SampleRequest("GET", "/", signed(clock, aud="billing")))

    (line,) = lines()
    assert line.startswith("refused 401 audience_mismatch")
    assert line.endswith("; 90 more were left out of the log")


def test_invented_codes_share_one_limit_and_fill_no_memory(clock: Clock, lines: Lines) -> None:
    """A requirement may return any text as its code, and in its detail."""
    codes = iter(range(1_000))

    class Own(Requirement):
        def judge(self, principal: Principal, match: Match) -> Refusal | None:
            return Refusal("a\nb" * 1_000, code=f"own\n{next(codes)}")

    guard = Guard(
        issuers=Issuer(NAME, audience=None, keys=PAIR.jwk),
        rules=[protect("/**", requires=Own())],
        clock=clock,
    )
    request = SampleRequest("GET", "/", signed(clock))
    for _ in range(50):
        guard.decide(request)

    told = lines()
    assert len(told) == LINES_AT_ONCE
    assert not [line for line in told if "\n" in line or len(line) > 1_000]
    log = guard._judge.log
    assert isinstance(log, RefusalLog)
    assert len(log._limits) == len(list(refusals())) + 1


def test_programs_read_the_record_and_not_the_line(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A record has the event, also after a queue has carried it to another process."""
    with caplog.at_level(logging.INFO, LOGGER):
        guard_of(clock).decide(SampleRequest("GET", "/", signed(clock, aud="billing")))

    (record,) = [each for each in caplog.records if each.name == LOGGER]
    event = pickle.loads(pickle.dumps(record)).refusal
    assert (record.levelno, record.name) == (logging.INFO, LOGGER)
    assert (event.code, event.expected, event.found) == (
        "audience_mismatch",
        "'orders'",
        "'billing'",
    )


def test_the_docs_show_lines_as_they_are(clock: Clock, lines: Lines) -> None:
    """The three samples of the page on errors, but for the digest of the token."""

    class Publisher:
        def fetch(self, request: FetchRequest) -> FetchResponse:
            members = [{"kty": "EC", "kid": "e1", "use": "enc"}, {"kty": "RSA"}]
            return FetchResponse(200, {}, json.dumps({"keys": members}).encode())

    held = Issuer(NAME, audience="orders", keys=PAIR.jwk)
    fetched = Issuer(NAME, audience="orders", jwks_uri=f"{NAME}keys", fetcher=Publisher())
    cases: list[tuple[Issuer, dict[str, Any]]] = [
        (held, {"aud": "billing"}),
        (held, {"iss": NAME[:-1]}),
        (fetched, {}),
    ]
    for issuer, changes in cases:
        guard = Guard(issuers=issuer, rules=[protect("/orders/**")], clock=clock)
        guard.warm()
        guard.decide(SampleRequest("GET", "/orders/7", signed(clock, **changes)))

    samples = [line for line in PAGE.read_text().splitlines() if line.startswith("refused ")]
    assert [line.rpartition(";")[0] for line in samples] == [
        line.rpartition(";")[0] for line in lines()
    ]
