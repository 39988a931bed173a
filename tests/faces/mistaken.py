"""Applications with a wrong option, for real servers to refuse."""

from starlette.applications import Starlette

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware
from tests.faces.calls import wsgi_app

# Starlette builds its middleware at the first call, inside the server's event loop.
late = Starlette()
late.add_middleware(JWTMiddleware, isuers=[])  # type: ignore[call-arg]


def wsgi() -> JWTWSGIMiddleware:
    return JWTWSGIMiddleware(wsgi_app, isuers=[])  # type: ignore[call-arg]
