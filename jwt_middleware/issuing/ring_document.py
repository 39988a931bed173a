"""The document of a ring as bytes, for a store."""

import json
from dataclasses import asdict
from typing import Any

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuing.ring_state import KeyRecord, RingState

# A later release that cannot be read by this one writes a greater number.
FORMAT = 1


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
    try:
        members = json.loads(body)
        if members["format"] == FORMAT:
            return _state(members)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError(
            "the store has something else than a ring under its name: give the ring another name="
        ) from None
    raise ConfigurationError(
        f"the ring in the store is of format {members['format']!r}, and this release reads format "
        f"{FORMAT}: install the release that wrote it"
    )


def _state(members: dict[str, Any]) -> RingState:
    return RingState(
        tuple(KeyRecord(**key) for key in members["keys"]),
        float(members["written_at"]),
        tuple(sorted(members["longest"].items())),
        members["origin"],
        members["revision"],
    )
