"""A Django project whose users log in for tokens; a new password ends their other logins.

Run it:

    pip install "asgi-wsgi-jwt[django]" gunicorn
    export KEY_RING_SECRET=$(openssl rand -base64 48)
    gunicorn issuing_django:application

Log in, and ask it with the access token of the answer:

    curl -i http://127.0.0.1:8000/login -d '{"name": "alice", "password": "correct horse"}'
    curl -i http://127.0.0.1:8000/me -H "Authorization: Bearer $TOKEN"

The users are Django's own, with ``is_active`` and its password hashers.
"""

import json
import os
from typing import Any

import django
from django.conf import settings

from jwt_middleware import Guard, Issuer, Secret, protect, public
from jwt_middleware.issuing import KeyRing, Login, Minter, TokenPairs
from jwt_middleware.stores import connect

ISSUER = "https://shop.example/"


def is_active(pk: str) -> bool:
    return get_user_model().objects.filter(pk=pk, is_active=True).exists()


def claims_of(pk: str) -> dict[str, Any]:
    user: Any = get_user_model().objects.get(pk=pk)
    return {"roles": ["staff"] if user.is_staff else []}


def user_of(principal: Any) -> Any:
    return get_user_model().objects.filter(pk=principal.subject, is_active=True).first()


store = connect(os.environ.get("TOKENS", "sqlite:///tokens.db"))
ring = KeyRing(store, encryption=Secret.from_env("KEY_RING_SECRET"))
minter = Minter(ring, issuer=ISSUER, audience="shop", claims_of=claims_of)
pairs = TokenPairs(minter, store, subject_check=is_active)

guard = Guard(
    issuers=Issuer(ISSUER, audience="shop", keys=ring),
    rules=[public("/login", "/token/**", "/.well-known/**"), protect("/**")],
)


class EndsLogins:
    """Listens to new passwords, whichever form, admin page or command has set them."""

    def validate(self, password: str, user: Any = None) -> None:
        """Accept any: the other validators judge it."""

    def get_help_text(self) -> str:
        return ""

    def password_changed(self, password: str, user: Any = None) -> None:
        if user is not None and user.pk is not None:
            pairs.revoke_subject(str(user.pk))


settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", os.urandom(32).hex()),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "jwt_middleware.integrations.django_settings.JWTConfig",
    ],
    MIDDLEWARE=["jwt_middleware.integrations.django.JWTMiddleware"],
    JWT_MIDDLEWARE={"GUARD": guard, "USER": user_of},
    AUTH_PASSWORD_VALIDATORS=[{"NAME": f"{__name__}.EndsLogins"}],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", "users.db"),
        }
    },
)
django.setup()

from django.contrib.auth import authenticate, get_user_model  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from jwt_middleware.endpoints import (  # noqa: E402
    JWKSEndpoint,
    RefreshEndpoint,
    RevocationEndpoint,
)
from jwt_middleware.integrations.django_endpoints import endpoint_view  # noqa: E402


def log_in(request: HttpRequest) -> JsonResponse:
    given = json.loads(request.body)
    user = authenticate(request, username=given.get("name"), password=given.get("password"))
    if user is None:
        return JsonResponse({"detail": "The name or the password is wrong"}, status=401)
    pair = pairs.issue(str(user.pk), login=Login(amr=("pwd",)))
    return JsonResponse(pair.as_json(), headers={"Cache-Control": "no-store"})


def me(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"name": request.user.get_username()})


def set_password(request: HttpRequest) -> JsonResponse:
    """Set a new password. ``save`` tells the validators, and all logins end."""
    user: Any = request.user
    user.set_password(json.loads(request.body)["password"])
    user.save()
    return JsonResponse({"detail": "Log in again"})


urlpatterns = [
    path("login", log_in),
    path("token/refresh", endpoint_view(RefreshEndpoint(pairs))),
    path("token/revoke", endpoint_view(RevocationEndpoint(pairs))),
    path(".well-known/jwks.json", endpoint_view(JWKSEndpoint(ring))),
    path("me", me),
    path("password", set_password),
]

# A real project migrates when it is deployed, and has its users already.
call_command("migrate", verbosity=0)
users: Any = get_user_model().objects
if not users.exists():
    users.create_user("alice", password="correct horse")

application = WSGIHandler()
