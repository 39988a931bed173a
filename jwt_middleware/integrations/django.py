"""Django middleware, plain and ``async``, that sets ``request.user`` and ``request.auser``.

A user that Django knows otherwise, as from a session, stays where no token was judged.

::

    MIDDLEWARE = [..., "jwt_middleware.integrations.django.JWTMiddleware"]
    JWT_MIDDLEWARE = {"GUARD": "project.auth.guard"}
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.urls import Resolver404, resolve
    from django.utils.cache import patch_cache_control, patch_vary_headers
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.django needs Django: pip install 'asgi-wsgi-jwt[django]'"
    ) from None

from jwt_middleware.effects import arun, loop_is_running, run
from jwt_middleware.errors import KeysUnavailable
from jwt_middleware.guard.guard import Guard
from jwt_middleware.integrations.django_caches import (
    is_apart,
    keep_apart,
    may_be_kept,
    vary_on_caller,
)
from jwt_middleware.integrations.django_requests import become_watched, watch
from jwt_middleware.integrations.django_settings import Configured, JWTConfig, configured
from jwt_middleware.integrations.django_streams import stream_as
from jwt_middleware.integrations.django_users import JWTUser, claim_auser, put_user
from jwt_middleware.principal import ANONYMOUS, Caller, Principal, revise_current, set_current
from jwt_middleware.request.view import ASGIView, Sent, WSGIView
from jwt_middleware.verdict import Allow, Reply
from jwt_middleware.wsgi import PRINCIPAL_KEY

__all__ = ["JWTConfig", "JWTMiddleware", "JWTUser", "principal_of", "vary_on_caller"]

GetResponse = Callable[[HttpRequest], Any]


class DjangoView:
    """Reads a Django request as it was sent, but with the method and the path that Django uses.

    An earlier middleware may have overridden the method or rewritten the path.
    """

    __slots__ = ("_request", "_sent", "may_tunnel", "method")

    is_websocket = False

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        # A request with a scope is read from the scope, because Django joins two Cookie headers
        # with a comma in META.
        scope = getattr(request, "scope", None)
        self._sent: WSGIView | ASGIView = (
            WSGIView(request.META) if scope is None else ASGIView(scope)
        )
        self.method = request.method or self._sent.method
        self.may_tunnel: bool = getattr(self._sent, "may_tunnel", False)

    @property
    def path(self) -> str:
        return self._request.path_info

    @property
    def sent(self) -> Sent:
        # The mount point is empty, because Django has removed it already and routes by the rest.
        return self.path, "", None

    @property
    def scheme(self) -> str:
        return self._request.scheme or "http"

    @property
    def host(self) -> str | None:
        return self._sent.host

    @property
    def client(self) -> str | None:
        return self._sent.client

    def needs_no_login(self) -> bool:
        """Return whether the view is marked with ``login_not_required``."""
        try:
            urlconf = getattr(self._request, "urlconf", None)
            view = resolve(self._request.path_info, urlconf).func
        except Resolver404:
            return False
        return not getattr(view, "login_required", True)

    def headers(self, name: str) -> list[str]:
        return self._sent.headers(name)

    def cookies(self, name: str) -> list[str]:
        return self._sent.cookies(name)

    def query(self, name: str) -> list[str]:
        return self._sent.query(name)


@dataclass(slots=True)
class _Passage:
    """The decision by which a request passed."""

    judged: tuple[str | None, str]
    """The method and the path that the guard decided on."""
    allow: Allow
    is_guarded: bool
    """Whether the response is private to the caller."""


# The decision that was made again, for the response: a later middleware may have handed on another
# request than it was given. A list, because Django runs parts of an async request on threads.
_latest: ContextVar[list[_Passage]] = ContextVar("jwt_latest_passage")


class JWTMiddleware:
    """Protects a project's views with the guard of ``settings.JWT_MIDDLEWARE``."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        """
        :raises ConfigurationError: for a wrong setting, so that the server does not start.
        :raises KeysUnavailable: if ``warm_up="require"`` is set and keys cannot be fetched.
        """
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        settings = configured()
        self._has_served = False
        self._is_warm = False
        if not loop_is_running():
            self._warm_up(settings)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self._is_async:
            return self._serve(request)
        settings = configured()
        if not self._has_served:
            refusal = self._prepare(request, settings)
            if refusal is not None:
                return _as_response(request, refusal)
        step = settings.guard.decide(DjangoView(request))
        verdict = step if isinstance(step, (Allow, Reply)) else run(step)
        passage = _passage(request, verdict)
        if isinstance(passage, Reply):
            return _as_response(request, passage)
        _attach(request, settings, passage)
        caller, mark = set_current(passage.allow.principal), _latest.set([])
        try:
            response: HttpResponseBase = self._get_response(request)
            return _finished(request, response, settings.guard, caller)
        except BaseException:
            caller.end()
            raise
        finally:
            caller.leave()
            _latest.reset(mark)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Decide again if a later middleware has changed where the request goes.

        Such a middleware may set another method, path or ``request.urlconf``, or replace the
        request.
        """
        settings = configured()
        answer = _judge_again(request, settings)
        if answer is not None:
            return _as_response(request, answer)
        passage: _Passage = getattr(request, _PASSAGE)
        if getattr(view, "login_required", True):
            refusal = settings.guard.integration.refuse_after_all(passage.allow)
            if refusal is not None:
                return _as_response(request, refusal)
        may_be_kept(request, view, settings.guard)
        claim_auser(request, settings.user_of, passage.allow.principal)
        watch(request, _judge_now)
        return None

    def _warm_up(self, settings: Configured) -> None:
        """Fetch keys by blocking, as ``warm_up`` says.

        :raises KeysUnavailable: if it requires keys and they cannot be fetched.
        """
        warm_up = settings.guard.integration.warm_up
        if warm_up != "lazy":
            settings.guard.warm(required=warm_up == "require")
        self._is_warm = True

    def _prepare(self, request: HttpRequest, settings: Configured) -> Reply | None:
        """Do before the first request what is left to do; return the refusal if that fails."""
        if not self._is_warm:
            try:
                self._warm_up(settings)
            except KeysUnavailable as problem:
                return settings.guard.integration.missing_keys(problem)
        self._warn_of_place(request, settings)
        return None

    async def _aprepare(self, request: HttpRequest, settings: Configured) -> Reply | None:
        """Async version of :meth:`_prepare`: the server may load the project within its loop."""
        warm_up = settings.guard.integration.warm_up
        if not self._is_warm and warm_up != "lazy":
            try:
                await settings.guard.awarm(required=warm_up == "require")
            except KeysUnavailable as problem:
                return settings.guard.integration.missing_keys(problem)
        self._is_warm = True
        self._warn_of_place(request, settings)
        return None

    def _warn_of_place(self, request: HttpRequest, settings: Configured) -> None:
        placement = settings.guard.integration.placement
        placement.stands()
        placement.has_no_sockets("the middleware of Django")
        if not hasattr(request, "scope"):
            placement.is_below(request.META.get("SCRIPT_NAME", ""))
        self._has_served = True

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        settings = configured()
        if not self._has_served:
            refusal = await self._aprepare(request, settings)
            if refusal is not None:
                return _as_response(request, refusal)
        step = settings.guard.decide(DjangoView(request))
        verdict = step if isinstance(step, (Allow, Reply)) else await arun(step)
        passage = _passage(request, verdict)
        if isinstance(passage, Reply):
            return _as_response(request, passage)
        _attach(request, settings, passage)
        caller, mark = set_current(passage.allow.principal), _latest.set([])
        try:
            response: HttpResponseBase = await self._get_response(request)
            return _finished(request, response, settings.guard, caller)
        except BaseException:
            caller.end()
            raise
        finally:
            caller.leave()
            _latest.reset(mark)


