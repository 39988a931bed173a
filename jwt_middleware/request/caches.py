"""Finds caches behind a guard that store responses without regard to the caller."""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jwt_middleware.logs import log_of
from jwt_middleware.request.applications import wrapped

_log = log_of("jwt_middleware")

# This Flask extension adds the caller to the cache keys, so no warning is needed with it.
_FLASK = "jwt_middleware"


def warn_of_caches(app: Any) -> None:
    """Log a warning for each cache that could serve one caller's response to another."""
    every = wrapped(app)
    for is_there, advice in _CACHES:
        if any(_shows(app, is_there) for app in every):
            _log.warning(advice)


def _shows(app: Any, is_there: Callable[[Any], bool]) -> bool:
    try:
        return is_there(app)
    except Exception:  # noqa: BLE001 - an object that fails here must not stop the start
        return False


def _is_cache_middleware(app: Any) -> bool:
    return type(app).__name__ == "CacheMiddleware"


def _has_flask_caching(app: Any) -> bool:
    extensions = getattr(app, "extensions", None)
    return isinstance(extensions, Mapping) and "cache" in extensions and _FLASK not in extensions


def _has_fastapi_cache(app: Any) -> bool:
    return any(map(_is_cached, (getattr(route, "endpoint", None) for route in _routes(app))))


def _is_cached(endpoint: Any) -> bool:
    """Return whether fastapi_cache wraps an endpoint without a custom key builder."""
    if getattr(endpoint, "__globals__", {}).get("__name__") != "fastapi_cache.decorator":
        return False
    cells = dict(zip(endpoint.__code__.co_freevars, endpoint.__closure__ or (), strict=True))
    builder = cells.get("key_builder")
    return builder is None or builder.cell_contents is None


def _has_litestar_cache(app: Any) -> bool:
    config = getattr(app, "response_cache_config", None)
    builder = getattr(config, "key_builder", None)
    # With a custom key builder the application itself must separate the callers.
    if getattr(builder, "__name__", "") != "default_cache_key_builder":
        return False
    handlers = (each for route in _routes(app) for each in getattr(route, "route_handlers", ()))
    return any(each.cache and each.cache_key_builder is None for each in handlers)


def _has_django_cache(app: Any) -> bool:
    """Return whether a project caches pages without the JWTMiddleware for Django."""
    listed = getattr(app, "_middleware_chain", None) is not None and "django.conf" in sys.modules
    middleware = sys.modules["django.conf"].settings.MIDDLEWARE if listed else ()
    is_ours = any(name.startswith("jwt_middleware.") for name in middleware)
    return not is_ours and "django.middleware.cache.UpdateCacheMiddleware" in middleware


def _has_cherrypy_cache(app: Any) -> bool:
    mounted = getattr(app, "apps", None)
    apps = [app, *(mounted.values() if isinstance(mounted, Mapping) else ())]
    configs = (getattr(each, "config", None) for each in apps)
    sections = (part for one in configs if isinstance(one, Mapping) for part in one.values())
    return any(isinstance(part, Mapping) and part.get("tools.caching.on") for part in sections)


def _routes(app: Any) -> Iterator[Any]:
    routes = getattr(app, "routes", None)
    yield from routes if isinstance(routes, (list, tuple)) else ()


_CACHES: list[tuple[Callable[[Any], bool], str]] = [
    (
        _is_cache_middleware,
        (
            "CacheMiddleware is behind the guard and serves one caller's responses to others: "
            "put it only around public parts of the application"
        ),
    ),
    (
        _has_flask_caching,
        (
            "Flask-Caching caches pages by path and serves them to all callers: guard the "
            "application with JWT(app, guard=guard), or put caller_key() in each key"
        ),
    ),
    (
        _has_fastapi_cache,
        (
            "fastapi_cache caches results by argument and serves them to all callers: write "
            "@cache(key_builder=keyed_by_caller), from jwt_middleware.integrations.fastapi"
        ),
    ),
    (
        _has_litestar_cache,
        (
            "Litestar caches responses of handlers with cache= and serves them to all callers: "
            "write ResponseCacheConfig(key_builder=...) with caller_key() in the key"
        ),
    ),
    (
        _has_django_cache,
        (
            "UpdateCacheMiddleware of Django caches pages and serves them to all callers: list "
            "jwt_middleware.integrations.django.JWTMiddleware in MIDDLEWARE instead of this wrap"
        ),
    ),
    (
        _has_cherrypy_cache,
        (
            "tools.caching of CherryPy caches pages and serves them to all callers: turn it on "
            "only for public parts of the application"
        ),
    ),
]
