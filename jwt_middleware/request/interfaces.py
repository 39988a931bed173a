"""Checks that what a middleware is put around is an application of its kind: ASGI or WSGI.

A server would find out with the first request, by an exception that names nothing of it. Only what
certainly cannot be called is refused: a function that takes any arguments may be an application of
both kinds.
"""

from inspect import Parameter, Signature, iscoroutinefunction, signature
from types import FunctionType, WrapperDescriptorType
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
    if _is_class_without(app, "__await__"):
        raise _must_be_made("JWTMiddleware", app)
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
    if _is_class_without(app, "__iter__", "__getitem__"):
        raise _must_be_made(face, app)
    if _is_async(app) or _takes(app, _WSGI) is False:
        other = "JWTMiddleware(app, ...) for an ASGI application"
        fix = other if _takes(app, _ASGI) else "a plain function of (environ, start_response)"
        raise _mistake(face, app, "a WSGI application", fix)


def _is_class_without(app: Any, *methods: str) -> bool:
    """Return whether calling a class makes an object that has none of some methods."""
    # The type and not ``isinstance``, which reads ``__class__``, where a proxy may raise.
    if not issubclass(type(app), type) or any(hasattr(app, each) for each in methods):
        return False
    # Otherwise the call may return anything.
    return type(app).__call__ is type.__call__ and app.__new__ is object.__new__


def _mistake(face: str, app: object, kind: str, fix: str) -> ConfigurationError:
    return ConfigurationError(f"{face}: app={app!r} must be {kind}: write {fix}")


def _must_be_made(face: str, app: Any) -> ConfigurationError:
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
    """Return the arguments that an application takes; ``None`` if they cannot be known."""
    try:
        # What it wraps may take other arguments than the wrapper.
        found = signature(app, follow_wrapped=False)
        if hasattr(app, "__signature__") or not _is_called_plainly(type(app)):
            # It was written by hand, and may be that of something else.
            return None
    except Exception:  # noqa: BLE001 - a builtin has none, and a proxy may refuse to show its own
        return None
    takes_any = any(each.kind is Parameter.VAR_POSITIONAL for each in found.parameters.values())
    return None if takes_any else found


def _is_called_plainly(kind: type) -> bool:
    """Return whether a call of an object is that of a function of its class, with the object."""
    called = next(
        (vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None
    )
    is_function = isinstance(called, FunctionType) and not hasattr(called, "__signature__")
    # The functions, methods and classes of the interpreter itself.
    return is_function or isinstance(called, WrapperDescriptorType)


def _is_async(app: Any) -> bool:
    try:
        # The "__call__" of a function is found on its type as well.
        return iscoroutinefunction(app) or iscoroutinefunction(type(app).__call__)
    except Exception:  # noqa: BLE001 - a proxy may refuse outside a request
        return False
