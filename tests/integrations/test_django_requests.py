"""What Django itself goes by is what was judged, whatever middlewares make of a request."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from copy import copy
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from jwt_middleware import Guard, Issuer, Principal, current_principal, has_role, protect, public
from jwt_middleware.integrations.django import JWTUser, principal_of
from jwt_middleware.integrations.django_settings import MIDDLEWARE, SESSIONS
from jwt_middleware.testing import Clock, KeyPair
from tests.keys.web import NAME, web_of
from tests.support import django_project

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"
RULES = [
    protect("/things", requires=has_role("admin"), methods=["DELETE"]),
    public("/things", methods=["GET"]),
    public("/open"),
]
OPTIONS: dict[str, Any] = {"key": PAIR.private, "algorithms": ["HS256"], "issuer": "https://a/"}
guard = Guard(rules=RULES, **OPTIONS)


def bearer(**claims: Any) -> dict[str, str]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {text}"}


@method_decorator(csrf_exempt, name="dispatch")
class Things(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"did": "get", "for": current_principal().subject})

    def post(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"did": "post", "for": current_principal().subject})

    def delete(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"did": "delete", "for": current_principal().subject})


class AsyncThings(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"did": "get", "for": current_principal().subject})

    async def post(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"did": "post", "for": current_principal().subject})

    async def delete(self, request: HttpRequest) -> HttpResponse:
        same = principal_of(request) == current_principal()
        return JsonResponse({"did": "delete", "for": current_principal().subject if same else 0})


class Overriding:
    """Takes the method from a header, as many a middleware does."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        request.method = request.headers.get("X-Method", request.method)
        return self.get_response(request)


class OverridingLate(Overriding):
    """The same, but only when the view is known."""

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        request.method = request.headers.get("X-Method", request.method)


class Leading(Overriding):
    """Leads every request to the page of a header."""

    def __call__(self, request: HttpRequest) -> Any:
        request.path_info = request.headers.get("X-Path", request.path_info)
        return self.get_response(request)


class Copying(Overriding):
    """Hands another request on than it was given."""

    def __call__(self, request: HttpRequest) -> Any:
        other = copy(request)
        vars(other).pop("_jwt_passage", None)
        other.path_info = request.headers.get("X-Path", request.path_info)
        return self.get_response(other)


@csrf_exempt
def copied(request: HttpRequest) -> Any:
    """Hands a copy of the request to another view, with the method of a header."""
    other = copy(request)
    other.method = request.headers.get("X-Method", request.method)
    return Things.as_view()(other)


def closing(seen: list[Any]) -> Iterator[bytes]:
    try:
        yield str(current_principal().subject).encode()
        yield str(current_principal().subject).encode()
    finally:
        seen.append(current_principal().subject)


closed: list[Any] = []


def streaming(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(closing(closed))


async def async_streaming(request: HttpRequest) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[bytes]:
        yield str(current_principal().subject).encode()
        yield str(current_principal().subject).encode()

    return StreamingHttpResponse(body())


class Telling(io.BytesIO):
    """A file that says who reads it."""

    def read(self, size: int | None = -1) -> bytes:
        return str(current_principal().subject).encode() if super().read(1) else b""


def filed(request: HttpRequest) -> FileResponse:
    return FileResponse(Telling(b"aa"))


async def told(request: Any) -> HttpResponse:
    return JsonResponse({"for": (await request.auser()).get_username()})


def who(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"for": request.user.get_username()})


urlpatterns = [
    path("things", Things.as_view()),
    path("async", AsyncThings.as_view()),
    path("open", who),
    path("streaming", streaming),
    path("async-streaming", async_streaming),
    path("file", filed),
    path("told", told),
    path("who", who),
    path("login", login_required(who)),
    path("permission", permission_required("shop.buy")(who)),
    path("test", user_passes_test(lambda user: user.is_active)(who)),
]


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        yield


def placed(name: str) -> list[list[str]]:
    other = f"{__name__}.{name}"
    return [[other, MIDDLEWARE], [MIDDLEWARE, other]]


OVERRIDES = [*placed("Overriding"), *placed("OverridingLate")]
ADMIN = bearer(roles=["admin"])


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("middleware", OVERRIDES, ids=[", ".join(each) for each in OVERRIDES])
def test_the_method_judged_is_the_one_that_a_view_goes_by(
    middleware: list[str], is_async: bool
) -> None:
    """Whether a middleware sets it in front of ours or behind, early or late."""
    client: Any = AsyncClient() if is_async else Client()

    def sent(method: str, headers: dict[str, str]) -> Any:
        call = getattr(client, method)
        answer = (async_to_sync(call) if is_async else call)("/things", headers=headers)
        return answer.json() if answer.status_code == 200 else answer.status_code

    deletes = {"X-Method": "DELETE"}
    with override_settings(MIDDLEWARE=middleware):
        assert sent("get", {}) == {"did": "get", "for": None}
        assert sent("get", deletes) in {401, 403}
        assert sent("get", bearer() | deletes) == 403
        assert sent("get", ADMIN | deletes) == {"did": "delete", "for": "alice"}
        assert sent("post", bearer()) == {"did": "post", "for": "alice"}
        assert sent("post", bearer() | deletes) == 403
        assert sent("post", ADMIN | deletes) == {"did": "delete", "for": "alice"}
    assert not current_principal().is_authenticated


