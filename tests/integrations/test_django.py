"""Django: the middleware in a project, plain and async, and what its views find."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_not_required
from django.core.checks import run_checks
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from django.views.decorators.cache import never_cache

from jwt_middleware import (
    ConfigurationError,
    CookieToken,
    Guard,
    GuardOptions,
    Principal,
    current_principal,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.django import JWTMiddleware, JWTUser, principal_of
from jwt_middleware.integrations.django_settings import CORS, MIDDLEWARE, SESSIONS
from jwt_middleware.testing import KeyPair
from jwt_middleware.wsgi import PRINCIPAL_KEY
from tests.support import django_project
from tests.support.odd_values import odd_values

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def token(**claims: Any) -> str:
    given = {"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, "scope": "read"}
    return PAIR.sign(given | claims)


def bearer(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}"}


RULES = [
    public("/open"),
    optional("/feed"),
    protect("/named-anyway"),
    protect("/orders/**", requires=has_scope("read")),
]
OPTIONS: dict[str, Any] = {"key": PAIR.private, "algorithms": ["HS256"], "issuer": "https://a/"}
guard = Guard(rules=RULES, **OPTIONS)
not_a_guard = 7


def described(request: HttpRequest, user: Any) -> dict[str, Any]:
    assert principal_of(request) == current_principal()
    return {
        "user": user.get_username(),
        "authenticated": user.is_authenticated,
        "anonymous": user.is_anonymous,
        "subject": principal_of(request).subject,
    }


def view(request: HttpRequest) -> HttpResponse:
    return JsonResponse(described(request, request.user))


async def async_view(request: HttpRequest) -> HttpResponse:
    return JsonResponse(described(request, await request.auser()))


@login_not_required
def exempt(request: HttpRequest) -> HttpResponse:
    return JsonResponse(described(request, request.user))


def with_vary(request: HttpRequest) -> HttpResponse:
    return HttpResponse(headers={"Vary": "Accept", "Cache-Control": "no-cache"})


def failing(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


def streaming(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a", b"b"]))


urlpatterns = [
    path("orders/view", view),
    path("orders/async", async_view),
    path("orders/streaming", streaming),
    path("orders/failing", failing),
    path("open", with_vary),
    path("feed", view),
    path("plain", with_vary),
    path("cached", never_cache(with_vary)),
    path("exempt", exempt),
    path("named-anyway", exempt),
]


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    with override_settings(MIDDLEWARE=[SESSION, SESSIONS, MIDDLEWARE], **chosen):
        yield


ALICE = {"user": "alice", "authenticated": True, "anonymous": False, "subject": "alice"}
NOBODY = {"user": "", "authenticated": False, "anonymous": True, "subject": None}


@pytest.mark.parametrize("where", ["/orders/view", "/orders/async"])
def test_views_find_their_user_on_either_face(where: str) -> None:
    """``request.user`` and ``await request.auser()``, in plain and async views."""
    plain = Client().get(where, headers=bearer())
    asynchronous = async_to_sync(AsyncClient().get)(where, headers=bearer())

    assert plain.json() == asynchronous.json() == ALICE
    assert current_principal().is_authenticated is False


async def test_refusals_are_those_of_the_faces() -> None:
    """Status, challenge and body; nothing for HEAD."""
    for headers, status in (({}, 401), (bearer(scope="x"), 403)):
        plain = Client().get("/orders/view", headers=headers)
        asynchronous = await AsyncClient().get("/orders/view", headers=headers)
        assert (plain.status_code, plain.content) == (
            asynchronous.status_code,
            asynchronous.content,
        )
        assert plain.status_code == status
        assert plain["WWW-Authenticate"].startswith('Bearer realm="api"')
        assert plain["Content-Type"] == "application/problem+json"
    assert Client().head("/orders/view").content == b""


async def test_an_optional_path_has_an_anonymous_user() -> None:
    """As Django's own habits have it."""
    assert Client().get("/feed").json() == NOBODY
    assert (await AsyncClient().get("/feed")).json() == NOBODY


