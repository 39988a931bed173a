"""Reads ``settings.JWT_MIDDLEWARE`` into a guard, and checks it for ``manage.py check``."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as CheckWarning
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from jwt_middleware.errors import ConfigurationError, JWTMiddlewareError
from jwt_middleware.guard.guard import Guard, chosen_guard
from jwt_middleware.options import hint, options_of
from jwt_middleware.principal import Principal

SETTING = "JWT_MIDDLEWARE"
MIDDLEWARE = "jwt_middleware.integrations.django.JWTMiddleware"
AUTHENTICATION = "jwt_middleware.integrations.drf.JWTAuthentication"
CORS = "corsheaders.middleware.CorsMiddleware"
PAGES = "django.middleware.cache.FetchFromCacheMiddleware"
SESSIONS = "django.contrib.auth.middleware.AuthenticationMiddleware"

UserOf = Callable[[Principal], Any]


@dataclass(frozen=True, slots=True)
class Configured:
    """The guard and the user function that a project's settings describe."""

    guard: Guard
    user_of: UserOf | None
    """Maps a principal to a user of the project; ``None`` if the project maps none."""


_kept: list[Configured] = []


def configured() -> Configured:
    """Return ``settings.JWT_MIDDLEWARE``, read once.

    :raises ConfigurationError: naming the setting, the value and the fix.
    """
    if not _kept:
        _kept.append(_read(getattr(settings, SETTING, None)))
    return _kept[0]


def _read(options: Any) -> Configured:
    if not isinstance(options, dict):
        raise ConfigurationError(
            f"{SETTING}={options!r} must be a dictionary: {{'GUARD': 'project.auth.guard'}}, or "
            "the options of a Guard in capital letters"
        )
    known = ["GUARD", "USER", *(name.upper() for name in options_of(Guard))]
    for name in options:
        if name not in known:
            meant = hint(str(name).upper(), known)
            raise ConfigurationError(f"{SETTING}[{name!r}] must be a known option: {meant}")
    rest = {name.lower(): value for name, value in options.items() if name not in {"GUARD", "USER"}}
    guard = _found("GUARD", options.get("GUARD"))
    user_of = _found("USER", options.get("USER"))
    if user_of is not None and not callable(user_of):
        raise ConfigurationError(
            f"{SETTING}['USER']={user_of!r} must be a function from a principal to a user"
        )
    return Configured(chosen_guard(guard, rest), user_of)


def _found(name: str, value: Any) -> Any:
    """Return a value, or the object that a dotted path names."""
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except (ImportError, ValueError) as problem:
        raise ConfigurationError(
            f"{SETTING}[{name!r}]={value!r} cannot be imported: {problem}"
        ) from None


def _forget(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        _kept.clear()


setting_changed.connect(_forget, dispatch_uid="jwt_middleware")


@register(Tags.security)
def check_settings(**_: Any) -> Iterable[CheckMessage]:
    """Yield the mistakes in a project's settings."""
    middleware = list(settings.MIDDLEWARE)
    uses = middleware.count(MIDDLEWARE)
    if uses or hasattr(settings, SETTING):
        try:
            configured()
        except JWTMiddlewareError as mistake:
            yield Error(str(mistake), id="jwt_middleware.E001")
    if uses > 1:
        yield Error(
            f"MIDDLEWARE lists {MIDDLEWARE} {uses} times.",
            hint="Keep the first.",
            id="jwt_middleware.E002",
        )
    if not uses and AUTHENTICATION in _authentication_classes():
        yield Error(
            f"{AUTHENTICATION} needs the middleware, and MIDDLEWARE does not list it.",
            hint=f"Add {MIDDLEWARE!r}.",
            id="jwt_middleware.E003",
        )
    if not uses and hasattr(settings, SETTING):
        yield CheckWarning(
            f"{SETTING} is set, and MIDDLEWARE does not list the middleware: no view is protected.",
            hint=f"Add {MIDDLEWARE!r}.",
            id="jwt_middleware.W001",
        )
    place = middleware.index(MIDDLEWARE) if uses else 0
    behind = middleware[place:] if uses else []
    extensions = getattr(settings, "REST_FRAMEWORK_EXTENSIONS", None)
    is_loaded = "rest_framework_extensions.cache.decorators" in sys.modules
    if uses and (is_loaded or extensions) and "DEFAULT_CACHE_KEY_FUNC" not in (extensions or {}):
        yield CheckWarning(
            "cache_response of drf-extensions serves one caller's cached response to every caller.",
            hint="Set REST_FRAMEWORK_EXTENSIONS['DEFAULT_CACHE_KEY_FUNC'] to a function with "
            "caller_key() in its key.",
            id="jwt_middleware.W005",
        )
    if PAGES in middleware[:place]:
        yield CheckWarning(
            "FetchFromCacheMiddleware is before the middleware: a cached page is served without a "
            "decision of the guard.",
            hint=f"List {PAGES!r} after {MIDDLEWARE!r}.",
            id="jwt_middleware.W004",
        )
    if SESSIONS in behind:
        yield CheckWarning(
            "AuthenticationMiddleware is after the middleware and replaces request.auser.",
            hint=f"List {MIDDLEWARE!r} after {SESSIONS!r}.",
            id="jwt_middleware.W003",
        )
    if CORS in behind:
        yield CheckWarning(
            "CorsMiddleware is after the middleware: browsers hide every refusal.",
            hint=f"List {CORS!r} before it.",
            id="jwt_middleware.W002",
        )


@register(Tags.security)
def check_routes(**_: Any) -> Iterable[CheckMessage]:
    """Yield the views of a project that are not guarded as they seem to be."""
    if MIDDLEWARE not in settings.MIDDLEWARE or not getattr(settings, "ROOT_URLCONF", None):
        return
    # Imported late, because applications are loaded before addresses and views are.
    from jwt_middleware.integrations.django_checks import mistakes_in_routes

    try:
        guard = configured().guard
    except JWTMiddlewareError:
        # The other check says so.
        return
    yield from mistakes_in_routes(guard)


def _authentication_classes() -> list[Any]:
    options = getattr(settings, "REST_FRAMEWORK", {})
    classes = options.get("DEFAULT_AUTHENTICATION_CLASSES", []) if isinstance(options, dict) else []
    return list(classes)


class JWTConfig(AppConfig):
    """The application for ``INSTALLED_APPS``, which registers the checks of ``manage.py check``."""

    name = "jwt_middleware.integrations.django_settings"
    label = "jwt_middleware"
    verbose_name = "JSON Web Tokens"
