"""Reads keys from options by the type of the option, never by a guess from its text.

A file is a ``KeyFile`` or a ``Path``. A JWK, a JWK Set or a map of certificates is a mapping.
``str`` and ``bytes`` are PEM text if all algorithms are asymmetric, and a secret if all are HMAC.
So a mistyped path is an error, and never a secret that every reader of the source knows.
"""

import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import UnusableKey, VerificationKey, import_jwk
from jwt_middleware.crypto.pem import import_key_object, import_pem
from jwt_middleware.crypto.secret import WHAT_TO_WRITE, KeyFile, Secret, kind_of_text
from jwt_middleware.errors import ConfigurationError

KeyOption = Any
"""``Secret``, ``KeyFile``, ``Path``, a mapping, a public key object, ``str``, ``bytes``, or a
list."""


def read_keys(option: KeyOption, algorithms: tuple[Algorithm, ...]) -> tuple[VerificationKey, ...]:
    """Return the verification keys of an option.

    :param algorithms: the algorithms of the issuer, all symmetric or all asymmetric.
    :raises ConfigurationError: for an unusable key; the message names the key and the reason.
    """
    keys = tuple(_each(option, algorithms))
    if not keys:
        raise ConfigurationError("keys=[] must have a key: name one, or a jwks_uri")
    for key in keys:
        if not any(key.may_serve(algorithm) for algorithm in algorithms):
            names = [algorithm.name for algorithm in algorithms]
            raise ConfigurationError(
                f"a key of type {key.kty}{f' {key.crv}' if key.crv else ''} cannot be used with "
                f"algorithms={names}: add its algorithm, or name another key"
            )
    return keys


def _each(option: KeyOption, algorithms: tuple[Algorithm, ...]) -> Iterable[VerificationKey]:
    match option:
        case VerificationKey():
            # Read before: the option of an issuer that was copied.
            yield option
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
            f"{secret!r} is a shared secret and cannot be used with algorithms="
            f"{[algorithm.name for algorithm in algorithms]}: write algorithms=['HS256']"
        )
    return secret.to_key(max(bits))


def _text(text: str | bytes, algorithms: tuple[Algorithm, ...]) -> VerificationKey:
    if algorithms[0].is_symmetric:
        return _secret(Secret(text), algorithms)
    # Text that UTF-8 cannot encode is replaced, so that import_pem() refuses it as unreadable.
    data = text.encode(errors="replace") if isinstance(text, str) else text
    kind = kind_of_text(data)
    if kind is not None and kind not in {"PEM text", "an SSH public key"}:
        raise ConfigurationError(f"key is {kind}, and must be PEM text: {WHAT_TO_WRITE[kind]}")
    return _usable("key", lambda: import_pem(data))


def _file(file: KeyFile, algorithms: tuple[Algorithm, ...]) -> Iterable[VerificationKey]:
    data = file.read()
    name = f"KeyFile({str(file.path)!r})"
    if algorithms[0].is_symmetric:
        if _is_marked_text(data):
            raise ConfigurationError(
                f"{name} cannot begin with a byte order mark, which is not part of a secret: save "
                "the file as UTF-8 without one"
            )
        yield _secret(Secret(_without_line_break(data), name=name), algorithms)
    elif data.removeprefix(BOM_UTF8).lstrip()[:1] in {b"{", b"["}:
        yield from _mapping(_json(name, data.removeprefix(BOM_UTF8)), name)
    else:
        yield _usable(name, lambda: import_pem(data, file.password_bytes))


def _is_marked_text(data: bytes) -> bool:
    """Return whether data is text after a byte order mark; random bytes may begin with one too."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace").rstrip("\r\n")
            return text.isprintable() and "\ufffd" not in text
    return False


_MARKS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}


def _without_line_break(data: bytes) -> bytes:
    """Return a secret without the line break that editors and ``echo`` add to text.

    A binary secret may end with the same bytes, which are then part of the secret.
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
        raise ConfigurationError(f"{name} must hold PEM text or a JSON object")
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
        f"{name} is a mapping and must be a JWK (kty), a JWK Set (keys), or a map from kid to PEM "
        "certificate"
    )


def _members(members: list[Any]) -> Iterable[VerificationKey]:
    """Read a JWK Set; keys for other purposes are ignored, as RFC 7517 §5 requires."""
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
