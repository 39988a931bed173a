"""Keeps Flask-Caching from serving one caller's page to another caller.

``@cache.cached()`` calls ``view.make_cache_key`` for the key of a page, which is its path. This
module adds the caller to that key, and to the name by which ``@cache.memoize()`` keeps a page. A
view with its own ``make_cache_key=`` chooses the key itself.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial, partialmethod, wraps
from itertools import chain
from types import CellType, FunctionType, MemberDescriptorType, MethodType
from typing import Any

from flask import Flask, has_request_context, request

from jwt_middleware.logs import log_of
from jwt_middleware.principal import caller_key, current_principal
from jwt_middleware.request.applications import reached, shown
from jwt_middleware.request.guarded_views import held_by
from jwt_middleware.wsgi import PRINCIPAL_KEY

_log = log_of("jwt_middleware")

_EXTENSION = "cache"
_KEY = "make_cache_key"
_NAME = "make_name"
_IS_APART = "_jwt_is_apart"

# All views of an application, each with a few decorators or some dozens of methods.
_MOST = 20_000


class PagesApart:
    """The functions of one application whose cached pages are kept apart by their callers."""

    def __init__(self) -> None:
        self._views: dict[str, Any] | None = None

    def look_at(self, app: Flask, endpoint: str) -> None:
        """Look at every function of the application if it has one that was not looked at.

        All of them, because a view may call another one, and two may share a key.

        :param endpoint: the name of the view that a request is for. It may have been replaced.
        """
        if _EXTENSION not in app.extensions:
            return
        views, seen = app.view_functions, self._views
        # Flask lets a rule be added before its view, so there may be none.
        if (
            seen is not None
            and seen.get(endpoint) is views.get(endpoint)
            and len(seen) == len(views)
        ):
            return
        found = dict(views)
        _keep_apart(list(_answering(app, found)))
        # Afterwards, because another thread may serve a page meanwhile.
        self._views = found


def _answering(app: Flask, views: dict[str, Any]) -> Iterator[Any]:
    """Yield the views of an application, and whatever else may answer a request."""
    yield from views.values()
    around: Any
    for around in (app.before_request_funcs, app.after_request_funcs):
        yield from chain.from_iterable(list(around.values()))
    for by_code in list(app.error_handler_spec.values()):
        for by_class in list(by_code.values()):
            yield from list(by_class.values())


def _keep_apart(views: list[Any]) -> None:
    """Make Flask-Caching cache the pages of some views separately for each caller."""
    within = _within(views)
    for each in filter(_is_cached, within):
        if "delete_memoized" in vars(each):
            _name_with_caller(each)
        else:
            _key_with_caller(each)
    # A view may also call a cached function. If that goes by the path, what it returns is a page.
    for each in filter(_is_cached, reached(within)):
        if "delete_memoized" not in vars(each) and _goes_by_path(vars(each)[_KEY]):
            _key_with_caller(each)


def _is_cached(thing: Any) -> bool:
    own = shown(thing, "__dict__")
    return isinstance(own, dict) and _KEY in own and "uncached" in own


def _goes_by_path(make_key: Any) -> bool:
    """Return whether a function for keys uses the path, as it does without ``key_prefix=``."""
    for cells in (_cells(make_key), _cells(_held(_cells(make_key).get("_make_cache_key")))):
        if "key_prefix" in cells:
            prefix = _held(cells["key_prefix"])
            return isinstance(prefix, str) and "%s" in prefix
    return True


def _key_with_caller(cached: Any) -> None:
    own = vars(cached)
    if not hasattr(own[_KEY], _IS_APART):
        own[_KEY] = _with_caller(own[_KEY])


def _with_caller(make: Callable[..., Any] | None) -> Callable[..., str]:
    """Return a function whose texts differ for any two callers.

    :param make: returns the text without the caller; ``None`` for its argument as it is.
    """

    def make_with_caller(*args: Any, **kwargs: Any) -> str:
        made = args[0] if make is None else make(*args, **kwargs)
        # At the end and of fixed length, so that two keys differ whenever one of their parts does.
        return f"{made} {_callers()}"

    if make is not None:
        make_with_caller = wraps(make)(make_with_caller)
    setattr(make_with_caller, _IS_APART, True)
    return make_with_caller


def _callers() -> str:
    current = current_principal()
    # A thread with a copy of the request's context of Flask has no current principal.
    of_request = request.environ.get(PRINCIPAL_KEY, current) if has_request_context() else current
    key = caller_key(current)
    return key if of_request is current else f"{key} {caller_key(of_request)}"


def _name_with_caller(memoized: Any) -> None:
    """Add the caller to the name by which Flask-Caching keeps what a function returned."""
    cell = _cells(memoized).get(_NAME)
    if cell is None:
        # A decorator has copied its attributes, or another version of Flask-Caching made it.
        if shown(memoized, "__wrapped__") is memoized.uncached and not hasattr(memoized, _IS_APART):
            setattr(memoized, _IS_APART, True)
            _log.warning(
                "@cache.memoize() on the view %s serves one caller's cached page to every caller: "
                "write @cache.cached(), or pass caller_key() as an argument",
                memoized.__qualname__,
            )
    elif not hasattr(cell.cell_contents, _IS_APART):
        cell.cell_contents = _with_caller(cell.cell_contents)


def _cells(function: Any) -> dict[str, CellType]:
    if not _is(function, FunctionType):
        return {}
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def _held(cell: CellType | None) -> Any:
    # Reading an empty cell raises an error.
    return shown(cell, "cell_contents")


def _is(thing: Any, kinds: type | tuple[type, ...]) -> bool:
    # ``isinstance`` also reads ``__class__``, where a proxy may raise, so only the type is checked.
    return issubclass(type(thing), kinds)


def _within(views: list[Any]) -> list[Any]:
    """Return views and the functions that run when they are called: in any decorator or class.

    A wrapper has only a copy of the attributes of the function that it wraps, and Flask-Caching
    reads those of its own function, so each of them is looked at.
    """
    found = {id(view): view for view in views}
    waiting = deque(views)
    while waiting and len(found) < _MOST:
        for each in _below(waiting.popleft()):
            if id(each) not in found and (callable(each) or _is(each, _DESCRIPTORS)):
                found[id(each)] = each
                waiting.append(each)
    return list(found.values())


_DESCRIPTORS = (staticmethod, classmethod, partialmethod)


def _below(thing: Any) -> Iterator[Any]:
    yield shown(thing, "__wrapped__")
    if _is(thing, FunctionType):
        yield shown(thing, "view_class")
        yield from held_by(thing)
    elif _is(thing, (MethodType, staticmethod, classmethod)):
        yield shown(thing, "__func__")
        yield from _of_object(shown(thing, "__self__"))
    elif _is(thing, (partial, partialmethod)):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    else:
        yield from _of_object(thing)


def _of_object(thing: Any) -> Iterator[Any]:
    """Yield the attributes of an object and of its class; of a class its own."""
    if _is(thing, Flask):
        return
    own = shown(thing, "__dict__")
    yield from list(own.values()) if isinstance(own, dict) else ()
    for base in (thing if _is(thing, type) else type(thing)).__mro__[:-1]:
        for name, each in list(vars(base).items()):
            # Of a slot the class shows what reads it.
            yield shown(thing, name) if _is(each, MemberDescriptorType) else each
