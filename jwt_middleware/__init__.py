"""Authentication for Python web services: one guard in front of any ASGI or WSGI application.

Importing this package imports no web framework.
"""

from jwt_middleware.asgi.middleware import JWTMiddleware
from jwt_middleware.clock import Clock, SystemClock
from jwt_middleware.crypto.secret import KeyFile, Secret
from jwt_middleware.effects import arun, run
from jwt_middleware.errors import (
    ConfigurationError,
    JWTMiddlewareError,
    KeysUnavailable,
    Refused,
    TokenError,
)
from jwt_middleware.events import Event
from jwt_middleware.guard.guard import Guard
from jwt_middleware.guard.options import GuardOptions
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.tenants import ANY_TENANT
from jwt_middleware.keys.remote.http import Fetcher, FetchRequest, FetchResponse, HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.principal import Claims, Principal, caller_key, current_principal
from jwt_middleware.request.sources import (
    BearerHeader,
    CookieToken,
    HeaderToken,
    QueryToken,
    SubprotocolToken,
    TokenSource,
)
from jwt_middleware.request.view import RequestView, Sent
from jwt_middleware.rules.requirements import (
    Match,
    Requirement,
    all_of,
    any_of,
    authenticated,
    capture,
    has_claim,
    has_permission,
    has_role,
    has_scope,
)
from jwt_middleware.rules.rule import Rule, optional, protect, public
from jwt_middleware.tokens.claims import ANY_AUDIENCE
from jwt_middleware.tokens.grants import ANY_GRANTS
from jwt_middleware.verdict import Allow, Deny, Problem, Refusal, Reply
from jwt_middleware.wsgi import JWTWSGIMiddleware

__version__ = "0.1.0"


def _warn_of_namesake() -> None:
    """Warn if another distribution with the same import name is installed."""
    from importlib.metadata import PackageNotFoundError, distribution
    from warnings import warn

    try:
        distribution("jwt-middleware")
    except PackageNotFoundError:
        return
    warn(
        "the distribution 'jwt-middleware' cannot be installed next to asgi-wsgi-jwt, because it "
        "has the same import name: run 'pip uninstall jwt-middleware', then reinstall "
        "asgi-wsgi-jwt",
        RuntimeWarning,
        stacklevel=3,
    )


_warn_of_namesake()

__all__ = [
    "ANY_AUDIENCE",
    "ANY_GRANTS",
    "ANY_TENANT",
    "AdmittedIssuers",
    "Allow",
    "BearerHeader",
    "Claims",
    "Clock",
    "ConfigurationError",
    "CookieToken",
    "Deny",
    "Event",
    "FetchRequest",
    "FetchResponse",
    "Fetcher",
    "Guard",
    "GuardOptions",
    "HTTPFetcher",
    "HeaderToken",
    "Issuer",
    "JWTMiddleware",
    "JWTMiddlewareError",
    "JWTWSGIMiddleware",
    "KeyFile",
    "KeysUnavailable",
    "Match",
    "Principal",
    "Problem",
    "QueryToken",
    "Refusal",
    "Refused",
    "Reply",
    "RequestView",
    "Requirement",
    "ResolverOptions",
    "Rule",
    "Secret",
    "Sent",
    "SubprotocolToken",
    "SystemClock",
    "TokenError",
    "TokenSource",
    "all_of",
    "any_of",
    "arun",
    "authenticated",
    "caller_key",
    "capture",
    "current_principal",
    "has_claim",
    "has_permission",
    "has_role",
    "has_scope",
    "optional",
    "protect",
    "public",
    "run",
]
