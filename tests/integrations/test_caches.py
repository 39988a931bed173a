"""Caches inside a guarded application, the real ones: no caller is served another one's page."""

import logging
from collections.abc import Iterator
from typing import Any

import cherrypy
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache
from flask import Flask
from flask.views import MethodView
from flask_caching import Cache
from litestar import Litestar, get
from litestar.config.response_cache import ResponseCacheConfig, default_cache_key_builder
from starlette.applications import Starlette

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    JWTWSGIMiddleware,
    Principal,
    caller_key,
    current_principal,
    has_scope,
    optional,
    public,
)
from jwt_middleware.integrations import flask as ours
from jwt_middleware.integrations.fastapi import CurrentPrincipal, keyed_by_caller
from jwt_middleware.principal import set_current
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [public("/open"), optional("/feed")]
guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)


def bearer(**claims: Any) -> dict[str, str]:
    given = {"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, "scope": "read"}
    return {"Authorization": f"Bearer {PAIR.sign(given | claims)}"}


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """Flask's test client closes no response, which is what forgets the caller."""
    yield
    set_current(None)


class Pages:
    """A Flask application with a cache, and how often each of its views has run."""

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self.cache = Cache(config={"CACHE_TYPE": "SimpleCache"})
        self.runs: list[str] = []
        cached = self.cache.cached(timeout=600)

        def told(path: str) -> Any:
            def view(*_: Any, **__: Any) -> str:
                self.runs.append(path)
                return str(current_principal().subject)

            view.__name__ = path.strip("/").replace("/", "_")
            return view

        class Method(MethodView):
            get = cached(told("/method"))

        class Decorated(MethodView):
            decorators = [cached]  # noqa: RUF012
            get = told("/decorated")

        reads = ours.requires(has_scope("read"))
        views: dict[str, Any] = {
            "/open": cached(told("/open")),
            "/feed": cached(told("/feed")),
            "/plain": cached(told("/plain")),
            "/below": cached(reads(told("/below"))),
            "/above": reads(cached(told("/above"))),
            "/query": self.cache.cached(query_string=True)(told("/query")),
            "/prefix": self.cache.cached(key_prefix="all")(told("/prefix")),
            "/own": self.cache.cached(make_cache_key=lambda *_, **__: caller_key())(told("/own")),
            "/method": Method.as_view("method"),
            "/decorated": Decorated.as_view("decorated"),
        }
        for path, view in views.items():
            self.app.add_url_rule(path, view_func=view)

    def get(self, path: str, **claims: Any) -> str:
        headers = bearer(**claims) if claims else {}
        answer: Any
        with self.app.test_client().get(path, headers=headers) as answer:
            return str(answer.text if answer.status_code == 200 else answer.status_code)


@pytest.fixture(params=["before", "after"])
def pages(request: pytest.FixtureRequest) -> Pages:
    """Whichever extension comes first."""
    pages = Pages()
    if request.param == "before":
        pages.cache.init_app(pages.app)
    ours.JWT(pages.app, guard)
    if request.param == "after":
        pages.cache.init_app(pages.app)
    return pages


FLASK = ["/feed", "/plain", "/below", "/above", "/query", "/prefix", "/own", "/method"]


@pytest.mark.parametrize("path", [*FLASK, "/decorated"])
def test_flask_caching_keeps_a_page_for_each_caller(path: str, pages: Pages) -> None:
    """Without a line in the application; and it does keep it."""
    for name in ("alice", "bob", "alice", "bob"):
        assert pages.get(path, sub=name) == name
    assert pages.runs == [path, path]

    assert pages.get(path, sub="alice", scope="read write") == "alice"
    assert pages.runs == [path, path, path]
    assert pages.get(path) == ("None" if path == "/feed" else "401")


def test_flask_caching_keeps_a_public_page_for_all(pages: Pages) -> None:
    """Nobody looked at a token there."""
    for name in ("alice", "bob"):
        assert pages.get("/open", sub=name) == "None"
    assert pages.runs == ["/open"]


def test_flask_caching_behind_the_bare_middleware_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The extension needs none."""
    app = Flask(__name__)
    Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    JWTWSGIMiddleware(app, guard=guard)
    assert caplog.text.count("Flask-Caching caches pages by path") == 1
    caplog.clear()

    ours.JWT(app, guard)
    assert not caplog.text


ANNOUNCED = "fastapi_cache caches results by argument"


@pytest.fixture
def fast() -> Iterator[tuple[FastAPI, list[str]]]:
    runs: list[str] = []
    app = FastAPI()

    @app.get("/careless")
    @cache(600)
    async def careless() -> str:
        return str(current_principal().subject)

    @app.get("/keyed")
    @cache(600, key_builder=keyed_by_caller)
    async def keyed(a: int = 0) -> str:
        runs.append("keyed")
        return str(current_principal().subject)

    @app.get("/dependent")
    @cache(600, key_builder=keyed_by_caller)
    async def dependent(caller: CurrentPrincipal) -> str:
        runs.append("dependent")
        return str(caller.subject)

    app.add_middleware(JWTMiddleware, guard=guard)
    FastAPICache.reset()
    FastAPICache.init(InMemoryBackend())
    yield app, runs
    FastAPICache.reset()
    InMemoryBackend._store.clear()


@pytest.mark.parametrize("path", ["/keyed", "/dependent"])
def test_fastapi_cache_keeps_answers_apart_by_our_key(
    path: str, fast: tuple[FastAPI, list[str]]
) -> None:
    """For each caller one, and one for each set of arguments."""
    app, runs = fast
    client = TestClient(app)
    for name in ("alice", "bob", "alice", "bob"):
        assert client.get(path, headers=bearer(sub=name)).json() == name
    assert len(runs) == 2
    if path == "/keyed":
        assert client.get("/keyed?a=1", headers=bearer()).json() == "alice"
        assert len(runs) == 3
    assert client.get(path).status_code == 401


def test_fastapi_cache_with_a_key_of_its_own_is_a_warning(
    fast: tuple[FastAPI, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once; an endpoint with our key is none."""
    app, _ = fast
    client = TestClient(app)
    # What the warning is about.
    for _ in range(2):
        assert client.get("/careless", headers=bearer()).json() == "alice"
    assert client.get("/careless", headers=bearer(sub="bob")).json() == "alice"
    assert caplog.text.count(ANNOUNCED) == 1
    caplog.clear()

    app.router.routes = [each for each in app.routes if getattr(each, "path", "") != "/careless"]
    JWTMiddleware(app, guard=guard)
    assert ANNOUNCED not in caplog.text


class CacheMiddleware:
    """Called as the cache middlewares of ASGI are."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def test_a_cache_middleware_behind_the_guard_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In front of the guard it is not seen, and its own affair."""
    JWTMiddleware(Starlette(), guard=guard)
    assert not caplog.records

    JWTMiddleware(CacheMiddleware(Starlette()), guard=guard)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert "CacheMiddleware is behind the guard" in caplog.text


def test_a_caller_key_is_one_for_all_who_are_anonymous() -> None:
    """And another for each reason why a bad token was forgiven, which a page may show."""
    assert caller_key() == caller_key(Principal(is_authenticated=False))
    assert caller_key(Principal(is_authenticated=False, refusal="token_expired")) != caller_key()
    assert len(caller_key()) == 64


def litestar(**options: Any) -> Any:
    @get("/kept", cache=600, sync_to_thread=False)
    def kept() -> str:
        return str(current_principal().subject)

    # Its own configuration of logging would replace that of the test.
    return Litestar([kept], logging_config=None, **options)


def by_caller(request: Any) -> str:
    return f"{caller_key()} {default_cache_key_builder(request)}"


LITESTAR = "Litestar caches responses of handlers with cache="


def test_litestar_keeps_answers_apart_by_our_key(caplog: pytest.LogCaptureFixture) -> None:
    """Its own key is a warning, and the leak that it warns of."""
    careless = TestClient(JWTMiddleware(litestar(), guard=guard))
    assert caplog.text.count(LITESTAR) == 1
    caplog.clear()
    keyed = litestar(response_cache_config=ResponseCacheConfig(key_builder=by_caller))
    careful = TestClient(JWTMiddleware(keyed, guard=guard))

    assert LITESTAR not in caplog.text
    for name in ("alice", "bob", "alice"):
        assert careless.get("/kept", headers=bearer(sub=name)).text == "alice"
        assert careful.get("/kept", headers=bearer(sub=name)).text == name


class Root:
    @cherrypy.expose
    def kept(self) -> str:
        return str(current_principal().subject)


def test_the_cache_of_cherrypy_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """On any application of a tree, and on none without it."""
    tree = cherrypy._cptree.Tree()
    tree.mount(Root(), "/plain")
    JWTWSGIMiddleware(tree, guard=guard)
    assert "tools.caching" not in caplog.text

    tree.mount(Root(), "/", {"/": {"tools.caching.on": True}})
    JWTWSGIMiddleware(tree, guard=guard)
    assert caplog.text.count("tools.caching of CherryPy") == 1
