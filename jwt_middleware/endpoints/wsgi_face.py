"""The WSGI face of an endpoint: reads the body, asks for the response and returns it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jwt_middleware.effects import run
from jwt_middleware.endpoint_errors import BodyTooLarge, EndpointRefused, ParametersInvalid
from jwt_middleware.endpoints.body import LONGEST
from jwt_middleware.request.view import WSGIView
from jwt_middleware.wsgi import Environ, StartResponse

if TYPE_CHECKING:
    from jwt_middleware.endpoints.endpoint import Endpoint


class WSGIFace:
    """An endpoint as a WSGI application."""

    def __init__(self, endpoint: "Endpoint") -> None:
        self._endpoint = endpoint

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        endpoint = self._endpoint
        body: bytes | EndpointRefused = b""
        if endpoint.reads_body and environ["REQUEST_METHOD"] in endpoint.methods:
            body = read_body(environ)
        reply = run(endpoint.replying(WSGIView(environ), body), endpoint.patience)
        start_response(f"{reply.status} {reply.reason}", list(reply.headers))
        return [reply.body]

    def __repr__(self) -> str:
        return f"{type(self._endpoint).__name__}(...).wsgi"


def read_body(environ: Environ) -> bytes | EndpointRefused:
    """Return the body of a request, or why it is refused.

    How long a body may take to arrive is an option of each WSGI server.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if not length:
        # A server that ends the input itself, as after chunks (RFC 9112 §7.1), says so.
        return _up_to_limit(environ) if environ.get("wsgi.input_terminated") else b""
    if not (length.isascii() and length.isdigit()):
        return ParametersInvalid("Content-Length is not a number")
    if len(length) > len(str(LONGEST)) or int(length) > LONGEST:
        return BodyTooLarge()
    body = _read(environ, int(length))
    return body if body is not None and len(body) == int(length) else _cut_short()


def _up_to_limit(environ: Environ) -> bytes | EndpointRefused:
    body = _read(environ, LONGEST + 1)
    if body is None:
        return _cut_short()
    return BodyTooLarge() if len(body) > LONGEST else body


def _read(environ: Environ, length: int) -> bytes | None:
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except OSError:
        # The client has gone, or its chunks cannot be read.
        return None
    return body


def _cut_short() -> EndpointRefused:
    return ParametersInvalid("the body is cut short")
