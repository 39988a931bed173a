"""Flask: an extension that protects an application, and requirements of single views.

::

    jwt = JWT()
    jwt.init_app(app)  # reads app.config["JWT_ISSUER"] and the like, or takes guard=

    @app.get("/orders")
    @requires(has_scope("orders:read"))
    def orders(): ...
"""

from collections.abc import Callable, Collection
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any

try:
    from flask import Flask, Response, after_this_request, current_app, request
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.flask needs Flask: pip install 'asgi-wsgi-jwt[flask]'"
    ) from None

from jwt_middleware.checks import check_kind
from jwt_middleware.effects import run
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard, chosen_guard
from jwt_middleware.integrations.coverage import analysis_of, routes_of
from jwt_middleware.integrations.exact_rules import warnings_on_exact_rules
from jwt_middleware.integrations.flask_caches import PagesApart
from jwt_middleware.integrations.flask_requests import begin, end_each
from jwt_middleware.integrations.standing import check_in_front, mounted_in_front
from jwt_middleware.integrations.unread_callers import warnings_on_callers
from jwt_middleware.logs import log_of
from jwt_middleware.options import hint, options_of
from jwt_middleware.principal import Caller, current_principal
from jwt_middleware.request.guarded_views import remember
from jwt_middleware.request.view import WSGIView
from jwt_middleware.responses.headers import headers_to_add
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.requirements import Requirement, authenticated
from jwt_middleware.verdict import (
    Allow,
    Deny,
    Headers,
    Reply,
)
from jwt_middleware.wsgi import (
    PRINCIPAL_KEY,
    JWTWSGIMiddleware,
    guard_of,
    is_anothers,
    judged,
    let_pass,
    passage_of,
)

__all__ = ["JWT", "current_principal", "requires"]

PREFIX = "JWT_"
EXTENSION = "jwt_middleware"
_JUDGED = "_jwt_judged_method"

View = Callable[..., Any]

_log = log_of("jwt_middleware")

# What routes the request once a middleware has cut a mount point off its path.
_FLASK = Application(("flask",), paths_are_whole=False)

# The settings of Flask-JWT-Extended, each with the setting that replaces it here, so that the error
# of an application that migrates names the new setting.
_ELSEWHERE = {
    "JWT_SECRET_KEY": "JWT_KEY = Secret.from_env(...)",
    "JWT_PUBLIC_KEY": "JWT_KEY",
    "JWT_ALGORITHM": "JWT_ALGORITHMS, a list",
    "JWT_DECODE_ALGORITHMS": "JWT_ALGORITHMS",
    "JWT_DECODE_AUDIENCE": "JWT_AUDIENCE",
    "JWT_DECODE_ISSUER": "JWT_ISSUER",
    "JWT_DECODE_LEEWAY": "Issuer(leeway=...) in JWT_ISSUERS",
    "JWT_TOKEN_LOCATION": "JWT_TOKEN_SOURCES",
    "JWT_HEADER_NAME": "HeaderToken(name) in JWT_TOKEN_SOURCES",
    "JWT_ACCESS_COOKIE_NAME": "CookieToken(name) in JWT_TOKEN_SOURCES",
    "JWT_COOKIE_CSRF_PROTECT": "CookieToken(csrf=...), which is on by default",
    "JWT_QUERY_STRING_NAME": "QueryToken(name) in JWT_TOKEN_SOURCES",
}


