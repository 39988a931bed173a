"""The metadata of an issuer, from which verifiers and clients find its endpoints.

RFC 8414 §2 and OpenID Connect Discovery 1.0 §3 have the same members, so one document serves both.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from jwt_middleware.checks import check_kind, mapped
from jwt_middleware.effects import Steps
from jwt_middleware.endpoints.endpoint import Endpoint
from jwt_middleware.endpoints.replies import document_reply
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats.urls import check_url
from jwt_middleware.issuing.minter import Minter
from jwt_middleware.request.view import RequestView
from jwt_middleware.verdict import Reply

_OPENID = "/.well-known/openid-configuration"
_OAUTH = "/.well-known/oauth-authorization-server"


class MetadataEndpoint(Endpoint):
    """Says where the keys and the endpoints of an issuer are."""

    methods: ClassVar[tuple[str, ...]] = ("GET", "HEAD")
    reads_body: ClassVar[bool] = False
    operation: ClassVar[dict[str, Any]] = {
        "summary": "The metadata of the issuer",
        "responses": {
            "200": {
                "description": "Metadata (RFC 8414 §2)",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "304": {"description": "The client has the metadata already"},
        },
    }

    def __init__(
        self,
        minter: Minter,
        *,
        jwks_uri: str,
        token_endpoint: str | None = None,
        revocation_endpoint: str | None = None,
        further: Mapping[str, Any] | None = None,
    ) -> None:
        """
        :param minter: mints the tokens of the issuer. Its name must be a URL.
        :param jwks_uri: the URL of the :class:`JWKSEndpoint`.
        :param token_endpoint: the URL of the :class:`RefreshEndpoint`.
        :param revocation_endpoint: the URL of the :class:`RevocationEndpoint`.
        :param further: other members, such as ``scopes_supported``.
        :raises ConfigurationError: for a value that is not a URL, or a member that is set already.
        """
        check_kind("minter", minter, Minter, "MetadataEndpoint(Minter(ring, ...), jwks_uri=...)")
        given = {
            "issuer": minter.issuer,
            "jwks_uri": jwks_uri,
            "token_endpoint": token_endpoint,
            "revocation_endpoint": revocation_endpoint,
        }
        urls = {name: url for name, url in given.items() if url is not None}
        for name, url in urls.items():
            check_url(name, url, allow_http=False)
        super().__init__()
        self._max_age = minter.ring.max_age
        members = {**urls, **_abilities(minter, urls)}
        self._document = _encoded({**members, **_checked(further or {}, members)})
        self.paths = _paths(minter.issuer)
        """The paths where clients look for it, on the host of the issuer."""

    def answering(self, view: RequestView, body: bytes) -> Steps[Reply]:
        yield from ()
        return document_reply(view, self._document, "application/json", self._max_age)

    def headers_beside(self, problem: Any) -> tuple[tuple[str, str], ...]:
        return (("Access-Control-Allow-Origin", "*"),)


def _abilities(minter: Minter, urls: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        # RFC 8414 §2 requires it. Logins are made by the application, and by no redirect of ours.
        "response_types_supported": [],
        "grant_types_supported": [],
        # OpenID Connect Discovery 1.0 §3 requires these two.
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [minter.ring.algorithm],
    }
    if "token_endpoint" in urls:
        found["grant_types_supported"] = ["refresh_token"]
        found["token_endpoint_auth_methods_supported"] = ["none"]
    if "revocation_endpoint" in urls:
        found["revocation_endpoint_auth_methods_supported"] = ["none"]
    return found


def _checked(further: Any, members: Mapping[str, Any]) -> Mapping[str, Any]:
    found = mapped("further", further, "{'scopes_supported': ['orders:read']}")
    for name in found.keys() & members.keys() - {"response_types_supported"}:
        raise ConfigurationError(f"further[{name!r}] is set already: leave it out")
    return found


def _encoded(members: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(members, allow_nan=False).encode()
    except (TypeError, ValueError) as mistake:
        raise ConfigurationError(f"further must be values of JSON: {mistake}") from mistake


def _paths(issuer: str) -> tuple[str, ...]:
    own = urlsplit(issuer).path.rstrip("/")
    # OpenID Connect Discovery 1.0 §4 appends, and RFC 8414 §3 inserts before the path.
    return (own + _OPENID, _OAUTH + own)
