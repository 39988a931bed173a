"""Inspects an application: the frameworks inside it, and their mount points.

A wrapper may keep the wrapped application anywhere. Objects of known frameworks are read by
attribute name. All other objects are searched completely: attributes of the object and of its
class, closures, mappings, lists, and what a function names, also in a module or a class. So a
router without effect may be found, but an effective one is not missed.
"""

import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dis import get_instructions
from functools import cached_property, partial
from itertools import islice, permutations
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType, SimpleNamespace
from typing import Any

from jwt_middleware.logs import log_of
from jwt_middleware.rules.applications import MEASURED, Application, Front

# The attributes in which middlewares, routers and mounts keep the application that they call.
_INSIDE = (
    "app",
    "application",
    "wsgi_app",
    "wsgi_application",
    "_app",
    "wrapped",
    "__wrapped__",
    "func",
    "__self__",
)

# The attributes in which known frameworks keep mounted applications and fallback handlers.
_MOUNTED = (
    "mounts",
    "apps",
    "domains",
    "router",
    "original_router",
    "default",
    "user_middleware",
    "args",
    "kwargs",
    "callback",
    "handler",
    "route_handler",
    "fn",
    "mount_registry",
    "mounted_apps",
)

# An application has dozens of layers and mounts, a few objects for each of its routes, and a module
# a few hundred names. The search ends at this number of objects, which takes about a second.
_MOST = 20_000

# The limit for one list or mapping that is not the routes of a framework, because longer ones
# contain data instead of applications.
_MOST_OF_ONE = 1_000

# Packages without applications. pytest is named, because a test that defines an application leads
# to its markers, which fail the test for each attribute that is read.
_NO_APPLICATIONS = sys.stdlib_module_names | {"_pytest", "pytest"}

_OWN = "jwt_middleware"

_log = log_of(_OWN)


def described(
    app: Any, *, paths_are_whole: bool, every: Collection[Any] | None = None
) -> Application:
    """Return the description of an application, including all that it wraps or mounts.

    :param paths_are_whole: whether the server's path includes the mount point, as in ASGI.
    :param every: what :func:`reached` returned for it, if it was searched already.
    """
    every = reached(app) if every is None else every
    if len(every) >= _MOST:
        _log.warning(
            "%s is too large to be searched completely for routers that read a path otherwise: if "
            "it mounts one, describe it with readings= and prefixes=",
            type(app).__qualname__,
        )
    return Application(
        (package for each in every for package in _packages(each)),
        _mount_points(wrapped(app)),
        _mount_points(passed_on_by(app)),
        (front for each in every for front in _fronts(each)),
        paths_are_whole=paths_are_whole,
        fills_user=any(map(_fills_lazy_user, every)),
    )


def _fills_lazy_user(thing: Any) -> bool:
    """Return whether a function sets the attribute in which Django's lazy users keep the user."""
    if not _is(thing, FunctionType) or _package(thing.__module__) == _OWN:
        return False
    return any(
        step.opname == "STORE_ATTR" and step.argval == "_wrapped"
        for code in _codes(thing.__code__)
        if "_wrapped" in code.co_names
        for step in get_instructions(code)
    )


def wrapped(app: Any) -> list[Any]:
    """Return an application and all applications that it wraps in known attributes."""
    return _found(app, _wrapped)


def passed_on_by(app: Any) -> list[Any]:
    """Return an application and every object that its layers may pass a request on to."""
    return _found(app, _maybe_wrapped)


def reached(app: Any) -> list[Any]:
    """Return an application and every object in it that may receive a request."""
    return _found(app, _reached)


def _found(app: Any, below: Callable[[Any], Iterable[Any]]) -> list[Any]:
    # Each object is visited once, because applications may wrap each other.
    found = {id(app): app}
    waiting = [app]
    place = 0
    while place < len(waiting) and len(found) < _MOST:
        for each in _unless_it_fails(partial(below, waiting[place]), _MOST):
            if each is not None and id(each) not in found and not _is_mock(each):
                found[id(each)] = each
                waiting.append(each)
        place += 1
    return waiting


def _is_mock(thing: Any) -> bool:
    # A mock has every attribute, each of them another mock, without end.
    return "unittest.mock" in map(_module_of, type(thing).__mro__)


