"""The revocations in the memory of one process, read by requests without a lock.

What was learnt is never unlearnt because a store lacks it: an entry goes when all tokens that it
names have expired, and not before.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.revocation.entries import Entry, What, was_issued_by

_Facts = tuple[float, int]


class _OfIssuer:
    """The revocations of one issuer, by what they name."""

    __slots__ = ("digest", "key", "session", "subject", "token")

    def __init__(self) -> None:
        # Each value is the end of an entry. Ends of the same second share one object.
        self.token: dict[str, float] = {}
        self.session: dict[str, float] = {}
        self.key: dict[str, float] = {}
        self.digest: dict[str, float] = {}
        self.subject: dict[str, _Facts] = {}


class Replica:
    """Every revocation that this process knows."""

    def __init__(self) -> None:
        self.version = 1
        """Changes with each revocation that is new. It is never 0."""
        self._issuers: dict[str | None, _OfIssuer] = {}
        self._count = 0
        self._ends: dict[int, float] = {}
        self._listeners: set[Callable[[], None]] = set()
        self._lock = TinyLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Renew the lock in a forked child. Each change of a table is one step of Python."""
        self._lock = TinyLock()
        # Another thread may have learnt an entry, and not yet said so.
        self.version += 1
        # The sockets of the parent are not the child's.
        self._listeners = set()
        self._count = sum(1 for _ in self.living(-math.inf))

    def __len__(self) -> int:
        return self._count

    def revokes(
        self, issuer: str | None, subject: str | None, claims: Mapping[str, Any], kid: str | None
    ) -> What | None:
        """Return what of a token is revoked; ``None`` if nothing is.

        A token may be known by its digest too: see :meth:`needs_digest`.
        """
        known = self._issuers.get(issuer)
        if known is None:
            return None
        if known.token and _is_in(known.token, claims.get("jti")):
            return "token"
        if known.session and _is_in(known.session, claims.get("sid")):
            return "session"
        facts = known.subject.get(subject) if subject is not None else None
        if facts is not None and was_issued_by(claims, facts[1]):
            return "subject"
        return "key" if kid is not None and kid in known.key else None

    def needs_digest(self, issuer: str | None) -> bool:
        """Return whether any token of an issuer is revoked by its text."""
        known = self._issuers.get(issuer)
        return known is not None and bool(known.digest)

    def has_digest(self, issuer: str | None, digest: str) -> bool:
        """Return whether the token of a digest is revoked."""
        known = self._issuers.get(issuer)
        return known is not None and digest in known.digest

    def add(self, entries: Iterable[Entry]) -> None:
        """Learn revocations, as one change of the version."""
        with self._lock:
            # Not any() over a generator: each entry must be learnt.
            is_new = sum([self._learn(each) for each in entries]) > 0
            # Last, so that who has seen this version has seen the entries.
            self.version += is_new
            listeners = tuple(self._listeners) if is_new else ()
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each change of the version; return what ends that.

        :param listener: called on any thread. It neither waits nor raises.
        """
        with self._lock:
            self._listeners.add(listener)
        return partial(self._listeners.discard, listener)

    def _learn(self, entry: Entry) -> bool:
        known = self._issuers.get(entry.issuer)
        if known is None:
            known = self._issuers[entry.issuer] = _OfIssuer()
        end = self._shared(entry.until)
        if entry.what == "subject":
            until, before = known.subject.get(entry.value, (-math.inf, -1))
            is_new = entry.before > before or end > until
            if is_new:
                self._count += before == -1
                known.subject[entry.value] = (max(end, until), max(entry.before, before))
            return is_new
        table: dict[str, float] = getattr(known, entry.what)
        held = table.get(entry.value)
        if held is not None and held >= end:
            return False
        self._count += held is None
        table[entry.value] = end
        # One that only ends later revokes nothing more.
        return held is None

    def _shared(self, end: float) -> float:
        if math.isinf(end):
            return end
        second = math.ceil(end)
        if len(self._ends) > 100_000:
            self._ends.clear()
        return self._ends.setdefault(second, float(second))

    def forget_expired(self, now: float) -> None:
        """Forget what names expired tokens alone.

        :param now: POSIX seconds.
        """
        for entry in [each for each in self.living(-math.inf) if each.until <= now]:
            with self._lock:
                self._forget(entry, now)

    def _forget(self, entry: Entry, now: float) -> None:
        known = self._issuers[entry.issuer]
        table: dict[str, Any] = getattr(known, entry.what)
        held = table.get(entry.value)
        until = held[0] if isinstance(held, tuple) else held
        # It may have been prolonged since.
        if until is not None and until <= now:
            del table[entry.value]
            self._count -= 1

    def living(self, now: float) -> Iterator[Entry]:
        """Yield the entries that matter.

        :param now: POSIX seconds.
        """
        for issuer, known in list(self._issuers.items()):
            for value, (until, before) in list(known.subject.items()):
                if until > now:
                    yield Entry(issuer, "subject", value, until, before)
            tables: dict[What, dict[str, float]] = {
                "token": known.token,
                "session": known.session,
                "key": known.key,
                "digest": known.digest,
            }
            for what, table in tables.items():
                # A copy, because requests of this process revoke meanwhile.
                for value, until in list(table.items()):
                    if until > now:
                        yield Entry(issuer, what, value, until)


def _is_in(table: Mapping[str, object], claim: object) -> bool:
    # A claim may have any type, and not every value can be looked up.
    return isinstance(claim, str) and claim in table
