"""The caller of a Flask request that came around the middleware, until its response is closed.

Such a request may run inside another one: within ``app.test_request_context()`` in a view, or on
the environment of another application. What runs outside it keeps the caller of the outer one.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, has_request_context, request

from jwt_middleware.principal import Caller, Principal, is_current, resume, set_current, suspend
from jwt_middleware.wsgi import IDENTITY_KEYS, CallersSteps, Environ, is_running

_OWN = "_jwt_own"


def begin(environ: Environ, principal: Principal) -> Caller:
    """Make a caller the one of the current request of Flask."""
    before = _own()
    if before is not None:
        before.end()
    own = _Own(environ, principal)
    setattr(request, _OWN, own)
    return own.caller


def end_each(app: Flask) -> None:
    """Have each request that :func:`begin` began end with its response, or without one."""
    every: Any = app
    every.full_dispatch_request = _Answering(app.full_dispatch_request, may_go_on=True)
    every.handle_exception = _Answering(app.handle_exception, may_go_on=False)
    every.do_teardown_request = _TearingDown(app.do_teardown_request)


def _own() -> "_Own | None":
    return getattr(request, _OWN, None) if has_request_context() else None


class _Own:
    """The caller of one request, and who was named in the environment before."""

    def __init__(self, environ: Environ, principal: Principal) -> None:
        self._environ = environ
        self._before = {name: environ.get(name) for name in IDENTITY_KEYS}
        self._has_outer = is_running(environ)
        self._is_entered = True
        self.has_response = False
        self.caller = set_current(principal)

    def leave(self) -> None:
        """Return to the outer caller, in the context and in the environment."""
        if not self._is_entered:
            return
        self._is_entered = False
        self.caller.leave()
        if self._has_outer:
            for name, value in self._before.items():
                self._environ.pop(name, None)
                if value is not None:
                    self._environ[name] = value

    def end(self) -> None:
        """End the request, unless its response does so."""
        self.leave()
        if not self.has_response:
            self.caller.end()

    def is_elsewhere(self) -> bool:
        """Return whether the request goes on in another thread, which has begun it."""
        return self._is_entered and not is_current(self.caller)


class _Answering:
    """Gives the response of a request its caller."""

    def __init__(self, answer: Callable[..., Response], *, may_go_on: bool) -> None:
        """
        :param answer: a method of the application that returns a response.
        :param may_go_on: whether the application still answers if an exception is raised.
        """
        self._answer = answer
        self._may_go_on = may_go_on

    # Which arguments Flask passes depends on its version.
    def __call__(self, *args: Any, **kwargs: Any) -> Response:
        try:
            response = self._answer(*args, **kwargs)
        except BaseException as problem:
            own = _own()
            if own is not None and not (self._may_go_on and isinstance(problem, Exception)):
                own.leave()
            raise
        own = _own()
        if own is not None:
            _Closing.give(response, own)
        return response


class _TearingDown:
    """Runs the functions for the end of a request for its caller, and ends it.

    A function that is registered for it is not enough, because Flask calls none after one that
    raises.
    """

    def __init__(self, tear_down: Callable[..., None]) -> None:
        self._tear_down = tear_down

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        own = _own()
        if own is None:
            self._tear_down(*args, **kwargs)
            return
        # Flask also calls this in a thread that has a copy of the request's context.
        is_elsewhere = own.is_elsewhere()
        before = resume(own.caller)
        try:
            self._tear_down(*args, **kwargs)
        finally:
            suspend(before)
            if not is_elsewhere:
                own.end()


class _Closing:
    """Ends requests when the response is closed that all of them have returned.

    A view may return the response of a request within its own, and one response several times.
    """

    def __init__(self, response: Response) -> None:
        self._close = response.close
        self._app_iter = response.get_app_iter
        self._every: list[_Own] = []

    @classmethod
    def give(cls, response: Any, own: _Own) -> None:
        """Let a response run for a caller until it is closed."""
        if response.direct_passthrough:
            # The server closes the file alone.
            return
        closing: Any = getattr(vars(response).get("close"), "__self__", None)
        if type(closing) is not cls:
            closing = cls(response)
            response.close, response.get_app_iter = closing.close, closing.app_iter
        closing.take(own)
        if response.is_streamed:
            response.response = CallersSteps(response.response, own.caller)

    def take(self, own: _Own) -> None:
        """End another request when the response is closed."""
        own.has_response = True
        self._every.append(own)

    def app_iter(self, environ: Environ) -> Iterable[bytes]:
        """Return the body for the server, which may go on to another request."""
        own = _own()
        if own is not None and own in self._every:
            own.leave()
        return self._app_iter(environ)

    def close(self) -> None:
        """Close the response for the caller of the request that made it."""
        every, self._every = self._every, []
        before = resume(every[0].caller) if every else None
        try:
            self._close()
        finally:
            if before is not None:
                suspend(before)
            for own in every:
                own.caller.end()
