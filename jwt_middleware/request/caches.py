"""Caches that stand behind a guard and keep answers without regard to the caller."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from jwt_middleware.request.applications import wrapped

_log = logging.getLogger("jwt_middleware")

# The extension that keeps Flask's pages apart by itself.
_FLASK = "jwt_middleware"


def warn_of_caches(app: Any) -> None:
    """Warn of each cache inside that would serve one caller's answer to another."""
    for advice in dict.fromkeys(_advice(wrapped(app))):
        _log.warning(advice)


def _advice(every: Iterable[Any]) -> Iterable[str]:
    for each in every:
        if type(each).__name__ == "CacheMiddleware":
            yield (
                "CacheMiddleware stands behind the guard and keeps answers by their address, "
                "whoever asks: put it around public parts of the application alone"
            )
        extensions = getattr(each, "extensions", None)
        if isinstance(extensions, Mapping) and "cache" in extensions and _FLASK not in extensions:
            yield (
                "Flask-Caching keeps pages by their path, whoever asks: guard the application with "
                "JWT(app, guard=guard), or have caller_key() in each key"
            )
        routes = getattr(each, "routes", None)
        for route in routes if isinstance(routes, (list, tuple)) else ():
            if _is_cached(getattr(route, "endpoint", None)):
                yield (
                    "fastapi_cache keeps what an endpoint returns by its arguments, whoever asks: "
                    "write @cache(key_builder=keyed_by_caller), from "
                    "jwt_middleware.integrations.fastapi"
                )


def _is_cached(endpoint: Any) -> bool:
    """Return whether fastapi_cache wraps an endpoint, with no key of the application's own."""
    if getattr(endpoint, "__globals__", {}).get("__name__") != "fastapi_cache.decorator":
        return False
    names = endpoint.__code__.co_freevars
    cells = dict(zip(names, endpoint.__closure__ or (), strict=True))
    builder = cells.get("key_builder")
    return builder is None or builder.cell_contents is None
