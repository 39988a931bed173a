"""What a guard says of a request that nobody sent."""

import asyncio
import logging

import pytest

from jwt_middleware import (
    ConfigurationError,
    CookieToken,
    Guard,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    Principal,
    Refusal,
    Requirement,
    has_role,
    optional,
    protect,
    public,
)
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.requirements import Match
from jwt_middleware.testing import Clock, FakeIssuer
from tests.faces.calls import (
    asgi_app,
    http_scope,
    through_asgi,
    through_wsgi,
    wsgi_app,
    wsgi_environ,
)
from tests.support.short_form import short_guard, token


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
    assert "because      role admin" in told
    assert text not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "jwt_middleware"):
        guard.explain("GET", "/admin", text)
    assert not caplog.messages


MOUNTED_RULES = [
    public("/api/open/**"),
    protect("/admin/**", requires=has_role("admin")),
    public("/pages/**"),
]


@pytest.mark.parametrize("mount", ["", "/api", "/api/", "/elsewhere"])
@pytest.mark.parametrize("below", ["/open/a", "/admin/a", "/pages/a", "/a", "/api/open/a"])
@pytest.mark.parametrize("is_asgi", [True, False])
def test_what_is_explained_is_what_a_mounted_application_gets(
    mount: str, below: str, is_asgi: bool
) -> None:
    """On each face, by the server's own mount point."""
    guard = short_guard(rules=MOUNTED_RULES)
    path = mount.rstrip("/") + below if is_asgi else below
    if is_asgi:
        scope = http_scope("GET", path, root_path=mount)
        answer = asyncio.run(through_asgi(JWTMiddleware(asgi_app, guard), scope))
    else:
        environ = wsgi_environ("GET", path, SCRIPT_NAME=mount)
        answer = through_wsgi(JWTWSGIMiddleware(wsgi_app, guard), environ)

    explained = guard.explain("GET", path, mounted_at=mount)

    assert explained.outcome[:3] == {200: "pas"}.get(answer.status, str(answer.status))


def test_what_is_explained_goes_by_the_mount_points_of_the_application_too() -> None:
    """Of an application that strips its own, as FastAPI(root_path=...) does."""
    guard = short_guard(rules=[protect("/orders")])
    mounted, plain = Application(mount_points=["/v1"]), Application()

    for application, has_rule in ((mounted, True), (plain, False)):
        guard.integration.stand_before(object(), application)
        assert len(guard.explain("GET", "/v1/orders").rules) == 1 + has_rule
