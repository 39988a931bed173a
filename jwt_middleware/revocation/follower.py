"""Keeps the replica of a process in step with the store, on a thread of its own.

How old the replica is, is a monotonic time that requests compare. A thread that hangs, has died or
was left behind by a fork shows as age, and never as "nothing is revoked".
"""

import json
import math
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from secrets import token_hex
from time import monotonic
from typing import Any
from weakref import ref

from jwt_middleware.clock import Clock
from jwt_middleware.daemons import start_daemon
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.logs import log_of
from jwt_middleware.revocation.entries import KIND, Entry, entry_of
from jwt_middleware.revocation.replica import Replica
from jwt_middleware.stores.contract import (
    ABSENT,
    AnyAnswer,
    AnyStatement,
    Change,
    Document,
    Exchange,
    Exchanged,
    FoundGroup,
    ReadWritten,
    Store,
    StoreFailed,
)

_log = log_of("jwt_middleware.revocation")

# Transactions commit out of order, and clocks are set: what was written in the last minute is read
# again each time.
OVERLAP = 60.0

# Everything is read again after so many seconds, as a net under all else.
RECONCILED_EVERY = 600.0

# A document that is written again and again shows that the store is still the same: one that was
# lost or set back lacks it, or has an older one.
BEAT = "heartbeat"
_BEATS_EVERY = 20.0

# ... and what was written in the last seconds, again and again during a reading that takes long.
_SHORT_OVERLAP = 5.0

_PAGE = 1_000

# What was lost is written back a little at a time, because the replica grows old meanwhile.
_AT_ONCE = 10


