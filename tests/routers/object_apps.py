"""The handlers behind dispatchers that walk trees of objects: CherryPy, TurboGears, traversal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cherrypy
import tg
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response
from tg import MinimalApplicationConfigurator, TGController, expose

from tests.routers.handlers import HANDLERS, Handler, served


@dataclass
class Place:
    """One place in the tree of paths, and who serves it."""

    here: list[Handler] = field(default_factory=list)
    below: list[Handler] = field(default_factory=list)
    names: dict[str, "Place"] = field(default_factory=dict)
    hole: "Place | None" = None


def tree() -> Place:
    """Return the places of all handlers."""
    root = Place()
    for handler in HANDLERS:
        place = root
        for name in filter(None, handler.path.removesuffix("/**").split("/")):
            if name.startswith("{"):
                place.hole = place = place.hole or Place()
            else:
                place = place.names.setdefault(name, Place())
        (place.below if handler.path.endswith("/**") else place.here).append(handler)
    return root


def serving(place: Place, path: tuple[str, ...], method: str) -> str | None:
    """Return the handler that a catch-all method of an object chooses for what is left of a path."""
    if not path:
        return _for_method(place.here, method) or _for_method(place.below, method)
    # The names that are objects of their own were looked up before.
    inner = place.hole and serving(place.hole, path[1:], method)
    deeper = path[0] in place.names and serving(place.names[path[0]], path[1:], method)
    return inner or deeper or _for_method(place.below, method)


def _for_method(handlers: list[Handler], method: str) -> str | None:
    plain = "GET" if method == "HEAD" else method
    for handler in handlers:
        if handler.methods is None or plain in handler.methods:
            return handler.name
    return None


def _places(place: Place) -> Iterator[tuple[str, Place]]:
    yield from place.names.items()


def cherrypy_app(script_name: str = "") -> Any:
    app: Any = cherrypy.Application(_cherrypy_object(tree()), script_name)
    app.log.screen = False
    app.merge({"/": {"request.show_tracebacks": False, "tools.trailing_slash.on": False}})
    return app


def _cherrypy_object(place: Place) -> Any:
    def respond(*path: str) -> str:
        name = serving(place, path, cherrypy.request.method)
        if name is None:
            raise cherrypy.NotFound
        served.append(name)
        return name

    def index(self: Any) -> str:
        return respond()

    def default(self: Any, *path: str) -> str:
        return respond(*path)

    index.exposed = default.exposed = True  # type: ignore[attr-defined]
    members: dict[str, Any] = {"index": index, "default": default}
    for name, below in _places(place):
        members[_identifier(name)] = _cherrypy_object(below)
    return type("Node", (), members)()


def _identifier(name: str) -> str:
    return name.replace(".", "_")


def turbogears_app() -> Any:
    config = MinimalApplicationConfigurator()
    config.update_blueprint({"root_controller": _controller(tree())(), "debug": False})
    return config.make_wsgi_app({}, {})


def _controller(place: Place) -> Any:
    def respond(path: tuple[str, ...]) -> str:
        name = serving(place, path, tg.request.method)
        if name is None:
            tg.abort(404)
        served.append(str(name))
        return str(name)

    def index(self: Any) -> str:
        return respond(())

    def default(self: Any, *path: str) -> str:
        return respond(path)

    members: dict[str, Any] = {
        "index": expose(content_type="text/plain")(index),
        "_default": expose(content_type="text/plain")(default),
    }
    for name, below in _places(place):
        members[_tg_identifier(name)] = _controller(below)()
    return type("Controller", (TGController,), members)


def _tg_identifier(name: str) -> str:
    # As the dispatcher looks it up: without an extension, quoted, and of letters alone.
    return (
        name.rpartition(".")[0].replace(".", "_")
        if name.endswith(".pdf")
        else (name.replace(".", "_").replace("\u00e9", "_C3_A9"))
    )


class _Resource:
    """A place as traversal meets it."""

    def __init__(self, place: Place, *, is_rest: bool = False) -> None:
        self.place = place
        self.is_rest = is_rest

    def __getitem__(self, name: str) -> "_Resource":
        if self.is_rest:
            return self
        below = self.place.names.get(name)
        if below is not None and (below.names or below.hole or below.below):
            return _Resource(below)
        if below is not None and below.here:
            # A page without anything below it is a view of its parent.
            raise KeyError(name)
        if self.place.hole is not None:
            return _Resource(self.place.hole)
        if self.place.below:
            return _Resource(self.place, is_rest=True)
        raise KeyError(name)


def pyramid_traversal_app() -> Any:
    root = tree()

    def respond(handlers: list[Handler], request: Any) -> Response:
        name = None if request.subpath else _for_method(handlers, request.method)
        if name is None:
            raise HTTPNotFound
        served.append(name)
        return Response(name)

    def page(context: _Resource, request: Any) -> Response:
        place = context.place
        return respond(place.below if context.is_rest else place.here or place.below, request)

    def named(name: str) -> Callable[[_Resource, Any], Response]:
        def view(context: _Resource, request: Any) -> Response:
            below = context.place.names.get(name)
            return respond(below.here if below else [], request)

        return view

    with Configurator(root_factory=lambda request: _Resource(root)) as config:
        config.add_view(page, context=_Resource)
        names = {handler.path.rpartition("/")[2] for handler in HANDLERS}
        for name in sorted(name for name in names if name.isalpha() or "." in name):
            config.add_view(named(name), context=_Resource, name=name)
        return config.make_wsgi_app()
