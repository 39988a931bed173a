"""The handlers behind Django's resolver: function views and class views, WSGI and ASGI."""

import re
from collections.abc import Callable
from typing import Any

from django.core import signals
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views import View
from django.views.decorators.http import require_http_methods

from tests.routers.asgi_apps import HOLE, by_path, inside
from tests.routers.handlers import SUB, served
from tests.support import django_project

ViewMaker = Callable[[dict[str, str]], Callable[..., Any]]


def _function(methods: dict[str, str]) -> Callable[..., Any]:
    """Return one view for all methods of a path, as function views are."""

    def view(request: HttpRequest, **_: Any) -> HttpResponse:
        served.append(methods.get(request.method or "") or methods["GET"])
        return HttpResponse()

    return _held_to(methods, view)


def _function_async(methods: dict[str, str]) -> Callable[..., Any]:
    async def view(request: HttpRequest, **_: Any) -> HttpResponse:
        served.append(methods.get(request.method or "") or methods["GET"])
        return HttpResponse()

    return _held_to(methods, view)


def _held_to(methods: dict[str, str], view: Callable[..., Any]) -> Callable[..., Any]:
    if "hook" in methods.values():
        return view  # whatever the method is
    allowed = [*methods, "HEAD"] if "GET" in methods else [*methods]
    return require_http_methods(allowed)(view)


def _class(methods: dict[str, str]) -> Callable[..., Any]:
    def respond(name: str) -> Callable[..., Any]:
        def method(self: View, request: HttpRequest, **_: Any) -> HttpResponse:
            served.append(name)
            return HttpResponse()

        return method

    return _class_view({method.lower(): respond(name) for method, name in methods.items()})


def _class_async(methods: dict[str, str]) -> Callable[..., Any]:
    def respond(name: str) -> Callable[..., Any]:
        async def method(self: View, request: HttpRequest, **_: Any) -> HttpResponse:
            served.append(name)
            return HttpResponse()

        return method

    return _class_view({method.lower(): respond(name) for method, name in methods.items()})


def _class_view(members: dict[str, Any]) -> Callable[..., Any]:
    view: Callable[..., Any] = type("ClassView", (View,), members).as_view()  # type: ignore[attr-defined]
    return view


def _spelt(pattern: str, slash: str) -> str:
    if pattern == "/":
        return ""
    if pattern.endswith("/**"):
        return pattern.removesuffix("**").removeprefix("/") + "<path:rest>"
    text = HOLE.sub(r"<str:\1>", pattern).replace("<str:number>", "<int:number>")
    return text.removeprefix("/") + slash


def _urls(build: ViewMaker, slash: str) -> list[URLPattern | URLResolver]:
    inner = [
        path(_spelt(below, slash), build({"GET": handler.name})) for handler, below in inside()
    ]
    urls: list[URLPattern | URLResolver] = []
    for pattern, methods in by_path().items():
        if pattern.startswith(f"{SUB}/"):
            continue
        if pattern == "/{page}":
            urls.append(path(SUB.removeprefix("/") + "/", include(inner)))
        urls.append(path(_spelt(pattern, slash), build(methods)))
    return urls


class Urlconf:
    """A table of URLs; Django takes any object that has one."""

    def __init__(self, build: ViewMaker, slash: str) -> None:
        self.urlpatterns = _urls(build, slash)


def _set_up() -> None:
    django_project.ready()
    # None of these views asks the database, and each of these costs a change of thread on every ASGI request.
    signals.request_started.disconnect(reset_queries)
    signals.request_started.disconnect(close_old_connections)
    signals.request_finished.disconnect(close_old_connections)


def django_wsgi_app(*, classes: bool = False) -> WSGIHandler:
    """Return class views without a slash at the end, or function views with one."""
    _set_up()
    urlconf = Urlconf(_class, "") if classes else Urlconf(_function, "/")
    handler = WSGIHandler()
    handler.request_class = type("Request", (WSGIRequest,), {"urlconf": urlconf})
    return handler


def django_without_case() -> WSGIHandler:
    """Return class views behind regular expressions that ignore case."""
    _set_up()
    urlconf = Urlconf(_class, "")
    urlconf.urlpatterns.clear()
    urlconf.urlpatterns.extend(
        re_path(_expression(pattern), _class(methods)) for pattern, methods in by_path().items()
    )
    handler = WSGIHandler()
    handler.request_class = type("Request", (WSGIRequest,), {"urlconf": urlconf})
    return handler


def _expression(pattern: str) -> str:
    text = pattern.removeprefix("/")
    if text.endswith("**"):
        text = text.removesuffix("**") + "(?P<rest>.+)"
    text = text.replace(".", r"\.") if "{" not in text and "(" not in text else text
    return f"(?i)^{HOLE.sub(_named_group, text)}\\Z"


def _named_group(hole: re.Match[str]) -> str:
    return f"(?P<{hole[1]}>{'[0-9]+' if hole[1] == 'number' else '[^/]+'})"


def django_asgi_app(*, classes: bool = False) -> ASGIHandler:
    """Return the same on the other face."""
    _set_up()
    urlconf = Urlconf(_class_async, "") if classes else Urlconf(_function_async, "/")
    handler = ASGIHandler()
    handler.request_class = type("Request", (ASGIRequest,), {"urlconf": urlconf})
    return handler
