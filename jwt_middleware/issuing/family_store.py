"""Refresh families in a store: each is one document, exchanged only if no process was faster."""

import json
import re
from dataclasses import dataclass, replace
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
    Unchanged,
    exchange,
    read,
    read_group,
)

_KIND = "family"
_SID = re.compile(r"[0-9a-f]{32}")
_SUBJECT = "subject"

# An exchange takes milliseconds.
_PATIENCE = 5.0

# After the last token of a family has expired, it is kept for a while, so that clocks that differ
# a little tell the same of a token.
_KEPT_FOR = 3_600.0

# Logins of a subject are read so many at a time.
_PAGE = 500

# Each process that writes first makes another one read again, and then there is nothing to write.
MOST_TRIES = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """A family as it was read."""

    family: Family
    version: int

    @property
    def epoch(self) -> int:
        """The epoch of the subject in which it began."""
        return int(self.family.login.get("epoch", 0))

    @property
    def order(self) -> tuple[int, str]:
        """What puts the logins of a subject in an order, also those that began at once."""
        return int(self.family.login.get("number", 0)), self.family.sid


@dataclass(frozen=True, slots=True)
class Logins:
    """The logins of a subject that have not ended."""

    living: list[Stored]
    unreadable: list[Document]
    """Those that this release cannot read, such as one that a later release has written."""
    now: float
    """POSIX seconds: the store's time."""

    @property
    def next_number(self) -> int:
        """The number of a login that begins now: logins at once have the same."""
        return max((each.order[0] for each in self.living), default=0) + 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """Changes when all logins of a subject are ended; a login that begins meanwhile sees it."""

    number: int
    version: int

    def following(self, now: float) -> int:
        """Return the number of the next epoch.

        It is never behind the seconds of the store's clock. So numbers go on upwards if an epoch is
        lost while a login is left, as where the lifetime of logins was shortened.
        """
        return max(self.number + 1, int(now))