class JWT:
    """The Flask extension that protects an application with a guard."""

    guard: Guard

    def __init__(self, app: Flask | None = None, guard: Guard | None = None) -> None:
        """
        :param app: the application to guard; or call :meth:`init_app` later.
        :param guard: the guard. Without it the options are read from ``app.config``, such as
            ``JWT_RULES``.
        :raises ConfigurationError: as :meth:`init_app` does.
        """
        if app is not None:
            self.init_app(app, guard)

    def init_app(self, app: Flask, guard: Guard | None = None) -> None:
        """Protect an application with the guard.

        :raises ConfigurationError: for a wrong setting, or an application that has a guard already.
        """
        check_kind("app", app, Flask, "JWT(app), with the application")
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                f"init_app: the application {app.name!r} has a guard already: call init_app once"
            )
        settings = {name: value for name, value in app.config.items() if name.startswith(PREFIX)}
        self.guard = chosen_guard(guard or settings.pop("JWT_GUARD", None), _options(settings))
        app.extensions[EXTENSION] = self
        told = set(_log_mistaken_rules(self.guard, app, set()))
        # First, so that the guard decides before the application's ``before_request`` functions.
        app.before_request_funcs.setdefault(None, []).insert(0, _BeforeRequest(self.guard, told))
        end_each(app)
        app.dispatch_request = _Dispatch(app.dispatch_request, self.guard)  # type: ignore[method-assign]
        app.wsgi_app = JWTWSGIMiddleware(app.wsgi_app, guard=self.guard)  # type: ignore[method-assign]


