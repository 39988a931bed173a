"""What is revoked: a token, a session, the earlier tokens of a subject, or a key.

An entry is a document of a store. Its name is a digest, so that a revocation that is made twice is
one document, and the longest ``jti`` has a name.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, TypeAlias, cast, get_args

from jwt_middleware.checks import is_number
from jwt_middleware.stores.contract import Change, Document

KIND = "revocation"
"""The kind of the documents."""

What: TypeAlias = Literal["token", "session", "subject", "key", "digest"]
"""What an entry names: a ``jti``, a ``sid``, a subject, a key id, or a token without ``jti``."""

_KINDS = frozenset(get_args(What))


@dataclass(frozen=True, slots=True)
class Entry:
    """One revocation."""

    issuer: str | None
    what: What
    value: str
    """The ``jti``, ``sid``, subject or key id; for a token without ``jti`` the SHA-256 of its
    signing input, in hex."""
    until: float = math.inf
    """POSIX seconds until which it matters: then all tokens that it names have expired."""
    before: int = 0
    """For a subject: tokens that were issued in this second or earlier are revoked."""

    @property
    def name(self) -> str:
        """The name of its document."""
        return name_of(self.issuer, self.what, self.value)

    def joined(self, other: "Entry") -> "Entry":
        """Return what both of two entries of one name revoke."""
        return replace(
            self, until=max(self.until, other.until), before=max(self.before, other.before)
        )

    def change(self, expected: int) -> Change:
        """Return the change that writes it.

        :param expected: the version that was read.
        """
        has_end = not math.isinf(self.until)
        members = {
            "issuer": self.issuer,
            "what": self.what,
            "value": self.value,
            "before": self.before,
            "until": self.until if has_end else None,
        }
        body = json.dumps(members).encode()
        end = self.until if has_end else None
        return Change(KIND, self.name, expected, body, expires_at=end)


def was_issued_by(claims: Mapping[str, Any], before: int) -> bool:
    """Return whether a token was issued in a second or earlier; one without ``iat`` was."""
    issued_at = claims.get("iat")
    # ``iat`` may have a fraction, and of one second all are meant.
    return not is_number(issued_at) or issued_at < before + 1


def name_of(issuer: str | None, what: What, value: str) -> str:
    """Return the name of the document that revokes something."""
    return sha256(json.dumps([issuer, what, value]).encode()).hexdigest()


def entry_of(document: Document) -> Entry | None:
    """Return the entry of a document; ``None`` for one that a later release has written."""
    try:
        members: Any = json.loads(document.body)
    except (ValueError, RecursionError):
        return None
    return _checked(members) if isinstance(members, Mapping) else None


def _checked(members: Mapping[str, Any]) -> Entry | None:
    issuer, value = members.get("issuer"), members.get("value")
    what: Any = members.get("what")
    until, before = members.get("until"), members.get("before", 0)
    if not (issuer is None or isinstance(issuer, str)) or not isinstance(value, str):
        return None
    if not isinstance(what, str) or what not in _KINDS:
        return None
    if not (until is None or is_number(until)) or not is_number(before):
        return None
    # From the table of kinds.
    return Entry(
        issuer, cast("What", what), value, math.inf if until is None else float(until), int(before)
    )
