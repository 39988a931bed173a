"""The fake issuer is a real server that does as it is told."""

import json
import threading
from typing import Any

import httpx
import pytest

from jwt_middleware.testing import Answer, Clock, FakeIssuer
from jwt_middleware.testing.issuer import JWKS_PATH, OAUTH_PATH, OIDC_PATH
from jwt_middleware.testing.misbehaviour import flapping, unavailable
from jwt_middleware.tokens.verifier import verify_jws


def get(issuer: FakeIssuer, path: str, **headers: str) -> httpx.Response:
    origin = issuer.jwks_uri.removesuffix(JWKS_PATH)
    return httpx.get(origin + path, headers=headers)


def verified(issuer: FakeIssuer, token: str, alg: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(verify_jws(token, issuer.jwks(), [alg]))
    return claims


@pytest.mark.parametrize("path", [OIDC_PATH, OAUTH_PATH])
def test_discovery_names_the_issuer_and_its_keys(path: str) -> None:
    """Both discovery documents name the issuer and where its keys are."""
    with FakeIssuer(["ES256"]) as issuer:
        assert get(issuer, path).json() == {"issuer": issuer.url, "jwks_uri": issuer.jwks_uri}
        assert get(issuer, "/elsewhere").status_code == 404


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_tokens_verify_with_the_published_keys(alg: str) -> None:
    """A token of each algorithm verifies with the key set as it is published over HTTP."""
    clock = Clock()
    with FakeIssuer(now=clock.now) as issuer:
        published = get(issuer, JWKS_PATH).json()
        token = issuer.token(alg, aud="orders", iat=None)

        assert published == issuer.jwks()
        assert verified(issuer, token, alg) == {
            "iss": issuer.url,
            "sub": "alice",
            "exp": clock.now() + 300,
            "aud": "orders",
        }


def test_anything_may_be_signed() -> None:
    """Any payload and any header, for tokens that are wrong in one way."""
    with FakeIssuer(["ES256"]) as issuer:
        token = issuer.sign(b"no JSON", headers={"typ": "x"})

        assert verify_jws(token, issuer.jwks(), ["ES256"]) == b"no JSON"


def test_rotation_exchanges_the_key() -> None:
    """A rotation signs with a new key; the old one goes, or stays beside it."""
    with FakeIssuer(["RS256", "ES256", "EdDSA"]) as issuer:
        old = issuer.key
        new = issuer.rotate()
        assert issuer.key is new
        assert old not in issuer.keys
        kept = issuer.rotate(keep=True)
        assert issuer.keys[:2] == [kept, new]
        curve = issuer.rotate("ES256")
        assert issuer.key_for("ES256") is curve
        assert issuer.key is kept
        assert [key.alg for key in issuer.keys] == ["RS256", "ES256", "RS256", "EdDSA"]


def test_an_outage_lasts_until_it_is_over() -> None:
    """In an outage every path answers 503."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.outage()
        assert get(issuer, JWKS_PATH).status_code == 503
        issuer.outage(is_out=False)
        assert get(issuer, JWKS_PATH).status_code == 200
        assert issuer.requests == {JWKS_PATH: 2}


def test_answers_can_be_exchanged_and_alternate() -> None:
    """A path answers what a test puts there, or one thing after the other."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.answers[JWKS_PATH] = Answer(418, b"tea", {"X-Pot": "short"})
        odd = get(issuer, JWKS_PATH)
        assert (odd.status_code, odd.content, odd.headers["x-pot"]) == (418, b"tea", "short")
        issuer.answers[JWKS_PATH] = flapping(unavailable("7", 429), Answer(204))
        statuses = [get(issuer, JWKS_PATH).status_code for _ in range(3)]
        assert statuses == [429, 204, 204]


def test_the_key_set_has_a_tag() -> None:
    """An unchanged key set answers 304 to its own tag, with the header fields of a test."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.headers["Cache-Control"] = "max-age=7"
        first = get(issuer, JWKS_PATH)
        second = get(issuer, JWKS_PATH, **{"If-None-Match": first.headers["etag"]})
        assert (second.status_code, second.content) == (304, b"")
        assert second.headers["cache-control"] == "max-age=7"
        issuer.rotate()
        third = get(issuer, JWKS_PATH, **{"If-None-Match": first.headers["etag"]})
        assert third.status_code == 200
        assert issuer.asked[1].headers["if-none-match"] == first.headers["etag"]


def test_the_gate_holds_answers_back() -> None:
    """While the gate is closed a request arrives and waits."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.gate.clear()
        statuses: list[int] = []
        asking = threading.Thread(target=lambda: statuses.append(get(issuer, "/x").status_code))
        asking.start()
        assert issuer.arrived.wait(10)
        assert not statuses
        issuer.gate.set()
        asking.join(10)

        assert statuses == [404]


def test_an_issuer_may_have_a_path() -> None:
    """An issuer with a path in its name has its documents where the standards put them."""
    with FakeIssuer(["ES256"], path="/tenant/") as issuer:
        assert issuer.url.endswith("/tenant/")
        assert get(issuer, "/tenant" + OIDC_PATH).json()["issuer"] == issuer.url
        assert get(issuer, OAUTH_PATH + "/tenant").json()["issuer"] == issuer.url


def test_two_issuers_share_nothing() -> None:
    """Two issuers have names and keys of their own."""
    with FakeIssuer(["RS256"]) as one, FakeIssuer(["RS256"]) as other:
        assert one.url != other.url
        assert one.key.jwk["n"] != other.key.jwk["n"]