class Follower:
    """Follows one store for one replica."""

    def __init__(self, store: Store, replica: Replica, max_lag: float, clock: Clock) -> None:
        """:param max_lag: the seconds after which a revocation must be known."""
        self._clock = clock
        self._store = store
        self._replica = replica
        self._pause = max_lag / 2
        self._max_lag = max_lag
        self.failure: str | None = None
        """Why the last reading failed; ``None`` if it did not."""
        self._lock = TinyLock()
        self._forget()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the thread of the parent in a forked child."""
        self._lock = TinyLock()
        self._forget()

    def _forget(self) -> None:
        self.fresh_until = -math.inf
        """The monotonic time until which the replica is fresh enough."""
        self.was_read = False
        """Whether the store was read at all in this process."""
        self._first: Future[None] | None = None
        self._wakes = threading.Event()
        # Held while the store is read. No request waits for it.
        self._turn = threading.Lock()
        self._is_closed = False
        self._since = 0.0
        self._reconciles_at = -math.inf
        self._beat: tuple[str, int] | None = None
        self._has_lost = False
        self._lost: list[Entry] = []

    def follow(self) -> "Future[None]":
        """Follow the store from now on; return what is done when it was first read, or was not."""
        with self._lock:
            if self._first is None:
                self._first = Future()
                # Such a future ignores that one of its waiters is cancelled.
                self._first.set_running_or_notify_cancel()
                if not start_daemon("jwt_middleware.revocation", _Loop(self, self._first)):
                    self.failure = "no thread can be started to read it"
                    first, self._first = self._first, None
                    first.set_result(None)
                    return first
            return self._first

    def close(self) -> None:
        """End the thread. The next request follows the store again."""
        with self._lock:
            self._is_closed = True
            self._wakes.set()

    def ended(self, first: "Future[None]") -> None:
        """Note that the thread has ended, so that the next request starts another."""
        with self._lock:
            if self._first is first:
                self._forget()
        if not first.done():
            first.set_result(None)

    def read(self) -> bool:
        """Read what is new; return whether the store answered.

        The thread calls it again and again. Another caller waits until it is its turn.
        """
        with self._turn:
            began = self._clock.monotonic()
            try:
                self._read(began, is_whole=began >= self._reconciles_at)
            except _Failed as failed:
                self.failure = failed.reason
                return False
            return True

    def _read(self, began: float, *, is_whole: bool) -> None:
        count, beat, now = 0, None, 0.0
        for page in self._pages(0.0 if is_whole else self._since - OVERLAP):
            # The earliest, so that nothing that is written meanwhile is passed over.
            now = now or page.now
            count += self._learn(page.documents)
            beat = next((each for each in page.documents if each.name == BEAT), beat)
            self._catch_up()
        self.fresh_until = max(self.fresh_until, began + self._max_lag)
        self.was_read = True
        self.failure = None
        self._since = now
        is_another = self._is_another_store(beat)
        self._keep_alive(beat, now)
        if is_another:
            self._has_lost, self._reconciles_at = True, -math.inf
        elif is_whole:
            self._reconcile(count, now)
            self._reconciles_at = began + RECONCILED_EVERY
        self._write_back()

    def _catch_up(self) -> None:
        """Read what is newest, where a long reading would let the replica grow too old."""
        began = self._clock.monotonic()
        if not self.was_read or began < self.fresh_until - self._pause:
            return
        now = 0.0
        for page in self._pages(self._since - _SHORT_OVERLAP):
            now = now or page.now
            self._learn(page.documents)
        self._since = now
        self.fresh_until = began + self._max_lag

    def _pages(self, since: float) -> Iterator[FoundGroup]:
        after = ""
        while True:
            answer = self._ask(ReadWritten(KIND, since, after, _PAGE))
            if not isinstance(answer, FoundGroup):
                raise _Failed("it has another answer than was asked for")
            yield answer
            if len(answer.documents) < _PAGE:
                return
            since, after = answer.documents[-1].written_at, answer.documents[-1].name

    def _ask(self, statement: AnyStatement) -> AnyAnswer:
        answer: AnyAnswer | StoreFailed
        try:
            answer = self._store.answer(statement, monotonic() + max(self._max_lag, 1.0))
        except Exception as problem:  # noqa: BLE001 - a store of the application may raise its own
            # The text of the error may have a credential.
            answer = StoreFailed(f"it raised {type(problem).__name__}")
        if isinstance(answer, StoreFailed):
            raise _Failed(answer.reason)
        return answer

    def _learn(self, found: Iterable[Document]) -> int:
        entries = [entry for each in found if (entry := entry_of(each)) is not None]
        self._replica.add(entries)
        return len(entries)

    def _is_another_store(self, document: Document | None) -> bool:
        """Return whether the store has lost what this process has seen in it."""
        beat = _beat_of(document)
        known, self._beat = self._beat, beat
        if known is None or beat is None:
            # It was not seen for a minute: after a pause of all processes, or after a loss.
            return known is not None
        return beat[0] != known[0] or beat[1] < known[1]

    def _keep_alive(self, document: Document | None, now: float) -> None:
        """Write the heartbeat, if no process has done so lately."""
        if document is not None and now - document.written_at < _BEATS_EVERY:
            return
        origin, number = _beat_of(document) or (token_hex(8), 0)
        body = json.dumps([origin, number + 1]).encode()
        version = ABSENT if document is None else document.version
        try:
            answer = self._ask(Exchange((Change(KIND, BEAT, version, body),)))
        except _Failed as failed:
            # A store that can only be read is followed all the same.
            self.failure = failed.reason
            return
        if isinstance(answer, Exchanged) and answer.is_done:
            # Otherwise another process was faster, which is as good.
            self._beat = (origin, number + 1)

    def _reconcile(self, count: int, now: float) -> None:
        """Forget what has expired, and give the store back what it has lost.

        :param count: the revocations that were found in the store.
        """
        self._replica.forget_expired(now)
        if not self._has_lost and count >= len(self._replica):
            return
        names: set[str] = set()
        for page in self._pages(0.0):
            names.update(each.name for each in page.documents)
            self._catch_up()
        self._lost = [each for each in self._replica.living(now) if each.name not in names]
        self._has_lost = False
        if self._lost:
            _log.warning(
                "the store lacks %s revocations that this process knows: they are written back",
                len(self._lost),
            )

    def _write_back(self) -> None:
        """Give the store back what it has lost, for a part of the time until the next reading."""
        ends_at = monotonic() + self._pause / 2
        while self._lost and monotonic() < ends_at:
            some = self._lost[:_AT_ONCE]
            answer = self._ask(Exchange(tuple(each.change(ABSENT) for each in some)))
            if isinstance(answer, Exchanged) and not answer.is_done:
                # Other processes write the same back.
                for each in some:
                    self._ask(Exchange((each.change(ABSENT),)))
            self._lost = self._lost[_AT_ONCE:]

    def wait(self) -> bool:
        """Wait until the next reading; return ``False`` if there is none."""
        self._wakes.wait(self._pause)
        return not self._is_closed


class _Failed(Exception):
    """The store did not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Loop:
    """The thread: it ends when its follower has no owner any more."""

    def __init__(self, follower: Follower, first: "Future[None]") -> None:
        self._follower = ref(follower)
        self._first = first

    def __call__(self) -> None:
        try:
            while (follower := self._follower()) is not None:
                follower.read()
                if not self._first.done():
                    self._first.set_result(None)
                if not follower.wait():
                    return
                # Not held while nothing else holds it.
                del follower
        finally:
            if (follower := self._follower()) is not None:
                follower.ended(self._first)
            elif not self._first.done():
                self._first.set_result(None)


def _beat_of(document: Document | None) -> tuple[str, int] | None:
    try:
        members: Any = None if document is None else json.loads(document.body)
    except (ValueError, RecursionError):
        return None
    is_beat = isinstance(members, list) and len(members) == 2 and type(members[1]) is int
    return (str(members[0]), members[1]) if is_beat else None
