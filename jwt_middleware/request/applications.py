"""What an application shows of itself: the frameworks it is made of, and their mount points."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jwt_middleware.rules.applications import Application

# Where middlewares, routers and mounts keep the application that they pass a request on to.
_INSIDE = ("app", "application", "wsgi_app", "_app", "wrapped", "__wrapped__", "func", "__self__")

# An application has dozens of layers and mounts; what shows more is no application.
_MOST = 1_000


def described(app: Any, *, paths_are_whole: bool) -> Application:
    """Return what is known of an application, and of all that it wraps or mounts.

    :param paths_are_whole: whether the server's path includes the mount point, as in ASGI.
    """
    return Application(
        (package for each in _found(app, _wrapped_or_mounted) for package in _packages(each)),
        _mount_points(wrapped(app)),
        paths_are_whole=paths_are_whole,
    )


def wrapped(app: Any) -> list[Any]:
    """Return an application and all that it wraps, as far as that shows."""
    return _found(app, _wrapped)


def _found(app: Any, below: Callable[[Any], Iterable[Any]]) -> list[Any]:
    # In order, and each once: applications may wrap each other.
    found = {id(app): app}
    waiting = [app]
    while waiting and len(found) < _MOST:
        for each in below(waiting.pop(0)):
            if each is not None and id(each) not in found:
                found[id(each)] = each
                waiting.append(each)
    return list(found.values())


def _wrapped(app: Any) -> Iterable[Any]:
    found = (_shown(app, name) for name in _INSIDE)
    return (each for each in found if callable(each) and not isinstance(each, type))


def _wrapped_or_mounted(app: Any) -> Iterable[Any]:
    yield from _wrapped(app)
    routes = _shown(app, "routes")
    for route in routes if isinstance(routes, (list, tuple)) else ():
        yield _shown(route, "app")
    mounts = _shown(app, "mounts")
    if isinstance(mounts, Mapping):
        yield from mounts.values()


def _shown(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001 - a proxy of a framework may refuse outside a request
        return None


def _packages(app: Any) -> Iterable[str]:
    """Return the packages that the class of an application and its bases are from."""
    return (base.__module__.partition(".")[0] for base in type(app).__mro__)


def _mount_points(every: Iterable[Any]) -> Iterable[str]:
    """Return the ``root_path`` of each application inside, which it strips from a path itself."""
    # Flask's and Quart's is the folder of their module.
    roots = (_shown(each, "root_path") for each in every if not _shown(each, "import_name"))
    found = [root.rstrip("/") for root in roots if isinstance(root, str) and root[:1] == "/"]
    return dict.fromkeys(root for root in found if root)
