"""What a statement must keep to, so that one store accepts exactly what another accepts."""

import math
import re
from collections.abc import Iterator
from time import monotonic

from jwt_middleware.checks import is_number
from jwt_middleware.stores.contract import (
    AnyStatement,
    Change,
    Exchange,
    Read,
    ReadGroup,
    ReadSome,
    ReadWritten,
    StoreFailed,
)

MOST_BYTES = 1_048_576
"""The longest body of a document."""

MOST_KEYS = 16
"""The most documents that are read by their names in one step."""

MOST_OF_PAGE = 1_000_000
"""The most documents of one page."""

# POSIX seconds. Some stores have a number above this in the place of no end.
_END_OF_TIME = 1e15

_KIND = re.compile(r"[A-Za-z0-9_]{1,64}")
_NAME = re.compile(r"[ -~]{1,255}")
# A group may be a subject, which is any text. A server cannot store NUL or half a surrogate pair.
_GROUP = re.compile(r"[^\0\ud800-\udfff]{1,255}")
# What SQL calls a bigint.
_LAST_VERSION = 2**63 - 2


def objection(statement: AnyStatement, deadline: float) -> StoreFailed | None:
    """Return why a statement cannot be performed at all; ``None`` if it can be tried.

    :param deadline: an instant of ``time.monotonic``. A statement is not begun after it.
    """
    for problem in _problems(statement):
        return StoreFailed(f"the statement is not one that a store can perform: {problem}")
    if not is_number(deadline) and deadline != math.inf:
        return StoreFailed("the deadline of the statement is not a time")
    if monotonic() >= deadline:
        return StoreFailed("the time for the statement had passed before it could begin")
    return None


def _problems(statement: AnyStatement) -> Iterator[str]:
    """Yield what is wrong. The values are left out, because they may be those of users."""
    match statement:
        case Exchange():
            yield from _problems_of_exchange(statement)
        case Read():
            yield from _problems_of_key(statement.kind, statement.name)
        case ReadSome():
            if len(statement.keys) > MOST_KEYS:
                yield f"it reads more than {MOST_KEYS} documents"
            for kind, name in statement.keys:
                yield from _problems_of_key(kind, name)
        case ReadGroup():
            yield from _problems_of_group(statement.group)
            yield from _problems_of_page(statement)
        case ReadWritten():
            if not _is_time(statement.since):
                yield "since is a finite number"
            yield from _problems_of_page(statement)
        case _:
            yield "it is of an unknown type"  # type: ignore[unreachable]


def _problems_of_exchange(statement: Exchange) -> Iterator[str]:
    every = statement.expected
    if len({(each.kind, each.name) for each in every}) < len(every):
        yield "it names one document twice"
    for each in every:
        yield from _problems_of_key(each.kind, each.name)
        yield from _problems_of_version(each.expected)
    for change in statement.changes:
        yield from _problems_of_change(change)


def _problems_of_page(statement: ReadGroup | ReadWritten) -> Iterator[str]:
    yield from _problems_of_key(statement.kind, statement.after or "any")
    if not _is_count(statement.most, 1, MOST_OF_PAGE):
        yield f"most must be at least 1 and at most {MOST_OF_PAGE}"


def _problems_of_key(kind: object, name: object) -> Iterator[str]:
    if not _is_text(_KIND, kind):
        yield "a kind has 1 to 64 letters, digits and underscores"
    if not _is_text(_NAME, name):
        yield "a name has 1 to 255 printable characters of ASCII"


def _problems_of_group(group: object) -> Iterator[str]:
    if not _is_text(_GROUP, group):
        yield "a group has 1 to 255 characters, without NUL"


def _problems_of_version(version: object) -> Iterator[str]:
    if not _is_count(version, 0, _LAST_VERSION):
        yield "the expected version is out of range"


def _is_text(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_count(value: object, least: int, most: int) -> bool:
    # A boolean is an int in Python.
    return type(value) is int and least <= value <= most


def _is_time(value: object) -> bool:
    return is_number(value) and abs(value) < _END_OF_TIME


def _problems_of_change(change: Change) -> Iterator[str]:
    # A bytearray could change after it was stored.
    body: object = b"" if change.body is None else change.body
    if not isinstance(body, bytes):
        yield "a body is bytes"
    elif len(body) > MOST_BYTES:
        yield f"a body has at most {MOST_BYTES} bytes"
    if change.group is not None:
        yield from _problems_of_group(change.group)
    if change.expires_at is not None and not _is_time(change.expires_at):
        yield "expires_at is a finite number"
