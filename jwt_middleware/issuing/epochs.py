"""Epochs of subjects: all logins of an earlier one are ended.

To end all logins of a subject begins another epoch. A login that is under way meanwhile does not
begin, and one that was overlooked, because the store's clock was ahead and it seemed expired, is
refused at its next refresh.
"""

import re
from dataclasses import dataclass
from secrets import token_hex

from jwt_middleware.issuing.family import Family

SID = re.compile(r"[0-9a-f]{32}")
"""The id of a family."""

_EPOCH = re.compile(r"(0|[1-9][0-9]{0,14}) ([0-9a-f]{16})")
_DOCUMENT = re.compile(rf"{_EPOCH.pattern}(?: ({SID.pattern}))?")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, as its document says it or as a login remembers it."""

    number: int = 0
    """Greater than those of the epochs before."""
    mark: str = "0" * 16
    """Random, because a store that has lost the document can have its number once more."""
    kept: str | None = None
    """The id of the one family of earlier epochs that goes on."""

    @property
    def name(self) -> str:
        """The epoch as a login remembers it."""
        return f"{self.number} {self.mark}"

    @property
    def body(self) -> bytes:
        """The document of the epoch."""
        return (self.name if self.kept is None else f"{self.name} {self.kept}").encode()

    def following(self, now: float, kept: str | None) -> "Epoch":
        """Return the next epoch.

        Its number is never behind the seconds of the store's clock. So numbers go on upwards if an
        epoch is lost while a login is left, as where the lifetime of logins was shortened.

        :param kept: the id of the family that goes on.
        """
        is_id = kept is not None and SID.fullmatch(kept)
        return Epoch(max(self.number + 1, int(now)), token_hex(8), kept if is_id else None)

    def has_ended(self, family: Family) -> bool:
        """Return whether a family was ended when this epoch began."""
        begun = named(family.login["epoch"])
        if family.sid == self.kept or begun.mark == self.mark:
            return False
        return begun.number <= self.number


def of_document(body: bytes) -> Epoch:
    """Return the epoch of a document.

    :raises ValueError: if it is not one that this version writes.
    """
    found = _DOCUMENT.fullmatch(body.decode("ascii"))
    if found is None:
        raise ValueError("not an epoch")
    return Epoch(int(found[1]), found[2], found[3])


def named(name: object) -> Epoch:
    """Return the epoch that a login remembers.

    :raises ValueError: if it is not one that this version writes.
    """
    found = _EPOCH.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError("not the name of an epoch")
    return Epoch(int(found[1]), found[2])
