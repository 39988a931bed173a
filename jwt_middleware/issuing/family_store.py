"""Refresh families in a store: each is one document, exchanged only if no process was faster."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

from jwt_middleware.effects import Steps
from jwt_middleware.errors import ConfigurationError, StoreUnavailable
from jwt_middleware.issuing import epochs
from jwt_middleware.issuing.epochs import SID, Epoch
from jwt_middleware.issuing.families import UNKNOWN, Family, burnt, to_bytes, unknown
from jwt_middleware.issuing.stored_family import Logins, Stored, stored
from jwt_middleware.stores.contract import (
    ABSENT,
    Change,
    Document,
    Exchanged,
    Found,
    FoundGroup,
    FoundSome,
    Store,
    Unchanged,
    exchange,
    read,
    read_group,
    read_some,
)

_KIND = "family"
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
class Answer:
    """What a store has under the id of a family."""

    stored: Stored | None
    """``None`` if there is none, or that of another service."""
    is_absent: bool
    epoch: Epoch
    """The epoch of the subject."""
    now: float
    """POSIX seconds: the store's time."""


class FamilyStore:
    """The families of one issuer and audience."""

    def __init__(self, store: Store, issuer: str, audience: str | list[str]) -> None:
        self._store = store
        # Families of another service in the same store are not known here, so that its refresh
        # tokens give no access to this one.
        self.realm = sha256(json.dumps([issuer, audience]).encode()).hexdigest()
        """What the families have in common."""

    def find(self, sid: str, subject: str) -> Steps[Answer]:
        """Return what the store has of a family, and of the epoch of its subject.

        :param subject: empty if only the family is asked for.
        :raises StoreUnavailable: if the store fails.
        """
        keys = [(_KIND, sid), *([(_SUBJECT, self._group(subject))] if subject else [])]
        answer = yield read_some(self._store, keys)
        found = _answered(answer, FoundSome)
        document, *of_subject = found.documents
        known = None if document is None else _stored(document, subject)
        if known is not None and known.family.login["realm"] != self.realm:
            known = None
        epoch = _epoch(of_subject[0]) if of_subject else Epoch()
        return Answer(known, document is None, epoch, found.now)

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
                    living.append(stored(document))
                except ValueError:
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

    def epoch(self, subject: str) -> Steps[tuple[Epoch, int, float]]:
        """Return the epoch of a subject, the version of its document, and the store's time.

        :raises StoreUnavailable: if the store fails.
        """
        answer = yield read(self._store, _SUBJECT, self._group(subject))
        found = _answered(answer, Found)
        version = ABSENT if found.document is None else found.document.version
        return _epoch(found.document), version, found.now

    def begin(self, family: Family, epoch: Epoch, version: int, number: int) -> Steps[bool]:
        """Write a new family; return ``False`` if all of its subject were ended meanwhile.

        :param version: the version of the document of the epoch.
        :param number: its place among the logins of the subject.
        :raises StoreUnavailable: if the store fails.
        """
        said = {"realm": self.realm, "epoch": epoch.name, "number": number}
        family = replace(family, login={**family.login, **said})
        # Only looked at, so that the logins of a subject do not wait for each other.
        same = Unchanged(_SUBJECT, self._group(family.subject), version)
        changes = [self._change(family, ABSENT)]
        answer = yield exchange(self._store, changes, unchanged=[same])
        return _answered(answer, Exchanged).is_done

    def next_epoch(self, subject: str, seconds: float, kept: str | None) -> Steps[Epoch]:
        """Begin another epoch of a subject, so that logins under way do not begin; return it.

        :param seconds: how long a login lasts.
        :param kept: the id of the family that goes on.
        :raises StoreUnavailable: if the store fails.
        """
        name = self._group(subject)
        for _ in range(MOST_TRIES):
            epoch, version, now = yield from self.epoch(subject)
            following, expires_at = epoch.following(now, kept), now + seconds + _KEPT_FOR
            change = Change(_SUBJECT, name, version, following.body, expires_at=expires_at)
            answer = yield exchange(self._store, [change])
            if _answered(answer, Exchanged).is_done:
                return following
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
        if not isinstance(sid, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"revoke_family({type(sid).__name__}) must be given the sid of a login: see "
                "families()"
            )
        if not SID.fullmatch(sid):
            return None
        for _ in range(MOST_TRIES):
            found = yield from self.find(sid, "")
            known = found.stored
            if known is None and not found.is_absent:
                return None
            if known is None:
                # Where the clock of the store is ahead, a login may only seem to have expired.
                known = Stored(unknown(sid, found.now), ABSENT)
            after = burnt(known.family, found.now, because)
            if after is known.family:
                return None
            if (yield from self.exchange(after, known.version, _PATIENCE)):
                return None if found.is_absent else after
        raise too_many()

    def end_unchanged(self, found: list[Stored], now: float, because: str) -> Steps[list[Family]]:
        """End families in one exchange; return them, or none if one was written to since.

        It takes no longer than to end one.

        :raises StoreUnavailable: if the store fails.
        """
        after = [replace(each, family=burnt(each.family, now, because)) for each in found]
        changes = [self._change(each.family, each.version) for each in after]
        answer = yield exchange(self._store, changes)
        is_done = _answered(answer, Exchanged).is_done
        return [each.family for each in after] if is_done else []

    def end_some(self, found: list[Stored], now: float, because: str) -> Steps[list[Family]]:
        """End families that were read; return those that had not ended before.

        :raises StoreUnavailable: if the store fails.
        """
        ended = yield from self.end_unchanged(found, now, because)
        if ended:
            return ended
        # One of them was written to since.
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


def _stored(document: Document, subject: str) -> Stored:
    with suppress(ValueError):
        known = stored(document)
        if not subject or known.family.subject in {subject, UNKNOWN}:
            return known
    # Outside of a handler, so that the error has no context with the document.
    raise StoreUnavailable("the store has something else than a login under its id")


def _epoch(document: Document | None) -> Epoch:
    if document is None:
        return Epoch()
    with suppress(ValueError):
        return epochs.of_document(document.body)
    raise StoreUnavailable("the store has something else than an epoch")


def _answered(answer: object, kind: type[T]) -> T:
    if isinstance(answer, kind):
        return answer
    reason = getattr(answer, "reason", "an unknown answer")
    raise StoreUnavailable(f"the store of logins: {reason}")


def too_many() -> StoreUnavailable:
    """Return the refusal where every try was overtaken by other processes."""
    return StoreUnavailable("a login is written to by too many processes at once")
