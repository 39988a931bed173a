"""Families as a store has them: checked when they are read, and in the order in which they end."""

from dataclasses import dataclass
from typing import Any

from jwt_middleware.issuing import epochs
from jwt_middleware.issuing.families import Family, from_bytes
from jwt_middleware.issuing.token_pair import GREATEST
from jwt_middleware.stores.contract import Document

# The most logins that end for another one to begin, where the limit was lowered.
_MOST_ENDED = 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A family as it was read."""

    family: Family
    version: int

    @property
    def order(self) -> tuple[int, str]:
        """What puts the logins of a subject in an order, also those that began at once."""
        return self.family.login["number"], self.family.sid


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
        highest: int = max((each.order[0] for each in self.living), default=0)
        return min(highest + 1, GREATEST)

    @property
    def used_at(self) -> float:
        """POSIX seconds of the latest use of any of them."""
        return max((each.family.last_used_at for each in self.living), default=0.0)


def stored(document: Document) -> Stored:
    """Return the family of a document.

    :raises ValueError: if the document is not one that this version writes.
    """
    family = from_bytes(document.body)
    if family.sid != document.name:
        raise ValueError("a family is stored under the id of another one")
    if type(family.login.get("realm")) is not str:
        raise ValueError("a family does not say whose it is")
    if family.burnt_at is None:
        _check_login(family.login)
    return Stored(family, document.version)


def _check_login(login: Any) -> None:
    """Check what the steps of a login rely on. All of it was written by this package.

    :raises ValueError: if it cannot have been.
    """
    epochs.named(login.get("epoch"))
    number = login.get("number")
    if type(number) is not int or not 0 <= number <= GREATEST:
        raise ValueError("number of a login must be a whole number")
    if type(login.get("claims")) is not dict:
        raise ValueError("claims of a login must be an object")
    for name in ("acr", "client_id", "csrf"):
        if type(login.get(name, "")) is not str:
            raise ValueError(f"{name} of a login must be text")
    methods = login.get("amr", [])
    if type(methods) is not list or any(type(each) is not str for each in methods):
        raise ValueError("amr of a login must be texts")
    at = login.get("auth_time", 0)
    if type(at) is not int or not 0 <= at < GREATEST:
        raise ValueError("auth_time of a login must be whole seconds")


def displaced(found: list[Stored], most: int) -> list[Stored]:
    """Return the families that end, if a subject may have so many: those used least recently.

    All that choose at once choose by this order. It only changes where a family is used, and one
    that was used since is not ended: its version is another one then.
    """
    by_use = sorted(found, key=lambda each: (each.family.last_used_at, each.order))
    return by_use[: max(0, len(found) - most)][:_MOST_ENDED]
