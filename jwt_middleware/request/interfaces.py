"""Checks that what a middleware is put around is an application of its kind: ASGI or WSGI.

A server would find out with the first request, by an exception that names nothing of it. Only what
certainly cannot be called is refused: a function that takes any arguments may be an application of
both kinds.
"""

from inspect import Parameter, Signature, iscoroutinefunction, signature
from typing import Any

from jwt_middleware.errors import ConfigurationError

_ASGI = ("scope", "receive", "send")
_WSGI = ("environ", "start_response")


def check_asgi(app: object) -> None:
    """Check that an application can be called with scope, receive and send (ASGI 3.0).

    :raises ConfigurationError: if it certainly cannot.
    """
    if not callable(app):
        raise _mistake("JWTMiddleware", app, "an ASGI application", "JWTMiddleware(app, ...)")
    if isinstance(app, type) and not hasattr(app, "__await__"):
        raise _is_class("JWTMiddleware", app)
    if _takes(app, _ASGI) is False:
        other = "JWTWSGIMiddleware(app, ...) for a WSGI application"
        fix = other if _takes(app, _WSGI) else "a function of (scope, receive, send)"
        raise _mistake("JWTMiddleware", app, "an ASGI application", fix)


def check_wsgi(app: object) -> None:
    """Check that an application can be called with environ and start_response (PEP 3333).

    :raises ConfigurationError: if it certainly cannot.
    """
    face = "JWTWSGIMiddleware"
    if not callable(app):
        raise _mistake(face, app, "a WSGI application", "JWTWSGIMiddleware(app, ...)")
    # PEP 3333 has a class whose objects are the body of a response.
    if isinstance(app, type) and not hasattr(app, "__iter__"):
        raise _is_class(face, app)
    # The "__call__" of a plain function is found on its type as well.
    is_async = iscoroutinefunction(app) or iscoroutinefunction(type(app).__call__)
    if is_async or _takes(app, _WSGI) is False:
        other = "JWTMiddleware(app, ...) for an ASGI application"
        fix = other if _takes(app, _ASGI) else "a plain function of (environ, start_response)"
        raise _mistake(face, app, "a WSGI application", fix)


def _mistake(face: str, app: object, kind: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"{face}: app={app!r} must be {kind}: write {fix}")


def _is_class(face: str, app: type) -> ConfigurationError:
    name = app.__name__
    return ConfigurationError(
        f"{face}: app={app!r} must be an application and is a class: write {face}({name}(), ...)"
    )


def _takes(app: Any, names: tuple[str, ...]) -> bool | None:
    """Return whether an application can be called with so many arguments; ``None`` if unknown."""
    known = _signature(app)
    if known is None:
        return None
    try:
        known.bind(*names)
    except TypeError:
        return False
    return True


def _signature(app: Any) -> Signature | None:
    try:
        found = signature(app)
    except Exception:  # noqa: BLE001 - a builtin has none, and a proxy may refuse to show its own
        return None
    # A wrapper that shows the signature of what it wraps may take other arguments itself.
    kinds = {each.kind for each in _own(app)}
    return None if {Parameter.VAR_POSITIONAL} & kinds else found


def _own(app: Any) -> list[Parameter]:
    try:
        return list(signature(app, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):
        return []
