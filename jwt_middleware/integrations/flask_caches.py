"""Flask-Caching behind a guard: a page is kept for each caller, not for the next one.

``@cache.cached()`` asks ``view.make_cache_key`` for the key of a page, which is its path. Here each
such function gets the caller into its key. A view with ``make_cache_key=`` of its own says itself
whom a page is for.
"""

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from jwt_middleware.principal import caller_key

_log = logging.getLogger("jwt_middleware")

_KEY = "make_cache_key"
_IS_APART = "_jwt_is_apart"


def keep_apart(view: Any) -> None:
    """Have the pages of a view kept for each caller."""
    for each in _cached(view):
        own = vars(each)
        if _IS_APART in own:
            continue
        own[_IS_APART] = True
        if "delete_memoized" in own:
            _log.warning(
                "@cache.memoize() on the view %s keeps what it returns by its arguments, whoever "
                "asks: write @cache.cached(), or have caller_key() among the arguments",
                each.__qualname__,
            )
        else:
            own[_KEY] = _with_caller(own[_KEY])


def _with_caller(make: Callable[..., Any]) -> Callable[..., str]:
    @wraps(make)
    def make_with_caller(*args: Any, **kwargs: Any) -> str:
        # The same length each time and at the end, so that two keys differ where a part does.
        return f"{make(*args, **kwargs)} {caller_key()}"

    return make_with_caller


def _cached(view: Any) -> Iterator[Any]:
    """Yield the functions of a view that Flask-Caching made."""
    kind = getattr(view, "view_class", None)
    methods = [getattr(kind, name) for name in dir(kind)] if kind is not None else []
    for each in (view, *filter(callable, methods)):
        function: Any = each
        # What is wrapped around a cached function has a copy of its attributes, which counts for
        # nothing; inside stands the one that is asked.
        while function is not None:
            if _KEY in getattr(function, "__dict__", {}) and "uncached" in vars(function):
                yield function
            function = getattr(function, "__wrapped__", None)
