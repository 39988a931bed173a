"""The metadata of an issuer, and where clients look for them."""

from typing import Any

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.effects import run
from jwt_middleware.endpoints import MetadataEndpoint
from jwt_middleware.request.view import WSGIView
from tests.endpoints.service import Service


def test_clients_find_it_at_the_paths_of_both_standards() -> None:
    """OpenID Connect Discovery 1.0 §4 appends, RFC 8414 §3 inserts."""
    service = Service()
    minter = service.minter(issuer="https://id.example/tenant")
    assert MetadataEndpoint(minter, jwks_uri="https://id.example/jwks").paths == (
        "/tenant/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/tenant",
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"jwks_uri": "/jwks"}, "jwks_uri='/jwks' must be a URL"),
        ({"jwks_uri": "http://id.example/jwks"}, "https"),
        ({"token_endpoint": "token"}, "token_endpoint"),
        ({"further": ["scopes"]}, "further"),
        ({"further": {"issuer": "https://evil.example"}}, "is set already"),
        ({"further": {"scopes_supported": {1}}}, "values of JSON"),
    ],
)
def test_a_wrong_option_is_a_mistake(options: dict[str, Any], says: str) -> None:
    known = {"jwks_uri": "https://shop.example/jwks", **options}
    with pytest.raises(ConfigurationError, match=says):
        MetadataEndpoint(Service().minter(), **known)


def test_an_issuer_that_is_no_url_has_no_metadata() -> None:
    minter = Service().minter(issuer="shop")
    with pytest.raises(ConfigurationError, match="issuer='shop' must be a URL"):
        MetadataEndpoint(minter, jwks_uri="https://shop.example/jwks")
    with pytest.raises(ConfigurationError, match="minter"):
        MetadataEndpoint("minter", jwks_uri="https://shop.example/jwks")  # type: ignore[arg-type]


def test_a_refusal_is_for_every_origin_too() -> None:
    minter = Service().minter()
    endpoint = MetadataEndpoint(minter, jwks_uri="https://shop.example/jwks")
    reply = run(endpoint.replying(WSGIView({"REQUEST_METHOD": "POST"}), b""))
    assert reply.status == 405
    assert ("Access-Control-Allow-Origin", "*") in reply.headers
