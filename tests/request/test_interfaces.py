"""What a middleware is put around: an application of its own kind, or a sentence at construction."""

from collections.abc import Callable, Iterator
from functools import partial, wraps
from importlib import import_module
from inspect import signature
from typing import Any
from unittest.mock import MagicMock

import pytest
from asgiref.wsgi import WsgiToAsgi
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from quart import Quart
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Router
from werkzeug.middleware.proxy_fix import ProxyFix

from jwt_middleware import ConfigurationError, Guard, JWTMiddleware, JWTWSGIMiddleware
from jwt_middleware.request.interfaces import check_asgi, check_wsgi
from tests.support import django_project

django_project.ready()

# Imported by name, because it has no types.
consumer: Any = import_module("channels.consumer")


def guard() -> Guard:
    key = b"0123456789abcdefghijklmnopqrstuv"
    return Guard(key=key, algorithms=["HS256"], issuer="https://a/")


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def returns_asgi(scope: Any, receive: Any, send: Any) -> Any:
    return asgi(scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def anything(*args: Any) -> Any: ...


@wraps(wsgi)
def shows_another(*args: Any, **kwargs: Any) -> Any: ...


class Response:
    """The example of PEP 3333."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        return iter([])


class Callable3:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Middleware:
    def __init__(self, app: Any) -> None: ...

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


async def handler(request: Any) -> None: ...


@wraps(handler)
async def made_of_a_handler(scope: Any, receive: Any, send: Any) -> None: ...


@wraps(handler)
def made_of_a_view(environ: Any, start_response: Any) -> list[bytes]:
    return []


class CalledByItsMetaclass(type):
    async def __call__(cls, scope: Any, receive: Any, send: Any) -> None: ...


class Consumer(metaclass=CalledByItsMetaclass): ...


class MakesAnother:
    def __new__(cls, *args: Any) -> Any:
        return asgi(*args) if len(args) == 3 else [b""]


class ByIndex:
    """A body of the old protocol of iteration."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __getitem__(self, index: int) -> bytes:
        raise IndexError


class CalledStatically:
    @staticmethod
    def __call__(environ: Any, start_response: Any) -> list[bytes]:
        return []


class CalledByItsClass:
    @classmethod
    def __call__(cls, environ: Any, start_response: Any) -> list[bytes]:
        return []


class CalledByAPartial:
    # A partial is not bound to the object, before Python 3.14.
    __call__ = partial(wsgi)


def with_signature(app: Any) -> Any:
    """As libraries write it that show the arguments of a view."""
    app.__signature__ = signature(handler)
    return app


@with_signature
async def shows_a_signature(scope: Any, receive: Any, send: Any) -> None: ...


@with_signature
def shows_a_signature_too(environ: Any, start_response: Any) -> list[bytes]:
    return []


MORE_ASGI: list[Callable[[], Any]] = [
    lambda: made_of_a_handler,
    lambda: Consumer,
    lambda: MakesAnother,
    consumer.AsyncConsumer.as_asgi,
    lambda: shows_a_signature,
]

MORE_WSGI: list[Callable[[], Any]] = [
    lambda: Response,
    lambda: made_of_a_view,
    lambda: ByIndex,
    lambda: MakesAnother,
    lambda: shows_a_signature_too,
    CalledStatically,
    CalledByItsClass,
    CalledByAPartial,
]
"""Nothing tells for certain that they cannot be called otherwise."""

ASGI: list[Callable[[], Any]] = [
    lambda: asgi,
    lambda: returns_asgi,
    Callable3,
    lambda: Callable3().__call__,
    lambda: partial(asgi),
    lambda: HTTPEndpoint,
    Starlette,
    FastAPI,
    Router,
    lambda: Litestar([]),
    lambda: Quart("x"),
    lambda: Quart("x").asgi_app,
    ASGIHandler,
    lambda: WsgiToAsgi(wsgi),  # type: ignore[no-untyped-call]
    lambda: JWTMiddleware(asgi, guard=guard()),
]

WSGI: list[Callable[[], Any]] = [
    lambda: wsgi,
    lambda: Middleware(wsgi),
    lambda: partial(wsgi),
    lambda: Flask("x"),
    lambda: Flask("x").wsgi_app,
    lambda: ProxyFix(wsgi),
    WSGIHandler,
    lambda: JWTWSGIMiddleware(wsgi, guard=guard()),
]

NEITHER: list[Callable[[], Any]] = [
    lambda: None,
    lambda: "project.app",
    lambda: 3,
    dict,
    lambda: Middleware,
    lambda: Starlette,
    lambda: Flask,
    lambda: lambda: None,
    lambda: lambda one: None,
]

ANYTHING: list[Callable[[], Any]] = [lambda: anything, lambda: shows_another]
"""They may be called in both ways."""


@pytest.mark.parametrize("build", [*ASGI, *MORE_ASGI, *ANYTHING])
def test_what_asgi_servers_can_call_is_taken(build: Callable[[], Any]) -> None:
    JWTMiddleware(build(), guard=guard())


@pytest.mark.parametrize("build", [*WSGI, *MORE_WSGI, *ANYTHING])
def test_what_wsgi_servers_can_call_is_taken(build: Callable[[], Any]) -> None:
    JWTWSGIMiddleware(build(), guard=guard())


@pytest.mark.parametrize("build", WSGI)
def test_a_wsgi_application_behind_asgi_is_refused(build: Callable[[], Any]) -> None:
    """With the name of the middleware that fits."""
    with pytest.raises(ConfigurationError, match=r"write JWTWSGIMiddleware\(app, \.\.\.\) for a W"):
        JWTMiddleware(build(), guard=guard())


@pytest.mark.parametrize("build", [*ASGI, lambda: partial(asgi, {})])
def test_an_asgi_application_behind_wsgi_is_refused(build: Callable[[], Any]) -> None:
    """Also if it can be called with two arguments, because a coroutine is no body."""
    with pytest.raises(ConfigurationError, match=r"^JWTWSGIMiddleware: app=.* must be"):
        JWTWSGIMiddleware(build(), guard=guard())


@pytest.mark.parametrize("face", [JWTMiddleware, JWTWSGIMiddleware])
@pytest.mark.parametrize("build", NEITHER)
def test_what_is_no_application_is_refused(build: Callable[[], Any], face: Any) -> None:
    """In a sentence that names the setting, the value and the fix."""
    with pytest.raises(
        ConfigurationError, match=rf"^{face.__name__}: app=.* must be an? .*: write "
    ):
        face(build(), guard=guard())


def test_what_shows_nothing_of_its_arguments_is_taken() -> None:
    """As a mock, a function in C, or a proxy outside a request."""

    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise RuntimeError("outside a request")

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("outside a request")

        def __call__(self, *args: Any) -> Any: ...

    for app in (MagicMock(), print, max, Proxy()):
        check_asgi(app)
        check_wsgi(app)


async def test_it_is_refused_where_a_loop_is_running_too() -> None:
    """The value is wrong for any options, and no lifespan would reach it."""
    wrong: Any = None
    with pytest.raises(ConfigurationError, match=r"app=None must be an ASGI application"):
        JWTMiddleware(wrong, guard=guard())
