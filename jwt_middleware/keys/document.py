"""Parses key sets from the network. Any bytes give a key set or :class:`Rejected`."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.crypto.pem import import_pem
from jwt_middleware.evidence import quoted

# A key set is three levels deep. The JSON parser recurses, so deeper values are cut out first.
MAX_DEPTH = 16

# Skipped members are reported one by one up to this number, because a document of 100,000 empty
# objects fits into the size limit and must not become 100,000 log lines.
MAX_SKIPPED = 100

# A whole string, or a bracket outside of strings. An unterminated string matches up to the end of
# the text, because searching for its end again from each later quote would take minutes.
_MARK = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class Rejected(Exception):
    """A response is not a usable document. ``reason`` is safe to log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Skipped:
    """A member of a key set that cannot verify tokens."""

    kid: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a document, and the members that were skipped."""

    keys: tuple[VerificationKey, ...]
    imported: Mapping[bytes, VerificationKey]
    """The keys by the digest of the member that they were read from."""
    skipped: tuple[Skipped, ...]
    is_empty: bool
    """Whether the document is well-formed and has no members."""


def read_key_set(
    body: bytes,
    max_keys: int,
    known: Mapping[bytes, VerificationKey] | None = None,
    *,
    may_lack_keys: bool = False,
) -> KeySet:
    """Parse a JWK Set (RFC 7517 §5) or a map from key id to certificate or public key, as PEM.

    A bad member does not affect the others (RFC 7517 §5: unknown members are ignored).

    :param max_keys: the most usable keys to keep.
    :param known: keys that were imported before; an unchanged member keeps its key object.
    :param may_lack_keys: whether to accept a set without usable keys, as after all keys were
        withdrawn.
    :raises Rejected: if the document is neither, or has members and no usable key.
    """
    document = read_json_object(body)
    members = [] if may_lack_keys and not document else list(_members(document))
    reading = _Reading(max_keys, known or {})
    for member in members:
        reading.take(member)
    if members and not reading.imported and not may_lack_keys:
        raise Rejected(f"no usable key: {_first_of(reading.skipped)}")
    return KeySet(
        tuple(reading.imported.values()),
        reading.imported,
        tuple(reading.skipped[:MAX_SKIPPED]),
        is_empty=not members,
    )


def _first_of(skipped: list[Skipped]) -> str:
    first = skipped[0]
    name = "" if first.kid is None else f" {quoted(first.kid)}"
    others = f", and {len(skipped) - 1} more" if len(skipped) > 1 else ""
    return f"the first member{name} was skipped ({first.reason}){others}"


def without_members(body: bytes, is_unwanted: Callable[[VerificationKey], bool]) -> bytes:
    """Return a key set without the members whose key ``is_unwanted``.

    :raises Rejected: if ``body`` is not a key set.
    """
    document = read_json_object(body)
    members = list(_members(document))
    kept = [member for member in members if not _holds(member, is_unwanted)]
    if len(kept) == len(members):
        return body
    is_set = isinstance(document.get("keys"), list)
    changed = {**document, "keys": kept} if is_set else dict(cast("list[tuple[str, str]]", kept))
    return json.dumps(changed).encode()


def _holds(member: object, is_unwanted: Callable[[VerificationKey], bool]) -> bool:
    try:
        return is_unwanted(_import(member))
    except UnusableKey:
        return False


class _Reading:
    """Imports the members of one document, one by one."""

    def __init__(self, max_keys: int, known: Mapping[bytes, VerificationKey]) -> None:
        self.imported: dict[bytes, VerificationKey] = {}
        self.skipped: list[Skipped] = []
        self._max_keys = max_keys
        self._known = known

    def take(self, member: object) -> None:
        try:
            digest = _digest(member)
            key = self._known.get(digest) or _import(member)
        except UnusableKey as unusable:
            self.skipped.append(Skipped(unusable.kid, unusable.reason))
            return
        # The limit is checked after the import, so that useless members displace no usable key.
        if len(self.imported) < self._max_keys:
            self.imported[digest] = key
        else:
            self.skipped.append(Skipped(key.kid, "too_many_keys"))


def _digest(member: object) -> bytes:
    return sha256(json.dumps(member, sort_keys=True).encode()).digest()


def _import(member: object) -> VerificationKey:
    if isinstance(member, tuple):
        kid, pem = member
        return import_pem(pem.encode("utf-8", "replace"), kid=kid, published=True)
    return import_jwk(member)


def _members(document: Mapping[str, Any]) -> Iterable[object]:
    keys = document.get("keys")
    if isinstance(keys, list):
        return keys
    if document and all(_is_pem(value) for value in document.values()):
        return document.items()
    raise Rejected("not a key set")


def _is_pem(value: object) -> bool:
    return isinstance(value, str) and any(mark in value for mark in _PEM_MARKS)


_PEM_MARKS = ("-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----")


def read_json_object(body: bytes) -> dict[str, Any]:
    """Parse a body as a JSON object. A leading byte order mark is ignored.

    :raises Rejected: if the body is anything else.
    """
    try:
        text = body.decode("utf-8-sig")
        # Of members with the same name the last counts, as RFC 7517 §4 allows, so that one odd key
        # does not invalidate a set.
        value = json.loads(_pruned(text), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Rejected("not JSON") from None
    if not isinstance(value, dict):
        raise Rejected("not a JSON object")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _pruned(text: str) -> str:
    """Return the text with ``null`` in place of each value that is nested too deeply."""
    kept: list[str] = []
    depth = end = 0
    for mark in _MARK.finditer(text):
        if mark[0] in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += text[end : mark.start()], "null"
        elif mark[0] in "]}":
            if depth == MAX_DEPTH + 1:
                end = mark.end()
            depth -= 1
    return "".join((*kept, text[end:]))
