"""A request that passed: what Django goes by is what was judged, to the end."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from jwt_middleware.integrations.django_caches import KeptApart

_JUDGE_AGAIN = "_jwt_judge_again"


def become_watched(request: HttpRequest) -> None:
    """Give a request the class that the rest of this module, and the caches, rely on."""
    kind: Any = type(request)
    if not issubclass(kind, _Watched):
        request.__class__ = _watched(kind)


def watch(request: HttpRequest, judge_again: Callable[[], object]) -> None:
    """From now on, have a request judged again whenever its method is set to another one.

    A middleware may do so in its ``process_view`` after ours was asked, and views go by it.

    :param judge_again: returns the refusal, or ``None``.
    """
    request.__dict__[_JUDGE_AGAIN] = judge_again


class _Watched(KeptApart):
    """What is different about a request that passed."""

    @property
    def method(self) -> Any:
        return self.__dict__.get("method")

    @method.setter
    def method(self, method: Any) -> None:
        self.__dict__["method"] = method
        judge_again = self.__dict__.get(_JUDGE_AGAIN)
        if judge_again is not None and judge_again() is not None:
            raise PermissionDenied


# A project has a request class for each of WSGI and ASGI, and seldom one of its own.
@lru_cache(maxsize=16)
def _watched(kind: type[HttpRequest]) -> type[HttpRequest]:
    return type(kind.__name__, (_Watched, kind), {"__module__": kind.__module__})
