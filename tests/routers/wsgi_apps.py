"""The handlers behind the routers of Flask, Bottle and Pyramid."""

from collections.abc import Callable
from typing import Any

import bottle
from flask import Flask
from pyramid.config import Configurator
from pyramid.response import Response

from tests.routers.asgi_apps import (
    HOLE,
    inside,
    methods_of,
    outside,
    werkzeug_path,
)
from tests.routers.handlers import HANDLERS, SUB, served


def _view(name: str) -> Callable[..., str]:
    def view(**_: Any) -> str:
        served.append(name)
        return name

    return view


def flask_app() -> Flask:
    # The static folder of a Flask application would be one more route.
    app = Flask(__name__, static_folder=None)
    for handler in HANDLERS:
        app.add_url_rule(
            werkzeug_path(handler.path),
            handler.name,
            _view(handler.name),
            methods=methods_of(handler),
        )
    return app


def bottle_app() -> Any:
    def spelt(path: str) -> str:
        if path.endswith("/**"):
            return f"{path.removesuffix('**')}<rest:path>"
        return HOLE.sub(r"<\1>", path).replace("<number>", "<number:int>")

    app, sub = bottle.Bottle(), bottle.Bottle()
    for handler, path in inside():
        for method in methods_of(handler):
            sub.route(spelt(path), method, _view(handler.name))
    for handler in outside():
        if handler.name == "page":
            app.mount(f"{SUB}/", sub)
        for method in methods_of(handler):
            app.route(spelt(handler.path), method, _view(handler.name))
    return app


def pyramid_app() -> Any:
    def build(name: str) -> Callable[[Any], Response]:
        def view(request: Any) -> Response:
            served.append(name)
            return Response(name)

        return view

    with Configurator() as config:
        for handler in HANDLERS:
            path = handler.path
            if path.endswith("/**"):
                path = f"{path.removesuffix('**')}{{rest:.*}}"
            config.add_route(handler.name, path, request_method=handler.methods)
            config.add_view(build(handler.name), route_name=handler.name)
        return config.make_wsgi_app()