def test_answers_say_what_they_vary_with() -> None:
    """What the view says stands as well; a page under a public rule is its own affair."""
    guarded = Client().get("/plain", headers=bearer())
    feed = Client().get("/feed")
    untouched = Client().get("/open", headers=bearer())

    assert guarded["Vary"] == "Accept, Authorization"
    assert guarded["Cache-Control"] == "no-cache, private"
    # The view asked for the user of the session.
    assert (feed["Vary"], feed["Cache-Control"]) == ("Authorization, Cookie", "private")
    assert untouched["Vary"] == "Accept"


def test_nobody_is_current_after_a_view_that_raises() -> None:
    """Nor after one that streams."""
    with pytest.raises(RuntimeError):
        Client().get("/orders/failing", headers=bearer())
    assert not current_principal().is_authenticated
    assert b"".join(Client().get("/orders/streaming", headers=bearer())) == b"ab"
    assert not current_principal().is_authenticated


def test_login_not_required_is_honoured_where_no_rule_speaks() -> None:
    """A rule that names the path counts more; a bad token does not matter to an open view."""
    assert Client().get("/exempt").json() == NOBODY
    assert Client().get("/exempt", headers=bearer(exp=1)).json() == NOBODY
    assert Client().get("/exempt", headers=bearer()).json() == ALICE
    assert "Authorization" in Client().get("/exempt")["Vary"]
    assert Client().get("/exempt")["Cache-Control"] == "private"
    assert Client().get("/named-anyway").status_code == 401
    assert Client().get("/plain").status_code == 401
    assert Client().get("/nowhere").status_code == 401


