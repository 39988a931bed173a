"""A view that is registered without its ``requires``: an error where that is certain."""

import gc
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from jwt_middleware import ConfigurationError, Guard, JWTMiddleware, JWTWSGIMiddleware, has_scope
from jwt_middleware.integrations import coverage
from jwt_middleware.request import guarded_views
from jwt_middleware.request.applications import reached

KEY = b"0123456789abcdefghijklmnopqrstuv"

STARLETTE = """
from jwt_middleware import has_scope
from jwt_middleware.integrations.starlette import requires
def route(path):
    def register(view):
        found.append((path, view))
        return view
    return register
found = []
"""

FLASK = STARLETTE.replace("integrations.starlette", "integrations.flask")


def guard() -> Guard:
    return Guard(key=KEY, algorithms=["HS256"], issuer="https://a/")


def module(prelude: str, code: str) -> list[tuple[str, Any]]:
    """Return the routes of a module of an application."""
    made = ModuleType("shop")
    exec(prelude + code, vars(made))
    KEPT.append(made)
    found: list[tuple[str, Any]] = made.found
    return found


KEPT: list[ModuleType] = []
"""A program keeps its modules."""


def starlette_of(routes: list[tuple[str, Any]]) -> Any:
    return Starlette(routes=[Mount("/api", routes=[Route(path, view) for path, view in routes])])


def fastapi_of(routes: list[tuple[str, Any]]) -> Any:
    app, inner, outer = FastAPI(), APIRouter(), APIRouter()
    for path, view in routes:
        inner.add_api_route(path, view, response_model=None)
    outer.include_router(inner, prefix="/in")
    app.include_router(outer)
    return app


def flask_of(routes: list[tuple[str, Any]]) -> Any:
    app = Flask("shop")
    for number, (path, view) in enumerate(routes):
        app.add_url_rule(path, str(number), view)
    return app


def start_asgi(app: Any) -> None:
    with TestClient(JWTMiddleware(app, guard=guard())) as client:
        client.get("/")


def first_request_of_asgi(app: Any) -> None:
    TestClient(JWTMiddleware(app, guard=guard())).get("/")


def first_request_of_wsgi(app: Any) -> None:
    app.wsgi_app = JWTWSGIMiddleware(app.wsgi_app, guard=guard())
    # The second request is refused as the first one is.
    with pytest.raises(ConfigurationError):
        app.test_client().get("/")
    app.test_client().get("/")


ABOVE = """
@requires(has_scope("a"))
@route("/orders")
def orders(request=None):
    return "open"
"""

BEHIND_A_WRAPPER = """
from functools import partial, wraps
def counted(view):
    @wraps(view)
    def inner(request=None):
        return view(request)
    return inner
def counting(path):
    def register(view):
        found.append((path, counted(view)))
        return view
    return register
@requires(has_scope("a"))
@counting("/orders")
def orders(request=None):
    return "open"
"""

BEHIND_A_PARTIAL = BEHIND_A_WRAPPER.replace("counted(view)))", "partial(view, request=None)))")

A_METHOD = """
class Shop:
    @requires(has_scope("a"))
    def orders(self, request=None):
        return "guarded"
bare = Shop.orders.__wrapped__.__get__(Shop())
found.append(("/orders", bare))
"""

# Decorators of another module, each below the route, or between the route and ``requires``.
DECORATORS = """
from dataclasses import dataclass
from functools import partial, wraps
from types import ModuleType
other = ModuleType("other")
exec('''
from dataclasses import dataclass
from functools import wraps
orders = "another thing of this name"
def marked(view):
    @wraps(view)
    def inner(request=None):
        return view(request)
    return inner
def unmarked(view):
    def inner(request=None):
        return view(request)
    return inner
def named(view):
    inner = unmarked(view)
    inner.__name__, inner.__qualname__ = view.__name__, view.__qualname__
    return inner
class Timed:
    def __init__(self, view):
        self.view = view
    def __call__(self, request=None):
        return self.view(request)
@dataclass
class Unhashable:
    view: object
    def __call__(self, request=None):
        return self.view(request)
''', vars(other))
"""

