"""Django REST framework: its habits, over what the middleware verified."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from jwt_middleware import (
    ConfigurationError,
    Guard,
    JWTWSGIMiddleware,
    Principal,
    capture,
    has_claim,
    has_role,
    optional,
)
from jwt_middleware.events import RequestRefused
from jwt_middleware.integrations.django import JWTUser
from jwt_middleware.integrations.django_settings import MIDDLEWARE
from jwt_middleware.integrations.drf import HasScopes, JWTAuthentication, requires
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [optional("/**", on_invalid="anonymous")]
guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=RULES)


def bearer(**claims: Any) -> dict[str, str]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {text}"}


class Told(APIView):  # type: ignore[misc]
    authentication_classes: ClassVar[Any] = [JWTAuthentication]

    def get(self, request: Any, **_: Any) -> Response:
        is_ours = isinstance(request.auth, Principal)
        return Response({"user": request.user.get_username(), "ours": is_ours})


class Orders(Told):
    permission_classes: ClassVar[Any] = [HasScopes]
    required_scopes: ClassVar[list[str]] = ["orders:read"]


class Forgotten(Told):
    permission_classes: ClassVar[Any] = [HasScopes]


class Admin(Told):
    permission_classes: ClassVar[Any] = [requires(has_role("admin"))]


class Tenant(Told):
    permission_classes: ClassVar[Any] = [requires(has_claim("tenant", capture("tenant")))]


class Ours(Told):
    authentication_classes: ClassVar[Any] = []
    permission_classes: ClassVar[Any] = [requires(has_role("admin"))]


class Known(Told):
    permission_classes: ClassVar[Any] = [IsAuthenticated]


class Several(Known):
    authentication_classes: ClassVar[Any] = [JWTAuthentication, SessionAuthentication]


urlpatterns = [
    path("told", Told.as_view()),
    path("orders", Orders.as_view()),
    path("forgotten", Forgotten.as_view()),
    path("admin", Admin.as_view()),
    path("tenants/<int:tenant>", Tenant.as_view()),
    path("ours", Ours.as_view()),
    path("known", Known.as_view()),
    path("several", Several.as_view()),
]


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    chosen = {"ROOT_URLCONF": __name__, "JWT_MIDDLEWARE": {"GUARD": guard}}
    with override_settings(MIDDLEWARE=[MIDDLEWARE], **chosen):
        yield


def test_the_user_and_the_principal_are_where_the_framework_has_them() -> None:
    """``request.user`` and ``request.auth``; the anonymous are left to the framework."""
    assert Client().get("/told", headers=bearer()).json() == {"user": "alice", "ours": True}
    assert Client().get("/told").json() == {"user": "", "ours": False}


def test_scopes_of_a_view() -> None:
    """The framework's body, our status, code and challenge."""
    granted = Client().get("/orders", headers=bearer(scope="orders:read"))
    lacking = Client().get("/orders", headers=bearer(scope="x"))
    nobody = Client().get("/orders")
    expired = Client().get("/orders", headers=bearer(exp=1))

    assert granted.status_code == 200
    assert lacking.status_code == 403
    assert lacking.json() == {"detail": "The access token does not grant what this request needs"}
    assert 'error="insufficient_scope"' in lacking["WWW-Authenticate"]
    assert 'scope="orders:read"' in lacking["WWW-Authenticate"]
    assert (nobody.status_code, nobody["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert (expired.status_code, expired.json()["detail"]) == (
        401,
        "The access token has expired",
    )


def test_a_requirement_of_a_view() -> None:
    """Roles, and a parameter of the route against a claim."""
    assert Client().get("/admin", headers=bearer(roles=["admin"])).status_code == 200
    assert Client().get("/admin", headers=bearer()).status_code == 403
    assert Client().get("/tenants/7", headers=bearer(tenant=7)).status_code == 200
    assert Client().get("/tenants/8", headers=bearer(tenant=7)).status_code == 403


@pytest.mark.parametrize("where", ["/known", "/several"])
def test_the_frameworks_own_permissions_answer_401_with_a_challenge(where: str) -> None:
    """Not 403, as they do without ``authenticate_header``."""
    refused = Client().get(where)

    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert Client().get(where, headers=bearer()).status_code == 200


class Inactive(JWTUser):
    is_active = False


def nobody(principal: Principal) -> Any:
    return None


async def nobody_async(principal: Principal) -> Any:
    return None


NOBODIES: dict[str, Any] = {
    "none": nobody,
    "none, async": nobody_async,
    "anonymous": lambda _: AnonymousUser(),
    "inactive": Inactive,
}


@pytest.mark.parametrize("mapping", NOBODIES)
@pytest.mark.parametrize("where", ["/orders", "/admin", "/known", "/told", "/several", "/ours"])
def test_a_good_token_of_nobody_is_refused(where: str, mapping: str) -> None:
    """Deactivated, deleted, never known: 401, whatever the token would grant."""
    chosen = {"GUARD": guard, "USER": NOBODIES[mapping]}
    headers = bearer(scope="orders:read", roles=["admin"])
    with override_settings(JWT_MIDDLEWARE=chosen):
        refused = Client().get(where, headers=headers)
    served = Client().get(where, headers=headers)

    assert refused.status_code == 401
    assert refused.json() == {"detail": "The access token is not that of an active user"}
    assert 'error="invalid_token"' in refused["WWW-Authenticate"]
    assert served.status_code == 200


def test_the_refusal_of_nobody_is_told_to_observers() -> None:
    """By its code."""
    told: list[Any] = []
    telling = Guard(
        key=PAIR.private, algorithms=["HS256"], issuer="https://a/", observers=[told.append]
    )
    with override_settings(JWT_MIDDLEWARE={"GUARD": telling, "USER": nobody}):
        Client().get("/told", headers=bearer())

    assert [event.code for event in told if isinstance(event, RequestRefused)] == ["user_unknown"]


def test_a_mistake_is_a_sentence() -> None:
    """Scopes forgotten, no requirement, no middleware."""
    with pytest.raises(ConfigurationError, match="required_scopes=\\(\\) must be a list"):
        Client().get("/forgotten", headers=bearer())
    with pytest.raises(ConfigurationError, match="must be given a Requirement"):
        requires("admin")  # type: ignore[arg-type]
    with (
        override_settings(MIDDLEWARE=[]),
        pytest.raises(ConfigurationError, match=MIDDLEWARE),
    ):
        Client().get("/told", headers=bearer())


@pytest.mark.parametrize("where", ["/told", "/admin", "/ours", "/orders"])
def test_a_guard_around_the_project_alone_sets_no_user(where: str) -> None:
    """Which the classes need, so that they say what is missing."""
    environ = RequestFactory().get(where, headers=bearer()).META
    with override_settings(MIDDLEWARE=[], DEBUG_PROPAGATE_EXCEPTIONS=True):
        app: Any = JWTWSGIMiddleware(WSGIHandler(), guard=guard)
        with pytest.raises(ConfigurationError, match=f"needs the middleware, .*{MIDDLEWARE}"):
            app(environ, lambda *_: None)
