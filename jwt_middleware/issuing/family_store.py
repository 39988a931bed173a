"""Refresh families in a store: each is one document, exchanged only if no process was faster."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from jwt_middleware.effects import Steps
from jwt_middleware.errors import StoreUnavailable
from jwt_middleware.issuing.families import Family, burnt, from_bytes, to_bytes
from jwt_middleware.stores.contract import (
    ABSENT,
    Change,
    Document,
    Exchanged,
    Found,
    FoundGroup,
    Store,
    exchange,
    read,
    read_group,
)

_KIND = "family"

# After the last token of a family has expired, it is kept for a while, so that clocks that differ
# a little tell the same of a token.
_KEPT_FOR = 3_600.0

# A subject has seldom more logins than it may have. Those above are ended by later logins.
_BEYOND = 1_000

# Each process that writes first makes another one read again, and then there is nothing to write.
MOST_TRIES = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """A family as it was read."""

    family: Family
    version: int


class FamilyStore:
    """The families of one issuer."""

    def __init__(self, store: Store, issuer: str) -> None:
        self._store = store
        self._issuer = issuer

    def find(self, sid: str) -> Steps[tuple[Stored | None, float]]:
        """Return a family, and the store's time in POSIX seconds.

        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read(self._store, _KIND, sid)
        found = _answered(answer, Found)
        return None if found.document is None else _stored(found.document), found.now

    def living(self, subject: str, most: int) -> Steps[tuple[list[Stored], float]]:
        """Return the families of a subject that have not ended, and the store's time.

        :param most: how many the subject may have.
        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read_group(self._store, _KIND, self._group(subject), most + _BEYOND)
        found = _answered(answer, FoundGroup)
        every = map(_stored, found.documents)
        return [each for each in every if found.now < each.family.newest.expires_at], found.now

    def write(self, changes: Iterable[tuple[Family, int]]) -> Steps[bool]:
        """Write families all or none; return whether no other process was faster.

        :param changes: the families, with the versions that were read.
        :raises StoreUnavailable: if the store fails.
        """
        answer = yield exchange(self._store, [self._change(*each) for each in changes])
        return _answered(answer, Exchanged).is_done

    def end(self, sid: str, because: str) -> Steps[Family | None]:
        """End a family; return it if it had not ended before.

        :raises StoreUnavailable: if the store fails.
        """
        for _ in range(MOST_TRIES):
            stored, now = yield from self.find(sid)
            if stored is None:
                return None
            after = burnt(stored.family, now, because)
            if after is stored.family:
                return None
            if (yield from self.write([(after, stored.version)])):
                return after
        raise too_many()

    def _change(self, family: Family, version: int) -> Change:
        # A family that has ended is in no group, so that those of a subject stay few.
        group = self._group(family.subject) if family.burnt_at is None else None
        # No token of a family expires later than its newest.
        expires_at = family.newest.expires_at + _KEPT_FOR
        return Change(_KIND, family.sid, version, to_bytes(family), group, expires_at)

    def _group(self, subject: str) -> str:
        # A subject may be longer than the name of a group, and other issuers may have the same.
        return sha256(f"{self._issuer}\0{subject}".encode()).hexdigest()


NEW = ABSENT
"""The version of a family that begins."""


def _stored(document: Document) -> Stored:
    try:
        return Stored(from_bytes(document.body), document.version)
    except ValueError:
        raise StoreUnavailable("the store has something else than a login under its id") from None


def _answered(answer: object, kind: type[T]) -> T:
    if isinstance(answer, kind):
        return answer
    reason = getattr(answer, "reason", "an unknown answer")
    raise StoreUnavailable(f"the store of logins: {reason}")


def too_many() -> StoreUnavailable:
    """Return the refusal where every try was overtaken by other processes."""
    return StoreUnavailable("a login is written to by too many processes at once")
