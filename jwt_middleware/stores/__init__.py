"""Stores: what processes share, as documents with versions."""

from typing import TYPE_CHECKING, Any

from jwt_middleware.stores.connect import connect
from jwt_middleware.stores.contract import Store, StoreFailed
from jwt_middleware.stores.memory import MemoryStore

if TYPE_CHECKING:
    from jwt_middleware.stores.sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore", "Store", "StoreFailed", "connect"]


def __getattr__(name: str) -> Any:
    # Imported with its first use, because it is not part of every Python.
    if name == "SQLiteStore":
        from jwt_middleware.stores.sqlite import SQLiteStore

        return SQLiteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
