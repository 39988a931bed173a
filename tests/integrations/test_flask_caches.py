"""Flask-Caching behind the extension: a page of one caller never reaches another one."""

from collections.abc import Callable, Iterator
from functools import partial, wraps
from threading import Thread
from typing import Any, ClassVar

import pytest
from flask import Flask, Response, abort, copy_current_request_context, request
from flask.views import MethodView
from flask.views import View as ClassView
from flask_caching import Cache

from jwt_middleware import Guard, current_principal, optional, public
from jwt_middleware.integrations.flask import JWT, requires
from jwt_middleware.principal import set_current
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [public("/open/**"), optional("/**")]
GUARD = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)

View = Callable[..., Any]


def bearer(subject: str) -> dict[str, str]:
    token = PAIR.sign({"iss": "https://a/", "sub": subject, "exp": 4_000_000_000})
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """Flask's test client closes no response, which is what forgets the caller."""
    yield
    set_current(None)


def who() -> str:
    return str(current_principal().subject)


def unmarked(view: View) -> View:
    """A decorator without ``functools.wraps``."""

    def inner(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return inner


def renamed(view: View) -> View:
    """A decorator that keeps the name alone."""
    inner = unmarked(view)
    inner.__name__, inner.__qualname__ = view.__name__, view.__qualname__
    return inner


def marked(view: View) -> View:
    @wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return inner


class Timed:
    """A decorator that is a class."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.view(*args, **kwargs)


class Hidden:
    """A decorator that is a class with slots."""

    __slots__ = ("_view",)

    def __init__(self, view: View) -> None:
        self._view = view

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._view(*args, **kwargs)


def in_a_class(cached: Any) -> View:
    class Page(ClassView):
        init_every_request = False

        @cached
        def dispatch_request(self) -> str:
            return who()

    return Page.as_view("page")


def in_a_method_of_a_base(cached: Any) -> View:
    class Base(MethodView):
        @cached
        def get(self) -> str:
            return who()

    class Page(Base):
        decorators: ClassVar = [unmarked]

    return Page.as_view("page")


def in_a_method_that_a_method_calls(cached: Any) -> View:
    class Page(MethodView):
        @staticmethod
        @cached
        def page() -> str:
            return who()

        def get(self) -> str:
            return str(self.page())

    return Page.as_view("page")


def in_what_calls(cached: Any) -> View:
    class Page:
        @cached
        def __call__(self) -> str:
            return who()

    return Page()


def in_a_method_of_an_object(cached: Any) -> View:
    class Controller:
        @cached
        def _page(self) -> str:
            return who()

        def page(self) -> str:
            return str(self._page())

    return Controller().page


def in_pieces(cached: Any) -> View:
    def page() -> Iterator[str]:
        yield who()

    return cached(page)  # type: ignore[no-any-return]


def in_a_function_that_the_view_calls(cached: Any) -> View:
    page = cached(who)
    return lambda: page()  # noqa: PLW0108 - not the cached function


def with_an_error(cached: Any) -> View:
    def page() -> str:
        abort(Response(who(), 418))

    return cached(page)  # type: ignore[no-any-return]


async def asynchronous() -> str:
    return who()


SHAPES: dict[str, Callable[[Any], View]] = {
    "plain": lambda cached: cached(who),
    "async": lambda cached: cached(asynchronous),
    "generator": in_pieces,
    "abort": with_an_error,
    "below a decorator": lambda cached: marked(cached(who)),
    "below a decorator without a mark": lambda cached: unmarked(cached(who)),
    "below a decorator that keeps the name": lambda cached: renamed(cached(who)),
    "below several": lambda cached: marked(unmarked(Timed(unmarked(marked(cached(who)))))),
    "below a class": lambda cached: Timed(cached(who)),
    "below a class with slots": lambda cached: Hidden(cached(who)),
    "above a decorator": lambda cached: cached(unmarked(who)),
    "twice": lambda cached: cached(cached(who)),
    "below requires": lambda cached: unmarked(requires()(cached(who))),
    "partial": lambda cached: partial(cached(lambda _: who()), 1),
    "class": in_a_class,
    "method of a base": in_a_method_of_a_base,
    "method that a method calls": in_a_method_that_a_method_calls,
    "__call__": in_what_calls,
    "method of an object": in_a_method_of_an_object,
    "called by the view": in_a_function_that_the_view_calls,
}


def app_with_cache() -> tuple[Any, Cache]:
    app = Flask(__name__, static_folder=None)
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    JWT(app, GUARD)
    return app, cache


def page(app: Any, path: str = "/", subject: str = "") -> str:
    answer: Any
    with app.test_client().get(path, headers=bearer(subject) if subject else {}) as answer:
        return str(answer.text)


# An error is not memoized. What a view calls is memoized by its own arguments, as data is.
MEMOIZED = [shape for shape in SHAPES if shape not in {"abort", "called by the view"}]
ROWS = [*(("cached", shape) for shape in SHAPES), *(("memoize", shape) for shape in MEMOIZED)]


@pytest.mark.parametrize(("kind", "shape"), ROWS)
def test_no_page_of_a_view_of_any_shape_reaches_another_caller(kind: str, shape: str) -> None:
    app, cache = app_with_cache()
    made = cache.cached() if kind == "cached" else cache.memoize()
    app.add_url_rule("/", "page", SHAPES[shape](made))

    for name in ("alice", "bob", "alice", "bob"):
        assert page(app, subject=name) == name
    assert "alice" not in page(app)


def test_a_view_that_another_view_calls_is_kept_apart_before_it_has_served() -> None:
    app, cache = app_with_cache()

    def index() -> Any:
        return app.view_functions["page"]()

    app.add_url_rule("/", "index", index)
    app.add_url_rule("/page", "page", cache.cached(key_prefix="all")(who))

    assert [page(app, subject=name) for name in ("alice", "bob")] == ["alice", "bob"]


def test_a_view_that_comes_later_is_kept_apart() -> None:
    """In the place of another one, as a cached one that is cached again, or only to be called."""
    app, cache = app_with_cache()
    app.add_url_rule("/", "index", cache.cached()(who))

    def other() -> Any:
        return app.view_functions.get("late", who)()

    app.add_url_rule("/other", "other", other)
    assert [page(app, each, "alice") for each in ("/", "/other")] == ["alice", "alice"]

    app.view_functions["index"] = cache.cached(key_prefix="twice")(app.view_functions["index"])
    app.view_functions["late"] = cache.cached(key_prefix="late")(who)
    for path in ("/", "/other"):
        assert [page(app, path, name) for name in ("alice", "bob")] == ["alice", "bob"]


def test_a_cache_that_comes_after_the_first_request_is_looked_for() -> None:
    app, cache = Flask(__name__, static_folder=None), Cache()
    JWT(app, GUARD)
    app.add_url_rule("/", "page", cache.cached()(who))
    app.add_url_rule("/other", "other", who)
    assert page(app, "/other", "alice") == "alice"
    cache.init_app(app, {"CACHE_TYPE": "SimpleCache"})

    assert [page(app, subject=name) for name in ("alice", "bob")] == ["alice", "bob"]


def test_no_thread_is_served_before_pages_are_apart() -> None:
    """The second request waits for nothing, and still finds every key with its caller."""
    app, cache = app_with_cache()
    cached: Any = cache.cached()(who)
    inner: list[str] = []
    own = vars(cached)["make_cache_key"]

    class Slow(dict[str, Any]):
        """Another request comes while the first one looks at the view."""

        def values(self) -> Any:
            if not inner:
                inner.append("")
                inner[0] = page(app, subject="bob")
            return super().values()

    app.before_request_funcs = Slow(app.before_request_funcs)
    app.add_url_rule("/", "page", cached)

    assert page(app, subject="alice") == "alice"
    assert inner == ["bob"]
    assert vars(cached)["make_cache_key"] is not own


@pytest.mark.parametrize("cached", [True, False])
def test_what_answers_instead_of_a_view_is_kept_apart(cached: bool) -> None:
    """An error handler, and a function before or after the request."""
    app, cache = app_with_cache()
    keep: Any = cache.cached() if cached else cache.memoize()
    app.register_error_handler(404, keep(lambda _: Response(who(), 404)))
    app.before_request(keep(lambda: who() if request.path == "/before" else None))

    for path in ("/before", "/missing"):
        assert [page(app, path, name) for name in ("alice", "bob")] == ["alice", "bob"]


def test_a_cached_function_with_a_key_of_its_own_that_a_view_calls_is_shared() -> None:
    """As before: it is data of the application, which deletes it by its key."""
    app, cache = app_with_cache()
    runs: list[str] = []

    @cache.cached(key_prefix="rates")
    def rates() -> str:
        runs.append(who())
        return "rates"

    app.add_url_rule("/", "page", lambda: rates())  # noqa: PLW0108 - a view of its own
    app.add_url_rule("/drop", "drop", lambda: str(cache.delete("rates")))

    assert [page(app, subject=name) for name in ("alice", "bob")] == ["rates", "rates"]
    assert runs == ["alice"]
    assert page(app, "/drop", "bob") == "True"


def test_pages_below_a_public_rule_are_shared() -> None:
    app, cache = app_with_cache()
    runs: list[str] = []

    @cache.memoize()
    def memoized() -> str:
        runs.append(who())
        return who()

    app.add_url_rule("/open/page", "page", memoized)
    assert [page(app, "/open/page", name) for name in ("alice", "bob")] == ["None", "None"]
    assert runs == ["None"]


def test_a_memoized_view_may_be_deleted_for_all_callers() -> None:
    """Also if it has a name of its own."""
    app, cache = app_with_cache()
    runs: list[str] = []

    @cache.memoize(make_name=lambda name: f"{name} 2")
    def memoized() -> str:
        runs.append(who())
        return who()

    app.add_url_rule("/", "page", memoized)

    def drop() -> str:
        cache.delete_memoized(memoized)
        return "dropped"

    app.add_url_rule("/open/drop", "drop", drop)
    for _ in range(2):
        assert [page(app, subject=name) for name in ("alice", "bob")] == ["alice", "bob"]
    page(app, "/open/drop")
    assert [page(app, subject=name) for name in ("alice", "bob")] == ["alice", "bob"]
    assert runs == ["alice", "bob", "alice", "bob"]


def test_a_thread_that_works_for_a_request_keeps_pages_of_its_caller() -> None:
    """There the environment of the request names the caller, and the context does not."""
    app, cache = app_with_cache()

    @cache.cached()
    def cached() -> str:
        return str(request.environ.get("REMOTE_USER"))

    def view() -> str:
        found: list[str] = []
        thread = Thread(target=copy_current_request_context(lambda: found.append(cached())))
        thread.start()
        thread.join()
        return found[0]

    app.add_url_rule("/", "view", view)
    app.add_url_rule("/cached", "cached", cached)
    assert [page(app, subject=name)[-5:] for name in ("alice", "bob")] == ["alice", "bob"]


def test_a_page_may_be_deleted_outside_a_request() -> None:
    """That of the anonymous: no other caller is known there."""
    app, cache = app_with_cache()
    app.add_url_rule("/", "page", cache.cached()(who))
    assert page(app) == "None"

    with app.app_context():
        assert cache.delete_cached(app.view_functions["page"], path="/")
        assert not cache.delete_cached(app.view_functions["page"], path="/")


def test_a_memoized_view_whose_name_is_out_of_reach_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As another version of Flask-Caching may make it."""
    app, _ = app_with_cache()
    made: Any = marked(who)
    made.uncached, made.make_cache_key, made.delete_memoized = who, str, str
    app.add_url_rule("/", "page", marked(made))
    app.add_url_rule("/twice", "twice", made)
    page(app)
    app.view_functions["later"] = made
    page(app)

    assert caplog.text.count("@cache.memoize() on the view who serves") == 1
