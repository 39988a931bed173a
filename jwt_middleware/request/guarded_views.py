"""Views that a ``requires`` wraps, and those of them that an application calls without it.

``@requires(...)`` above ``@app.get(...)`` guards nothing: the route has the bare function, and the
guarded one is only what the name of the function means afterwards. Nothing of this project runs
when the bare function is called, so it is searched for at start-up.

The memory is weak: it is gone with the view, or with the guarded function.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.logs import log_of
from jwt_middleware.request.applications import shown

_log = log_of("jwt_middleware")

_REQUIRED = "__jwt_requires__"

# By view: the functions that guard it.
_guarded: "WeakKeyDictionary[Any, WeakSet[Any]]" = WeakKeyDictionary()

# A decorator around a decorator is common, a hundred of them is a loop.
_MOST_LAYERS = 100


def remember(view: Callable[..., Any], guarded: Any, requirement: object) -> None:
    """Remember that a function guards a view, and every function that the view wraps itself."""
    mark(guarded, requirement)
    for each in _layers(view):
        # An object without a hash or weak references cannot be remembered.
        with suppress(TypeError):
            _guarded.setdefault(each, WeakSet()).add(guarded)


def mark(thing: object, requirement: object) -> None:
    """Mark what refuses a caller who does not meet a requirement."""
    setattr(thing, _REQUIRED, requirement)


def required_by(view: Any) -> object:
    """Return the requirement with which something was marked; ``None`` if it was not.

    A decorator around the guarded view shows it too if it is made with ``functools.wraps``.
    """
    return getattr(view, _REQUIRED, None)


def check_views(every: Iterable[Any]) -> None:
    """Search an application for views that are called without their ``requires``.

    Logs a warning for a view that seems to be meant to be guarded.

    :param every: the application and every object in it that may receive a request.
    :raises ConfigurationError: for a view that certainly is, because its name means the guarded
        function.
    """
    if not _guarded:
        return
    for sentence, is_certain in bare_views(views_in(every)):
        if is_certain:
            raise ConfigurationError(sentence)
        _log.warning("%s", sentence)


def bare_views(views: Iterable[Any]) -> Iterator[tuple[str, bool]]:
    """Yield a sentence for each view that is called without its ``requires``.

    A view whose guarded function is among the views as well is bare on purpose. So is one whose
    name still means the view without its ``requires``.

    :param views: every view of an application, as it calls them.
    :return: the sentence, and whether it is certain that the view is meant to be guarded.
    """
    every = [_layers(view) for view in views]
    called = {id(layer) for layers in every for layer in layers}
    told: set[int] = set()
    for layers in every:
        bare = next((each for each in layers if _is_bare(each, called)), None)
        if bare is None or id(bare) in told:
            continue
        told.add(id(bare))
        guards = list(_guards_of(bare) or ())
        meant = {id(each): _meaning(each) for each in layers}
        named = [each for each in layers if _leads_to(meant[id(each)], guards)]
        if named or not any(one is each for one in meant.values() for each in layers):
            yield _sentence(named[0] if named else bare), bool(named)


def _leads_to(meant: Any, guards: list[Any]) -> bool:
    return meant is not None and any(each is one for each in _layers(meant) for one in guards)


def _is_bare(layer: Any, called: set[int]) -> bool:
    guards = _guards_of(layer)
    return guards is not None and not any(id(each) in called for each in guards)


def views_in(every: Iterable[Any]) -> Iterator[Any]:
    """Yield the views of every application among some objects."""
    for each in every:
        functions = shown(each, "view_functions")
        yield from functions.values() if isinstance(functions, dict) else ()
        found = (shown(each, name) for name in ("endpoint", "fn"))
        yield from (view for view in found if callable(view))


def _guards_of(view: Any) -> "WeakSet[Any] | None":
    try:
        return _guarded.get(view)
    except TypeError:
        return None


def _layers(view: Any) -> list[Any]:
    """Return a function and the functions that it wraps, in any kind of decorator."""
    found = [view]
    for each in found:
        for inner in _wrapped_by(each):
            if len(found) >= _MOST_LAYERS:
                return found
            if inner is not None and all(inner is not other for other in found):
                found.append(inner)
    return found


def _wrapped_by(view: Any) -> Iterator[Any]:
    kind = type(view)
    wrapped = shown(view, "__wrapped__")
    if issubclass(kind, partial):
        yield view.func
    elif kind is MethodType:
        yield view.__func__
    elif wrapped is not None:
        yield wrapped
    elif kind is FunctionType:
        yield from filter(_may_wrap, held_by(view))
    elif not issubclass(kind, type):
        own = shown(view, "__dict__")
        yield from filter(_may_wrap, list(own.values()) if isinstance(own, dict) else ())


def _may_wrap(thing: Any) -> bool:
    # The type is asked, because a proxy may raise outside a request.
    return callable(thing) and not issubclass(type(thing), type)


def held_by(function: FunctionType) -> Iterator[Any]:
    """Yield what a function holds in its closure, as a decorator without ``wraps`` does.

    What was defined beside the function is a helper that it may call, and not what it wraps.
    """
    scope = _scope(function.__globals__.get("__name__"), function.__code__.co_qualname)
    for cell in function.__closure__ or ():
        # Reading an empty cell raises an error.
        held = shown(cell, "cell_contents")
        if type(held) is not FunctionType or _scope(held.__module__, held.__qualname__) != scope:
            yield held


def _scope(module: Any, qualname: str) -> tuple[Any, str]:
    return module, qualname.rpartition(".")[0]


def _meaning(view: Any) -> Any:
    """Return what the name of a function means now, in the module that defines it.

    :return: ``None`` for a function within a function, and for what has no name.
    """
    names = str(shown(view, "__qualname__") or "").split(".")
    space = shown(view, "__globals__")
    found = space.get(names[0]) if isinstance(space, dict) else None
    for name in names[1:]:
        found = shown(found, name)
    return found


def _sentence(view: Any) -> str:
    return (
        f"{name_of(view)} is registered without its requires(...), so its requirement is never "
        "checked: write @requires(...) below the decorator of the route, next to the function. If "
        "it is meant to be open here, give it a name of its own"
    )


def name_of(view: Any) -> str:
    """Return the name of a view for messages."""
    named = view if shown(view, "__qualname__") is not None else type(view)
    return f"{shown(named, '__module__')}.{shown(named, '__qualname__')}"