def principal_of(request: HttpRequest) -> Principal:
    """Return the principal of a request, or the anonymous principal if no guard protects it."""
    found: Principal = request.META.get(PRINCIPAL_KEY, ANONYMOUS)
    return found


def has_passed(request: HttpRequest) -> bool:
    """Return whether the middleware let a request pass, and has set its user."""
    return hasattr(request, _PASSAGE)


def judged_as(request: HttpRequest) -> tuple[str, str]:
    """Return the method and the path of a request as the guard judged them, if it did."""
    passage: _Passage | None = getattr(request, _PASSAGE, None)
    method, path = _judged(request) if passage is None else passage.judged
    return method or "", path


_PASSAGE = "_jwt_passage"


def _judged(request: HttpRequest) -> tuple[str | None, str]:
    return request.method, request.path_info


def _judge_again(
    request: HttpRequest, settings: Configured, *, may_block: bool = True
) -> Reply | None:
    """Return the refusal if a request has changed and no longer passes; otherwise ``None``.

    :param may_block: whether a fetch of keys may be waited for while an event loop is running.
    """
    before: _Passage | None = getattr(request, _PASSAGE, None)
    if before is not None and before.judged == _judged(request):
        return None
    step = settings.guard.decide(DjangoView(request))
    if not isinstance(step, (Allow, Reply)):
        if loop_is_running() and not may_block:
            # An async view has set another method, and the decision would have to fetch keys. The
            # request is refused, because waiting would block the event loop.
            step.close()
            return settings.guard.integration.missing_token()
        step = run(step)
    passage = _passage(request, step)
    if isinstance(passage, Reply):
        return passage
    _attach(request, settings, passage)
    revise_current(passage.allow.principal)
    _latest.get([])[:] = [passage]
    return None


