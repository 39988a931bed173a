"""Every endpoint gives the same answer through every face and framework; properties E1 to E9."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.endpoints import Endpoint, JWKSEndpoint, RefreshEndpoint
from jwt_middleware.endpoints.body import LONGEST
from tests.endpoints.service import FACES, Ask, Service, asking

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(params=FACES)
def ask(request: pytest.FixtureRequest, service: Service) -> Ask:
    return asking(request.param, service)


def said(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    return response.status_code, body["error"], body["code"]


def test_a_refresh_gives_the_next_pair(ask: Ask, service: Service) -> None:
    """RFC 6749 §5.1, by form and by JSON. No cache stores it."""
    first = service.pairs.issue("alice")
    given = {"grant_type": "refresh_token", "refresh_token": first.refresh_token}
    second = ask("POST", "/token", data=given)
    assert second.status_code == 200
    assert second.headers["cache-control"] == "no-store"
    assert second.headers["pragma"] == "no-cache"
    assert second.headers["content-type"] == "application/json"
    assert "set-cookie" not in second.headers

    third = ask("POST", "/token", json={"refresh_token": second.json()["refresh_token"]})
    assert third.status_code == 200
    assert service.guard().verify(third.json()["access_token"]).subject == "alice"
    assert set(third.json()) == set(first.as_json())


def test_a_reused_token_is_an_invalid_grant(ask: Ask, service: Service) -> None:
    """RFC 6749 §5.2, with our code beside (E3)."""
    first = service.pairs.issue("alice")
    service.pairs.refresh(first.refresh_token)
    service.clock.tick(6)
    given = {"refresh_token": first.refresh_token}
    assert said(ask("POST", "/token", data=given)) == (400, "invalid_grant", "refresh_reused")
    assert said(ask("POST", "/token", data=given)) == (400, "invalid_grant", "refresh_burnt")


def test_an_access_token_is_no_refresh_token(ask: Ask, service: Service) -> None:
    pair = service.pairs.issue("alice")
    given = {"refresh_token": pair.access_token}
    assert said(ask("POST", "/token", data=given)) == (400, "invalid_grant", "type_not_allowed")


def test_fewer_scopes_are_granted_and_more_are_not(ask: Ask, service: Service) -> None:
    """F14, RFC 6749 §6: a refusal consumes nothing."""
    first = service.pairs.issue("alice", claims={"scope": "a b"})
    given = {"refresh_token": first.refresh_token, "scope": "a c"}
    assert said(ask("POST", "/token", data=given)) == (400, "invalid_scope", "scope_not_granted")

    second = ask("POST", "/token", data={**given, "scope": "b"}).json()
    assert service.guard().verify(second["access_token"]).scopes == {"b"}
    # RFC 6749 §6: the refresh token keeps all of them.
    third = ask("POST", "/token", data={"refresh_token": second["refresh_token"]}).json()
    assert service.guard().verify(third["access_token"]).scopes == {"a", "b"}


def test_who_invents_key_ids_logs_nobody_out(ask: Ask, service: Service) -> None:
    """A token of a key that another process has made is not refused for good meanwhile."""
    token = service.pairs.issue("alice").refresh_token
    head, _, rest = token.partition(".")
    invented = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(head + "==").replace(b'"kid":"', b'"kid":"x')
    ).rstrip(b"=")
    given = {"refresh_token": f"{invented.decode()}.{rest}"}
    assert said(ask("POST", "/token", data=given)) == (400, "invalid_grant", "key_unknown")
    again = ask("POST", "/token", data=given)
    assert said(again) == (503, "temporarily_unavailable", "key_unknown")
    assert again.headers["retry-after"] == "1"
    assert ask("POST", "/revoke", data={"token": given["refresh_token"]}).status_code == 503
    assert ask("POST", "/token", data={"refresh_token": token}).status_code == 200


@pytest.mark.parametrize("face", ["wsgi", "django"])
@pytest.mark.parametrize("length", ["9999", "+15", "abc", "-1"])
def test_a_length_that_does_not_fit_the_body_is_refused(
    service: Service, face: str, length: str
) -> None:
    """Also where the framework takes it for 0, or a body that is cut short for whole."""
    headers = {"Content-Length": length, "Content-Type": FORM}
    response = asking(face, service)("POST", "/token", content=b"refresh_token=a", headers=headers)
    assert said(response)[2] == "parameters_invalid"


BAD_BODIES: dict[str, dict[str, Any]] = {
    "no body": {},
    "no token": {"data": {"grant_type": "refresh_token"}},
    "an empty token": {"data": {"refresh_token": ""}},
    "two tokens": {"content": "refresh_token=a&refresh_token=a", "headers": {"content-type": FORM}},
    "text": {"content": "refresh_token=a", "headers": {"content-type": "text/plain"}},
    "no type": {"content": "refresh_token=a"},
    "no UTF-8": {"content": b"refresh_token=%ff", "headers": {"content-type": FORM}},
    "raw bytes": {"content": b"refresh_token=\xff", "headers": {"content-type": FORM}},
    "many parameters": {"data": {f"p{number}": "x" for number in range(40)}},
    "a list": {"json": ["a"]},
    "a number": {"json": {"refresh_token": 1}},
    "a member twice": {
        "content": '{"refresh_token": "a", "refresh_token": "a"}',
        "headers": {"content-type": "application/json"},
    },
    "no JSON": {"content": "{", "headers": {"content-type": "application/json"}},
    "deep JSON": {"content": "[" * 5000, "headers": {"content-type": "application/json"}},
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_cannot_be_read_is_an_invalid_request(ask: Ask, name: str) -> None:
    """E2: it is said in one code, and never with a traceback."""
    response = ask("POST", "/token", **BAD_BODIES[name])
    assert said(response) == (400, "invalid_request", "parameters_invalid")


def test_a_body_is_read_up_to_a_limit(ask: Ask) -> None:
    """E2: 64 KB."""
    given = {"refresh_token": "a" * (LONGEST + 1)}
    assert said(ask("POST", "/token", data=given)) == (413, "invalid_request", "body_too_large")
    within = {"refresh_token": "a" * (LONGEST - 100)}
    assert said(ask("POST", "/token", data=within))[:2] == (400, "invalid_grant")


def test_another_grant_is_not_supported(ask: Ask) -> None:
    given = {"grant_type": "password", "refresh_token": "a"}
    assert said(ask("POST", "/token", data=given)) == (
        400,
        "unsupported_grant_type",
        "grant_type_unsupported",
    )


@pytest.mark.parametrize(
    ("path", "method"),
    [("/token", "GET"), ("/revoke", "PUT"), ("/auth/logout", "GET")],
)
def test_another_method_is_not_allowed(ask: Ask, path: str, method: str) -> None:
    """RFC 9110 §15.5.6. A login is never renewed or ended by a link."""
    response = ask(method, path)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]


def test_a_store_that_is_away_is_not_the_fault_of_the_token(ask: Ask, service: Service) -> None:
    """F7: 503 with Retry-After, and the same token is good afterwards."""
    first = service.pairs.issue("alice")
    service.logins.is_away = True
    response = ask("POST", "/token", data={"refresh_token": first.refresh_token})
    assert said(response) == (503, "temporarily_unavailable", "store_unavailable")
    assert response.headers["retry-after"] == "1"
    service.logins.is_away = False
    assert ask("POST", "/token", data={"refresh_token": first.refresh_token}).status_code == 200


def test_the_application_may_limit_a_client(ask: Ask, service: Service) -> None:
    """E9: before the body is looked at."""
    service.waits = 7.2
    response = ask("POST", "/token")
    assert said(response) == (429, "invalid_request", "requests_too_many")
    assert response.headers["retry-after"] == "8"


def test_a_revocation_ends_the_login(ask: Ask, service: Service) -> None:
    """E4, RFC 7009: also with a hint that is wrong, and again."""
    pair = service.pairs.issue("alice")
    given = {"token": pair.refresh_token, "token_type_hint": "access_token"}
    assert ask("POST", "/revoke", data=given).status_code == 200
    assert service.pairs.families("alice") == ()
    assert ask("POST", "/revoke", data=given).status_code == 200
    assert ask("POST", "/revoke", data={"token": "unknown"}).status_code == 200


def test_an_access_token_cannot_be_revoked_and_that_is_said(ask: Ask, service: Service) -> None:
    """RFC 7009 §2.2.1. It would be valid until it expires, whatever was answered."""
    pair = service.pairs.issue("alice")
    response = ask("POST", "/revoke", data={"token": pair.access_token})
    assert said(response) == (400, "unsupported_token_type", "token_kind_unsupported")
    assert said(ask("POST", "/revoke"))[2] == "parameters_invalid"


def test_the_key_set_is_published_for_caches(ask: Ask, service: Service) -> None:
    """E8: strong ETag, 304, HEAD, any origin; and it has no more than the public halves (K10)."""
    path = "/.well-known/jwks.json"
    response = ask("GET", path)
    assert response.json() == service.ring.jwks()
    assert response.headers["content-type"] == "application/jwk-set+json"
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert response.headers["access-control-allow-origin"] == "*"
    etag = response.headers["etag"]
    assert etag.startswith('"')

    for condition in (etag, f'"other", W/{etag}', "*"):
        again = ask("GET", path, headers={"If-None-Match": condition})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert ask("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200
    head = ask("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == etag

    service.ring.revoke_key(service.kid())
    assert ask("GET", path, headers={"If-None-Match": etag}).status_code == 200


def test_a_key_set_that_cannot_be_read_is_said_to_every_origin(ask: Ask, service: Service) -> None:
    service.store.is_away = True
    response = ask("GET", "/.well-known/jwks.json")
    assert response.status_code == 503
    assert response.headers["access-control-allow-origin"] == "*"


def test_the_metadata_name_the_endpoints(ask: Ask) -> None:
    """RFC 8414 §2 and OpenID Connect Discovery 1.0 §3."""
    response = ask("GET", "/.well-known/openid-configuration")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "issuer": "https://shop.example/",
        "jwks_uri": "https://shop.example/.well-known/jwks.json",
        "token_endpoint": "https://shop.example/token",
        "revocation_endpoint": "https://shop.example/revoke",
        "response_types_supported": [],
        "grant_types_supported": ["refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["orders:read"],
    }


def test_a_limit_that_returns_something_else_is_a_mistake(service: Service) -> None:
    endpoint = RefreshEndpoint(service.pairs, limit=lambda _: "later")  # type: ignore[arg-type]
    service.endpoints["/token"] = endpoint
    with pytest.raises(ConfigurationError, match="limit returned str"):
        asking("asgi", service)("POST", "/token")


def test_a_limit_that_raises_ends_the_request(service: Service) -> None:
    def limit(_: Any) -> None:
        raise LookupError("of the application")

    service.endpoints["/token"] = RefreshEndpoint(service.pairs, limit=limit)
    with pytest.raises(LookupError):
        asking("asgi", service)("POST", "/token")


def test_an_async_limit_is_awaited(service: Service) -> None:
    async def limit(_: Any) -> float:
        return 3

    service.endpoints["/token"] = RefreshEndpoint(service.pairs, limit=limit)
    assert asking("asgi", service)("POST", "/token").status_code == 429
    with pytest.raises(ConfigurationError, match="async"):
        asking("wsgi", service)("POST", "/token")


BUILDS: dict[str, Callable[[Service], Endpoint]] = {
    "no pairs": lambda service: RefreshEndpoint(service.ring),  # type: ignore[arg-type]
    "no ring": lambda service: JWKSEndpoint(service.pairs),  # type: ignore[arg-type]
    "no cookies": lambda service: RefreshEndpoint(service.pairs, cookies="yes"),  # type: ignore[arg-type]
    "no hook": lambda service: RefreshEndpoint(service.pairs, limit=5),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BUILDS)
def test_a_wrong_option_is_a_mistake(service: Service, name: str) -> None:
    with pytest.raises(ConfigurationError):
        BUILDS[name](service)


def test_the_faces_say_what_they_are(service: Service) -> None:
    endpoint = service.endpoints["/token"]
    assert (repr(endpoint.asgi), repr(endpoint.wsgi)) == (
        "RefreshEndpoint(...).asgi",
        "RefreshEndpoint(...).wsgi",
    )


def test_openapi_has_the_endpoints(service: Service) -> None:
    """E1."""
    document = json.loads(json.dumps(FACES["fastapi"](service.endpoints).openapi()))
    operation = document["paths"]["/token"]["post"]
    assert operation["summary"] == "Exchange a refresh token for the next pair of tokens"
    assert "application/x-www-form-urlencoded" in operation["requestBody"]["content"]
    assert set(operation["responses"]) == {"200", "400", "503"}
    assert set(document["paths"]) == set(service.endpoints)