class Rewriting:
    """Leads to another page than was asked for, in front of the guard."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        request.path_info = "/orders/view"
        request.META[PRINCIPAL_KEY] = Principal("mallory")
        return self.get_response(request)


def test_the_rule_is_that_of_the_path_that_is_resolved() -> None:
    """Whatever was sent; and nobody who stood there before is the caller."""
    with override_settings(MIDDLEWARE=[f"{__name__}.Rewriting", MIDDLEWARE]):
        assert Client().get("/open").status_code == 401
        assert Client().get("/open", headers=bearer()).json() == ALICE


def test_a_refusal_of_head_has_no_body() -> None:
    """Django itself leaves that to the server (RFC 9110 §9.3.2)."""
    response = JWTMiddleware(lambda _: HttpResponse())(RequestFactory().head("/plain"))

    assert isinstance(response, HttpResponse)
    assert response.status_code == 401
    assert response.content == b""


@pytest.mark.parametrize("credentials", ["Bearer", "Bearer a, Bearer b"])
def test_only_a_401_is_lifted_for_an_open_view(credentials: str) -> None:
    """A request that cannot be read stays refused."""
    assert Client().get("/exempt", headers={"Authorization": credentials}).status_code == 400


def test_djangos_own_login_middleware_agrees() -> None:
    """Behind ours it finds an authenticated user."""
    with override_settings(MIDDLEWARE=[SESSION, SESSIONS, MIDDLEWARE, LOGIN]):
        assert Client().get("/orders/view", headers=bearer()).json() == ALICE
        assert Client().get("/exempt").json() == NOBODY


def test_the_user_of_a_middleware_behind_is_ours_too() -> None:
    """``AuthenticationMiddleware`` takes over what it finds."""
    with override_settings(MIDDLEWARE=[MIDDLEWARE, SESSION, SESSIONS]):
        assert Client().get("/orders/view", headers=bearer()).json() == ALICE


def user_of(principal: Principal) -> Any:
    return get_user_model().objects.filter(username=principal.subject).first()


async def async_user_of(principal: Principal) -> Any:
    return await get_user_model().objects.filter(username=principal.subject).afirst()


@pytest.mark.parametrize("mapping", ["user_of", "async_user_of"])
@pytest.mark.parametrize("where", ["/orders/view", "/orders/async"])
def test_a_principal_may_map_to_a_user_model(mapping: str, where: str) -> None:
    """By a function, plain or async, named by its path; an unknown subject is nobody."""
    django_project.migrated()
    users = get_user_model().objects
    users.get_or_create(username="alice")
    chosen = {"GUARD": guard, "USER": f"{__name__}.{mapping}"}
    with override_settings(JWT_MIDDLEWARE=chosen):
        known = Client().get(where, headers=bearer()).json()
        unknown = Client().get(where, headers=bearer(sub="mallory")).json()

    assert known == ALICE
    assert unknown == {**NOBODY, "subject": "mallory"}


async def test_a_user_model_is_asked_once_in_async_views() -> None:
    """And not at all for the anonymous."""
    asked: list[str | None] = []

    async def mapping(principal: Principal) -> Any:
        asked.append(principal.subject)
        return JWTUser(principal)

    async def twice(request: Any) -> HttpResponse:
        first, second = await request.auser(), await request.auser()
        assert first is second
        return JsonResponse({})

    chosen = {"JWT_MIDDLEWARE": {"GUARD": guard, "USER": mapping}}
    routes = type("Urls", (), {"urlpatterns": [path("feed", twice)]})
    with override_settings(ROOT_URLCONF=routes, **chosen):
        await AsyncClient().get("/feed", headers=bearer())
        await AsyncClient().get("/feed")

    assert asked == ["alice"]


def test_a_token_makes_a_user_of_its_own_kind() -> None:
    """With the permissions of the token, and never staff."""
    principal = Principal("alice", identity="alice", permissions=frozenset({"shop.buy"}))
    user = JWTUser(principal)

    assert (user.pk, str(user), user.get_username()) == ("alice", "alice", "alice")
    assert user.has_perm("shop.buy")
    assert not user.has_perm("shop.sell")
    assert user.has_perms(["shop.buy"])
    assert not user.has_perms(["shop.buy", "shop.sell"])
    assert user.has_module_perms("shop")
    assert not user.has_module_perms("sho")
    assert not user.is_staff
    assert not user.is_superuser


def test_the_guards_options_may_stand_in_the_settings() -> None:
    """In capital letters; new settings count at once."""
    chosen = {"KEY": PAIR.private, "ALGORITHMS": ["HS256"], "ISSUER": "https://a/", "REALM": "shop"}
    with override_settings(JWT_MIDDLEWARE=chosen):
        assert Client().get("/plain")["WWW-Authenticate"] == 'Bearer realm="shop"'
    assert Client().get("/plain")["WWW-Authenticate"] == 'Bearer realm="api"'


async def test_what_may_open_a_socket_below_wsgi_is_judged_as_one_too() -> None:
    """Only there: an ASGI server hands no connection to a view."""
    rules = [public("/open", methods=["GET"]), protect("/open", methods=["WEBSOCKET"])]
    with override_settings(JWT_MIDDLEWARE={"GUARD": Guard(rules=rules, **OPTIONS)}):
        asking = {"Connection": "Upgrade", "Upgrade": "websocket"}

        assert Client().get("/open").status_code == 200
        assert Client().get("/open", headers=asking).status_code == 401
        assert Client().get("/open", headers={**asking, **bearer()}).status_code == 200
        assert (await AsyncClient().get("/open", headers=asking)).status_code == 200


def test_a_cookie_needs_its_proof_here_too() -> None:
    """The scheme is Django's reading of it."""
    chosen = Guard(token_sources=[CookieToken("session")], **OPTIONS)
    with override_settings(JWT_MIDDLEWARE={"GUARD": chosen}):
        client = Client(headers={"Cookie": f"session={token()}"})
        own = {"Origin": "http://testserver", "Host": "testserver"}

        assert client.post("/plain").status_code == 403
        assert client.post("/plain", headers=own).status_code == 403
        assert client.post("/plain", headers=own, secure=True).status_code == 403
        proof = {"Origin": "https://testserver", "Host": "testserver"}
        assert client.post("/plain", headers=proof, secure=True).status_code == 200


