"""The document of a ring as bytes, for a store."""

import json
import math
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

from jwt_middleware.checks import is_number, shown
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.formats.strict_json import read_object
from jwt_middleware.issuing.ring_state import KeyRecord, RingState

# A later release that cannot be read by this one writes a greater number.
FORMAT = 1

# A ring is written a few times a day. A greater number was not counted up.
_MOST_REVISIONS = 2**53

T = TypeVar("T")


def to_bytes(state: RingState) -> bytes:
    """Return the body of the document."""
    keys = [asdict(key) for key in state.keys]
    longest = dict(state.longest)
    members = {
        "format": FORMAT,
        "origin": state.origin,
        "revision": state.revision,
        "written_at": state.written_at,
        "longest": longest,
        "keys": keys,
    }
    return json.dumps(members, separators=(",", ":")).encode()


def from_bytes(body: bytes) -> RingState:
    """Return the state that a body describes.

    :raises ConfigurationError: if it is not a document of a ring, or one of a later release.
    """
    written_as: object = FORMAT
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        members = read_object(body)
        written_as = members["format"]
        if written_as == FORMAT:
            return _state(members)
    # Outside of a handler, so that the errors have no context with the document.
    if written_as == FORMAT:
        raise ConfigurationError(
            "the store has something else than a ring under its name: give the ring another name="
        )
    raise ConfigurationError(
        f"the ring in the store is of format {shown(written_as)}, and this release reads format "
        f"{FORMAT}: install the release that wrote it"
    )


def _state(members: dict[str, Any]) -> RingState:
    return RingState(
        tuple(KeyRecord(**_checked(key)) for key in members["keys"]),
        _number(members["written_at"]),
        tuple(sorted((use, _number(each)) for use, each in members["longest"].items())),
        _of_kind(str, members["origin"]),
        _revision(members["revision"]),
    )


def _checked(key: dict[str, Any]) -> dict[str, Any]:
    for name in ("published_at", "signs_from", "kept_until"):
        _number(key[name])
    if key["revoked_at"] is not None:
        _number(key["revoked_at"])
    for name in ("kid", "use", "algorithm", "sealed"):
        _of_kind(str, key[name])
    _of_kind(bool, key["is_pinned"])
    if key["algorithm"] not in ALGORITHMS or key["use"] not in {"access", "refresh"}:
        raise ValueError
    return key


def _of_kind(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _revision(value: Any) -> int:
    if not 0 <= _of_kind(int, value) < _MOST_REVISIONS:
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if not is_number(value) or not math.isfinite(value):
        raise TypeError
    return float(value)


def ring_name(option: str, name: Any) -> str:
    """Return the name of a ring.

    :raises ConfigurationError: if a store cannot have a document of that name.
    """
    is_name = isinstance(name, str) and 0 < len(name) < 256 and name.isascii()
    if not is_name or not name.isprintable():
        raise ConfigurationError(
            f"{option}= must be up to 255 printable characters of ASCII: write {option}='keys'"
        )
    return str(name)
