"""The handlers behind the routers of Sanic and BlackSheep, which go by the path as it was sent."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from blacksheep import Application, text
from blacksheep.server.routing import Router
from sanic import Sanic
from sanic import response as sanic_response

from tests.routers.asgi_apps import HOLE, methods_of
from tests.routers.handlers import HANDLERS, served

_numbers = itertools.count()


def sanic_app() -> Any:
    Sanic.test_mode = True
    app: Any = Sanic(f"routers{next(_numbers)}", configure_logging=False)

    def build(name: str) -> Callable[..., Awaitable[Any]]:
        async def endpoint(request: Any, **_: Any) -> Any:
            served.append(name)
            return sanic_response.text(name)

        return endpoint

    for handler in HANDLERS:
        methods = methods_of(handler)
        app.add_route(
            build(handler.name), _sanic_path(handler.path), methods=methods, name=handler.name
        )
    # What its lifespan does before the first request.
    app.asgi = True
    asyncio.run(_finalized(app))
    return app


async def _finalized(app: Any) -> None:
    app.signalize(allow_fail_builtin=False)
    app.finalize()


def _sanic_path(path: str) -> str:
    if path.endswith("/**"):
        return f"{path.removesuffix('**')}<rest:path>"
    path = HOLE.sub(r"<\1:str>", path).replace("<number:str>", "<number:int>")
    return path.replace("\u00e9", "%C3%A9")


def blacksheep_app(rest: str = "{path:rest}") -> Application:
    app = Application(router=Router())

    def build(name: str) -> Callable[[Any], Awaitable[Any]]:
        async def endpoint(request: Any) -> Any:
            served.append(name)
            return text(name)

        return endpoint

    for handler in HANDLERS:
        for method in methods_of(handler):
            app.router.add(method, _blacksheep_path(handler.path, rest), build(handler.name))
    return app


def _blacksheep_path(path: str, rest: str) -> str:
    path = f"{path.removesuffix('**')}{rest}" if path.endswith("/**") else path
    return path.replace("{number}", "{int:number}").replace("\u00e9", "%C3%A9")


def blacksheep_with_stars() -> Application:
    return blacksheep_app("*")
