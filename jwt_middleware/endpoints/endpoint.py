"""The shape of all endpoints: one answer, which two faces translate.

::

    routes = [Route("/.well-known/jwks.json", JWKSEndpoint(ring).asgi)]
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/jwks.json": JWKSEndpoint(ring).wsgi})
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

from jwt_middleware.checks import is_number
from jwt_middleware.effects import Steps
from jwt_middleware.endpoint_errors import EndpointRefused, MethodNotAllowed, RequestsTooMany
from jwt_middleware.endpoints.asgi_face import ASGIFace
from jwt_middleware.endpoints.replies import refusal
from jwt_middleware.endpoints.wsgi_face import WSGIFace
from jwt_middleware.errors import ConfigurationError, Refused
from jwt_middleware.issuing.hooks import Call, HookFailed, check_hook
from jwt_middleware.request.view import RequestView
from jwt_middleware.verdict import Reply

LimitHook: TypeAlias = (
    Callable[[RequestView], float | None] | Callable[[RequestView], Awaitable[float | None]]
)
"""Returns the seconds after which a client may ask again; ``None`` if it may ask now."""


class Endpoint(ABC):
    """An address that answers HTTP requests: ``asgi`` and ``wsgi`` are its two faces."""

    methods: ClassVar[tuple[str, ...]] = ("POST",)
    """The methods that it answers."""
    reads_body: ClassVar[bool] = True
    patience: float = 10.0
    """The seconds that an answer may take."""
    operation: ClassVar[dict[str, Any]] = {}
    """What OpenAPI says of it."""

    def __init__(self, limit: LimitHook | None = None) -> None:
        """
        :param limit: takes the request, and returns the seconds after which its client may ask
            again, or ``None``. A plain function, or an ``async`` one under ASGI.
        """
        self._limit = check_hook("limit", limit)
        self.asgi = ASGIFace(self)
        """The endpoint as an ASGI application."""
        self.wsgi = WSGIFace(self)
        """The endpoint as a WSGI application."""

    def replying(self, view: RequestView, body: bytes | EndpointRefused) -> Steps[Reply]:
        """Return the steps to the response.

        :param body: the body of the request, or why it cannot be read.
        """
        try:
            if view.method not in self.methods:
                raise MethodNotAllowed
            yield from self._limited(view)
            if isinstance(body, EndpointRefused):
                raise body
            reply = yield from self.answering(view, body)
        except Refused as problem:
            reply = refusal(problem, (*self._allowed(problem), *self.headers_beside(problem)))
        # RFC 9110 §9.3.2: all but the body.
        return replace(reply, body=b"") if view.method == "HEAD" else reply

    @abstractmethod
    def answering(self, view: RequestView, body: bytes) -> Steps[Reply]:
        """Return the steps to the response of a request.

        :raises Refused: if there is none.
        """

    def headers_beside(self, problem: Refused) -> tuple[tuple[str, str], ...]:
        """Return further headers of a refusal."""
        return ()

    def _allowed(self, problem: Refused) -> tuple[tuple[str, str], ...]:
        # RFC 9110 §15.5.6: the response names the methods.
        is_method = isinstance(problem, MethodNotAllowed)
        return (("Allow", ", ".join(self.methods)),) if is_method else ()

    def _limited(self, view: RequestView) -> Steps[None]:
        if self._limit is None:
            return
        seconds = yield Call(self._limit, (view,))
        if isinstance(seconds, HookFailed):
            raise seconds.problem
        if seconds is None:
            return
        if not is_number(seconds):
            raise ConfigurationError(
                f"limit returned {type(seconds).__name__} and must return None or seconds"
            )
        raise RequestsTooMany(retry_after=seconds)
