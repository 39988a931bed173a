"""Requests that passed, decided again whenever code in the project changes their method."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from jwt_middleware.integrations.django_caches import KeptApart

_JUDGE_AGAIN = "_jwt_judge_again"


def become_watched(request: HttpRequest) -> None:
    """Give a request the class that this module and the caches rely on."""
    kind: Any = type(request)
    if not issubclass(kind, _Watched):
        request.__class__ = _watched(kind)


def watch(request: HttpRequest, judge_again: Callable[[HttpRequest], object]) -> None:
    """Have a request, and each copy of it, decided again whenever its method is set.

    A later middleware may set it in its ``process_view``, and views read it.

    :param judge_again: returns the refusal of a request, or ``None``.
    """
    request.__dict__[_JUDGE_AGAIN] = judge_again


class _Watched(KeptApart):
    """Added to the class of a request that passed."""

    @property
    def method(self) -> Any:
        return self.__dict__.get("method")

    @method.setter
    def method(self, method: Any) -> None:
        self.__dict__["method"] = method
        judge_again = self.__dict__.get(_JUDGE_AGAIN)
        if judge_again is not None and judge_again(self) is not None:
            raise PermissionDenied


# The cache is small, because a project has one request class for WSGI, one for ASGI, and rarely
# another.
@lru_cache(maxsize=16)
def _watched(kind: type[HttpRequest]) -> type[HttpRequest]:
    return type(kind.__name__, (_Watched, kind), {"__module__": kind.__module__})
