"""A Django project in one file, behind one guard on either kind of server.

Run it over WSGI or over ASGI:

    pip install "asgi-wsgi-jwt[django]" gunicorn uvicorn
    export JWT_SECRET=$(openssl rand -base64 48)
    gunicorn django_app:application
    uvicorn django_app:asgi_application

Ask it, with a token that make_token.py beside this file prints:

    curl -i http://127.0.0.1:8000/orders/1 -H "Authorization: Bearer $(python make_token.py)"

In a project of the usual shape the guard has a module of its own, wsgi.py wraps what
get_wsgi_application() returns, and asgi.py what get_asgi_application() returns.
"""

import secrets

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from jwt_middleware import (
    Guard,
    JWTMiddleware,
    JWTWSGIMiddleware,
    Secret,
    current_principal,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    # Nothing here is signed by Django, so no two processes need to agree on it.
    SECRET_KEY=secrets.token_urlsafe(48),
)

# At module level, so that a wrong setting stops the server before it takes a request.
guard = Guard(
    key=Secret.from_env("JWT_SECRET"),
    algorithms=["HS256"],
    issuer="https://id.example/",
    audience="orders",
    rules=[
        public("/health"),
        optional("/feed"),
        protect("/orders/**", requires=has_scope("orders:read"), methods=["GET"]),
        protect("/admin/**", requires=has_role("admin")),
    ],  # what no rule names needs a valid token, and no more
)


def health(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def feed(_: HttpRequest) -> JsonResponse:
    # Without a token the principal is the anonymous one, whose subject is None.
    return JsonResponse({"subject": current_principal().subject})


def order(_: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse({"order": number, "subject": current_principal().subject})


def users(_: HttpRequest) -> JsonResponse:
    principal = current_principal()
    return JsonResponse({"subject": principal.subject, "roles": sorted(principal.roles)})


urlpatterns = [
    path("health", health),
    path("feed", feed),
    path("orders/<int:number>", order),
    path("admin/users", users),
]

application = JWTWSGIMiddleware(get_wsgi_application(), guard=guard)
asgi_application = JWTMiddleware(get_asgi_application(), guard=guard)
