"""Django's caches of pages behind a guard: what one caller was served, no other caller gets.

``cache_page`` and the cache middlewares store a page before the headers of a middleware further out
are on it. So they are met where they ask the request itself: whether its page is to be stored
(``_cache_update_cache``), and for its address, of which they make the key.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils import cache

from jwt_middleware.guard.guard import Guard
from jwt_middleware.principal import ANONYMOUS, caller_key
from jwt_middleware.request.sources import QueryToken
from jwt_middleware.wsgi import PRINCIPAL_KEY

View = TypeVar("View", bound=Callable[..., Any])

_MARK = "varies_on_caller"
_IS_GUARDED = "_jwt_is_guarded"
_MAY_BE_KEPT = "_jwt_may_be_kept"
_WANTED = "_cache_update_cache"

# The two functions with which Django makes the keys of pages.
_KEY_MAKERS = frozenset(
    {
        cache._generate_cache_key.__code__,  # type: ignore[attr-defined]
        cache._generate_cache_header_key.__code__,  # type: ignore[attr-defined]
    }
)


def vary_on_caller(view: View) -> View:
    """Let ``cache_page`` keep the pages of a view, for each caller their own.

    Without it no page that a guard let a caller see is kept at all. The guard decides before a kept
    page is served, so no expired token is; a caller whose token says something else gets another
    page. For functions, plain or ``async``; for classes ``method_decorator(vary_on_caller,
    name="dispatch")``. Above or below ``cache_page``.

    Checks of the view's own, such as ``login_required``, belong above ``cache_page``: a page that
    was kept is served without those below it.
    """

    @wraps(view)
    def kept(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    @wraps(view)
    async def kept_async(*args: Any, **kwargs: Any) -> Any:
        return await view(*args, **kwargs)

    chosen: Any = kept_async if iscoroutinefunction(view) else kept
    # What wraps it takes this along, as far as Django's own decorators and ``as_view`` do.
    setattr(chosen, _MARK, True)
    return chosen  # type: ignore[no-any-return]


def keep_apart(request: HttpRequest) -> None:
    """Have no page of a request stored, and none be served to it that another one left."""
    request.__dict__[_IS_GUARDED] = True


def may_be_kept(request: HttpRequest, view: Any, guard: Guard) -> None:
    """Have the page of a request stored where its view asks for that."""
    # RFC 6750 §2.3: no cache may keep an answer to a token in the query.
    in_query = any(
        isinstance(each, QueryToken) and each.http for each in guard.integration.token_sources
    )
    request.__dict__[_MAY_BE_KEPT] = getattr(view, _MARK, False) and not in_query


class KeptApart:
    """The part of a request class that Django's caches meet."""

    @property
    def _cache_update_cache(self) -> bool:
        own = self.__dict__
        return bool(own.get(_WANTED) and (_IS_GUARDED not in own or own.get(_MAY_BE_KEPT)))

    @_cache_update_cache.setter
    def _cache_update_cache(self, wanted: bool) -> None:
        self.__dict__[_WANTED] = wanted

    def build_absolute_uri(self, location: str | None = None) -> str:
        """Return the address; for the key of a page, with the caller in front of it."""
        request: Any = self
        address: str = super().build_absolute_uri(location)  # type: ignore[misc]
        if _IS_GUARDED not in self.__dict__ or sys._getframe(1).f_code not in _KEY_MAKERS:
            return address
        return f"{caller_key(request.META.get(PRINCIPAL_KEY, ANONYMOUS))} {address}"
