"""The servers of this machine, each with a table of its own for one process of the tests."""

import atexit
import os
from functools import cache
from typing import Any

import redis
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from jwt_middleware.stores.redis import RedisStore
from jwt_middleware.stores.sql import SQLStore
from jwt_middleware.testing import Clock
from tests.provider.real import lacking

URLS = {
    "postgresql": os.environ.get("TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1/test"),
    "mariadb": os.environ.get("TEST_MARIADB", "mysql+pymysql://root@127.0.0.1/test"),
}
TABLE = f"jwt_test_{os.getpid()}"


@cache
def engine(server: str) -> Any:
    """Return an engine of the tests' own; the test is skipped without the server."""
    made = create_engine(URLS[server])
    try:
        with made.begin() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {TABLE}"))
    except SQLAlchemyError as problem:
        made.dispose()
        return str(problem)
    atexit.register(_drop, made)
    return made


def _drop(made: Any) -> None:
    with made.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {TABLE}"))
    made.dispose()


def sql_store(server: str, clock: Clock | None = None, **options: Any) -> SQLStore:
    """Return an empty store on a server."""
    made = engine(server)
    if isinstance(made, str):
        lacking(f"{server} cannot be reached, and a server is what this is about: {made}")
        raise AssertionError(made)  # noqa: TRY004 - never reached
    store = SQLStore(URLS[server], table=TABLE, clock=clock, timeout=20, **options)
    store.check()
    with made.begin() as connection:
        connection.execute(text(f"DELETE FROM {TABLE} WHERE kind <> 'schema'"))
    return store


def rows_of(store: SQLStore) -> int:
    """Return how many documents are in the table, expired ones included."""
    with engine(store._dialect.replace("mysql", "mariadb")).begin() as connection:
        rows = connection.execute(text(f"SELECT count(*) FROM {TABLE} WHERE kind <> 'schema'"))
        return int(rows.scalar_one())


REDIS = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/0")
PREFIX = f"jwt_test_{os.getpid()}"


@cache
def redis_client() -> Any:
    """Return a client of the tests' own; the test is skipped without the server."""
    made = redis.Redis.from_url(REDIS)
    try:
        made.ping()
    except redis.RedisError as problem:
        return str(problem)
    atexit.register(_forget)
    return made


def _forget() -> None:
    made = redis_client()
    for key in made.scan_iter(f"{{{PREFIX}}}*"):
        made.delete(key)


def redis_store(clock: Clock | None = None, **options: Any) -> RedisStore:
    """Return an empty store on the Redis server."""
    made = redis_client()
    if isinstance(made, str):
        lacking(f"Redis cannot be reached, and a server is what this is about: {made}")
    _forget()
    return RedisStore(REDIS, prefix=PREFIX, clock=clock, **options)


def documents_in_redis() -> int:
    """Return how many documents there are, expired ones included."""
    return len(list(redis_client().scan_iter(f"{{{PREFIX}}}:d:*")))
