"""Django: one middleware, plain and ``async``, that sets ``request.user`` and ``request.auser``.

::

    MIDDLEWARE = [..., "jwt_middleware.integrations.django.JWTMiddleware"]
    JWT_MIDDLEWARE = {"GUARD": "project.auth.guard"}
"""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction as is_plain_coroutine_function
from typing import Any

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject

from jwt_middleware.effects import arun, run
from jwt_middleware.guard import Guard
from jwt_middleware.integrations.django_settings import Configured, JWTConfig, UserOf, configured
from jwt_middleware.principal import ANONYMOUS, Principal, reset_current, set_current
from jwt_middleware.request.view import ASGIView, WSGIView
from jwt_middleware.verdict import Allow, Deny, Reply, missing_from, private
from jwt_middleware.wsgi import PRINCIPAL_KEY

__all__ = ["JWTConfig", "JWTMiddleware", "JWTUser", "principal_of"]

GetResponse = Callable[[HttpRequest], Any]


class JWTUser:
    """A caller as Django's views expect a user, where no user model is mapped to.

    Permissions are those of the token; nobody is staff or a superuser by a token alone.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.pk = self.id = self.username = principal.identity

    def get_username(self) -> str:
        """Return the identity."""
        return self.username

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return whether the token carries a permission of that name."""
        return perm in self.principal.permissions

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        """Return whether the token carries all of these."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the token carries any permission of an application."""
        return any(perm.startswith(f"{app_label}.") for perm in self.principal.permissions)

    def __str__(self) -> str:
        return self.principal.display_name


class DjangoView:
    """The view of a Django request: as it was sent, but with the path that Django will resolve."""

    __slots__ = ("_request", "_sent", "method")

    is_websocket = False

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        # Not META where there is a scope: Django joins two Cookie headers with a comma there.
        scope = getattr(request, "scope", None)
        self._sent = WSGIView(request.META) if scope is None else ASGIView(scope)
        self.method = self._sent.method

    @property
    def path(self) -> str:
        # What the resolver will take, whatever has rewritten it on the way here.
        return self._request.path_info

    @property
    def scheme(self) -> str:
        return self._request.scheme or "http"

    @property
    def host(self) -> str | None:
        return self._sent.host

    @property
    def client(self) -> str | None:
        return self._sent.client

    def headers(self, name: str) -> list[str]:
        return self._sent.headers(name)

    def cookies(self, name: str) -> list[str]:
        return self._sent.cookies(name)

    def query(self, name: str) -> list[str]:
        return self._sent.query(name)


class JWTMiddleware:
    """Puts the guard of ``settings.JWT_MIDDLEWARE`` in front of a project's views."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        """:raises ConfigurationError: for a wrong setting, so that the server does not start."""
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        configured()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self._is_async:
            return self._serve(request)
        settings = configured()
        step = settings.guard.decide(DjangoView(request))
        verdict = step if isinstance(step, (Allow, Reply)) else run(step)
        allow = _exempted(settings.guard, request, verdict)
        if isinstance(allow, Reply):
            return _as_response(request, allow)
        token = _attach(request, settings, allow)
        try:
            response: HttpResponseBase = self._get_response(request)
        finally:
            reset_current(token)
        return _finished(response, settings.guard, allow)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Refuse where the view is another than the exempt one that was expected.

        A middleware behind us may have set ``request.urlconf``, or rewritten the path.
        """
        deny: Deny | None = getattr(request, "_jwt_refusal", None)
        if deny is None or not getattr(view, "login_required", True):
            return None
        return _as_response(request, deny)

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        settings = configured()
        step = settings.guard.decide(DjangoView(request))
        verdict = step if isinstance(step, (Allow, Reply)) else await arun(step)
        allow = _exempted(settings.guard, request, verdict)
        if isinstance(allow, Reply):
            return _as_response(request, allow)
        token = _attach(request, settings, allow)
        try:
            response: HttpResponseBase = await self._get_response(request)
        finally:
            reset_current(token)
        return _finished(response, settings.guard, allow)


def principal_of(request: HttpRequest) -> Principal:
    """Return who makes a request; the anonymous principal where no guard stands in front."""
    found: Principal = request.META.get(PRINCIPAL_KEY, ANONYMOUS)
    return found


def _exempted(guard: Guard, request: HttpRequest, verdict: Any) -> Allow | Reply:
    """Let a view of ``login_not_required`` be reached, where no rule speaks of its path."""
    decided: Allow | Reply = verdict
    is_refused = isinstance(decided, Deny) and decided.status == 401
    if not is_refused or guard.has_rule(DjangoView(request)):
        return decided
    try:
        view = resolve(request.path_info, getattr(request, "urlconf", None)).func
    except Resolver404:
        return decided
    if getattr(view, "login_required", True):
        return decided
    request._jwt_refusal = decided  # type: ignore[attr-defined]
    return Allow(ANONYMOUS, "login_not_required", private(", ".join(guard.varies_with)))


def _attach(request: HttpRequest, settings: Configured, allow: Allow) -> Any:
    """Put the caller where Django's habits look for one; return the token of the variable."""
    principal = allow.principal
    request.META[PRINCIPAL_KEY] = principal
    user = SimpleLazyObject(partial(_user, settings.user_of, principal))
    # AuthenticationMiddleware behind us sets ``user`` anew, from this.
    request._cached_user = request.user = user  # type: ignore[attr-defined,assignment]
    request.auser = partial(_auser, request, settings.user_of, principal)
    return set_current(principal)


def _user(user_of: UserOf | None, principal: Principal) -> Any:
    if not principal.is_authenticated:
        return AnonymousUser()
    if user_of is None:
        return JWTUser(principal)
    ask = async_to_sync(user_of) if is_plain_coroutine_function(user_of) else user_of
    # Somebody whom the project does not know, or no longer.
    return ask(principal) or AnonymousUser()


async def _auser(request: Any, user_of: UserOf | None, principal: Principal) -> Any:
    if not hasattr(request, "_acached_user"):
        if user_of is not None and is_plain_coroutine_function(user_of):
            known = await user_of(principal) if principal.is_authenticated else None
            request._acached_user = known or AnonymousUser()
        else:
            # A query of the ORM belongs on the thread of the request.
            request._acached_user = await sync_to_async(_user)(user_of, principal)
    return request._acached_user


def _as_response(request: HttpRequest, reply: Reply) -> HttpResponse:
    body = b"" if request.META["REQUEST_METHOD"] == "HEAD" else reply.body
    return HttpResponse(body, status=reply.status, headers=dict(reply.headers))


def _finished(response: HttpResponseBase, guard: Guard, allow: Allow) -> HttpResponseBase:
    for name, value in missing_from(response.items(), allow.response_headers):
        if name != "Vary":
            response[name] = value
    if allow.principal.is_authenticated or allow.response_headers:
        # Django's cache keys a page by what it varies with: without this, it would serve one
        # caller's page to another.
        patch_vary_headers(response, guard.varies_with)
    return response
