"""Every store, asked in every way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jwt_middleware.stores import MemoryStore, SQLiteStore, Store
from jwt_middleware.testing import Clock
from tests.stores.asking import Asker

STORES: dict[str, Callable[[Path, Clock], Store]] = {
    "memory": lambda _, clock: MemoryStore(clock),
    "sqlite": lambda folder, clock: SQLiteStore(folder / "s.db", clock=clock, timeout=20),
}


@pytest.fixture(params=STORES)
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
