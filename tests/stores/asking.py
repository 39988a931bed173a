"""How tests ask a store: by blocking, or by awaiting in an event loop of its own each time."""

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Any

from jwt_middleware.stores.contract import (
    AnyStatement,
    Change,
    Document,
    Exchange,
    Read,
    ReadGroup,
    Store,
)

PATIENCE = 30.0


class Asker:
    """Asks one store in one way."""

    def __init__(self, store: Store, way: str = "blocking") -> None:
        self.store = store
        self._is_awaiting = way == "awaiting"

    def ask(self, statement: AnyStatement, seconds: float = PATIENCE) -> Any:
        deadline = monotonic() + seconds
        if self._is_awaiting:
            return asyncio.run(self._aask(statement, deadline))
        return self.store.answer(statement, deadline)

    async def _aask(self, statement: AnyStatement, deadline: float) -> Any:
        return await self.store.aanswer(statement, deadline)

    def read(self, name: str, kind: str = "k") -> Document | None:
        document: Document | None = self.ask(Read(kind, name)).document
        return document

    def names(self, group: str, kind: str = "k", most: int = 1_000) -> list[str]:
        return [each.name for each in self.ask(ReadGroup(kind, group, most)).documents]

    def exchange(self, *changes: Change) -> bool:
        is_done: bool = self.ask(Exchange(changes)).is_done
        return is_done

    def version(self, name: str) -> int:
        document = self.read(name)
        return 0 if document is None else document.version


def change(
    name: str,
    expected: int,
    body: bytes | None = b"x",
    *,
    kind: str = "k",
    group: str | None = None,
    expires_at: float | None = None,
) -> Change:
    return Change(kind, name, expected, body, group, expires_at)


def count(askers: Iterable[Asker], name: str) -> set[int]:
    """Return the number that each sees in a document that is counted up."""
    return {int(document.body) for each in askers if (document := each.read(name))}


def increment(store: Store, name: str) -> None:
    """Count a document up by compare-and-swap, as often as it takes."""
    asker = Asker(store)
    while True:
        document = asker.read(name)
        version = 0 if document is None else document.version
        body = b"1" if document is None else b"%d" % (int(document.body) + 1)
        if asker.exchange(change(name, version, body)):
            return