class FamilyStore:
    """The families of one issuer and audience."""

    def __init__(self, store: Store, issuer: str, audience: str | list[str]) -> None:
        self._store = store
        # Families of another service in the same store are not known here, so that its refresh
        # tokens give no access to this one.
        self.realm = sha256(json.dumps([issuer, audience]).encode()).hexdigest()
        """What the families have in common."""

    def find(self, sid: str) -> Steps[tuple[Stored | None, float]]:
        """Return a family, and the store's time in POSIX seconds.

        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read(self._store, _KIND, sid)
        found = _answered(answer, Found)
        stored = None if found.document is None else _stored(found.document)
        if stored is not None and stored.family.login.get("realm") != self.realm:
            stored = None
        return stored, found.now

    def logins(self, subject: str) -> Steps[Logins]:
        """Return the logins of a subject that have not ended.

        :raises StoreUnavailable: if the store fails.
        """
        living: list[Stored] = []
        unreadable: list[Document] = []
        after = ""
        while True:
            query = read_group(self._store, _KIND, self._group(subject), _PAGE, after)
            found = _answered((yield query), FoundGroup)
            for document in found.documents:
                try:
                    living.append(_stored(document))
                except StoreUnavailable:
                    unreadable.append(document)
            living = [each for each in living if found.now < each.family.newest.expires_at]
            if len(found.documents) < _PAGE:
                return Logins(living, unreadable, found.now)
            after = found.documents[-1].name

    def delete(self, document: Document) -> Steps[None]:
        """Delete a login that cannot be read, unless it was written since.

        :raises StoreUnavailable: if the store fails.
        """
        change = Change(_KIND, document.name, document.version, None)
        _answered((yield exchange(self._store, [change])), Exchanged)

    def epoch(self, subject: str) -> Steps[tuple[Epoch, float]]:
        """Return the epoch of a subject, and the store's time.

        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read(self._store, _SUBJECT, self._group(subject))
        found = _answered(answer, Found)
        document = found.document
        if document is None:
            return Epoch(0, ABSENT), found.now
        try:
            return Epoch(int(document.body), document.version), found.now
        except ValueError:
            raise StoreUnavailable("the store has something else than an epoch") from None

    def begin(self, family: Family, epoch: Epoch, number: int) -> Steps[bool]:
        """Write a new family; return ``False`` if all of its subject were ended meanwhile.

        :param number: its place among the logins of the subject.
        :raises StoreUnavailable: if the store fails.
        """
        said = {"realm": self.realm, "epoch": epoch.number, "number": number}
        family = replace(family, login={**family.login, **said})
        # Only looked at, so that the logins of a subject do not wait for each other.
        same = Unchanged(_SUBJECT, self._group(family.subject), epoch.version)
        changes = [self._change(family, ABSENT)]
        answer = yield exchange(self._store, changes, unchanged=[same])
        return _answered(answer, Exchanged).is_done

    def next_epoch(self, subject: str, seconds: float) -> Steps[int]:
        """Begin another epoch of a subject, so that logins under way do not begin; return it.

        :param seconds: how long a login lasts.
        :raises StoreUnavailable: if the store fails.
        """
        name = self._group(subject)
        for _ in range(MOST_TRIES):
            epoch, now = yield from self.epoch(subject)
            number, expires_at = epoch.following(now), now + seconds + _KEPT_FOR
            body = str(number).encode()
            change = Change(_SUBJECT, name, epoch.version, body, expires_at=expires_at)
            answer = yield exchange(self._store, [change])
            if _answered(answer, Exchanged).is_done:
                return number
        raise too_many()

    def exchange(self, family: Family, version: int, seconds: float) -> Steps[bool]:
        """Write a family; return whether no other process was faster.

        :param version: the version that was read.
        :param seconds: the most seconds that the store may take.
        :raises StoreUnavailable: if the store fails.
        """
        answer = yield exchange(self._store, [self._change(family, version)], seconds)
        return _answered(answer, Exchanged).is_done

    def end(self, sid: str, because: str) -> Steps[Family | None]:
        """End a family; return it if it had not ended before.

        :raises StoreUnavailable: if the store fails.
        """
        if not _SID.fullmatch(sid):
            return None
        for _ in range(MOST_TRIES):
            stored, now = yield from self.find(sid)
            if stored is None:
                return None
            after = burnt(stored.family, now, because)
            if after is stored.family:
                return None
            if (yield from self.exchange(after, stored.version, _PATIENCE)):
                return after
        raise too_many()

    def end_some(self, found: list[Stored], now: float, because: str) -> Steps[list[Family]]:
        """End families that were read; return those that had not ended before.

        They end in one exchange, which takes no longer than that of one family does.

        :raises StoreUnavailable: if the store fails.
        """
        after = [replace(each, family=burnt(each.family, now, because)) for each in found]
        changes = [self._change(each.family, each.version) for each in after]
        answer = yield exchange(self._store, changes)
        if _answered(answer, Exchanged).is_done:
            return [each.family for each in after]
        # One of them was written to since.
        ended: list[Family] = []
        for each in found:
            family = yield from self.end(each.family.sid, because)
            ended += [] if family is None else [family]
        return ended

    def _change(self, family: Family, version: int) -> Change:
        if family.burnt_at is None:
            # No token of a family expires later than its newest.
            ends_at, group = family.newest.expires_at, self._group(family.subject)
        else:
            # It is only kept to say why its tokens are refused, and is in no group, so that those
            # of a subject stay few.
            ends_at, group = min(family.burnt_at, family.newest.expires_at), None
            family = replace(family, login={"realm": self.realm}, device={})
        return Change(_KIND, family.sid, version, to_bytes(family), group, ends_at + _KEPT_FOR)

    def _group(self, subject: str) -> str:
        # A subject may be longer than the name of a group.
        return sha256(f"{self.realm}\0{subject}".encode()).hexdigest()


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


# The most logins that end for another one to begin, where the limit was lowered.
_MOST_ENDED = 20


def displaced(found: list[Stored], own: tuple[int, str], most: int) -> list[str]:
    """Return the ids of the families that a new one displaces, if a subject may have so many.

    They are those that were used least recently. Of two logins at once only the later one
    displaces the other, or both could end.

    :param own: the order of the new family.
    """
    earlier = [each for each in found if each.order < own]
    earlier.sort(key=lambda each: (each.family.last_used_at, each.order))
    # Itself, where all that are too many began after it.
    ids = [*(each.family.sid for each in earlier), own[1]]
    return ids[: max(0, len(found) - most)][:_MOST_ENDED]
