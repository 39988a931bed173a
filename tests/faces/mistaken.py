"""Applications with a wrong option, for real servers to refuse."""

from starlette.applications import Starlette

from jwt_middleware import Issuer, JWTMiddleware, JWTWSGIMiddleware
from tests.faces.calls import wsgi_app

# Starlette builds its middleware at the first call, inside the server's event loop.
late = Starlette()
late.add_middleware(JWTMiddleware, isuers=[])  # type: ignore[call-arg]


# Nobody listens there (RFC 863 names port 9, and nothing of ours takes it).
NOBODY = "http://127.0.0.1:9"

keyless = Starlette()
keyless.add_middleware(JWTMiddleware, issuers=Issuer(NOBODY, audience="me"), warm_up="require")


def keyless_wsgi() -> JWTWSGIMiddleware:
    issuer = Issuer(NOBODY, audience="me")
    return JWTWSGIMiddleware(wsgi_app, issuers=issuer, warm_up="require")


def wsgi() -> JWTWSGIMiddleware:
    return JWTWSGIMiddleware(wsgi_app, isuers=[])  # type: ignore[call-arg]
