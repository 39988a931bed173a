"""JSON as tokens may carry it: one object, in UTF-8, that every reader reads alike (RFC 7493).

Python's reader takes the last of two equal members, reads ``NaN``, ``Infinity`` and UTF-16, and
recurses without limit. Each of those lets two programs see two different tokens, or stops one.
"""

import json
import math
import re
from typing import Any

# Claims nest three or four levels deep (Keycloak's resource_access). RFC 8259 §9 allows a limit.
MAX_DEPTH = 32


class NotOneObject(ValueError):
    """The text is not one unambiguous JSON object."""


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotOneObject("a member occurs twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise NotOneObject(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotOneObject("a number is out of range")
    return number


# The reader without the two searches for white space around it, which cost half as much again.
_read = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_constant=_refuse_constant, parse_float=_finite
).raw_decode

# RFC 8259 §2.
_WHITE_SPACE = " \t\n\r"


def read_object(data: bytes) -> dict[str, Any]:
    """Return the object that ``data`` holds.

    :raises NotOneObject: if it is anything else, or readers could differ about it.
    """
    text = _decoded(data)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    value = _value(text)
    if type(value) is not dict:
        raise NotOneObject("not one object")
    if ("\\ud" in text or "\\uD" in text) and not _is_writable(value):
        raise NotOneObject("a string holds half a surrogate pair")
    return value


# What the readers of Python raise holds the whole text. Nothing is raised from where it is caught,
# or it would stay with our error, for whatever keeps that.
def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8").strip(_WHITE_SPACE)
    except UnicodeDecodeError:
        pass
    raise NotOneObject(_NO_JSON)


def _value(text: str) -> Any:
    try:
        value, end = _read(text)
    except NotOneObject:
        raise
    except (ValueError, RecursionError):
        pass
    else:
        return value if end == len(text) else None
    raise NotOneObject(_NO_JSON)


_NO_JSON = "not JSON in UTF-8"


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive reader sees it, and all that recurses after it."""
    depth = 0
    for bracket in _BRACKETS.sub("", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise NotOneObject("nested too deeply")


# Brackets in strings are letters: a closing one there would pay for an opening one elsewhere. One
# that never ends takes the rest, so that the search fails nowhere and stays linear.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[^\[\]{}]+")


def _is_writable(value: object) -> bool:
    # RFC 7493 §2.1: half a surrogate pair is no character, and cannot be written out again.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