@pytest.mark.parametrize("middleware", OVERRIDES, ids=[", ".join(each) for each in OVERRIDES])
async def test_async_views_go_by_it_too(middleware: list[str]) -> None:
    """Their caller is the one of the last decision."""
    with override_settings(MIDDLEWARE=middleware):
        deleted = await AsyncClient().get("/async", headers=ADMIN | {"X-Method": "DELETE"})

    assert deleted.json() == {"did": "delete", "for": "alice"}


def test_the_method_of_a_copy_is_judged_too() -> None:
    """As a view sets it that hands a copy of its request to another view."""

    def sent(headers: dict[str, str]) -> Any:
        answer: Any = Client().get("/things", headers=headers)
        return answer.json() if answer.status_code == 200 else answer.status_code

    routes = type("Urls", (), {"urlpatterns": [path("things", copied)]})
    deletes = {"X-Method": "DELETE"}
    with override_settings(ROOT_URLCONF=routes):
        assert sent({}) == {"did": "get", "for": None}
        assert sent(deletes) == 403
        assert sent(bearer() | deletes) == 403
        assert sent(ADMIN | deletes) == {"did": "delete", "for": "alice"}


async def test_an_event_loop_never_waits_for_keys_because_a_method_is_set() -> None:
    """A view that sets one at the moment when the keys have expired is refused that method."""
    clock = Clock()
    key = KeyPair.generate("ES256", "k")
    web = web_of(key)
    issuer = Issuer(NAME, audience=None, jwks_uri=f"{NAME}/keys", fetcher=web)
    remote = Guard(issuers=issuer, clock=clock)
    token = key.sign({"iss": NAME, "sub": "alice", "exp": int(clock.now()) + 90_000})

    async def late(request: HttpRequest) -> HttpResponse:
        clock.tick(80_000)
        request.method = "DELETE"
        return HttpResponse()

    routes = type("Urls", (), {"urlpatterns": [path("late", late)]})
    with override_settings(ROOT_URLCONF=routes, JWT_MIDDLEWARE={"GUARD": remote}):
        headers = {"Authorization": f"Bearer {token}"}
        answer: Any = await AsyncClient().get("/late", headers=headers)

    assert answer.status_code == 403
    assert web.asked == [f"{NAME}/keys"]


