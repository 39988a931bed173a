"""Django's caches of pages: what one caller was served reaches no other, wherever they stand."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.cache import get_cache_key
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_control, cache_page
from django.views.decorators.vary import vary_on_cookie

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    HeaderToken,
    JWTMiddleware,
    JWTWSGIMiddleware,
    QueryToken,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.django import principal_of, vary_on_caller
from jwt_middleware.integrations.django_settings import MIDDLEWARE, PAGES
from jwt_middleware.principal import caller_key
from jwt_middleware.testing import Clock, KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
STORE = "django.middleware.cache.UpdateCacheMiddleware"
SOURCES = [BearerHeader(), HeaderToken("X-Token"), CookieToken("session", csrf=False)]
RULES = [public("/open"), optional("/feed", on_invalid="anonymous"), protect("/**")]
CLOCK = Clock()


def guarded(**options: Any) -> Guard:
    known: dict[str, Any] = {"token_sources": SOURCES, "rules": RULES, "clock": CLOCK}
    known |= {"key": PAIR.private, "algorithms": ["HS256"], "issuer": "https://a/"}
    return Guard(**known | options)


def token(sub: str, **claims: Any) -> str:
    return PAIR.sign({"iss": "https://a/", "sub": sub, "exp": int(CLOCK.now()) + 300, **claims})


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


SENT: dict[str, Callable[[str], dict[str, str]]] = {
    "a bearer": bearer,
    "another header": lambda text: {"X-Token": text},
    "a cookie": lambda text: {"Cookie": f"session={text}"},
}


def view(request: HttpRequest) -> HttpResponse:
    """Says who asked, and counts how often it was asked itself."""
    served.append(request.path)
    return JsonResponse({"for": principal_of(request).subject, "at": request.build_absolute_uri()})


async def async_view(request: HttpRequest) -> HttpResponse:
    return view(request)


@method_decorator(cache_page(600), name="dispatch")
@method_decorator(vary_on_caller, name="dispatch")
class ClassView(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return view(request)


served: list[str] = []
kept = cache_page(600)
urlpatterns = [
    path("open", kept(view)),
    path("feed", kept(view)),
    path("cached", kept(view)),
    path("varying", kept(vary_on_cookie(view))),
    path("loud", kept(cache_control(public=True, max_age=600)(view))),
    path("async", kept(async_view)),
    path("plain", view),
    path("own/below", kept(vary_on_caller(view))),
    path("own/above", vary_on_caller(kept(view))),
    path("own/async", kept(vary_on_caller(async_view))),
    path("own/class", ClassView.as_view()),
]


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guarded()}}
    cache.clear()
    served.clear()
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        yield


def subject(path: str, headers: dict[str, str], *, is_async: bool = False) -> Any:
    get: Any = async_to_sync(AsyncClient().get) if is_async else Client().get
    answer = get(path, headers=headers)
    return answer.json()["for"] if answer.status_code == 200 else answer.status_code


PLACES = {
    "none": [MIDDLEWARE],
    "around": [STORE, MIDDLEWARE, PAGES],
    "in front": [STORE, PAGES, MIDDLEWARE],
    "behind": [MIDDLEWARE, STORE, PAGES],
}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("where", ["/cached", "/varying", "/loud", "/async", "/feed", "/plain"])
def test_no_caller_is_served_what_another_one_was(
    where: str, sent: str, place: str, is_async: bool
) -> None:
    """Whatever brings the token, wherever the cache stands; nor is the first caller's page kept."""
    with override_settings(MIDDLEWARE=PLACES[place]):
        for name in ("alice", "bob", "alice"):
            assert subject(where, SENT[sent](token(name)), is_async=is_async) == name
        last = subject(where, {}, is_async=is_async)

    assert last is None if where == "/feed" else last == 401
    assert len(served) == (4 if where == "/feed" else 3)


@pytest.mark.parametrize("place", PLACES)
def test_what_the_anonymous_were_served_no_caller_gets(place: str) -> None:
    """Under an ``optional`` rule, with no token and with a bad one."""
    with override_settings(MIDDLEWARE=PLACES[place]):
        assert subject("/feed", {}) is None
        assert subject("/feed", bearer("x")) is None
        assert subject("/feed", bearer(token("alice"))) == "alice"


@pytest.mark.parametrize("place", PLACES)
def test_a_page_that_is_stored_already_is_not_served_to_a_caller(place: str) -> None:
    """Such as one from the days before there was a guard."""
    with override_settings(MIDDLEWARE=[STORE, PAGES]):
        assert subject("/cached", {}) is None
    chosen = [each for each in PLACES[place] if place != "in front" or each != PAGES]
    with override_settings(MIDDLEWARE=chosen):
        assert subject("/cached", bearer(token("alice"))) == "alice"


