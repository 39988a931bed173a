"""The key set of an issuer over HTTP (RFC 7517 §5)."""

import json
from typing import Any, ClassVar

from jwt_middleware.checks import check_kind
from jwt_middleware.effects import Steps
from jwt_middleware.endpoints.endpoint import Endpoint
from jwt_middleware.endpoints.replies import document_reply
from jwt_middleware.errors import Refused
from jwt_middleware.issuing.key_ring import KeyRing
from jwt_middleware.issuing.public_ring import PublicKeyRing
from jwt_middleware.request.view import RequestView
from jwt_middleware.verdict import Reply


class JWKSEndpoint(Endpoint):
    """Publishes the public keys of a ring, as they are at the moment of each request."""

    methods: ClassVar[tuple[str, ...]] = ("GET", "HEAD")
    reads_body: ClassVar[bool] = False
    operation: ClassVar[dict[str, Any]] = {
        "summary": "The public keys of the issuer",
        "responses": {
            "200": {
                "description": "A JWK Set (RFC 7517 §5)",
                "content": {"application/jwk-set+json": {"schema": {"type": "object"}}},
            },
            "304": {"description": "The client has the key set already"},
            "503": {"description": "The ring cannot be read"},
        },
    }

    def __init__(self, ring: KeyRing | PublicKeyRing) -> None:
        """
        :param ring: the keys. Caches may keep the key set for its ``max_age``.
        :raises ConfigurationError: for anything else.
        """
        if not isinstance(ring, PublicKeyRing):
            check_kind("ring", ring, KeyRing, "JWKSEndpoint(KeyRing(store))")
        super().__init__()
        self._ring = ring

    @property
    def patience(self) -> float:  # type: ignore[override]
        """The seconds that an answer may take."""
        return self._ring.patience_to_publish

    def answering(self, view: RequestView, body: bytes) -> Steps[Reply]:
        keys = yield from self._ring.publishing()
        document = json.dumps(keys, sort_keys=True).encode()
        return document_reply(view, document, "application/jwk-set+json", self._ring.max_age)

    def headers_beside(self, problem: Refused) -> tuple[tuple[str, str], ...]:
        return (("Access-Control-Allow-Origin", "*"),)
