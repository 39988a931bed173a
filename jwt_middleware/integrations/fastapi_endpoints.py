"""FastAPI and the endpoints of an issuer: mounted as routes that OpenAPI describes.

::

    add_endpoint(app, "/auth/refresh", RefreshEndpoint(pairs))
"""

from collections.abc import Awaitable, Callable
from typing import Any

from jwt_middleware.asgi.types import Message, Receive, Scope, Send
from jwt_middleware.checks import check_kind
from jwt_middleware.endpoints.endpoint import Endpoint

try:
    from fastapi import APIRouter, FastAPI
    from fastapi.requests import Request
    from fastapi.responses import Response
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.fastapi_endpoints needs FastAPI: "
        "pip install 'asgi-wsgi-jwt[fastapi]'"
    ) from None


def add_endpoint(app: FastAPI | APIRouter, path: str, endpoint: Endpoint, **options: Any) -> None:
    """Add an endpoint to an application or a router.

    :param path: its path.
    :param options: further options of ``add_api_route``, such as ``tags``.
    :raises ConfigurationError: if it is not an endpoint.
    """
    check_kind("endpoint", endpoint, Endpoint, "RefreshEndpoint(pairs)")
    view = _view_of(endpoint)
    shown, *others = endpoint.methods
    known = {"name": type(endpoint).__name__, "response_class": Response, **options}
    app.add_api_route(path, view, methods=[shown], openapi_extra=endpoint.operation, **known)
    if others:
        # Each operation of a document has a name of its own, and HEAD is that of GET.
        app.add_api_route(path, view, methods=others, **{**known, "include_in_schema": False})


def _view_of(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _Answer(endpoint, request)

    return answer


class _Answer(Response):
    """A response that the endpoint itself sends, because it reads the body with a limit."""

    def __init__(self, endpoint: Endpoint, request: Request) -> None:
        super().__init__()
        self._endpoint = endpoint
        # What a dependency has read already.
        self._read: bytes | None = getattr(request, "_body", None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def again() -> Message:
            return {"type": "http.request", "body": self._read, "more_body": False}

        await self._endpoint.asgi(scope, receive if self._read is None else again, send)
