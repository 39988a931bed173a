"""Refresh families in a store: each is one document, exchanged only if no process was faster."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

from jwt_middleware.effects import Steps
from jwt_middleware.errors import StoreUnavailable
from jwt_middleware.issuing.families import Family, burnt, from_bytes, to_bytes
from jwt_middleware.logs import log_of
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

_log = log_of("jwt_middleware")

_KIND = "family"
_SUBJECT = "subject"

# An exchange takes milliseconds.
_PATIENCE = 5.0

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

    @property
    def epoch(self) -> int:
        """The epoch of the subject in which it began."""
        return int(self.family.login.get("epoch", 0))

    @property
    def number(self) -> int:
        """Which of the logins of the subject it is."""
        return int(self.family.login.get("number", 0))


@dataclass(frozen=True, slots=True)
class Epoch:
    """How often all logins of a subject were ended; logins that begin meanwhile see it change."""

    number: int
    logins: int
    """How many logins of the subject have begun."""
    version: int


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

    def living(self, subject: str, most: int) -> Steps[tuple[list[Stored], float]]:
        """Return the families of a subject that have not ended, and the store's time.

        :param most: how many the subject may have.
        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read_group(self._store, _KIND, self._group(subject), most + _BEYOND)
        found = _answered(answer, FoundGroup)
        living = []
        for document in found.documents:
            try:
                stored = _stored(document)
            except StoreUnavailable:
                # It must not keep the others from being ended.
                _log.warning("the store has a login that this release cannot read")
                continue
            if found.now < stored.family.newest.expires_at:
                living.append(stored)
        return living, found.now

    def epoch(self, subject: str) -> Steps[tuple[Epoch, float]]:
        """Return the epoch of a subject, and the store's time.

        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read(self._store, _SUBJECT, self._group(subject))
        found = _answered(answer, Found)
        document = found.document
        if document is None:
            return Epoch(0, 0, ABSENT), found.now
        try:
            number, logins = map(int, document.body.split())
        except ValueError:
            raise StoreUnavailable("the store has something else than an epoch") from None
        return Epoch(number, logins, document.version), found.now

    def begin(self, family: Family, epoch: Epoch) -> Steps[bool]:
        """Write a new family; return ``False`` if another began or all were ended meanwhile.

        :raises StoreUnavailable: if the store fails.
        """
        after = replace(epoch, logins=epoch.logins + 1)
        said = {"realm": self.realm, "epoch": epoch.number, "number": after.logins}
        family = replace(family, login={**family.login, **said})
        changes = [
            self._change(family, ABSENT),
            self._epoch_change(family.subject, after, family.ends_at),
        ]
        answer = yield exchange(self._store, changes)
        return _answered(answer, Exchanged).is_done

    def next_epoch(self, subject: str, seconds: float) -> Steps[int]:
        """Begin another epoch of a subject, so that logins under way do not begin; return it.

        :param seconds: how long a login lasts.
        :raises StoreUnavailable: if the store fails.
        """
        for _ in range(MOST_TRIES):
            epoch, now = yield from self.epoch(subject)
            after = replace(epoch, number=epoch.number + 1)
            answer = yield exchange(
                self._store, [self._epoch_change(subject, after, now + seconds)]
            )
            if _answered(answer, Exchanged).is_done:
                return after.number
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

    def _epoch_change(self, subject: str, epoch: Epoch, ends_at: float) -> Change:
        body = f"{epoch.number} {epoch.logins}".encode()
        name, expires_at = self._group(subject), ends_at + _KEPT_FOR
        return Change(_SUBJECT, name, epoch.version, body, expires_at=expires_at)

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


def least_used(found: list[Stored], most: int) -> list[Stored]:
    """Return the families above a number of them, those that were used least recently."""
    by_use = sorted(found, key=lambda each: each.family.last_used_at, reverse=True)
    return by_use[most:][:_MOST_ENDED]