def _judge_now(request: HttpRequest) -> Reply | None:
    # A function without the request, because a copy of the request calls it too.
    return _judge_again(request, configured(), may_block=False)


def _passage(request: HttpRequest, verdict: Allow | Reply) -> _Passage | Reply:
    """Return the decision by which a request passes, or the refusal."""
    if isinstance(verdict, Reply):
        return verdict
    # The response of a ``public`` rule is shared, because such a rule checks no token and adds no
    # header.
    is_guarded = verdict.principal.is_authenticated or bool(verdict.response_headers)
    before: _Passage | None = getattr(request, _PASSAGE, None)
    was_guarded = before is not None and before.is_guarded
    return _Passage(_judged(request), verdict, is_guarded or was_guarded)


def _attach(request: Any, settings: Configured, passage: _Passage) -> None:
    """Set the caller on the request where Django looks for it."""
    principal = passage.allow.principal
    setattr(request, _PASSAGE, passage)
    become_watched(request)
    if passage.is_guarded:
        keep_apart(request)
    request.META[PRINCIPAL_KEY] = principal
    put_user(request, settings.user_of, principal)


def _as_response(request: HttpRequest, reply: Reply) -> HttpResponse:
    body = b"" if request.META["REQUEST_METHOD"] == "HEAD" else reply.body
    return HttpResponse(body, status=reply.status, headers=dict(reply.headers))


def _finished(
    request: Any, response: HttpResponseBase, guard: Guard, caller: Caller
) -> HttpResponseBase:
    passage: _Passage = getattr(request, _PASSAGE)
    again = _latest.get()
    if passage.is_guarded or is_apart(request) or any(each.is_guarded for each in again):
        if "no-store" not in response.get("Cache-Control", "").lower():
            # Added to what the view or ``cache_page`` has set, because the response is private to
            # this caller.
            patch_cache_control(response, private=True)
        if names := guard.integration.varies_with:
            patch_vary_headers(response, names)
    if getattr(response, "streaming", False):
        stream_as(response, caller)
    else:
        caller.end()
    return response
