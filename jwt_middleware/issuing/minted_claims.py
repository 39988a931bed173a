"""Checks what a token is to say: only what JSON can say exactly, and nothing twice."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError

# M1, M2: the minter sets these. The second line makes another kind of token of it: an ID token
# (OIDC Core §3.1.3.6), or one bound to a key (RFC 7800), which only the key's holder may send.
OWN_CLAIMS = frozenset({"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "sid"})
OTHER_KINDS = frozenset({"at_hash", "c_hash", "cnf"})

# RFC 7515 §4.1: what names the key or the algorithm, or changes how a token is read.
OWN_HEADERS = frozenset({"alg", "kid", "typ", "cty", "crit", "b64", "enc", "zip"})
KEY_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"})

# The guard reads no deeper objects (``formats/strict_json.py``).
_DEEPEST = 16


def audience_of(name: str, audience: Any) -> str | list[str]:
    """Return ``aud`` as a token has it: one name, or a list of several.

    :raises ConfigurationError: for anything else than names.
    """
    names = [audience] if isinstance(audience, str) else listed(name, audience, "['orders']")
    for each in names:
        if not isinstance(each, str) or not each:
            raise ConfigurationError(f"{name}={audience!r} must be names: write {name}='orders'")
    if not names:
        raise ConfigurationError(f"{name}={audience!r} must have a name: write {name}='orders'")
    return names[0] if len(names) == 1 else list(names)


def checked_subject(subject: Any, name: str = "subject") -> str:
    """Return a subject.

    :raises ConfigurationError: if it is not text, or empty.
    """
    if type(subject) is not str or not subject or not _is_encodable(subject):
        raise ConfigurationError(
            f"{name} must be text that is not empty (RFC 7519 §4.1.2), not "
            f"{type(subject).__name__}: write str(user.id)"
        )
    return subject


def checked_claims(claims: Any) -> dict[str, Any]:
    """Return further claims as JSON values.

    :raises ConfigurationError: for a claim that the minter sets, or a value that JSON cannot say,
        naming its place.
    """
    if not isinstance(claims, Mapping):
        raise ConfigurationError(
            f"claims={type(claims).__name__} must be a mapping: write claims={{'scope': 'read'}}"
        )
    for name in claims:
        if name in OWN_CLAIMS:
            raise ConfigurationError(
                f"claims[{name!r}] cannot be set, because the minter sets it: leave it out"
            )
        if name in OTHER_KINDS:
            raise ConfigurationError(
                f"claims[{name!r}] cannot be set, because verifiers would take the token for one "
                "of another kind: choose another name"
            )
    return _members(claims, "claims", 0)


def checked_headers(headers: Any) -> dict[str, Any]:
    """Return further members of a header as JSON values.

    :raises ConfigurationError: for a member that the minter sets, or that names a key.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers={type(headers).__name__} must be a mapping")
    for name in headers:
        if name in OWN_HEADERS or name in KEY_HEADERS:
            raise ConfigurationError(
                f"headers[{name!r}] cannot be set, because it decides how the token is verified: "
                "leave it out"
            )
    return _members(headers, "headers", 0)


def _members(mapping: Any, where: str, depth: int) -> dict[str, Any]:
    # Read once, because a mapping of another class may have another value the next time.
    return {
        _name(name, where): value if type(value) is bool else _value(value, where, name, depth)
        for name, value in mapping.items()
    }


def _value(value: Any, where: str, name: object, depth: int) -> Any:
    """Return a value as JSON has it. Its place is only put together for an error."""
    kind = type(value)
    if kind in _ATOMS:
        if not _ATOMS[kind](value):
            raise _odd(value, _place(where, name))
        return value
    if kind is list and depth < _DEEPEST and _are_texts(value):
        return value
    place = _place(where, name)
    if isinstance(value, str):
        # A member of an enumeration of texts, which JSON says exactly.
        return _value(str.__str__(value), where, name, depth)
    if isinstance(value, datetime):
        return _instant(value, place)
    if depth >= _DEEPEST:
        raise _mistake(place, "nested too deeply", f"at most {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return _members(value, place, depth + 1)
    if isinstance(value, list | tuple):
        return _items(value, place, depth)
    raise _mistake(place, kind.__name__, "text, a number, a boolean, None, a list or a mapping")


def _are_texts(values: list[Any]) -> bool:
    # The names of roles and scopes, which may be hundreds: no other way is as fast.
    try:
        return _is_encodable("".join(values))
    except TypeError:
        return False


def _place(where: str, name: object) -> str:
    return f"{where}.{name}" if type(name) is str else f"{where}[{name}]"


def _items(values: Any, where: str, depth: int) -> list[Any]:
    return [_value(each, where, place, depth + 1) for place, each in enumerate(values)]


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# RFC 7493 §2.2: other readers keep no more of an integer than a double can.
_EXACT = 2**53

_ATOMS: dict[type, Callable[[Any], bool]] = {
    str: _is_encodable,
    int: lambda value: -_EXACT <= value <= _EXACT,
    float: math.isfinite,
    bool: lambda _: True,
    type(None): lambda _: True,
}


def _odd(value: Any, place: str) -> ConfigurationError:
    if isinstance(value, str):
        return _mistake(place, "text with half a character", "valid Unicode")
    if isinstance(value, int):
        return _mistake(place, "an integer above 2**53", "text, as str(number)")
    return _mistake(place, repr(value), "a finite number")


def _instant(value: datetime, where: str) -> int:
    if value.tzinfo is None or value.utcoffset() is None:
        raise _mistake(where, "a datetime without a time zone", "datetime.now(timezone.utc)")
    # RFC 7519 §2, NumericDate.
    return int(value.timestamp())


def _name(name: Any, where: str) -> str:
    if type(name) is not str or not _is_encodable(name):
        raise _mistake(where, f"a name of type {type(name).__name__}", "names of text")
    return name


def _mistake(where: str, found: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{where} is {found}, which JSON cannot say exactly: write {wanted}")
