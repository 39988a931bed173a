"""The documents of refresh families in a store: JSON with a number for its format.

A document that this version did not write is refused as a whole. A member that is missing, unknown
or of another type could otherwise turn a burnt family into a good one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from jwt_middleware.checks import is_number
from jwt_middleware.formats.strict_json import read_object
from jwt_middleware.issuing.family import Family, Generation, Predecessor

FORMAT = 1
"""The number of the format that this version reads and writes."""


def to_bytes(family: Family) -> bytes:
    """Return the document of a family.

    :raises ValueError: if :func:`from_bytes` would not return the same family, such as for a tuple
        or a ``datetime`` in ``login``. The message contains no value.
    """
    plain = replace(family, login=dict(family.login), device=dict(family.device))
    body = _written(plain)
    # What is stored must be read again, at the next refresh, perhaps weeks later.
    if body is None or from_bytes(body) != plain:
        raise ValueError("a family holds a value that JSON cannot say exactly")
    return body


def from_bytes(body: bytes) -> Family:
    """Return the family of a document.

    :raises ValueError: if it is not one that :func:`to_bytes` writes. The message contains no value
        of the document but the number of its format.
    """
    members = read_object(body)
    number = members.pop("format", None)
    if type(number) is not int or number != FORMAT:
        raise ValueError(f"a family is in format {number!r:.20}, and this version reads {FORMAT}")
    _check_names(members, Family)
    family = Family(
        sid=_text(members, "sid"),
        subject=_text(members, "subject"),
        created_at=_number(members, "created_at"),
        ends_at=_whole(members, "ends_at"),
        generation=_count(members, "generation"),
        newest=_newest(_mapping(members, "newest")),
        previous=_previous(members),
        burnt_at=None if members["burnt_at"] is None else _number(members, "burnt_at"),
        burnt_because=None if members["burnt_because"] is None else _text(members, "burnt_because"),
        last_used_at=_number(members, "last_used_at"),
        login=_mapping(members, "login"),
        device=_texts(members, "device"),
    )
    _check_whole(family)
    return family


def _written(family: Family) -> bytes | None:
    # Python's exceptions may contain the value, so that they are not even the context of ours.
    try:
        members = {"format": FORMAT, **asdict(family)}
        return json.dumps(members, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        return None


def _newest(members: dict[str, Any]) -> Generation:
    _check_names(members, Generation)
    return Generation(
        jti=_text(members, "jti"),
        issued_at=_whole(members, "issued_at"),
        expires_at=_whole(members, "expires_at"),
    )


def _previous(members: Mapping[str, Any]) -> Predecessor | None:
    if members["previous"] is None:
        return None
    previous = _mapping(members, "previous")
    _check_names(previous, Predecessor)
    return Predecessor(_text(previous, "jti"), _number(previous, "exchanged_at"))


def _check_whole(family: Family) -> None:
    """Check what no member says alone."""
    if (family.burnt_at is None) != (family.burnt_because is None):
        raise ValueError("a family is burnt at an instant and for a reason, or neither")
    if family.newest.expires_at > family.ends_at:
        raise ValueError("the newest token of a family outlives the family")
    if family.previous and family.previous.jti == family.newest.jti:
        raise ValueError("two generations of a family have one jti")


def _check_names(members: Mapping[str, Any], kind: type[Family | Generation | Predecessor]) -> None:
    if members.keys() != {each.name for each in fields(kind)}:
        raise ValueError(f"{kind.__name__} has not exactly the members that this version writes")


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members[name]
    if type(value) is str and value:
        return value
    raise ValueError(f"{name} of a family must be text that is not empty")


def _number(members: Mapping[str, Any], name: str) -> float:
    value = members[name]
    if is_number(value):
        return float(value)
    raise ValueError(f"{name} of a family must be a finite number")


def _whole(members: Mapping[str, Any], name: str) -> float:
    value = _number(members, name)
    if value.is_integer():
        return value
    raise ValueError(f"{name} of a family must be in whole seconds")


def _count(members: Mapping[str, Any], name: str) -> int:
    value = members[name]
    if type(value) is int and 0 <= value < 2**53:
        return value
    raise ValueError(f"{name} of a family must be a whole number of at least 0")


def _mapping(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = members[name]
    if type(value) is dict:
        return value
    raise ValueError(f"{name} of a family must be an object")


def _texts(members: Mapping[str, Any], name: str) -> dict[str, str]:
    value = _mapping(members, name)
    if all(type(each) is str for each in value.values()):
        return value
    raise ValueError(f"{name} of a family must have texts alone")
