"""The WSGI middleware: asks the guard for a verdict on each request and carries it out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from jwt_middleware.effects import run
from jwt_middleware.guard.guard import Guard, chosen_guard
from jwt_middleware.guard.options import GuardOptions
from jwt_middleware.principal import (
    Caller,
    Principal,
    current_caller,
    is_current,
    resume,
    set_current,
    suspend,
)
from jwt_middleware.request.applications import described, reached
from jwt_middleware.request.caches import warn_of_caches
from jwt_middleware.request.guarded_views import check_views
from jwt_middleware.request.interfaces import check_wsgi
from jwt_middleware.request.overrides import said_besides
from jwt_middleware.request.view import WSGIView
from jwt_middleware.responses.headers import headers_to_add
from jwt_middleware.rules.applications import Application
from jwt_middleware.verdict import Allow, Headers, Reply

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

PRINCIPAL_KEY = "jwt_middleware.principal"
_PASSAGE_KEY = "jwt_middleware.passage"

IDENTITY_KEYS = (PRINCIPAL_KEY, _PASSAGE_KEY, "AUTH_TYPE", "REMOTE_USER")
"""The keys of an environment that say who the caller is."""


class JWTWSGIMiddleware:
    """Puts a guard in front of a WSGI application."""

    def __init__(
        self, app: WSGIApp, guard: Guard | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        """
        :param app: the application to guard.
        :param guard: the guard. Without it, pass the options of the guard as keyword arguments.
        :raises ConfigurationError: if an option is wrong.
        :raises KeysUnavailable: if ``warm_up="require"`` is set and keys cannot be fetched.
        """
        check_wsgi(app)
        self._app = app
        self._guard = chosen_guard(guard, options)
        self._application = described(app, paths_are_whole=False)
        self._has_served = False
        warn_of_caches(app)
        self._guard.integration.stand_before(app, self._application)
        if self._guard.integration.warm_up != "lazy":
            # Keys are fetched here, because WSGI has no start-up event.
            self._guard.warm(required=self._guard.integration.warm_up == "require")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        if _PASSAGE_KEY in environ:
            if self._has_passed(environ):
                # The same guard already let the same request pass in an outer middleware.
                return self._app(environ, start_response)
            if is_running(environ):
                # A view may call another application with its own environment. What was let pass
                # there goes on afterwards, for its own caller.
                environ = environ.copy()

        if not self._has_served:
            # Routes and mounts may be added after construction, so they are read again here.
            every = reached(self._app)
            self._application = described(self._app, paths_are_whole=False, every=every)
            check_views(every)
            self._guard.integration.placement.has_no_sockets("WSGI")
            self._guard.integration.placement.is_below(environ.get("SCRIPT_NAME", ""))
            self._has_served = True
        view = WSGIView(environ)
        step = self._guard.decide(view, self._application)
        verdict = step if isinstance(step, (Allow, Reply)) else run(step)

        if isinstance(verdict, Reply):
            return _reply(verdict, environ, start_response)

        if verdict.response_headers:
            start_response = _adding(verdict.response_headers, start_response)
        caller = set_current(verdict.principal)
        let_pass(environ, verdict, self._guard, self._application, caller)
        try:
            body = self._app(environ, start_response)
        except BaseException:
            caller.end()
            raise
        finally:
            caller.leave()
        return _ending(body, environ, caller)

    def _has_passed(self, environ: Environ) -> bool:
        """Return whether this guard has let this very request pass already.

        A request that is over does not count, because a server may use its environment again.
        """
        guard, request, credential, caller, _ = environ[_PASSAGE_KEY]
        return (
            guard is self._guard
            and caller.principal is not None
            and is_current(caller)
            and request == _request(environ, self._application)
            and self._guard.integration.still_passes(WSGIView(environ), credential)
        )


Request = tuple[str, str, str, Any, Any]
"""The method, mount point and path of a request, and what else it was judged by."""

# A plain tuple, because one is made for each request: the guard, the request, what tells its token
# from others, the caller, and the passage of the guard around that one.
Passage = tuple[Guard, Request, int | None, Caller, Any]


def let_pass(
    environ: Environ,
    verdict: Allow,
    guard: Guard,
    application: Application,
    caller: Caller,
) -> None:
    """Record in the environment that a guard let its request pass, and who the caller is.

    :param application: the description of the application that it passes to.
    """
    attach(environ, verdict.principal)
    outer = environ.get(_PASSAGE_KEY)
    if outer is not None and outer[3].principal is None:
        # Of an earlier request, for which the server used the same environment.
        outer = None
    request = _request(environ, application)
    environ[_PASSAGE_KEY] = (guard, request, verdict.credential, caller, outer)


def _request(environ: Environ, application: Application) -> Request:
    return (
        environ["REQUEST_METHOD"],
        environ.get("SCRIPT_NAME", ""),
        environ.get("PATH_INFO", ""),
        application.facts,
        said_besides(WSGIView(environ), application) if application.reads_more else (),
    )


def is_running(environ: Environ) -> bool:
    """Return whether a guard has let the request pass that an environment is of, until it ends."""
    passage: Passage | None = environ.get(_PASSAGE_KEY)
    return passage is not None and passage[3].principal is not None


def is_anothers(environ: Environ) -> bool:
    """Return whether the current caller is not the one that the environment names."""
    passage: Passage | None = environ.get(_PASSAGE_KEY)
    return passage is not None and not is_current(passage[3])


def passage_of(environ: Environ, guard: Guard) -> Passage | None:
    """Return how a guard let a request pass; ``None`` if it did not, or the request is over."""
    passage: Passage | None = environ.get(_PASSAGE_KEY)
    while passage is not None:
        if passage[0] is guard:
            return passage if passage[3].principal is not None else None
        passage = passage[4]
    return None


def judged(environ: Environ) -> tuple[str, str, str] | None:
    """Return the method, mount point and path that a guard judged; ``None`` without a guard."""
    met = environ.get(_PASSAGE_KEY)
    return None if met is None else met[1][:3]


def guard_of(environ: Environ) -> Guard | None:
    """Return the guard that let a request pass; ``None`` if there is none in front."""
    met = environ.get(_PASSAGE_KEY)
    return None if met is None else met[0]


def attach(environ: Environ, principal: Principal) -> None:
    """Set every identity key of the environment, and remove stale ones."""
    environ[PRINCIPAL_KEY] = principal
    identity = ""
    if principal.is_authenticated:
        environ["AUTH_TYPE"] = "Bearer"
        identity = principal.identity
    else:
        environ.pop("AUTH_TYPE", None)
    if identity and identity.isprintable():
        # PEP 3333: text in the environment is bytes decoded as latin-1.
        looks = identity if identity.isascii() else identity.encode().decode("latin-1")
        environ["REMOTE_USER"] = looks
    else:
        environ.pop("REMOTE_USER", None)


def _reply(verdict: Reply, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response(f"{verdict.status} {verdict.reason}", list(verdict.headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [verdict.body]


def _adding(wanted: Headers, start_response: StartResponse) -> StartResponse:
    """Return a ``start_response`` that adds headers to the response."""

    def start_with_headers(
        status: str, headers: list[tuple[str, str]], *exc_info: Any
    ) -> Callable[[bytes], object]:
        added = headers_to_add(headers, wanted)
        return start_response(status, [*headers, *added], *exc_info)

    return start_with_headers


def _ending(body: Iterable[bytes], environ: Environ, caller: Caller) -> Iterable[bytes]:
    """Return a body that ends the request when it has been sent."""
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(body, (list, tuple)) or (isinstance(wrapper, type) and isinstance(body, wrapper)):
        caller.end()
        return body
    return CallersBody(body, caller)


class CallersSteps:
    """A response body that runs for its caller.

    The caller is set for each step and not in between, because a server may produce the bodies of
    two requests on one thread, and one body on several threads.
    """

    def __init__(self, body: Iterable[bytes], caller: Caller) -> None:
        self._body = body
        self._caller = caller
        # A step may end within another request, which goes on in the next step.
        self._within: Caller | None = caller
        self._steps: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        before = resume(self._within)
        try:
            if self._steps is None:
                self._steps = iter(self._body)
            return next(self._steps)
        finally:
            self._within = current_caller()
            suspend(before)

    def close(self) -> None:
        """Close the body."""
        before = resume(self._within)
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            suspend(before)


class CallersBody(CallersSteps):
    """A response body that runs for its caller until it is closed."""

    def close(self) -> None:
        """Close the body, and end the request."""
        try:
            super().close()
        finally:
            self._caller.end()