BELOW = """
@requires(has_scope("a"))
@route("/orders")
@other.NAME
def orders(request=None):
    return "open"
"""

BETWEEN = """
@requires(has_scope("a"))
@other.NAME
@route("/orders")
def orders(request=None):
    return "open"
"""

BY_THE_ROUTE = """
def wrapping(path):
    def register(view):
        found.append((path, other.NAME(view)))
        return view
    return register
@requires(has_scope("a"))
@wrapping("/orders")
def orders(request=None):
    return "open"
"""

OF_OTHERS = {
    f"{place}, {name}": DECORATORS + code.replace("NAME", name)
    for place, code in {"below": BELOW, "between": BETWEEN, "by the route": BY_THE_ROUTE}.items()
    for name in ("marked", "unmarked", "named", "Timed", "Unhashable")
}

IN_A_FACTORY = """
def create():
    @requires(has_scope("a"))
    @route("/orders")
    def orders(request=None): ...
create()
"""

THROUGH_ANOTHER = """
from functools import wraps
def other(view):
    @wraps(view)
    def inner(request=None):
        return view(request)
    return inner
@other
@requires(has_scope("a"))
@other
@route("/orders")
def orders(request=None):
    return "open"
"""

FACES: list[tuple[str, Callable[..., Any], Callable[..., None]]] = [
    (STARLETTE, starlette_of, start_asgi),
    (STARLETTE, starlette_of, first_request_of_asgi),
    (STARLETTE, fastapi_of, start_asgi),
    (FLASK, flask_of, first_request_of_wsgi),
]
NAMES = ["starlette at start", "starlette without lifespan", "fastapi at start", "flask"]


CERTAIN = {
    "above": ABOVE,
    "through another": THROUGH_ANOTHER,
    "behind a wrapper": BEHIND_A_WRAPPER,
    "behind a partial": BEHIND_A_PARTIAL,
    "a method": A_METHOD,
}


@pytest.mark.parametrize("code", CERTAIN.values(), ids=CERTAIN)
@pytest.mark.parametrize(("prelude", "build", "serve"), FACES, ids=NAMES)
def test_requires_above_the_route_stops_the_start(
    prelude: str, build: Callable[..., Any], serve: Callable[..., None], code: str
) -> None:
    """The name of the function means the guarded one, so that its author meant it guarded."""
    app = build(module(prelude, code))

    with pytest.raises(ConfigurationError, match=r"^shop\.\S*orders is registered without its req"):
        serve(app)


@pytest.mark.parametrize("code", OF_OTHERS.values(), ids=OF_OTHERS)
def test_no_decorator_of_another_module_hides_it(code: str) -> None:
    """With or without ``functools.wraps``, a function or an object that is called."""
    app = flask_of(module(FLASK, code))

    with pytest.raises(ConfigurationError, match=r"^shop\.orders is registered without its req"):
        first_request_of_wsgi(app)


