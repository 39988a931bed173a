"""The WSGI face: *is it ours? - view - verdict - allow - deny*. It decides nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from jwt_middleware.effects import run
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard, chosen_guard
from jwt_middleware.guard.options import GuardOptions
from jwt_middleware.principal import Principal, set_current
from jwt_middleware.request.applications import described
from jwt_middleware.request.caches import warn_of_caches
from jwt_middleware.request.overrides import said_besides
from jwt_middleware.request.view import WSGIView
from jwt_middleware.responses.headers import headers_to_add
from jwt_middleware.verdict import Allow, Headers, Reply

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

PRINCIPAL_KEY = "jwt_middleware.principal"
_VERDICT_KEY = "jwt_middleware.verdict"


class JWTWSGIMiddleware:
    """Puts a guard in front of a WSGI application."""

    def __init__(
        self, app: WSGIApp, guard: Guard | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        """
        :param app: the application to guard.
        :param guard: the guard; or its options go here directly.
        :raises ConfigurationError: for a wrong option.
        :raises KeysUnavailable: if the guard requires keys at start-up and there are none.
        """
        if not callable(app):
            raise ConfigurationError(
                f"app={app!r} is no application: write JWTWSGIMiddleware(app, ...)"
            )
        self._app = app
        self._guard = chosen_guard(guard, options)
        self._application = described(app, paths_are_whole=False)
        self._has_served = False
        warn_of_caches(app)
        self._guard.integration.stand_before(app, self._application)
        if self._guard.integration.warm_up != "lazy":
            # A WSGI server has no event for its start: building the application is the start.
            self._guard.warm(required=self._guard.integration.warm_up == "require")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if _VERDICT_KEY in environ and environ[_VERDICT_KEY] == self._mark(environ):
            # This very guard let this very request pass further out.
            return self._app(environ, start_response)

        if not self._has_served:
            # By now every route and mount is there.
            self._application = described(self._app, paths_are_whole=False)
            self._has_served = True
        view = WSGIView(environ)
        step = self._guard.decide(view, self._application)
        verdict = step if isinstance(step, (Allow, Reply)) else run(step)

        if isinstance(verdict, Reply):
            return _reply(verdict, environ, start_response)

        attach(environ, verdict.principal)
        environ[_VERDICT_KEY] = self._mark(environ)
        if verdict.response_headers:
            start_response = _adding(verdict.response_headers, start_response)
        set_current(verdict.principal)
        try:
            body = self._app(environ, start_response)
        except BaseException:
            set_current(None)
            raise
        return _forgetting(body, environ)

    def _mark(self, environ: Environ) -> tuple[object, ...]:
        """Return who let which request pass, for the same guard further in."""
        return (
            self._guard,
            self._application.facts,
            environ.get("PATH_INFO"),
            environ.get("SCRIPT_NAME", ""),
            environ["REQUEST_METHOD"],
            said_besides(WSGIView(environ), self._application),
        )


def judged(environ: Environ) -> tuple[str, str] | None:
    """Return the method and the whole path that a guard judged; ``None`` if none did."""
    met = environ.get(_VERDICT_KEY)
    return None if met is None else (met[4], f"{met[3]}{met[2]}")


def guard_of(environ: Environ) -> Guard | None:
    """Return the guard that let a request pass; ``None`` if none stands in front."""
    met = environ.get(_VERDICT_KEY)
    return None if met is None else met[0]


def attach(environ: Environ, principal: Principal) -> None:
    """Set every key of identity, and remove what stood there."""
    environ[PRINCIPAL_KEY] = principal
    identity = ""
    if principal.is_authenticated:
        environ["AUTH_TYPE"] = "Bearer"
        identity = principal.identity
    else:
        environ.pop("AUTH_TYPE", None)
    if identity and identity.isprintable():
        # PEP 3333: text in the environment is bytes that look like latin-1.
        looks = identity if identity.isascii() else identity.encode().decode("latin-1")
        environ["REMOTE_USER"] = looks
    else:
        environ.pop("REMOTE_USER", None)


def _reply(verdict: Reply, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response(f"{verdict.status} {verdict.reason}", list(verdict.headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [verdict.body]


def _adding(wanted: Headers, start_response: StartResponse) -> StartResponse:
    """Return ``start_response`` that adds headers to the response."""

    def start_with_headers(
        status: str, headers: list[tuple[str, str]], *exc_info: Any
    ) -> Callable[[bytes], object]:
        added = headers_to_add(headers, wanted)
        return start_response(status, [*headers, *added], *exc_info)

    return start_with_headers


def _forgetting(body: Iterable[bytes], environ: Environ) -> Iterable[bytes]:
    """Return ``body`` so that the current principal is forgotten when it has been sent."""
    if isinstance(body, (list, tuple)):
        set_current(None)
        return body
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        set_current(None)
        return body
    return _Body(body)


class _Body:
    """A body under way: its own iterator, and a ``close`` that forgets who asked."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the body. Maybe on another thread, so the variable is cleared, never reset."""
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            set_current(None)
