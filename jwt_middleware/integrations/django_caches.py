"""Keeps Django's page caches from serving one caller's page to another caller.

``cache_page`` and the cache middlewares store a page before an outer middleware adds its headers.
So this module works through the request, which the caches read twice. They read whether the page is
to be stored (``_cache_update_cache``), and the address from which they make the key.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import uuid4

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils import cache

from jwt_middleware.guard.guard import Guard
from jwt_middleware.integrations.django_users import is_known_otherwise
from jwt_middleware.principal import ANONYMOUS, caller_key
from jwt_middleware.request.sources import QueryToken
from jwt_middleware.wsgi import PRINCIPAL_KEY

View = TypeVar("View", bound=Callable[..., Any])

_MARK = "varies_on_caller"
_IS_APART = "_jwt_is_apart"
_MAY_BE_KEPT = "_jwt_may_be_kept"
_WANTED = "_cache_update_cache"

# The two functions that make Django's cache keys of pages.
_KEY_MAKERS = frozenset(
    {
        cache._generate_cache_key.__code__,  # type: ignore[attr-defined]
        cache._generate_cache_header_key.__code__,  # type: ignore[attr-defined]
    }
)


def vary_on_caller(view: View) -> View:
    """Let ``cache_page`` cache the pages of a view, one page per caller.

    Without this decorator no page that the guard protects is cached. The guard decides before a
    cached page is served, so an expired token gets none. A caller whose token has other claims gets
    another page.

    The view is a plain or ``async`` function. For a class write
    ``method_decorator(vary_on_caller, name="dispatch")``. It works above or below ``cache_page``.

    The view's own checks, such as ``login_required``, belong above ``cache_page``. A cached page is
    served without the checks below it.
    """

    @wraps(view)
    def kept(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    @wraps(view)
    async def kept_async(*args: Any, **kwargs: Any) -> Any:
        return await view(*args, **kwargs)

    chosen: Any = kept_async if iscoroutinefunction(view) else kept
    # Set as an attribute, because Django's own decorators and ``as_view`` copy it to the wrapper.
    setattr(chosen, _MARK, True)
    return chosen  # type: ignore[no-any-return]


def keep_apart(request: HttpRequest) -> None:
    """Keep the page of a request out of shared caches, and serve it no page of another caller."""
    request.__dict__[_IS_APART] = True


def is_apart(request: HttpRequest) -> bool:
    """Return whether the page of a request is for its caller alone."""
    return _IS_APART in request.__dict__


def may_be_kept(request: HttpRequest, view: Any, guard: Guard) -> None:
    """Let the page of a request be stored if its view asks for that."""
    # RFC 6750 §2.3: a response to a token in the query must not be cached.
    in_query = any(
        isinstance(each, QueryToken) and each.http for each in guard.integration.token_sources
    )
    is_marked = getattr(view, _MARK, False)
    request.__dict__[_MAY_BE_KEPT] = is_marked and not in_query
    if is_marked:
        # Under a ``public`` rule too, where the page may be that of a session.
        keep_apart(request)


class KeptApart:
    """The part of a request class that Django's caches use."""

    @property
    def _cache_update_cache(self) -> bool:
        own = self.__dict__
        if not own.get(_WANTED) or _IS_APART not in own:
            return bool(own.get(_WANTED))
        return bool(own.get(_MAY_BE_KEPT)) and not _may_differ(self)

    @_cache_update_cache.setter
    def _cache_update_cache(self, wanted: bool) -> None:
        self.__dict__[_WANTED] = wanted

    def build_absolute_uri(self, location: str | None = None) -> str:
        """Return the address, preceded by the caller if it is for the key of a page."""
        request: Any = self
        address: str = super().build_absolute_uri(location)  # type: ignore[misc]
        if _IS_APART not in self.__dict__ or sys._getframe(1).f_code not in _KEY_MAKERS:
            return address
        return f"{_caller_of(request)} {address}"


def _caller_of(request: Any) -> str:
    """Return a text that differs for any two callers, and for any two sessions."""
    key = caller_key(request.META.get(PRINCIPAL_KEY, ANONYMOUS))
    if _may_differ(request) or vars(request).get(_MAY_BE_KEPT) is False:
        # REST framework puts another object around the request, so that a cache below it does not
        # read here that the page must not be stored. So its key is never used again.
        return f"{key} once {uuid4().hex}"
    session = getattr(request, "session", None)
    return key if session is None else f"{key} {session.session_key}"


def _may_differ(request: Any) -> bool:
    """Return whether a page may depend on something else than the token of its caller.

    A page that has read the session may be that of a user who has logged out since: where a page
    comes from a cache, nothing asks the session.
    """
    session = getattr(request, "session", None)
    has_read_session = session is not None and getattr(session, "accessed", True)
    return has_read_session or is_known_otherwise(request)
