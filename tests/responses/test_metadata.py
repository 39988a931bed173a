"""What a protected resource says of itself (RFC 9728)."""

import json
from typing import Any

import pytest

from jwt_middleware import (
    BearerHeader,
    ConfigurationError,
    CookieToken,
    Guard,
    Issuer,
    QueryToken,
    any_of,
    has_role,
    has_scope,
    protect,
)
from jwt_middleware.testing import KeyPair
from tests.faces.calls import InProcess

PAIR = KeyPair.generate("ES256")
FACES = ["asgi", "wsgi"]
RULES = [
    protect("/orders/**", requires=has_scope("orders:read")),
    protect("/admin", requires=any_of(has_scope("admin", "staff"), has_role("root"))),
]


def guard(resource: str | None = "https://api.example/v1/", **options: Any) -> Guard:
    issuer = Issuer("https://id.example/", audience="api", keys=PAIR.jwk)
    return Guard(**{"issuers": issuer, "rules": RULES, "resource": resource, **options})


@pytest.mark.parametrize("face", FACES)
async def test_the_metadata_stands_at_its_well_known_path(face: str) -> None:
    """Without a token, for pages of any origin; the path of the resource follows it."""
    faces = InProcess(guard())

    answer = await faces.ask(face, "GET", "/.well-known/oauth-protected-resource/v1")

    assert answer.status == 200
    assert answer.json() == {
        "resource": "https://api.example/v1/",
        "authorization_servers": ["https://id.example/"],
        "scopes_supported": ["admin", "orders:read", "staff"],
        "bearer_methods_supported": ["header"],
    }
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("cache-control") == "public, max-age=3600"


@pytest.mark.parametrize("face", FACES)
async def test_nothing_else_is_opened_by_it(face: str) -> None:
    """Neither what lies beside it, nor another method."""
    faces = InProcess(guard())
    path = "/.well-known/oauth-protected-resource/v1"

    head = await faces.ask(face, "HEAD", path)
    others = [
        await faces.ask(face, method, where)
        for method, where in [("POST", path), ("GET", f"{path}/x"), ("GET", f"{path}/")]
    ]

    assert (head.status, head.body) == (200, b"")
    assert [answer.status for answer in others] == [401, 401, 401]


@pytest.mark.parametrize("face", FACES)
async def test_every_challenge_names_the_metadata(face: str) -> None:
    """So that a client without a token learns where to get one."""
    faces = InProcess(guard())
    tokenless = await faces.ask(face, "GET", "/orders/1")
    token = PAIR.sign(
        {"iss": "https://id.example/", "aud": "api", "exp": 4_000_000_000, "scope": "x"}
    )
    refused = await faces.ask(face, "GET", "/orders/1", [("Authorization", f"Bearer {token}")])
    address = "https://api.example/.well-known/oauth-protected-resource/v1"

    assert tokenless.header("www-authenticate") == (
        f'Bearer realm="api", resource_metadata="{address}"'
    )
    assert str(refused.header("www-authenticate")).endswith(f', resource_metadata="{address}"')


async def test_without_a_resource_there_is_no_metadata() -> None:
    """And the path falls under the rules like any other."""
    faces = InProcess(guard(None))

    answer = await faces.ask("asgi", "GET", "/.well-known/oauth-protected-resource")

    assert answer.status == 401
    assert "resource_metadata" not in str(answer.header("www-authenticate"))


def test_what_has_no_elements_is_left_out() -> None:
    """A nameless issuer is nowhere to go, and a cookie is no method of RFC 6750."""
    nameless = guard(
        "https://api.example",
        issuers=Issuer(None, audience="api", keys=PAIR.jwk),
        rules=[],
        token_sources=[CookieToken()],
    )
    several = guard(token_sources=[BearerHeader(), QueryToken("t", http=True), QueryToken("u")])

    assert nameless._resource is not None
    assert nameless._resource.path == "/.well-known/oauth-protected-resource"
    assert json.loads(nameless._resource.reply.body) == {"resource": "https://api.example"}
    assert several._resource is not None
    assert several._resource.document["bearer_methods_supported"] == ["header", "query"]


def test_it_can_be_explained() -> None:
    """As an answer that no check stood in the way of."""
    explained = guard().explain("GET", "/.well-known/oauth-protected-resource/v1")

    assert explained.outcome == "200 resource_metadata"
    assert {outcome for _, outcome in explained.checks} == {"not reached"}


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        ("http://api.example", "must be https"),
        ("https://api.example/?a=b", "cannot have a query"),
        ("https://api.example/#a", "without credentials or fragment"),
        ("orders", "write https://"),
    ],
)
def test_a_mistaken_resource_is_a_sentence(resource: str, sentence: str) -> None:
    """At construction."""
    with pytest.raises(ConfigurationError) as mistake:
        guard(resource)
    assert sentence in str(mistake.value)