@pytest.mark.parametrize("place", PLACES)
def test_pages_under_a_public_rule_are_kept_as_ever(place: str) -> None:
    """They are the same for everybody, and no token was looked at."""
    with override_settings(MIDDLEWARE=PLACES[place]):
        for _ in range(3):
            assert subject("/open", bearer(token("alice"))) is None

    assert len(served) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("where", ["/own/below", "/own/above", "/own/async", "/own/class"])
def test_a_view_may_have_its_pages_kept_for_each_caller(where: str, sent: str, place: str) -> None:
    """One run for each of them; by a header of its own, or a cookie, a new token finds it again."""
    with override_settings(MIDDLEWARE=PLACES[place]):
        for name in ("alice", "bob", "alice", "bob"):
            assert subject(where, SENT[sent](token(name))) == name
        assert subject(where, SENT[sent](token("alice", jti="another"))) == "alice"

    # Django itself has every page vary on Authorization where that was sent.
    assert len(served) == (3 if sent == "a bearer" else 2)


@pytest.mark.parametrize("place", PLACES)
def test_the_guard_decides_before_a_kept_page_is_served(place: str) -> None:
    """An expired token, no token, and a token that says something else of the same caller."""
    mine = token("alice", scope="read")
    with override_settings(MIDDLEWARE=PLACES[place]):
        assert subject("/own/below", bearer(mine)) == "alice"
        assert subject("/own/below", bearer(token("alice", scope="read write"))) == "alice"
        assert len(served) == 2
        assert subject("/own/below", {}) == 401
        CLOCK.tick(1_000)
        assert subject("/own/below", bearer(mine)) == 401


def test_no_answer_to_a_token_in_the_query_is_kept() -> None:
    """Even where the view asks for that (RFC 6750 §2.3)."""
    guard = guarded(token_sources=[QueryToken("t", http=True)])
    with override_settings(JWT_MIDDLEWARE={"GUARD": guard}):
        for _ in range(2):
            answer = Client().get("/own/below", query_params={"t": token("alice")})
            assert answer.json()["for"] == "alice"
            assert "Vary" not in answer

    assert len(served) == 2


@pytest.mark.parametrize("where", ["/cached", "/loud", "/plain", "/own/below", "/feed"])
def test_an_answer_behind_the_guard_is_for_its_caller_alone(where: str) -> None:
    """What ``cache_page`` says of how long does not keep ``private`` away; a kept page says it too."""
    for _ in range(2):
        answer = Client().get(where, headers=bearer(token("alice")))
        directives = answer["Cache-Control"].split(", ")

        assert "private" in directives
        assert "public" not in directives
        assert answer["Vary"] == "Authorization, X-Token, Cookie"


def test_a_view_sees_its_own_address() -> None:
    """Only Django's keys have the caller in front of it."""
    answer = Client().get("/own/below?a=1", headers=bearer(token("alice")))
    request: Any = answer.wsgi_request

    assert answer.json()["at"] == "http://testserver/own/below?a=1"
    assert request.build_absolute_uri("/x") == "http://testserver/x"
    assert get_cache_key(request, "") is not None
    assert type(request).__name__ == "WSGIRequest"


def test_a_cache_that_is_asked_before_the_guard_is_a_warning() -> None:
    """Behind it, or with no guard, it is none."""
    for chosen, count in (
        ([STORE, PAGES, MIDDLEWARE], 1),
        ([STORE, MIDDLEWARE, PAGES], 0),
        ([PAGES], 0),
    ):
        with override_settings(MIDDLEWARE=chosen):
            found = [each.id for each in run_checks()]
        assert found.count("jwt_middleware.W004") == count


def test_a_cache_behind_a_plain_wrap_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Where our own middleware of Django is missing, which sees to it."""
    for middleware, count in (([STORE, PAGES], 1), ([STORE, MIDDLEWARE, PAGES], 0), ([], 0)):
        caplog.clear()
        with override_settings(MIDDLEWARE=middleware):
            JWTWSGIMiddleware(WSGIHandler(), guard=guarded())
            JWTMiddleware(ASGIHandler(), guard=guarded())
        assert caplog.text.count("UpdateCacheMiddleware of Django") == 2 * count


def test_a_caller_key_tells_callers_and_what_they_may_do_apart() -> None:
    """And is the same for two tokens of one caller."""
    guard = guarded(role_hierarchy={"admin": ["editor"]})
    now = guard.verify(token("alice"))
    later = guard.verify(token("alice", jti="x", iat=int(CLOCK.now()), exp=int(CLOCK.now()) + 900))
    others = [
        guard.verify(token("bob")),
        guard.verify(token("alice", scope="read")),
        guard.verify(token("alice", scope="read write")),
        guard.verify(token("alice", roles=["admin"])),
        guard.verify(token("alice", permissions=["admin"])),
        guard.verify(token("alice", tenant="a")),
        guarded(issuer=None).verify(token("alice")),
    ]
    keys = {caller_key(each) for each in others}

    assert caller_key(now) == caller_key(later)
    assert len(keys) == len(others)
    assert caller_key(now) not in keys
    assert caller_key() not in keys