MISTAKES: dict[str, tuple[Any, str]] = {
    "missing": (None, "must be a dictionary"),
    "misspelt": ({"GARD": guard}, "did you mean 'GUARD'?"),
    "in small letters": ({"issuers": []}, "did you mean 'ISSUERS'?"),
    "like nothing": ({"ZZZ": 1}, "known are GUARD"),
    "nowhere": ({"GUARD": "nowhere.guard"}, "cannot be imported"),
    "no guard": ({"GUARD": f"{__name__}.not_a_guard"}, "must be a Guard"),
    "a user that is none": ({"GUARD": guard, "USER": 7}, "must be a function"),
    "a wrong option": ({"ISSUER": "http://id.example", "AUDIENCE": "a"}, "must be https"),
    "a guard and options": ({"GUARD": guard, "REALM": "x"}, "realm="),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_stops_the_server_and_fails_the_check(kind: str) -> None:
    """The same sentence at ``get_wsgi_application()``, ``get_asgi_application()`` and ``check``."""
    value, sentence = MISTAKES[kind]
    with override_settings(JWT_MIDDLEWARE=value):
        for load in (
            WSGIHandler,
            ASGIHandler,
            lambda: JWTMiddleware(lambda _: HttpResponse()),
        ):
            with pytest.raises(ConfigurationError) as mistake:
                load()
            assert sentence in str(mistake.value)
        found = [message for message in run_checks() if message.id == "jwt_middleware.E001"]
    assert len(found) == 1
    assert sentence in found[0].msg


READ = ["GUARD", "USER", *(name.upper() for name in GuardOptions.__annotations__)]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("option", [None, *READ])
def test_whatever_the_setting_is_it_is_read_or_refused_in_words(
    option: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Each option, and the whole dictionary, set to a value of every kind."""
    caplog.set_level(logging.CRITICAL)
    known = {name.upper(): value for name, value in OPTIONS.items()}
    for odd in odd_values():
        value = odd if option is None else {option: odd}
        if option not in {None, "GUARD", "ISSUERS"}:
            value = {**known, option: odd}
        with suppress(ConfigurationError), override_settings(JWT_MIDDLEWARE=value):
            client = Client(raise_request_exception=True)
            assert client.get("/plain", headers=bearer()).status_code < 500


DRF = {"DEFAULT_AUTHENTICATION_CLASSES": ["jwt_middleware.integrations.drf.JWTAuthentication"]}


@pytest.mark.parametrize(
    ("middleware", "options", "ids"),
    [
        ([SESSION, SESSIONS, MIDDLEWARE], {}, []),
        ([CORS, SESSION, SESSIONS, MIDDLEWARE], {}, []),
        ([MIDDLEWARE, MIDDLEWARE], {}, ["E002"]),
        ([SESSION, SESSIONS], {"REST_FRAMEWORK": DRF}, ["E003", "W001"]),
        ([], {}, ["W001"]),
        ([MIDDLEWARE, CORS], {}, ["W002"]),
        ([MIDDLEWARE, SESSION, SESSIONS], {}, ["W003"]),
        ([MIDDLEWARE], {"REST_FRAMEWORK": DRF}, []),
        ([MIDDLEWARE], {"REST_FRAMEWORK_EXTENSIONS": {"DEFAULT_USE_CACHE": "x"}}, ["W005"]),
        ([MIDDLEWARE], {"REST_FRAMEWORK_EXTENSIONS": {"DEFAULT_CACHE_KEY_FUNC": "x"}}, []),
    ],
)
def test_the_checks_know_what_stands_wrong(
    middleware: list[str], options: dict[str, Any], ids: list[str]
) -> None:
    """``manage.py check`` names each, with a hint."""
    with override_settings(MIDDLEWARE=middleware, **options):
        found = [each for each in run_checks() if str(each.id).startswith("jwt_middleware")]

    assert [str(each.id).rpartition(".")[2] for each in found] == ids
    assert all(each.hint for each in found)


def test_without_the_middleware_a_principal_is_anonymous() -> None:
    """Never somebody else's."""
    assert principal_of(HttpRequest()).is_authenticated is False