@pytest.mark.parametrize("name", ["Leading", "Copying"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_path_that_was_led_elsewhere_is_judged_again(name: str, is_async: bool) -> None:
    """Behind ours; also where the request is another object."""
    client: Any = AsyncClient() if is_async else Client()

    def get(headers: dict[str, str]) -> Any:
        call: Any = async_to_sync(client.get) if is_async else client.get
        answer = call("/open", headers={"X-Path": "/who"} | headers)
        return answer.json() if answer.status_code == 200 else answer.status_code

    with override_settings(MIDDLEWARE=placed(name)[1]):
        assert get({"X-Path": "/open"}) == {"for": ""}
        assert get({}) == 401
        assert get(bearer()) == {"for": "alice"}
    assert not current_principal().is_authenticated


def test_a_page_that_became_a_callers_own_is_marked_as_such() -> None:
    """Though the path that was sent is public."""
    with override_settings(MIDDLEWARE=placed("Leading")[1]):
        answer = Client().get("/open", headers={"X-Path": "/who", **bearer()})

    assert answer["Cache-Control"] == "private"


BODIES = ["/streaming", "/async-streaming", "/file"]
IGNORED = "ignore:StreamingHttpResponse must consume:Warning"


def under_wsgi(environ: dict[str, Any]) -> Any:
    handler: Any = WSGIHandler()
    return handler(environ, lambda *_: None)


@pytest.mark.filterwarnings(IGNORED)
@pytest.mark.parametrize("where", BODIES)
def test_who_asked_is_current_in_a_streaming_body_under_wsgi(where: str) -> None:
    """Step by step, and no more between the steps and afterwards."""
    environ = RequestFactory().get(where, headers=bearer()).environ
    body: Any = under_wsgi(environ)
    parts = []
    for part in body:
        parts.append(part)
        assert not current_principal().is_authenticated or where == "/async-streaming"
    body.close()

    assert parts == [b"alice", b"alice"]
    assert not current_principal().is_authenticated


@pytest.mark.filterwarnings(IGNORED)
@pytest.mark.parametrize("where", BODIES)
async def test_who_asked_is_current_in_a_streaming_body_under_asgi(where: str) -> None:
    """A plain iterator runs on a thread there."""
    sent: list[Any] = []
    arriving = [{"type": "http.request", "body": b""}]
    scope = {
        "type": "http",
        "method": "GET",
        "path": where,
        "query_string": b"",
        "headers": [(b"authorization", bearer()["Authorization"].encode())],
    }

    async def receive() -> Any:
        # A client that stays connected says nothing more.
        return arriving.pop() if arriving else await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    await ASGIHandler()(scope, receive, send)

    assert b"".join(each.get("body", b"") for each in sent) == b"alicealice"
    assert not current_principal().is_authenticated


def test_who_asked_is_current_while_a_body_is_closed() -> None:
    """Though it was never read to its end."""
    closed.clear()
    environ = RequestFactory().get("/streaming", headers=bearer()).environ
    body: Any = under_wsgi(environ)
    next(iter(body))
    body.close()

    assert closed == ["alice"]
    assert not current_principal().is_authenticated


def test_a_file_is_still_sent_by_the_server_itself() -> None:
    """Where the server offers that (PEP 3333)."""
    environ = RequestFactory().get("/file", headers=bearer()).environ
    environ["wsgi.file_wrapper"] = lambda file, _: [type(file)]

    assert under_wsgi(environ) == [Telling]


class Session:
    """Is signed in by a session as bob, and asks who that is, in front of ours."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        from asgiref.sync import markcoroutinefunction

        markcoroutinefunction(self)

    async def __call__(self, request: Any) -> Any:
        request._acached_user = JWTUser(Principal("bob", identity="bob"))
        return await self.get_response(request)


@pytest.mark.parametrize(
    "middleware",
    [[f"{__name__}.Session", MIDDLEWARE], [MIDDLEWARE, SESSION, SESSIONS]],
    ids=["in front", "behind"],
)
async def test_the_user_of_an_async_view_is_that_of_the_token(middleware: list[str]) -> None:
    """And never that of a session."""
    with override_settings(MIDDLEWARE=middleware):
        assert (await AsyncClient().get("/told", headers=bearer())).json() == {"for": "alice"}


def user_of(principal: Principal) -> Any:
    return get_user_model().objects.filter(username=principal.subject).first()


DJANGOS = ["/login", "/permission", "/test", "/who"]


@pytest.mark.parametrize("name", ["deactivated", "nobody"])
@pytest.mark.parametrize("where", DJANGOS)
def test_whoever_is_no_active_user_is_nobody_to_djangos_own_checks(name: str, where: str) -> None:
    """``login_required`` and its like; also where the mapping returns a deactivated user."""
    django_project.migrated()
    users = get_user_model().objects
    users.get_or_create(username="deactivated", defaults={"is_active": False, "is_superuser": True})
    users.get_or_create(username="active", defaults={"is_superuser": True})
    chosen = {"GUARD": guard, "USER": user_of}
    with override_settings(JWT_MIDDLEWARE=chosen, MIDDLEWARE=[MIDDLEWARE, LOGIN]):
        refused = Client().get(where, headers=bearer(sub=name))
        served = Client().get(where, headers=bearer(sub="active"))

    assert refused.status_code == 302
    assert served.json() == {"for": "active"}


@pytest.mark.parametrize("found", [None, False, 0, "", JWTUser])
async def test_an_async_view_has_nobody_where_the_mapping_has(found: Any) -> None:
    """Plain or async, and whatever it returns for nobody."""

    class Inactive(JWTUser):
        is_active = False

    value = Inactive(Principal("alice", identity="alice")) if found is JWTUser else found

    async def mapping(principal: Principal) -> Any:
        return value

    for each in (mapping, lambda principal: value):
        with override_settings(JWT_MIDDLEWARE={"GUARD": guard, "USER": each}):
            assert (await AsyncClient().get("/told", headers=bearer())).json() == {"for": ""}


class Replacing(Overriding):
    """Builds another request for the page of a header."""

    def __call__(self, request: HttpRequest) -> Any:
        other = RequestFactory().get(request.headers["X-Path"], headers=dict(request.headers))
        return self.get_response(other)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("middleware", ["Copying", "Replacing"])
def test_an_answer_to_another_request_than_was_given_is_its_callers_own(
    middleware: str, is_async: bool
) -> None:
    """The first request was public, so its own answer might be kept for everybody."""
    headers = {**bearer(), "X-Path": "/streaming"}
    with override_settings(MIDDLEWARE=[MIDDLEWARE, f"{__name__}.{middleware}"]):
        if is_async:
            answer: Any = async_to_sync(AsyncClient().get)("/open", headers=headers)
        else:
            answer = Client().get("/open", headers=headers)

    assert answer.status_code == 200
    assert (answer["Cache-Control"], answer["Vary"]) == ("private", "Authorization")
    if not is_async:
        assert answer.getvalue() == b"alicealice"
