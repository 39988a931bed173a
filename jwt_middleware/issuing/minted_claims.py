"""Checks what a token is to say: only what JSON can say exactly, and nothing twice."""

import math
from collections.abc import Mapping
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

_SCALARS = frozenset({str, bool, int, type(None)})


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
    return {_name(name, "claims"): _value(claims[name], f"claims.{name}", 1) for name in claims}


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
    return {_name(name, "headers"): _value(headers[name], f"headers.{name}", 1) for name in headers}


def _value(value: Any, where: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        if not _is_encodable(value):
            raise _mistake(where, "text with half a character", "valid Unicode")
        return value
    if kind in _SCALARS:
        return value
    if kind is float:
        return _finite(value, where)
    if isinstance(value, datetime):
        return _instant(value, where)
    if depth > _DEEPEST:
        raise _mistake(where, "nested too deeply", f"at most {_DEEPEST} levels")
    return _nested(value, where, depth)


def _nested(value: Any, where: str, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {
            _name(name, where): _value(value[name], f"{where}.{name}", depth + 1) for name in value
        }
    if isinstance(value, list | tuple):
        return [_value(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(value)]
    raise _mistake(
        where, type(value).__name__, "text, a number, a boolean, None, a list or a mapping"
    )


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise _mistake(where, repr(value), "a finite number")
    return value


def _instant(value: datetime, where: str) -> int:
    if value.tzinfo is None or value.utcoffset() is None:
        raise _mistake(where, "a datetime without a time zone", "datetime.now(timezone.utc)")
    # RFC 7519 §2, NumericDate.
    return int(value.timestamp())


def _name(name: Any, where: str) -> str:
    if type(name) is not str or not _is_encodable(name):
        raise _mistake(where, f"a name of type {type(name).__name__}", "names of text")
    return name


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mistake(where: str, found: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{where} is {found}, which JSON cannot say exactly: write {wanted}")