def _wrapped(app: Any) -> Iterable[Any]:
    found = (shown(app, name) for name in _INSIDE)
    return (each for each in found if callable(each) and not _is(each, type))


def _maybe_wrapped(thing: Any) -> Iterator[Any]:
    """Yield the objects to which an unknown object may pass a request."""
    if callable(thing):
        yield from _wrapped(thing)
    yield from filter(_may_hold, _held(thing))


def _reached(thing: Any) -> Iterator[Any]:
    """Yield the objects that may receive a request, including mounted applications."""
    yield from _maybe_wrapped(thing)
    routes = shown(thing, "routes")
    yield from routes if _is(routes, (list, tuple)) else ()
    if _is_known(thing):
        yield from filter(_may_hold, (shown(thing, name) for name in _MOUNTED))
        # In some frameworks a mount is not callable, so its "app" is read here as well.
        yield shown(thing, "app")


def _is(thing: Any, kinds: type | tuple[type, ...]) -> bool:
    # ``isinstance`` also reads ``__class__``, where a proxy may raise, so only the type is checked.
    return issubclass(type(thing), kinds)


def _may_hold(thing: Any) -> bool:
    if _is(thing, (type, ModuleType)):
        return False
    if callable(thing) or _is(thing, (*_CONTAINERS, SimpleNamespace)):
        return True
    return _package(_module_of(type(thing))) not in _NO_APPLICATIONS


_CONTAINERS = (Mapping, list, tuple, set, frozenset, deque)


def _held(thing: Any) -> Iterable[Any]:
    if _is(thing, Mapping):
        return _unless_it_fails(thing.values)
    if _is(thing, _CONTAINERS):
        return _unless_it_fails(thing.__iter__)
    if _is(thing, partial):
        return (*thing.args, *thing.keywords.values())
    if _is(thing, FunctionType):
        return _of_function(thing)
    return () if _is_known(thing) else _of_object(thing)


def _of_function(function: FunctionType) -> Iterable[Any]:
    """Return the objects in a function's closure, its defaults and the globals it names.

    Of a module and a class only what the function names is read.
    """
    if function.__module__ and _package(function.__module__) in _LEFT_ALONE:
        names: list[str] = []
    else:
        names = list(dict.fromkeys(_names(function.__code__)))
    # Reading an empty cell raises an error, so the cells are read by shown().
    cells = (shown(cell, "cell_contents") for cell in function.__closure__ or ())
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    found = [*cells, *defaults, *(function.__globals__.get(name) for name in names)]
    for owner in found:
        # The list grows meanwhile: a module may be named within a module.
        if _is(owner, (type, ModuleType)) and len(found) < _MOST_OF_ONE:
            found += _named_in(owner, names, found)
    return found


def _named_in(owner: Any, names: list[str], known: list[Any]) -> list[Any]:
    """Return what a module or a class has under one of the names, without what is known."""
    package = shown(owner, "__name__" if _is(owner, ModuleType) else "__module__")
    if _package(package) in _LEFT_ALONE:
        return []
    own = _unless_it_fails(lambda: [vars(owner)])
    found = [_behind(space[name]) for space in own for name in names if name in space]
    return [each for each in found if not any(each is other for other in known)]


def _behind(attribute: Any) -> Any:
    """Return the function that a descriptor of a class calls; other attributes as they are."""
    if _is(attribute, (staticmethod, classmethod)):
        return attribute.__func__
    if _is(attribute, property):
        return attribute.fget
    return attribute.func if _is(attribute, cached_property) else attribute


