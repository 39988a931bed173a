"""The contract of stores: documents with versions, and the statements that read and change them.

A store holds documents and decides nothing. What a change means is computed from the document that
was read, and applied only if no other process has changed the document since (compare-and-swap).
Statements and answers are values, so that one store serves blocking and awaiting callers.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

ABSENT = 0
"""The version of a document that does not exist. The first version of a document is 1."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document, as a store holds it."""

    kind: str
    """What it is, such as ``ring``: letters, digits and underscores."""
    name: str
    """Its name among those of its kind: up to 255 printable characters of ASCII."""
    version: int
    """How often it was written."""
    body: bytes = field(repr=False)
    """Its content, of at most a megabyte."""
    group: str | None = None
    """What documents of one kind may have in common, such as the subject of families.

    Up to 255 characters of any script, without NUL."""
    expires_at: float | None = None
    """POSIX time from which the store treats it as absent, and may delete it."""
    written_at: float = field(default=0.0, compare=False)
    """POSIX time of the store's clock when it was last written."""


@dataclass(frozen=True, slots=True)
class Change:
    """One document to write or to delete, if its version is still the one that was read."""

    kind: str
    name: str
    expected: int
    """The version that was read; :data:`ABSENT` if the document must not exist."""
    body: bytes | None = field(repr=False)
    """The new content; ``None`` to delete the document."""
    group: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """One document that is not written, but must have the version that was read."""

    kind: str
    name: str
    expected: int
    """The version that was read; :data:`ABSENT` if the document must not exist."""


AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to :class:`Read`."""

    document: Document | None
    now: float
    """POSIX time of the store's clock, by which everything that processes share is decided."""


@dataclass(frozen=True, slots=True)
class Read:
    """Reads one document."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """The answer to :class:`ReadGroup`."""

    documents: tuple[Document, ...]
    """The documents, in the order of their names."""
    now: float


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """Reads the documents of one group."""

    kind: str
    group: str
    most: int = 1_000
    """The most documents to return, those that come first."""
    after: str = ""
    """The name after which they come: the last of those that were read before."""


@dataclass(frozen=True, slots=True)
class FoundSome:
    """The answer to :class:`ReadSome`."""

    documents: tuple[Document | None, ...]
    """The documents, in the order of their keys; ``None`` for one that is absent."""
    now: float


@dataclass(frozen=True, slots=True)
class ReadSome:
    """Reads several documents in one step."""

    keys: tuple[tuple[str, str], ...]
    """The kind and the name of each: at most 16."""


@dataclass(frozen=True, slots=True)
class ReadWritten:
    """Reads the documents of one kind that were written lately, in the order of their writing.

    It is answered with a :class:`FoundGroup`. A transaction that was committed late may have
    written earlier than one that was read before, so a reader that follows a store begins a while
    before the last time.
    """

    kind: str
    since: float
    """POSIX time of the store's clock from which they were written."""
    after: str = ""
    """The name after which those written at that very time come; for the next page, ``since`` and
    ``after`` are those of the last document that was read."""
    most: int = 1_000


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The answer to :class:`Exchange`."""

    is_done: bool
    """Whether all changes were made. Otherwise none was."""
    now: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """Makes all of some changes, or none if the version of any document is another one."""

    changes: tuple[Change, ...]
    unchanged: tuple[Unchanged, ...] = ()
    """Further documents on whose versions the changes depend. They do not conflict with other
    exchanges that depend on them too."""

    @property
    def expected(self) -> tuple["Change | Unchanged", ...]:
        """Every document that must have the version that was read."""
        return (*self.changes, *self.unchanged)


AnyStatement: TypeAlias = Read | ReadGroup | ReadSome | ReadWritten | Exchange
AnyAnswer: TypeAlias = Found | FoundGroup | FoundSome | Exchanged


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The answer of a store that is away, slow, full or read-only."""

    reason: str
    """One sentence for the operator. It contains no credential and no document."""
    may_be_done: bool = False
    """Whether an :class:`Exchange` may have been made although no answer came."""


class Store(Protocol):
    """Holds documents. Every method may be called by any thread, in any process."""

    def answer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Perform a statement by blocking.

        It never raises and is back by the deadline, an instant of ``time.monotonic``.
        """
        ...

    async def aanswer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Async version of :meth:`answer`. It runs on asyncio only."""
        ...

    def close(self) -> None:
        """Close the connections of this process. The next statement opens them again."""
        ...

    async def aclose(self) -> None:
        """Async version of :meth:`close`."""
        ...


@dataclass(frozen=True, slots=True)
class Query(Generic[AnswerT]):
    """The effect of asking a store (see ``effects.py``)."""

    store: Store
    statement: AnyStatement
    seconds: float = math.inf
    """The most seconds that this statement may take."""

    def perform(self, deadline: float) -> AnswerT | StoreFailed:
        """Ask by blocking."""
        try:
            answer = self.store.answer(self.statement, self._earlier(deadline))
            return cast("AnswerT | StoreFailed", answer)
        except Exception as problem:  # noqa: BLE001 - a store of the application may raise its own
            return _raised(problem)

    async def aperform(self, deadline: float) -> AnswerT | StoreFailed:
        """Ask by awaiting."""
        try:
            answer = await self.store.aanswer(self.statement, self._earlier(deadline))
            return cast("AnswerT | StoreFailed", answer)
        except Exception as problem:  # noqa: BLE001 - a store of the application may raise its own
            return _raised(problem)

    def _earlier(self, deadline: float) -> float:
        return min(deadline, monotonic() + self.seconds)


def _raised(problem: Exception) -> StoreFailed:
    # The text of the error may have a credential.
    return StoreFailed(f"it raised {type(problem).__name__}", may_be_done=True)


def read(store: Store, kind: str, name: str) -> Query[Found]:
    """Return the effect of reading a document."""
    return Query(store, Read(kind, name))


def read_some(
    store: Store, keys: Iterable[tuple[str, str]], seconds: float = math.inf
) -> Query[FoundSome]:
    """Return the effect of reading several documents in one step.

    :param keys: the kind and the name of each.
    :param seconds: the most seconds that it may take.
    """
    return Query(store, ReadSome(tuple(keys)), seconds)


def read_group(
    store: Store, kind: str, group: str, most: int = 1_000, after: str = ""
) -> Query[FoundGroup]:
    """Return the effect of reading the documents of a group."""
    return Query(store, ReadGroup(kind, group, most, after))


def exchange(
    store: Store,
    changes: Iterable[Change],
    seconds: float = math.inf,
    unchanged: Iterable[Unchanged] = (),
) -> Query[Exchanged]:
    """Return the effect of making changes.

    :param seconds: the most seconds that it may take.
    """
    return Query(store, Exchange(tuple(changes), tuple(unchanged)), seconds)
