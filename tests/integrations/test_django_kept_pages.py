"""Pages of Django that ``vary_on_caller`` keeps: never one that has read a session."""

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model, logout
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import cache_page

from jwt_middleware import Guard, optional, public
from jwt_middleware.integrations.django import principal_of, vary_on_caller
from jwt_middleware.integrations.django_settings import MIDDLEWARE, PAGES, SESSIONS
from jwt_middleware.testing import KeyPair
from tests.support import django_project

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
STORE = "django.middleware.cache.UpdateCacheMiddleware"
RULES = [public("/open/**"), optional("/feed/**")]
guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)
visits: list[str] = []


def kept(view: Any) -> Any:
    return cache_page(600)(vary_on_caller(view))


@kept
def cart(request: HttpRequest) -> HttpResponse:
    visits.append("cart")
    number = request.session.setdefault("cart", len(visits))
    return HttpResponse(f"cart {number}")


@kept
async def async_cart(request: HttpRequest) -> HttpResponse:
    visits.append("cart")
    return HttpResponse(f"cart {await request.session.asetdefault('cart', len(visits))}")


@kept
def user(request: Any) -> HttpResponse:
    return HttpResponse(f"user {request.user.get_username()}")


@kept
def bye(request: Any) -> HttpResponse:
    name = request.user.get_username()
    logout(request)
    return HttpResponse(f"bye {name}")


@kept
def plain(request: Any) -> HttpResponse:
    visits.append("plain")
    return HttpResponse(f"for {principal_of(request).subject}")


urlpatterns = [
    path(f"{place}/{view.__name__}", view)
    for place in ("open", "feed")
    for view in (cart, async_cart, user, bye, plain)
]
ORDERS = {
    "the guard behind sessions": [SESSION, SESSIONS, MIDDLEWARE],
    "the guard before sessions": [MIDDLEWARE, SESSION, SESSIONS],
    "a cache of the whole site": [STORE, SESSION, SESSIONS, MIDDLEWARE, PAGES],
}


@pytest.fixture(autouse=True, params=ORDERS)
def project(request: pytest.FixtureRequest) -> Iterator[None]:
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    django_project.migrated()
    cache.clear()
    visits.clear()
    with override_settings(MIDDLEWARE=ORDERS[request.param], **chosen):
        yield


def bearer(subject: str) -> dict[str, str]:
    token = PAIR.sign({"iss": "https://a/", "sub": subject, "exp": 4_000_000_000})
    return {"Authorization": f"Bearer {token}"}


def logged_in(name: str) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.get_or_create(username=name)[0])
    return client


def text(client: Any, where: str, **headers: str) -> str:
    return str(client.get(where, headers=headers).content.decode())


@pytest.mark.parametrize("place", ["/open", "/feed"])
def test_a_session_that_begins_in_a_view_is_for_one_visitor(place: str) -> None:
    """The next one has no session either, and gets another cart."""
    assert text(Client(), f"{place}/cart") != text(Client(), f"{place}/cart")
    get = async_to_sync(AsyncClient().get)
    other = async_to_sync(AsyncClient().get)
    assert get(f"{place}/async_cart").content != other(f"{place}/async_cart").content


@pytest.mark.parametrize("place", ["/open", "/feed"])
def test_what_a_session_was_told_as_it_ended_is_told_to_it_alone(place: str) -> None:
    assert text(logged_in("alice"), f"{place}/bye") == "bye alice"
    assert text(Client(), f"{place}/bye") == "bye "


@pytest.mark.parametrize("place", ["/open", "/feed"])
def test_a_session_that_has_ended_is_served_nothing_of_its_user(place: str) -> None:
    """A page from a cache would ask nobody."""
    client = logged_in("alice")
    assert text(client, f"{place}/user") == "user alice"
    client.session.flush()

    assert text(client, f"{place}/user") == "user "


def test_one_token_with_two_sessions_is_two_callers() -> None:
    """As where a gateway adds a token of its own."""
    first, second = Client(), Client()
    pages = [text(each, "/feed/cart", **bearer("gateway")) for each in (first, second, first)]

    assert pages[0] == pages[2] != pages[1]


def test_what_reads_no_session_is_kept_for_its_caller() -> None:
    """And says to other caches whose it is, also under a public rule."""
    for _ in range(2):
        assert text(Client(), "/feed/plain", **bearer("alice")) == "for alice"
        assert text(Client(), "/feed/plain", **bearer("bob")) == "for bob"
    assert visits == ["plain"] * 2
    for _ in range(2):
        answer = Client().get("/open/plain")
        assert "private" in answer["Cache-Control"]


class Remembered:
    """A middleware that puts a user where the lazy user of a session looks first."""

    def __init__(self, respond: Any) -> None:
        self.respond = respond

    def __call__(self, request: Any) -> Any:
        if name := request.headers.get("x-user"):
            request._cached_user = get_user_model()(username=name)
        return self.respond(request)


def test_a_user_that_other_code_has_remembered_is_not_kept() -> None:
    listed = [SESSION, SESSIONS, f"{__name__}.Remembered", MIDDLEWARE]
    with override_settings(MIDDLEWARE=listed):
        pages = [text(Client(), "/feed/user", **{"x-user": name}) for name in ("alice", "bob")]
        assert [*pages, text(Client(), "/feed/user")] == ["user alice", "user bob", "user "]


@kept
async def asked(request: Any) -> HttpResponse:
    return HttpResponse(f"user {(await request.auser()).get_username()}")


urlpatterns += [path("feed/asked", asked)]


class Named(Remembered):
    """A middleware that names the user itself, in one of the places where a view may look."""

    def __call__(self, request: Any) -> Any:
        name = request.headers.get("x-user")
        if name:
            user = get_user_model()(username=name)

            async def auser() -> Any:
                return user

            given = {"user": user, "lazy": SimpleLazyObject(lambda: user), "auser": auser}
            as_what = request.headers["x-as"]
            setattr(request, "auser" if as_what == "auser" else "user", given[as_what])
        return self.respond(request)


@pytest.mark.parametrize("place", ["user", "lazy", "auser"])
def test_a_user_that_other_code_names_beside_a_token_is_not_kept(place: str) -> None:
    """As where a gateway has a token, and a header says for which user it asks."""
    where = "/feed/asked" if place == "auser" else "/feed/user"
    listed = [SESSION, SESSIONS, MIDDLEWARE, f"{__name__}.Named"]
    named = {"x-as": place, **bearer("gateway")}
    with override_settings(MIDDLEWARE=listed):
        for _ in range(2):
            pages = [text(Client(), where, **named, **{"x-user": n}) for n in ("alice", "bob")]
            assert pages == ["user alice", "user bob"]
            assert text(Client(), where, **bearer("gateway")) == "user gateway"


def test_the_user_of_a_token_is_kept() -> None:
    """Also where a session has put its own before or behind."""
    for _ in range(2):
        assert text(Client(), "/feed/plain", **bearer("alice")) == "for alice"
        assert text(Client(), "/feed/user", **bearer("alice")) == "user alice"
    assert visits == ["plain"]