class _BeforeRequest:
    """Checks before each request that the guard of one application has seen what it serves."""

    def __init__(self, guard: Guard, told: set[str]) -> None:
        """:param told: the warnings on its routes that were logged already."""
        self._guard = guard
        self._told = told
        self._has_served = False
        self._pages = PagesApart()

    def __call__(self) -> Response | None:
        """Decide on a request that is not the one that the guard has seen.

        An inner middleware may have changed its method or path, also by cutting a mount point off,
        or have made another environment of it. Or it came around the guard, by a middleware that
        was given ``app.wsgi_app`` before the guard was.

        :raises ConfigurationError: if the guard sees no request, because another ``app.wsgi_app``
            was put in its place.
        """
        if not self._has_served:
            self._has_served = True
            self._look_at(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
        self._pages.look_at(current_app, request.endpoint or "")
        environ = request.environ
        passage = passage_of(environ, self._guard)
        if passage is None or is_anothers(environ):
            check_in_front(self._guard, current_app, "wsgi_app")
            return _decide(self._guard, environ, None) or _judge_method(self._guard)
        _, (*judged_place, _, _), credential, caller, _ = passage
        place = [environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", "")]
        is_the_same = judged_place == [*place, environ.get("PATH_INFO", "")]
        # Another guard further in has judged the token that is there.
        is_innermost = guard_of(environ) is self._guard
        if is_the_same and is_innermost:
            view = WSGIView(environ)
            is_the_same = self._guard.integration.still_passes(view, credential)
        refusal = None if is_the_same else _decide(self._guard, environ, caller)
        return refusal or _judge_method(self._guard)

    def _look_at(self, app: Flask) -> None:
        """Log what shows with the first request, when the application is complete."""
        for warning in mounted_in_front(self._guard, app.wsgi_app):
            _log.warning("%s", warning)
        _log_mistaken_rules(self._guard, app, self._told)


class _Dispatch:
    """Calls the view of a request if its method, which the application may set, is let pass."""

    def __init__(self, dispatch: Callable[..., Any], guard: Guard) -> None:
        """:param dispatch: the method ``dispatch_request`` of the application."""
        self._dispatch = dispatch
        self._guard = guard

    # Which arguments Flask passes depends on its version.
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        refusal = _judge_method(self._guard)
        return self._dispatch(*args, **kwargs) if refusal is None else refusal


def _judge_method(guard: Guard) -> Response | None:
    """Return the refusal of a request whose method is another one than was sent.

    A class of requests may take it from a header, and a function before the request may set it.
    """
    method, environ = request.method, request.environ
    if method == environ["REQUEST_METHOD"] or method == getattr(request, _JUDGED, None):
        return None
    passage = passage_of(environ, guard)
    caller = None if passage is None else passage[3]
    refusal = _decide(guard, environ, caller, method)
    if refusal is None:
        setattr(request, _JUDGED, method)
    return refusal


def _log_mistaken_rules(guard: Guard, app: Any, told: Collection[str]) -> Collection[str]:
    """Log a warning for each rule that probably is not what its routes need.

    :param told: the warnings that were logged already.
    :return: the warnings.
    """
    analysis, routes = analysis_of(guard, app), list(routes_of(app))
    found = [
        *warnings_on_callers(analysis, routes),
        *warnings_on_exact_rules(guard.integration.rule_table.rules, analysis, routes),
    ]
    for warning in found:
        if warning not in told:
            _log.warning("%s", warning)
    return found


def _decide(
    guard: Guard, environ: dict[str, Any], caller: Caller | None, method: str | None = None
) -> Response | None:
    """Return the refusal of a request as it is now; ``None`` if it passes.

    :param caller: the caller with which the guard let it pass before; ``None`` if it did not.
    :param method: the method, if it is not the one of the environment.
    """
    view = WSGIView(environ)
    view.method = view.method if method is None else method
    step = guard.decide(view, _FLASK)
    verdict = step if isinstance(step, (Allow, Reply)) else run(step)
    if isinstance(verdict, Reply):
        return Response(verdict.body, verdict.status, dict(verdict.headers))
    if caller is None:
        # A request inside another one has its own caller.
        caller = begin(environ, verdict.principal)
    caller.principal = verdict.principal
    let_pass(environ, verdict, guard, _FLASK, caller)
    after_this_request(partial(_with_headers, verdict.response_headers))
    return None


def _with_headers(wanted: Headers, response: Response) -> Response:
    for name, value in headers_to_add(response.headers, wanted):
        response.headers.add(name, value)
    return response


def _options(settings: dict[str, Any]) -> dict[str, Any]:
    known = {f"{PREFIX}{name.upper()}": name for name in options_of(Guard)}
    for name in settings:
        if name in _ELSEWHERE:
            raise ConfigurationError(f"{name} is Flask-JWT-Extended's: write {_ELSEWHERE[name]}")
        if name not in known:
            meant = hint(name, known, PREFIX, cutoff=0.6)
            raise ConfigurationError(f"app.config[{name!r}] must be a known option: {meant}")
    return {known[name]: value for name, value in settings.items()}


def requires(requirement: Requirement | None = None) -> Callable[[View], View]:
    """Check a requirement beyond the rule of the path, for a plain or ``async`` view.

    For a whole blueprint: ``blueprint.before_request(requires(has_role("admin"))(lambda: None))``.

    :param requirement: such as ``has_scope("orders:read")``; by default a valid token.
        ``capture("name")`` in it is an argument of the route.
    :raises ConfigurationError: if ``requirement`` is not a Requirement; at a call, if no guard
        protects the application.
    """
    asked = authenticated() if requirement is None else requirement
    if not isinstance(asked, Requirement):
        raise ConfigurationError(
            f"requires({requirement!r}) must be given a Requirement: write "
            "@requires(has_scope('orders:read')), or @requires() for any valid token"
        )

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            deny = _refusal(asked)
            if deny is not None:
                return Response(deny.body, deny.status, dict(deny.headers))
            return current_app.ensure_sync(view)(*args, **kwargs)

        @wraps(view)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            deny = _refusal(asked)
            if deny is not None:
                return Response(deny.body, deny.status, dict(deny.headers))
            return await view(*args, **kwargs)

        chosen = guarded_async if iscoroutinefunction(view) else guarded
        remember(view, chosen, asked)
        return chosen

    return decorate


def _refusal(requirement: Requirement) -> Deny | None:
    guard = guard_of(request.environ)
    if guard is None:
        raise ConfigurationError(
            f"{requirement} needs a guard that protects the application: write "
            "JWT(app, guard=guard)"
        )
    captures = {name: str(value) for name, value in (request.view_args or {}).items()}
    principal = request.environ[PRINCIPAL_KEY]
    deny = guard.integration.hold(principal, requirement, captures)
    before = judged(request.environ)
    if deny is not None and before is not None and not principal.is_authenticated:
        method, mount_point, path = before
        guard.integration.warn_if_unread(str(request.endpoint), method, path, mount_point)
    return deny
