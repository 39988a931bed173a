"""Keeps Flask-Caching from serving one caller's page to another caller.

``@cache.cached()`` calls ``view.make_cache_key`` for the key of a page, which is its path. This
module adds the caller to that key. A view with its own ``make_cache_key=`` chooses the key itself.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from jwt_middleware.logs import log_of
from jwt_middleware.principal import caller_key

_log = log_of("jwt_middleware")

_KEY = "make_cache_key"
_IS_APART = "_jwt_is_apart"


def keep_apart(view: Any) -> None:
    """Make Flask-Caching cache the pages of a view separately for each caller."""
    for each in _cached(view):
        own = vars(each)
        if _IS_APART in own:
            continue
        own[_IS_APART] = True
        if "delete_memoized" in own:
            _log.warning(
                "@cache.memoize() on the view %s serves one caller's cached page to every caller: "
                "write @cache.cached(), or pass caller_key() as an argument",
                each.__qualname__,
            )
        else:
            own[_KEY] = _with_caller(own[_KEY])


def _with_caller(make: Callable[..., Any]) -> Callable[..., str]:
    @wraps(make)
    def make_with_caller(*args: Any, **kwargs: Any) -> str:
        # At the end and of fixed length, so that two keys differ whenever one of their parts does.
        return f"{make(*args, **kwargs)} {caller_key()}"

    return make_with_caller


def _cached(view: Any) -> Iterator[Any]:
    """Yield the functions of a view that Flask-Caching made."""
    kind = getattr(view, "view_class", None)
    methods = [getattr(kind, name) for name in dir(kind)] if kind is not None else []
    for each in (view, *filter(callable, methods)):
        function: Any = each
        # Every wrapped function is looked at, because a wrapper has only a copy of the attributes.
        # Flask-Caching reads those of the innermost function.
        while function is not None:
            if _KEY in getattr(function, "__dict__", {}) and "uncached" in vars(function):
                yield function
            function = getattr(function, "__wrapped__", None)