def _names(code: CodeType) -> Iterator[str]:
    return (name for each in _codes(code) for name in each.co_names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function, and of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _of_object(thing: Any) -> Iterator[Any]:
    """Yield the attributes of an object, and those of its class."""
    yield from _unless_it_fails(lambda: vars(thing).values())
    for base in type(thing).__mro__:
        if _package(_module_of(base)) not in _LEFT_ALONE:
            for name, each in vars(base).items():
                # A slot is read by its descriptor, so that no code of the class runs.
                is_slot = _is(each, MemberDescriptorType)
                yield _slot(thing, base, name) if is_slot else _behind(each)


def _slot(thing: Any, base: type, name: str) -> Any:
    try:
        return vars(base)[name].__get__(thing)
    except AttributeError:
        return None


_LEFT_ALONE = _NO_APPLICATIONS | MEASURED.keys()
"""Packages whose own code is not searched, because it does not wrap an application."""


def _is_known(thing: Any) -> bool:
    return _package(_module_of(type(thing))) in MEASURED


def _unless_it_fails(read: Callable[[], Iterable[Any]], most: int = _MOST_OF_ONE) -> list[Any]:
    """Return the items read before an error, so that no object can stop the server's start."""
    found: list[Any] = []
    with suppress(Exception):
        found.extend(islice(read(), most))
    return found


def shown(thing: Any, name: str) -> Any:
    """Return an attribute of an object; ``None`` if it has none or does not show it."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001 - a proxy of a framework may refuse outside a request
        return None


def _packages(app: Any) -> Iterable[str]:
    """Return the packages that define the class of an application and its bases."""
    kind: Any = type(app)
    return (_package(_module_of(base)) for base in kind.__mro__) if callable(app) else ()


def _module_of(kind: type) -> Any:
    # A class may compute it, and fail.
    return shown(kind, "__module__")


def _package(module: Any) -> str:
    # A class created by hand may have any value as its module.
    return module.partition(".")[0] if isinstance(module, str) else ""


# In these packages ``root_path`` is the directory of the source, so it is not a mount point.
_NAMES_A_FOLDER = frozenset({"flask", "quart"})


def _mount_points(every: Iterable[Any]) -> Iterable[str]:
    """Return the mount points that the applications inside strip from a path."""
    roots = [_mount_point(each) for each in every if callable(each)]
    found = [root.rstrip("/") for root in roots if isinstance(root, str) and root[:1] == "/"]
    return dict.fromkeys(root for root in found if root)


def _mount_point(app: Any) -> Any:
    if "django.core.handlers.asgi" in map(_module_of, type(app).__mro__):
        # Under WSGI the setting only sets the beginning of links, and Django strips nothing.
        settings = getattr(sys.modules.get("django.conf"), "settings", None)
        return shown(settings, "FORCE_SCRIPT_NAME")
    return shown(app, "root_path") if _NAMES_A_FOLDER.isdisjoint(_packages(app)) else None


def _fronts(app: Any) -> Iterator[Front]:
    """Yield what the dispatchers of a CherryPy application put in front of a path."""
    if "cherrypy" not in _packages(app):
        return
    script_name = shown(app, "script_name")
    mount_point = script_name if isinstance(script_name, str) else ""
    for dispatcher in _dispatchers(app):
        for prefix in _prefixes(_found(dispatcher, _reached)):
            yield Front(prefix, mount_point)


def _dispatchers(app: Any) -> Iterator[Any]:
    config = shown(app, "config")
    sections = _unless_it_fails(config.values) if _is(config, Mapping) else []
    found = [each.get("request.dispatch") for each in sections if _is(each, Mapping)]
    # What the configuration does not set, a request class of the project's own may.
    found.append(shown(shown(app, "request_class"), "dispatch"))
    yield from (each for each in found if each is not None)


def _prefixes(every: Iterable[Any]) -> Iterator[str]:
    """Yield what ``VirtualHost`` dispatchers may put in front of a path, one after another."""
    tables = [table for table in map(_prefixes_by_host, every) if table]
    # Two in a row are rare. All orders of more than three would keep a server from starting.
    for number in range(1, min(len(tables), 3) + 1):
        for some in permutations(tables, number):
            yield from _joined(some)


def _joined(tables: Iterable[list[str]]) -> list[str]:
    found = [""]
    for table in tables:
        found = [prefix + behind for prefix in table for behind in found]
    return found


def _prefixes_by_host(dispatcher: Any) -> list[str]:
    # It is a closure, and nothing but its name and its variables tells what it does.
    if not _is(dispatcher, FunctionType) or dispatcher.__name__ != "vhost_dispatch":
        return []
    cells = zip(dispatcher.__code__.co_freevars, dispatcher.__closure__ or (), strict=True)
    domains = shown(dict(cells).get("domains"), "cell_contents")
    chosen = domains.values() if _is(domains, Mapping) else ()
    found = [f"/{prefix.strip('/')}" for prefix in chosen if isinstance(prefix, str)]
    return list(dict.fromkeys(prefix for prefix in found if prefix != "/"))
