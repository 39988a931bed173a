"""The claims of a token: dictionaries that every serialiser takes, and that refuse to be changed.

Many requests share the claims of one token, so they are immutable at every depth.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from hashlib import blake2b
from secrets import token_bytes
from typing import Any, Never, TypeVar

from jwt_middleware.errors import ConfigurationError

Value = TypeVar("Value")

ClaimPath = tuple[str, ...]


class _Absent(Enum):
    # An Enum member keeps its identity when copied or pickled, so that ``is`` works.
    ABSENT = "absent"


ABSENT: Any = _Absent.ABSENT
"""The result of :func:`claim_at` for a missing claim, since a claim may itself be ``None``."""


def _refuse_to_change(*_: object, **__: object) -> Never:
    raise TypeError("Claims cannot be changed: change a copy, claims.to_dict()")


class Claims(dict[str, Any]):
    """The claims of a token, read-only at every depth. Objects are ``Claims``, arrays tuples.

    It is a dictionary, because JSON encoders written in C write no other mapping. Its methods
    refuse every change. Code can only change it by going around them: ``dict.__setitem__(claims,
    ...)`` and its like, ``exec`` with the claims as its namespace, and an object whose ``__dict__``
    the claims were made.
    """

    __slots__ = ("is_filled",)

    def __init__(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        """:raises TypeError: if it is called again, which would change the claims."""
        if hasattr(self, "is_filled"):
            _refuse_to_change()
        self.is_filled = True
        _fill(self, claims_of(dict(members)))

    __setitem__ = __delitem__ = __ior__ = _refuse_to_change
    clear = pop = popitem = setdefault = update = _refuse_to_change

    def __repr__(self) -> str:
        return f"Claims({', '.join(map(str, self))}; {fingerprint(self, _as_json)})"

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))

    def __reduce__(self) -> tuple[type["Claims"], tuple[dict[str, Any]]]:
        return Claims, (self.to_dict(),)

    @classmethod
    def fromkeys(cls, names: Iterable[str], value: Any = None) -> "Claims":  # type: ignore[override]
        """Return claims that all have one value."""
        return cls(dict.fromkeys(names, value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let pydantic, and FastAPI's responses, take claims as an object of JSON."""
        # Only pydantic calls this method, so its core is there.
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, handler(dict[str, Any]))

    def to_dict(self) -> dict[str, Any]:
        """Return a deep copy as plain dictionaries and lists, which may be changed."""
        return {name: _thaw(value) for name, value in self.items()}


_new = dict.__new__
_fill = dict.update


def claims_of(members: Mapping[str, Any]) -> Claims:
    """Return the claims with these members. It costs half of what the constructor does."""
    claims = _new(Claims)
    claims.is_filled = True
    if not _SCALARS.issuperset(map(type, members.values())):
        members = {name: _freeze(value) for name, value in members.items()}
    _fill(claims, members)
    return claims


def _as_json(claims: Claims) -> str:
    return json.dumps(claims.to_dict(), sort_keys=True)


# Random for each process, so that claims cannot be guessed from a mark.
_MARKING_KEY = token_bytes(32)


def fingerprint(value: Value, content: Callable[[Value], str]) -> str:
    """Return a keyed hash of a value, which identifies its content without revealing it.

    Some caches use the ``repr`` of the arguments as their key. If all principals had the same
    ``repr``, such a cache would return the result of one caller to another.
    """
    try:
        text = content(value)
    except Exception:  # noqa: BLE001 - hand-made values may fail; a repr must not raise
        text = f"{id(value)}"
    return blake2b(
        text.encode("utf-8", "surrogatepass"), key=_MARKING_KEY, digest_size=16
    ).hexdigest()


# Most claims have one of these types, which are immutable and need no copy.
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _freeze(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if type(value) is dict:
        return claims_of(value)
    if isinstance(value, Mapping):
        return Claims(value)
    if isinstance(value, (list, tuple)):
        return tuple([_freeze(item) for item in value])
    return value


def _thaw(value: Any) -> Any:
    if isinstance(value, Claims):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_thaw(item) for item in value]
    return value


def claim_path(path: str | ClaimPath, setting: str = "claim path") -> ClaimPath:
    """Return a claim path as member names: ``"realm_access.roles"`` gives two names.

    :param path: a dotted path, or a tuple of names if a name contains a dot or a slash.
    :param setting: the name of the setting, for messages.
    :raises ConfigurationError: if a name is empty, or if a dotted path contains a slash.
    """
    if isinstance(path, str) and "/" in path:
        raise ConfigurationError(
            f"{setting} {path!r} cannot contain a slash: write ({path!r},) for a claim of that name"
        )
    if not isinstance(path, str | tuple | list):
        raise ConfigurationError(f"{setting} {path!r} must be a claim path: write 'a.b'")
    names = path.split(".") if isinstance(path, str) else path
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"{setting} {path!r} cannot have an empty name: write 'a.b'")
    return tuple(names)


def claim_at(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    """Return the claim at a claim path, or :data:`ABSENT`."""
    value: Any = claims
    for name in path:
        if type(value) not in _OBJECTS or name not in value:
            return ABSENT
        value = value[name]
    return value


_OBJECTS = frozenset({Claims, dict})


NO_CLAIMS = Claims({})
