"""Keys as options, read by their type and never by guessing at their text.

A file is a ``KeyFile`` or a ``Path``; a JWK, a JWK Set or a map of certificates is a mapping;
``str`` and ``bytes`` are PEM text where all algorithms are asymmetric and a secret where all are
HMAC. So a mistyped path is an error, and never a secret that everybody can read in the source.
"""

import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.crypto.pem import import_key_object, import_pem
from jwt_middleware.crypto.secret import KeyFile, Secret
from jwt_middleware.errors import ConfigurationError

KeyOption = Any
"""``Secret``, ``KeyFile``, ``Path``, a mapping, a public key object, ``str``, ``bytes``, or a
list."""


def read_keys(option: KeyOption, algorithms: tuple[Algorithm, ...]) -> tuple[VerificationKey, ...]:
    """Return the verification keys that an option holds.

    :param algorithms: those of the issuer, all symmetric or all asymmetric.
    :raises ConfigurationError: naming what is wrong with which key.
    """
    keys = tuple(_each(option, algorithms))
    if not keys:
        raise ConfigurationError("keys=[] holds no key: name one, or a jwks_uri")
    for key in keys:
        if not any(key.may_serve(algorithm) for algorithm in algorithms):
            names = [algorithm.name for algorithm in algorithms]
            raise ConfigurationError(
                f"a key of type {key.kty}{f' {key.crv}' if key.crv else ''} fits none of "
                f"algorithms={names}: add its algorithm, or name another key"
            )
    return keys


def _each(option: KeyOption, algorithms: tuple[Algorithm, ...]) -> Iterable[VerificationKey]:
    match option:
        case Secret():
            yield _secret(option, algorithms)
        case KeyFile():
            yield from _file(option, algorithms)
        case Path():
            yield from _file(KeyFile(option), algorithms)
        case Mapping():
            yield from _mapping(option, "key")
        case str() | bytes():
            yield _text(option, algorithms)
        case list() | tuple():
            for item in option:
                yield from _each(item, algorithms)
        case _:
            yield _object(option)


def _secret(secret: Secret, algorithms: tuple[Algorithm, ...]) -> VerificationKey:
    bits = [algorithm.hash_bits for algorithm in algorithms if algorithm.is_symmetric]
    if not bits:
        raise ConfigurationError(
            f"{secret!r} is a shared secret and algorithms="
            f"{[algorithm.name for algorithm in algorithms]} are not: write algorithms=['HS256']"
        )
    return secret.to_key(max(bits))


def _text(text: str | bytes, algorithms: tuple[Algorithm, ...]) -> VerificationKey:
    if algorithms[0].is_symmetric:
        return _secret(Secret(text), algorithms)
    # What UTF-8 cannot carry is no PEM text either, and is told so.
    data = text.encode(errors="replace") if isinstance(text, str) else text
    return _usable("key", lambda: import_pem(data))


def _file(file: KeyFile, algorithms: tuple[Algorithm, ...]) -> Iterable[VerificationKey]:
    data = file.read()
    name = f"KeyFile({str(file.path)!r})"
    if algorithms[0].is_symmetric:
        if _is_marked_text(data):
            raise ConfigurationError(
                f"{name} begins with a byte order mark, which is no part of a secret: save the "
                "file as UTF-8 without one"
            )
        yield _secret(Secret(_without_line_break(data), name=name), algorithms)
    elif data.removeprefix(BOM_UTF8).lstrip()[:1] in {b"{", b"["}:
        yield from _mapping(_json(name, data.removeprefix(BOM_UTF8)), name)
    else:
        yield _usable(name, lambda: import_pem(data, file.password_bytes))


def _is_marked_text(data: bytes) -> bool:
    """Return whether an editor has put a mark in front of text; random bytes may begin alike."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace").rstrip("\r\n")
            return text.isprintable() and "\ufffd" not in text
    return False


_MARKS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}


def _without_line_break(data: bytes) -> bytes:
    """Return a secret without the line break that editors and ``echo`` put at the end of text.

    A binary secret may end in the same bytes, which are then part of it.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    line = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    return line.encode() if line.isprintable() else data


def _json(name: str, data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} holds neither PEM text nor a JSON object")
    return value


def _mapping(mapping: Mapping[str, Any], name: str) -> Iterable[VerificationKey]:
    if isinstance(mapping.get("keys"), list):
        return _members(mapping["keys"])
    if "kty" in mapping:
        return (_usable(name, lambda: import_jwk(mapping, published=False)),)
    if mapping and all(_is_certificate(value) for value in mapping.values()):
        return tuple(
            _usable(f"{name}[{kid!r}]", lambda pem=pem, kid=kid: import_pem(pem.encode(), kid=kid))
            for kid, pem in mapping.items()
        )
    raise ConfigurationError(
        f"{name} is a mapping, but neither a JWK (kty), nor a JWK Set (keys), nor a map "
        "from kid to PEM certificate"
    )


def _members(members: list[Any]) -> Iterable[VerificationKey]:
    """Read a JWK Set; members for other purposes are passed over, as RFC 7517 §5 asks."""
    for member in members:
        try:
            yield import_jwk(member, published=False)
        except UnusableKey:
            continue


def _is_certificate(value: object) -> bool:
    return isinstance(value, str) and "-----BEGIN CERTIFICATE-----" in value


def _object(option: Any) -> VerificationKey:
    return _usable(f"key of type {type(option).__name__}", lambda: import_key_object(option))


def _usable(name: str, read: Any) -> VerificationKey:
    try:
        key: VerificationKey = read()
    except UnusableKey as unusable:
        raise ConfigurationError(
            f"{name} cannot verify tokens: {unusable.reason.replace('_', ' ')}"
        ) from None
    return key