@pytest.mark.parametrize("name", ["marked", "unmarked", "named", "Timed", "Unhashable"])
def test_a_guarded_view_below_any_decorator_is_fine(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether ``requires`` is the outer one or the inner one."""
    code = """
@route("/orders")
@other.NAME
@requires(has_scope("a"))
@other.NAME
def orders(request=None): ...
@route("/more")
@requires(has_scope("a"))
@other.NAME
def more(request=None): ...
def plain(request=None): ...
route("/open")(other.NAME(plain))
route("/plain")(other.NAME(requires(has_scope("a"))(plain)))
"""
    app = flask_of(module(FLASK, DECORATORS + code.replace("NAME", name)))

    guarded_views.check_views(reached(app))
    assert not caplog.text


@pytest.mark.parametrize(("prelude", "build", "serve"), FACES[1:2], ids=NAMES[1:2])
def test_every_request_is_refused_and_not_only_the_first(
    prelude: str, build: Callable[..., Any], serve: Callable[..., None]
) -> None:
    client = TestClient(JWTMiddleware(build(module(prelude, ABOVE)), guard=guard()))

    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"shop\.orders"):
            client.get("/api/orders")


FINE = {
    "below": """
@route("/orders")
@requires(has_scope("a"))
def orders(request=None): ...
""",
    "twice, once wrapped": """
def orders(request=None): ...
route("/open")(orders)
route("/orders")(requires(has_scope("a"))(orders))
""",
    "twice, by decorators": """
@route("/orders")
@requires(has_scope("a"))
@route("/open")
def orders(request=None): ...
""",
    "two in a row": """
@route("/orders")
@requires(has_scope("a"))
@requires(has_scope("b"))
def orders(request=None): ...
""",
    "guarded for another application": """
@route("/orders")
def orders(request=None): ...
elsewhere = requires(has_scope("a"))(orders)
""",
    "wrapped further": """
from functools import wraps
def orders(request=None): ...
route("/open")(orders)
guarded = requires(has_scope("a"))(orders)
@route("/orders")
@wraps(guarded)
def other(request=None): ...
""",
}


@pytest.mark.parametrize("code", FINE.values(), ids=FINE)
@pytest.mark.parametrize("prelude", [STARLETTE, FLASK], ids=["starlette", "flask"])
def test_what_is_meant_is_not_warned_of(
    prelude: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning that comes for nothing is read by nobody."""
    app = (flask_of if prelude == FLASK else starlette_of)(module(prelude, code))

    guarded_views.check_views(reached(app))
    found = coverage(guard(), app).warnings

    assert not [record for record in caplog.records if "requires" in record.getMessage()]
    assert found == ()


KEPT_ELSEWHERE = """
def create():
    @requires(has_scope("a"))
    @route("/orders")
    def orders(request=None): ...
    return orders
elsewhere = create()
"""

DEFINED_AGAIN = ABOVE + "def orders(request=None): ...\n"


UNCERTAIN = {
    "factory": IN_A_FACTORY,
    "kept elsewhere": KEPT_ELSEWHERE,
    "defined again": DEFINED_AGAIN,
}


@pytest.mark.parametrize("code", UNCERTAIN.values(), ids=UNCERTAIN)
@pytest.mark.parametrize("prelude", [STARLETTE, FLASK], ids=["starlette", "flask"])
def test_a_function_that_has_no_name_any_more_is_warned_of(
    prelude: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Another application, which is gone since, may have had the guarded one."""
    app = (flask_of if prelude == FLASK else starlette_of)(module(prelude, code))

    with caplog.at_level(logging.WARNING, "jwt_middleware"):
        guarded_views.check_views(reached(app))

    assert "orders is registered without its requires(...)" in caplog.text


@pytest.mark.parametrize("prelude", [STARLETTE, FLASK], ids=["starlette", "flask"])
def test_coverage_tells_of_it_once(prelude: str) -> None:
    """A view of two routes is one mistake."""
    routes = module(prelude, ABOVE)
    app = (flask_of if prelude == FLASK else starlette_of)([*routes, ("/again", routes[0][1])])

    (warning,) = coverage(guard(), app).warnings
    assert warning.startswith("shop.orders is registered without its requires(...)")


def test_the_memory_ends_with_the_view() -> None:
    """And does not grow where one view is wrapped for each request."""

    def view(request: Any) -> None: ...

    from jwt_middleware.integrations.starlette import requires

    gc.collect()
    before = len(guarded_views._guarded)
    for _ in range(100):
        requires(has_scope("a"))(view)
    gc.collect()
    assert len(guarded_views._guarded) == before + 1
    assert len(guarded_views._guarded[view]) == 0
    del view
    gc.collect()
    assert len(guarded_views._guarded) == before


def test_what_cannot_be_remembered_is_passed_over() -> None:
    """A view without a hash, and one that wraps itself."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self) -> None: ...

    def circular() -> None: ...

    circular.__wrapped__ = circular  # type: ignore[attr-defined]
    guarded_views.remember(circular, lambda: None, has_scope("x"))

    ((sentence, _),) = guarded_views.bare_views([Unhashable(), circular])
    assert "circular is registered without its requires" in sentence
