"""Reads private keys from options, by the type of the option as ``crypto/key_options.py`` does."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jwt_middleware.crypto.algorithms import Algorithm, select
from jwt_middleware.crypto.jwk import UnusableKey
from jwt_middleware.crypto.secret import KeyFile, Secret
from jwt_middleware.crypto.signing import (
    SigningKey,
    import_private_jwk,
    load_private_pem,
    signing_key,
)
from jwt_middleware.errors import ConfigurationError

GivenKey = Any
"""PEM text, ``KeyFile``, ``Path``, a private JWK, a private key object, or a ``Secret``."""


def signing_keys(given: Iterable[GivenKey], algorithm: str) -> list[SigningKey]:
    """Return the signing keys of options, each once.

    :param algorithm: the algorithm of keys that do not name their own.
    :raises ConfigurationError: for one that cannot sign, or if there is none.
    """
    (known,) = select([algorithm])
    found: dict[str, SigningKey] = {}
    for key in (_read(each, known) for each in given):
        found.setdefault(key.kid, key)
    if not found:
        raise ConfigurationError(
            "KeyRing.from_keys() must have a private key: write KeyFile('signing.pem') or the like"
        )
    return list(found.values())


def _read(given: GivenKey, algorithm: Algorithm) -> SigningKey:
    name, read = _reader(given, algorithm)
    try:
        key: SigningKey = read()
        return key
    except UnusableKey as problem:
        raise _mistake(name, problem, algorithm) from None


def _reader(given: GivenKey, algorithm: Algorithm) -> tuple[str, Any]:
    match given:
        case Secret():
            return repr(given), lambda: _of_secret(given, algorithm)
        case KeyFile() | Path():
            file = given if isinstance(given, KeyFile) else KeyFile(given)
            name = f"KeyFile({str(file.path)!r})"
            return name, lambda: _of_text(file.read(), file.password_bytes, algorithm)
        case Mapping():
            return "the JWK", lambda: _of_jwk(given, algorithm)
        case str() | bytes():
            data = given.encode(errors="replace") if isinstance(given, str) else given
            return "the key", lambda: _of_text(data, None, algorithm)
        case _:
            return f"a key of type {type(given).__name__}", lambda: _of_object(given, algorithm)


def _of_secret(secret: Secret, algorithm: Algorithm) -> SigningKey:
    if not algorithm.is_symmetric:
        raise UnusableKey("a_shared_secret")
    material: bytes = secret.to_key(algorithm.hash_bits).material
    return signing_key(material, algorithm)


def _of_text(data: bytes, password: bytes | None, algorithm: Algorithm) -> SigningKey:
    if data.lstrip()[:1] == b"{":
        with suppress(ValueError, RecursionError):
            return _of_jwk(json.loads(data), algorithm)
        # Outside of a handler, so that the error has no context with the text of the key.
        raise UnusableKey("not_JSON")
    return signing_key(load_private_pem(data, password), algorithm)


def _of_jwk(jwk: Mapping[str, Any], algorithm: Algorithm) -> SigningKey:
    return import_private_jwk(jwk if "alg" in jwk else {**jwk, "alg": algorithm.name})


def _of_object(given: Any, algorithm: Algorithm) -> SigningKey:
    if not hasattr(given, "private_bytes"):
        raise UnusableKey("not_a_private_key")
    return signing_key(given, algorithm)


def _mistake(name: str, problem: UnusableKey, algorithm: Algorithm) -> ConfigurationError:
    reason = problem.reason.replace("_", " ")
    fix = _FIXES.get(problem.reason, "write KeyFile('signing.pem') with a private key")
    return ConfigurationError(
        f"KeyRing.from_keys: {name} cannot sign with algorithm={algorithm.name!r} ({reason}): {fix}"
    )


_FIXES = {
    "alg_contradicts_key": "write the algorithm of the key, such as algorithm='RS256'",
    "a_shared_secret": "write algorithm='HS256'",
    "pem_unreadable": "write KeyFile(path, password=...) for an encrypted key",
}
