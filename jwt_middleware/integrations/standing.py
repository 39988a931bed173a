"""Tells whether a guard is in front of an application, as far as the application shows it."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from inspect import isroutine
from itertools import takewhile
from typing import Any

from jwt_middleware.asgi.middleware import JWTMiddleware
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard
from jwt_middleware.logs import log_of
from jwt_middleware.request.applications import passed_on_by, reached, shown, wrapped
from jwt_middleware.wsgi import JWTWSGIMiddleware

_log = log_of("jwt_middleware")

# A warning names the first few routes, because an application has hundreds.
_NAMED = 5


def warnings_on_standing(guard: Guard, app: Any) -> Iterator[str]:
    """Yield a warning for what shows that the guard does not see every request to an application.

    A guard that no middleware has been given yet is only logged, because its rules may be looked at
    without one.

    :param app: the application, as it is served.
    """
    known = list(_guards_in_front(app))
    if guard in known:
        yield from mounted_in_front(guard, app)
    elif None in known:
        # Its middleware has options in place of a guard, and makes a guard of them later.
        return
    elif known:
        yield (
            "another guard is in front of the application than the one given: give its middleware "
            "and coverage the same guard"
        )
    elif beside := _beside(guard, app):
        yield (
            f"the guard is in front of a part of the application only, and never sees requests to "
            f"{_some(beside)}: put it in front of the whole application, or look at that part alone"
        )
    else:
        yield from _elsewhere(guard, app)


def mounted_in_front(guard: Guard, app: Any) -> Iterator[str]:
    """Yield a warning if a dispatcher in front of the guard mounts other applications.

    :param app: the application, with the guard somewhere in it.
    """
    outside = takewhile(lambda each: not _is_face_of(each, guard), wrapped(app))
    found = [str(place) for each in outside for place in _mounts_of(each)]
    if found:
        yield (
            f"{_some(found)} is mounted in front of the guard, which never sees requests to it: "
            "put the guard around the dispatcher, with public(...) for what is open"
        )


def check_in_front(guard: Guard, app: Any, attribute: str) -> None:
    """Check that the layers in an attribute of an application still lead through the guard.

    :param attribute: the attribute that the server calls, such as ``wsgi_app``.
    :raises ConfigurationError: if the guard is in none of them.
    """
    if not any(_is_face_of(each, guard) for each in passed_on_by(getattr(app, attribute))):
        raise ConfigurationError(
            f"app.{attribute} was replaced after the guard was put there, so that the guard sees "
            f"no request: wrap it, as in app.{attribute} = Other(app.{attribute})"
        )


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_face(thing: Any) -> bool:
    # The type and not ``isinstance``, which reads ``__class__``, where a proxy may raise.
    return issubclass(type(thing), (JWTMiddleware, JWTWSGIMiddleware))


def _is_face_of(thing: Any, guard: Guard) -> bool:
    return _is_face(thing) and shown(thing, "_guard") is guard


def _guards_in_front(app: Any) -> Iterator[Guard | None]:
    """Yield the guards in front of an application; ``None`` for one that is not made yet."""
    for each in passed_on_by(app):
        yield from _guards_of(each)
        # Quart calls this attribute, and not one of those that all frameworks have.
        for inner in passed_on_by(shown(each, "asgi_app")):
            yield from _guards_of(inner)
    yield from _guards_of_django(app)


def _guards_of(thing: Any) -> list[Guard | None]:
    """Return the guards of one object: a middleware, or an application that lists middleware."""
    if _is_face(thing):
        return [shown(thing, "_guard")]
    listed = [shown(thing, name) for name in ("user_middleware", "middleware")]
    entries = [entry for each in listed if isinstance(each, list) for entry in each]
    return [guard for entry in entries for guard in _guards_of_entry(entry)]


def _guards_of_entry(entry: Any) -> list[Guard | None]:
    """Return the guards of a middleware that an application lists, and makes later."""
    if _makes_face(entry):
        return [_guard_of(entry)]
    # Litestar takes a function that puts a middleware around what it is given.
    made = passed_on_by(entry) if isroutine(entry) else []
    return [each for each in made if isinstance(each, Guard)]


def _makes_face(entry: Any) -> bool:
    made = shown(entry, "cls") or shown(entry, "middleware")
    return isinstance(made, type) and issubclass(made, JWTMiddleware)


def _guard_of(entry: Any) -> Guard | None:
    first = next(iter(getattr(entry, "args", ())), None)
    found = getattr(entry, "kwargs", {}).get("guard") or first
    return found if isinstance(found, Guard) else None


def _guards_of_django(app: Any) -> Iterator[Guard | None]:
    django = sys.modules.get("jwt_middleware.integrations.django_settings")
    if django is None or not django.settings.configured:
        return
    settings = django.settings
    kind = str(shown(type(app), "__module__"))
    is_project = kind.startswith("django.core.handlers.") or (
        getattr(app, "__name__", "") == shown(settings, "ROOT_URLCONF")
    )
    if is_project and django.MIDDLEWARE in settings.MIDDLEWARE:
        yield django.configured().guard


def _mounts_of(thing: Any) -> Iterable[str]:
    mounts = shown(thing, "mounts")
    return mounts if isinstance(mounts, Mapping) else ()


def _beside(guard: Guard, app: Any) -> list[str]:
    """Return the paths beside those that lead to the guard; empty if none leads there."""
    found = list(_paths(guard, app, ""))
    outside = [path for path, is_guarded in found if not is_guarded]
    return outside if len(outside) < len(found) else []


def _paths(guard: Guard, app: Any, prefix: str) -> Iterator[tuple[str, bool]]:
    """Yield the paths of an application, and whether the guard is in front of them."""
    for route in _routes_of(app):
        path = prefix + str(getattr(route, "path", "") or getattr(route, "host", ""))
        # Of an endpoint the "app" only calls the endpoint.
        inner = None if hasattr(route, "endpoint") else shown(route, "app")
        included = shown(route, "original_router")
        if inner is not None and guard in _guards_in_front(inner):
            yield path, True
        elif _routes_of(inner):
            yield from _paths(guard, inner, path)
        elif included is not None:
            yield from _paths(guard, included, prefix + _prefix_of(route))
        else:
            yield path, False


def _routes_of(app: Any) -> list[Any]:
    routes = shown(app, "routes")
    return routes if isinstance(routes, list) else []


def _prefix_of(included: Any) -> str:
    return str(getattr(shown(included, "include_context"), "prefix", ""))


def _elsewhere(guard: Guard, app: Any) -> Iterator[str]:
    """Yield a warning if the guard is known to be in front of something else."""
    met = guard.integration.applications
    if not met:
        _log.warning(
            "no middleware has put the guard in front of %s yet: what is said of it holds only "
            "where one does",
            type(app).__qualname__,
        )
        return
    core = shown(app, "router") or app
    if not any(core is each for one in met for each in reached(one)):
        yield (
            f"the guard is in front of {', '.join(sorted({type(one).__name__ for one in met}))} "
            f"and not of the application given, {type(app).__name__}: give both the same one"
        )
    elif replaced := [each for each in ("wsgi_app", "asgi_app") if each in _attributes(app)]:
        yield (
            f"{replaced[0]} of the application was replaced after the guard was put there, so that "
            f"the guard sees no request: wrap it, as in app.{replaced[0]} = "
            f"Other(app.{replaced[0]})"
        )


def _attributes(app: Any) -> Any:
    return getattr(app, "__dict__", {})
