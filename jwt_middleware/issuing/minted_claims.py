"""Checks what a token is to say: only what JSON can say exactly, and nothing twice."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from jwt_middleware.checks import listed, shown
from jwt_middleware.errors import ConfigurationError, TokenError
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuing.token_size import MOST
from jwt_middleware.tokens.claims import ANY_AUDIENCE, TELLTALES

# M1, M2: the minter sets these.
OWN_CLAIMS = frozenset({"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "sid"})

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
            raise ConfigurationError(
                f"{name}={shown(audience)} must be names: write {name}='orders'"
            )
    if not names:
        raise ConfigurationError(
            f"{name}={shown(audience)} must have a name: write {name}='orders'"
        )
    # Sorted, because a set has another order in each process.
    found = sorted(set(names))
    return found[0] if len(found) == 1 else found


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
    # Copied first, because a mapping of another class may have other names the next time.
    said = _members(claims, "claims", 0, [0])
    for name in said.keys() & OWN_CLAIMS:
        raise ConfigurationError(
            f"claims[{name!r}] cannot be set, because the minter sets it: leave it out"
        )
    return said


def check_telltales(claims: Mapping[str, Any], now: float) -> None:
    """Check that a guard would not take a token for one of another kind.

    Such are ID tokens and refresh tokens of other libraries, tokens that are bound to a key, and
    security events.

    :param claims: all claims of the token.
    :raises ConfigurationError: if it would.
    """
    if TELLTALES.isdisjoint(claims):
        return
    try:
        _POLICY.check(claims, now)
    except TokenError as problem:
        told = ", ".join(sorted(TELLTALES & claims.keys()))
        raise ConfigurationError(
            f"claims: a guard would refuse the token ({problem.code}) for its claims {told}: "
            "choose other names"
        ) from None


# What an issuer accepts if it is not told otherwise.
_POLICY = Issuer("https://any.invalid/", audience=ANY_AUDIENCE).policy


def checked_headers(headers: Any) -> dict[str, Any]:
    """Return further members of a header as JSON values.

    :raises ConfigurationError: for a member that the minter sets, or that names a key.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers={type(headers).__name__} must be a mapping")
    said = _members(headers, "headers", 0, [0])
    for name in said.keys() & (OWN_HEADERS | KEY_HEADERS):
        raise ConfigurationError(
            f"headers[{name!r}] cannot be set, because it decides how the token is verified: "
            "leave it out"
        )
    return said


def _members(mapping: Any, where: str, depth: int, length: list[int]) -> dict[str, Any]:
    """Return the members of a mapping as JSON values.

    :param length: at least how many characters they have, so far. A list that is there several
        times in another one, and so on, could fill the memory.
    """
    _count(len(mapping), where, length)
    # Read once, because a mapping of another class may have another value the next time.
    return {
        _name(name, where): (
            value if type(value) is bool else _value(value, where, name, depth, length)
        )
        for name, value in mapping.items()
    }


def _count(more: int, where: str, length: list[int]) -> None:
    length[0] += more
    if length[0] > MOST:
        raise ConfigurationError(
            f"{where} makes the token longer than {MOST:,} characters, and no guard reads more: "
            "shorten it"
        )


def _value(value: Any, where: str, name: object, depth: int, length: list[int]) -> Any:
    """Return a value as JSON has it. Its place is only put together for an error."""
    kind = type(value)
    if kind in _ATOMS:
        if not _ATOMS[kind](value):
            raise _odd(value, _place(where, name))
        if kind is str and depth:
            _count(len(value), where, length)
        return value
    if kind is list and depth < _DEEPEST and (texts := _length(value)) is not None:
        _count(texts, where, length)
        return value
    place = _place(where, name)
    if isinstance(value, str):
        # A member of an enumeration of texts, which JSON says exactly.
        return _value(str.__str__(value), where, name, depth, length)
    if isinstance(value, datetime):
        return _instant(value, place)
    if depth >= _DEEPEST:
        raise _mistake(place, "nested too deeply", f"at most {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return _members(value, place, depth + 1, length)
    if isinstance(value, list | tuple):
        return _items(value, place, depth, length)
    raise _mistake(place, kind.__name__, "text, a number, a boolean, None, a list or a mapping")


def _length(values: list[Any]) -> int | None:
    """Return how many characters the texts of a list have at least; ``None`` for another list."""
    # The names of roles and scopes, which may be hundreds: no other way is as fast.
    try:
        text = "".join(values)
    except TypeError:
        return None
    return len(text) + len(values) if _is_encodable(text) else None


def _place(where: str, name: object) -> str:
    return f"{where}.{name}" if type(name) is str else f"{where}[{name}]"


def _items(values: Any, where: str, depth: int, length: list[int]) -> list[Any]:
    _count(len(values), where, length)
    return [_value(each, where, place, depth + 1, length) for place, each in enumerate(values)]


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
