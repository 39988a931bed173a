"""Endpoints of an issuer, each once for ASGI and WSGI: keys, metadata, refresh, revocation."""

from jwt_middleware.endpoints.cookies import TokenCookies
from jwt_middleware.endpoints.endpoint import Endpoint
from jwt_middleware.endpoints.jwks import JWKSEndpoint
from jwt_middleware.endpoints.metadata import MetadataEndpoint
from jwt_middleware.endpoints.refresh import RefreshEndpoint
from jwt_middleware.endpoints.revoke import LogoutEndpoint, RevocationEndpoint

__all__ = [
    "Endpoint",
    "JWKSEndpoint",
    "LogoutEndpoint",
    "MetadataEndpoint",
    "RefreshEndpoint",
    "RevocationEndpoint",
    "TokenCookies",
]
