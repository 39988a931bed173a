"""A store in the memory of one process."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from jwt_middleware.clock import Clock, SystemClock, usable_clock
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.options import read_options
from jwt_middleware.stores.contract import (
    ABSENT,
    AnyAnswer,
    AnyStatement,
    Change,
    Document,
    Exchange,
    Exchanged,
    Found,
    FoundGroup,
    FoundSome,
    Read,
    ReadGroup,
    ReadSome,
    ReadWritten,
    StoreFailed,
)
from jwt_middleware.stores.limits import objection

# Each write looks at so many documents and deletes the expired ones. More than one, so that expired
# documents are deleted faster than new ones arrive.
_LOOKED_AT = 20

_Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Step:
    """What becomes of one document. To take a step twice does no harm."""

    key: _Key
    document: Document | None


class MemoryStore:
    """Holds documents in the memory of this process, for tests and for servers of one process.

    The documents end with the process. They are not shared with other processes: a forked child
    starts with a copy, and from then on neither sees what the other writes. So a server with
    several worker processes needs another store, such as :class:`SQLiteStore`.

    It may be used by all threads and event loops of the process at once. A statement takes
    microseconds, so that the awaiting methods do not wait either.
    """

    def __init__(
        self,
        clock: Annotated[Clock, usable_clock] = SystemClock(),  # noqa: B008 - it has no state
    ) -> None:
        """
        :param clock: the source of the time by which documents expire.
        :raises ConfigurationError: if it is not a clock.
        """
        self._clock: Clock = read_options(MemoryStore, {"clock": clock})["clock"]
        # In the order in which they are looked at for expiry: the one looked at last is the last.
        self._documents: OrderedDict[_Key, Document] = OrderedDict()
        # It may name documents that have left the group, which readers pass over.
        self._groups: dict[_Key, set[str]] = {}
        # In the order of their writing. The time of that never goes back, whatever the clock does.
        self._written: OrderedDict[_Key, None] = OrderedDict()
        self._last_written_at = 0.0
        self._under_way: tuple[_Step, ...] = ()
        self._lock = TinyLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Renew the lock in a forked child, and complete what another thread had half done."""
        self._lock = TinyLock()
        self._take(self._under_way)

    def answer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Perform a statement (see :class:`Store`)."""
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        match statement:
            case Exchange():
                return self._exchange(statement)
            case Read():
                return self._read(statement)
            case ReadSome():
                return self._some(statement)
            case ReadWritten():
                return self._written_since(statement)
            case ReadGroup():
                return self._group(statement)

    async def aanswer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Async version of :meth:`answer`. It does not wait."""
        return self.answer(statement, deadline)

    def close(self) -> None:
        """Do nothing: there are no connections, and the documents stay."""

    async def aclose(self) -> None:
        """Async version of :meth:`close`."""

    def __len__(self) -> int:
        """Return how many documents are in memory, expired ones included."""
        return len(self._documents)

    def __repr__(self) -> str:
        return "MemoryStore()"

    def _read(self, statement: Read) -> Found:
        with self._lock:
            now = self._clock.now()
            return Found(self._live((statement.kind, statement.name), now), now)

    def _group(self, statement: ReadGroup) -> FoundGroup:
        kind, group = statement.kind, statement.group
        with self._lock:
            now = self._clock.now()
            names = self._groups.get((kind, group), ())
            found = [self._live((kind, name), now) for name in names if name > statement.after]
        # Sorted without the lock, because a group may be large.
        living = [each for each in found if each is not None and each.group == group]
        living.sort(key=lambda each: each.name)
        return FoundGroup(tuple(living[: statement.most]), now)

    def _some(self, statement: ReadSome) -> FoundSome:
        with self._lock:
            now = self._clock.now()
            return FoundSome(tuple(self._live(key, now) for key in statement.keys), now)

    def _written_since(self, statement: ReadWritten) -> FoundGroup:
        kind, begin = statement.kind, (statement.since, statement.after)
        found: list[Document] = []
        with self._lock:
            now = self._clock.now()
            for key in reversed(self._written):
                document = self._documents[key]
                if (document.written_at, "~" * 256) < begin:
                    break
                if key[0] == kind and (document.written_at, document.name) > begin:
                    found += [document] if self._live(key, now) is not None else []
        found.sort(key=lambda each: (each.written_at, each.name))
        return FoundGroup(tuple(found[: statement.most]), now)

    def _exchange(self, statement: Exchange) -> Exchanged:
        with self._lock:
            now = self._clock.now()
            for each in statement.expected:
                found = self._live((each.kind, each.name), now)
                if each.expected != (ABSENT if found is None else found.version):
                    return Exchanged(is_done=False, now=now)
            # Kept while they are taken, because a fork by another thread copies what is half done.
            self._last_written_at = max(now, self._last_written_at)
            self._under_way = tuple(
                _step(each, self._last_written_at) for each in statement.changes
            )
            self._take(self._under_way)
            self._delete_expired(now)
            return Exchanged(is_done=True, now=now)

    def _live(self, key: _Key, now: float) -> Document | None:
        document = self._documents.get(key)
        if document is None or document.expires_at is None or document.expires_at > now:
            return document
        return None

    def _take(self, steps: tuple[_Step, ...]) -> None:
        for step in steps:
            if step.document is None:
                self._forget(step.key)
            else:
                self._put(step.key, step.document)
        self._under_way = ()

    def _put(self, key: _Key, document: Document) -> None:
        kind, name = key
        before = self._documents.get(key)
        if document.group is not None:
            self._groups.setdefault((kind, document.group), set()).add(name)
        self._documents[key] = document
        self._written[key] = None
        self._written.move_to_end(key)
        if before is not None and before.group != document.group:
            self._leave(before)

    def _forget(self, key: _Key) -> None:
        before = self._documents.pop(key, None)
        self._written.pop(key, None)
        if before is not None:
            self._leave(before)

    def _leave(self, document: Document) -> None:
        if document.group is None:
            return
        key = (document.kind, document.group)
        names = self._groups.get(key, set())
        names.discard(document.name)
        if not names:
            self._groups.pop(key, None)

    def _delete_expired(self, now: float) -> None:
        for _ in range(min(_LOOKED_AT, len(self._documents))):
            key = next(iter(self._documents))
            if self._live(key, now) is None:
                self._forget(key)
            else:
                self._documents.move_to_end(key)


def _step(change: Change, now: float) -> _Step:
    key = (change.kind, change.name)
    if change.body is None:
        return _Step(key, None)
    version = change.expected + 1
    document = Document(*key, version, change.body, change.group, change.expires_at, now)
    return _Step(key, document)
