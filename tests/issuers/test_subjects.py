"""Who the caller is: the claim that an issuer identifies callers by."""

from typing import Any

import pytest

from jwt_middleware import (
    ConfigurationError,
    Guard,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    TokenError,
    current_principal,
    presets,
)
from jwt_middleware.testing import Clock, KeyPair
from tests.faces.calls import http_scope, through_asgi, through_wsgi, wsgi_environ
from tests.support.short_form import SECRET

HMAC = KeyPair(SECRET, "HS256", None)
NAME = "https://id.example"


def guard_of(clock: Clock, **options: Any) -> Guard:
    issuer = Issuer(NAME, audience="api", keys=HMAC.jwk, algorithms=["HS256"], **options)
    return Guard(issuers=issuer, clock=clock)


def signed(clock: Clock, **claims: Any) -> str:
    return HMAC.sign({"iss": NAME, "aud": "api", "exp": int(clock.now()) + 60, **claims})


@pytest.mark.parametrize(
    ("option", "claims", "subject"),
    [
        ("sub", {"sub": "alice"}, "alice"),
        ("sub", {"sub": ""}, None),
        ("sub", {}, None),
        ("sub", {"sub": "", "common_name": "machine"}, None),
        ("oid", {"sub": "pairwise", "oid": "alice"}, "alice"),
        ("oid", {"sub": "alice"}, None),
        ("user.id", {"user": {"id": "alice"}}, "alice"),
        ("user.id", {"user": "alice"}, None),
        ("user.id", {"user.id": "alice"}, None),
        (("user.id",), {"user.id": "alice"}, "alice"),
        ("user_id", {"user_id": 42}, "42"),
        (["sub", "common_name"], {"sub": "", "common_name": "machine"}, "machine"),
        (["sub", "common_name"], {"sub": "alice", "common_name": "machine"}, "alice"),
        (["oid", ("user", "id")], {"user": {"id": "alice"}}, "alice"),
        (["oid", "sub"], {"oid": None, "sub": "alice"}, "alice"),
    ],
    ids=str,
)
def test_the_first_claim_that_is_not_empty_identifies_the_caller(
    clock: Clock, option: Any, claims: dict[str, Any], subject: str | None
) -> None:
    """An empty name is nobody's."""
    principal = guard_of(clock, subject_claim=option).verify(signed(clock, **claims))

    assert principal.subject == subject
    assert principal.identity == (subject or "")


@pytest.mark.parametrize("value", [True, 1.5, ["alice"], {"id": "alice"}])
def test_a_subject_of_another_type_is_refused(clock: Clock, value: Any) -> None:
    """One reader would take it for text, another for a number; nobody is taken for somebody else."""
    guard = guard_of(clock, subject_claim=["oid", "sub"])

    with pytest.raises(TokenError) as refused:
        guard.verify(signed(clock, oid=value, sub="alice"))
    assert refused.value.code == "claim_invalid"


@pytest.mark.parametrize("value", [7, None, ["alice"]])
def test_sub_stays_a_string_whatever_identifies_the_caller(clock: Clock, value: Any) -> None:
    """RFC 7519 §4.1.2."""
    with pytest.raises(TokenError) as refused:
        guard_of(clock, subject_claim="oid").verify(signed(clock, oid="alice", sub=value))
    assert refused.value.code == "claim_invalid"


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"oid": ""}, {"oid": "", "sub": ""}])
async def test_a_caller_without_a_subject_is_refused_where_one_is_required(
    clock: Clock, claims: dict[str, Any]
) -> None:
    """The same through both faces."""
    guard = guard_of(clock, subject_claim=["oid", "sub"], require_subject=True)
    headers = [("Authorization", f"Bearer {signed(clock, **claims)}")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the guard let it pass")

    def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
        raise AssertionError("the guard let it pass")

    asgi = await through_asgi(JWTMiddleware(app, guard=guard), http_scope("GET", "/", headers))
    wsgi = through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard), wsgi_environ("GET", "/", headers))
    assert (asgi.status, wsgi.status) == (401, 401)
    with pytest.raises(TokenError) as refused:
        guard.verify(signed(clock, **claims))
    assert refused.value.code == "claim_missing"
    assert guard.verify(signed(clock, sub="alice")).subject == "alice"
    assert current_principal().is_authenticated is False


@pytest.mark.parametrize("option", [[], [""], "", "a/b", 7, None, {"sub"}])
def test_a_wrong_claim_path_is_named(option: Any) -> None:
    """At start-up, with the option."""
    with pytest.raises(ConfigurationError, match="subject_claim"):
        Issuer(NAME, audience="api", subject_claim=option)


def test_entra_identifies_callers_by_their_object_id() -> None:
    """``sub`` differs between the applications of one tenant; ``oid`` does not."""
    issuer = presets.entra("8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59", audience="api")

    assert issuer.policy.subject_of({"oid": "alice", "sub": "x"}) == "alice"
    assert issuer.policy.subject_of({"sub": "x"}) == "x"
