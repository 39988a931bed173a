"""Parses the JSON of tokens: one object in UTF-8, without ambiguity (RFC 7493).

Python's parser takes the last of two equal members, accepts ``NaN``, ``Infinity`` and UTF-16, and
recurses without limit. Each of these lets two programs read one token differently, or crashes one.
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


# ``raw_decode`` skips the two searches for white space, which add half to the cost.
_read = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_constant=_refuse_constant, parse_float=_finite
).raw_decode

# RFC 8259 §2.
_WHITE_SPACE = " \t\n\r"


def read_object(data: bytes) -> dict[str, Any]:
    """Parse ``data`` as one JSON object.

    :raises NotOneObject: if it is anything else, or if it is ambiguous.
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


# Python's exceptions contain the whole text. NotOneObject is raised outside the except blocks, so
# that it does not carry them as its context.
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
    """Refuse deep nesting before any recursive code, such as the parser, reads it."""
    depth = 0
    for bracket in _BRACKETS.sub("", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise NotOneObject("nested too deeply")


# Strings are removed first, because a closing bracket in one would offset an opening one outside.
# A string without an end extends to the end of the text, so that the search stays linear.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[^\[\]{}]+")


def _is_writable(value: object) -> bool:
    # RFC 7493 §2.1: half a surrogate pair is not a character and cannot be encoded as UTF-8.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
