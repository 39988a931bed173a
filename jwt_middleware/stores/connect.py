"""Makes a store out of a URL, as it stands in a configuration file or in the environment."""

import re
from collections.abc import Mapping
from typing import Any

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.options import hint, options_of
from jwt_middleware.stores.contract import Store
from jwt_middleware.stores.memory import MemoryStore

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}(?=:)")
_FORMS = "'memory:', 'sqlite:///relative.db' or 'sqlite:////absolute/path.db'"

_REDIS = frozenset({"redis", "rediss", "valkey", "valkeys"})
_SQL = frozenset({"postgresql", "mysql", "mariadb"})


def connect(url: Any, **options: Any) -> Store:
    """Return the store that a URL names. Nothing is opened yet.

    - ``memory:`` is a :class:`MemoryStore`, for one process.
    - ``sqlite:///relative.db`` and ``sqlite:////absolute/path.db`` are a :class:`SQLiteStore`, for
      all processes of one machine. The path is taken as it is written.
    - ``postgresql+psycopg://user:password@host/database``, ``mysql+pymysql://...`` and other URLs
      of SQLAlchemy are a :class:`SQLStore`, for all processes that reach the server.
    - ``redis://``, ``rediss://``, ``redis+sentinel://`` and ``redis+cluster://`` are a
      :class:`RedisStore`.

    :param url: the URL, or an ``Engine`` or ``AsyncEngine`` of the application. It is not shown in
        any message, because it may contain a password.
    :param options: the options of the store, such as ``timeout=2``.
    :raises ConfigurationError: for a URL that names no store, or an option that the store does not
        have or cannot use.
    """
    if not isinstance(url, str):
        library = type(url).__module__.partition(".")[0]
        if library == "sqlalchemy":
            return _sql(url, options)
        if library == "redis":
            return _redis(url, options)
        raise ConfigurationError(f"url={type(url).__name__} must be text: write {_FORMS}")
    found = _SCHEME.match(url)
    scheme = "" if found is None else found[0].lower()
    rest = url[len(scheme) + 1 :]
    if scheme == "memory":
        return _memory(rest, options)
    if scheme == "sqlite":
        return _sqlite(rest, options)
    if scheme.partition("+")[0] in _SQL:
        return _sql(url, options)
    if scheme.partition("+")[0] in _REDIS:
        return _redis(url, options)
    raise _unknown(scheme)


def _memory(rest: str, options: Mapping[str, Any]) -> Store:
    if rest:
        raise ConfigurationError("url='memory:...' must end after its colon: write 'memory:'")
    _check_names(MemoryStore, options)
    return MemoryStore(**options)


def _sqlite(rest: str, options: Mapping[str, Any]) -> Store:
    # Imported here, because it is not part of every Python, and not every server uses it.
    from jwt_middleware.stores.sqlite import SQLiteStore

    path = rest.removeprefix("///")
    if path == ":memory:" or rest in ("", "//"):
        raise ConfigurationError("url='sqlite:...' names no file: write 'memory:' instead")
    if path == rest or not path:
        raise ConfigurationError(
            "url='sqlite:...' must have three slashes before the path of its file, and a fourth if "
            "that begins with one: write 'sqlite:///relative.db' or 'sqlite:////absolute/path.db'"
        )
    if "?" in path:
        raise ConfigurationError(
            "url='sqlite:///...?...' has options behind a question mark: write them as arguments, "
            "such as connect(url, timeout=2)"
        )
    _check_names(SQLiteStore, options)
    return SQLiteStore(path, **options)


def _sql(url: Any, options: Mapping[str, Any]) -> Store:
    # SQLAlchemy is not a part of every installation.
    from jwt_middleware.stores.sql import SQLStore

    _check_names(SQLStore, options)
    return SQLStore(url, **options)


def _redis(url: Any, options: Mapping[str, Any]) -> Store:
    # Nor is redis-py.
    from jwt_middleware.stores.redis import RedisStore

    _check_names(RedisStore, options)
    return RedisStore(url, **options)


def _check_names(store: type, options: Mapping[str, Any]) -> None:
    known = [name for name in options_of(store) if name not in {"path", "engine", "client"}]
    for name in options:
        if name not in known:
            raise ConfigurationError(
                f"{name}= is not an option of {store.__name__}: {hint(name, known)}"
            )


def _unknown(scheme: str) -> ConfigurationError:
    if scheme == "postgres":
        return ConfigurationError(
            "url='postgres:...' is not a scheme of SQLAlchemy: write 'postgresql+psycopg://...'"
        )
    # Not even the scheme is shown, because the text may be anything, such as a password.
    return ConfigurationError(f"url= names no known store: write {_FORMS}")
