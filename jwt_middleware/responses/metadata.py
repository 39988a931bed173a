"""The metadata of a protected resource, which tells clients where to get a token.

RFC 9728, OAuth 2.0 Protected Resource Metadata. The document is at a well-known path, and every
challenge names it.
"""

import json
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats.urls import check_url
from jwt_middleware.responses.headers import as_raw
from jwt_middleware.verdict import Reply

WELL_KNOWN = "/.well-known/oauth-protected-resource"


class ProtectedResource:
    """The metadata of one resource, rendered once."""

    def __init__(
        self,
        identifier: str,
        issuers: Iterable[str],
        scopes: Collection[str],
        methods: Collection[str],
    ) -> None:
        """
        :param identifier: the URL of the resource as clients use it (RFC 9728 §1.2).
        :param issuers: the authorization servers that issue tokens for it.
        :param scopes: the scopes that clients may request.
        :param methods: how a token may be sent: ``header``, ``query`` (RFC 6750 §2).
        :raises ConfigurationError: if the identifier is not an https URL (http on loopback is).
        """
        check_url("resource", identifier, allow_http=False)
        parts = urlsplit(identifier)
        if parts.query:
            raise ConfigurationError(
                f"resource={identifier!r} cannot have a query: write the URL without it"
            )
        # RFC 9728 §3.1: the well-known part goes between host and path, without a final slash.
        self.path = WELL_KNOWN + parts.path.rstrip("/")
        self.address = f"{parts.scheme}://{parts.netloc}{self.path}"
        members = {
            "resource": identifier,
            "authorization_servers": sorted(set(issuers)),
            "scopes_supported": sorted(scopes),
            "bearer_methods_supported": sorted(methods),
        }
        # RFC 9728 §3.2: members without elements are left out.
        self.document = {name: value for name, value in members.items() if value}
        self.reply = _reply(json.dumps(self.document).encode())


def _reply(body: bytes) -> Reply:
    headers = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "public, max-age=3600"),
        # The document is public, and pages of other origins need it before they have a token.
        ("Access-Control-Allow-Origin", "*"),
    )
    return Reply(200, headers, body, "resource_metadata", as_raw(headers))
