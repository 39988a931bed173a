"""Every store, asked in every way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jwt_middleware.stores import MemoryStore, SQLiteStore, Store
from jwt_middleware.testing import Clock
from tests.stores.asking import Asker
from tests.stores.servers import redis_store, sql_store

STORES: dict[str, Callable[[Path, Clock], Store]] = {
    "memory": lambda _, clock: MemoryStore(clock),
    "sqlite": lambda folder, clock: SQLiteStore(folder / "s.db", clock=clock, timeout=20),
    "postgresql": lambda _, clock: sql_store("postgresql", clock),
    "mariadb": lambda _, clock: sql_store("mariadb", clock),
    "redis": lambda _, clock: redis_store(clock),
}
SERVERS = {"postgresql", "mariadb", "redis"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.service] if name in SERVERS else [])
        for name in STORES
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = STORES[request.param](tmp_path, clock)
    yield store
    store.close()


@pytest.fixture(params=["blocking", "awaiting"])
def asker(request: pytest.FixtureRequest, store: Store) -> Asker:
    return Asker(store, request.param)


@pytest.fixture
def sqlite(tmp_path: Path, clock: Clock) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "s.db", clock=clock, timeout=20)
    yield store
    store.close()
