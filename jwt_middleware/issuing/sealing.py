"""Encrypts the private keys of a ring before they reach a store.

The key of this encryption is not in the store: it is a secret of the configuration, or in a key
management service.
"""

import json
import os
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from jwt_middleware.crypto.jwk import UnusableKey
from jwt_middleware.crypto.secret import Secret
from jwt_middleware.crypto.signing import SigningKey, import_private_jwk
from jwt_middleware.errors import ConfigurationError, StoreUnavailable
from jwt_middleware.formats import base64url


class KeyEncryption(Protocol):
    """Encrypts and decrypts a private key, such as by a key management service.

    ``bound_to`` must be authenticated with the content (as additional authenticated data, or as an
    encryption context), so that what one key was encrypted as cannot take the place of another.
    Both methods are called only when a key is made, or read for the first time by a process.
    """

    def encrypt(self, content: bytes, bound_to: bytes) -> bytes:
        """Return the encrypted content."""
        ...

    def decrypt(self, encrypted: bytes, bound_to: bytes) -> bytes:
        """Return the content; raise any exception if it was changed."""
        ...


# AES-GCM, NIST SP 800-38D §8.2: a random nonce of 96 bits is unique for far more keys than a ring
# ever has.
_NONCE = 12


class SecretEncryption:
    """Encrypts with AES-256-GCM under a secret (NIST SP 800-38D, RFC 5869)."""

    def __init__(self, secret: bytes) -> None:
        """:param secret: at least 32 random bytes."""
        derived = HKDF(SHA256(), 32, salt=None, info=b"jwt_middleware key ring").derive(secret)
        self._cipher = AESGCM(derived)

    def encrypt(self, content: bytes, bound_to: bytes) -> bytes:
        """Return the nonce and the encrypted content."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, bound_to)

    def decrypt(self, encrypted: bytes, bound_to: bytes) -> bytes:
        """Return the content.

        :raises cryptography.exceptions.InvalidTag: if it was changed, or another secret was used.
        """
        return self._cipher.decrypt(encrypted[:_NONCE], encrypted[_NONCE:], bound_to)


def encryption_of(option: object) -> KeyEncryption | None:
    """Return the encryption that an option means; ``None`` for keys in the clear.

    :param option: a ``Secret``, an object with ``encrypt`` and ``decrypt``, or ``None``.
    :raises ConfigurationError: for anything else, or a secret that is too short.
    """
    if option is None:
        return None
    if isinstance(option, Secret):
        material: bytes = option.to_key(256).material
        return SecretEncryption(material)
    if callable(getattr(option, "encrypt", None)) and callable(getattr(option, "decrypt", None)):
        return option  # type: ignore[return-value]
    raise ConfigurationError(
        f"encryption={type(option).__name__} must be a Secret of at least 32 bytes: write "
        "Secret.from_env('KEY_RING_SECRET'), or an object with encrypt() and decrypt()"
    )


class Sealed:
    """Seals signing keys for a document, and opens them again. Each is opened once."""

    def __init__(self, encryption: KeyEncryption | None, name: str) -> None:
        """
        :param encryption: ``None`` to store keys in the clear.
        :param name: the name of the ring, so that no key of another ring takes the place of one.
        """
        self._encryption = encryption
        self._name = name
        self._opened: dict[tuple[str, str, str], SigningKey] = {}

    def seal(self, key: SigningKey, use: str) -> str:
        """Return the text of a private key for the document."""
        content = json.dumps(key.private_jwk(), separators=(",", ":")).encode()
        if self._encryption is None:
            return f"clear.{base64url.encode(content).decode('ascii')}"
        bound_to = self._bound_to(key.kid, use)
        encrypted = _asked("encrypt", self._encryption.encrypt, content, bound_to)
        sealed = f"sealed.{base64url.encode(encrypted).decode('ascii')}"
        # Opened again before it is written, because a key that cannot be opened would stop
        # every process.
        self.open(sealed, key.kid, use)
        return sealed

    def open(self, sealed: str, kid: str, use: str) -> SigningKey:
        """Return the private key.

        :raises ConfigurationError: if it cannot be decrypted, or is not the key of that key id.
        """
        place = (sealed, kid, use)
        known = self._opened.get(place)
        if known is None:
            known = self._opened[place] = _key(self._content(sealed, kid, use), kid)
        return known

    def _content(self, sealed: str, kid: str, use: str) -> bytes:
        kind, _, text = sealed.partition(".")
        data = _decoded(text, kid)
        if kind == "clear" and self._encryption is None:
            return data
        if kind == "clear":
            # Otherwise anyone who can write to the store could add a key that signs.
            raise ConfigurationError(
                "the keys of the ring are in the clear in the store, and encryption= is set: leave "
                "encryption= out, or give the ring another name=, under which it begins anew"
            )
        if self._encryption is None:
            raise ConfigurationError(
                "the keys of the ring are encrypted in the store: write "
                "KeyRing(store, encryption=Secret.from_env(...)) with the secret that they were "
                "encrypted with"
            )
        return _asked("decrypt", self._encryption.decrypt, data, self._bound_to(kid, use))

    def forget_all_but(self, sealed: set[str]) -> None:
        """Forget the keys that are not in the document any more."""
        # A list, because other threads may open keys meanwhile.
        self._opened = {
            place: key for place, key in list(self._opened.items()) if place[0] in sealed
        }

    def _bound_to(self, kid: str, use: str) -> bytes:
        return f"{use} {kid} {self._name}".encode()


def _asked(
    what: str, call: Callable[[bytes, bytes], bytes], content: bytes, bound_to: bytes
) -> bytes:
    """Return the answer of an encryption.

    :param what: ``encrypt`` or ``decrypt``.
    """
    try:
        return bytes(call(content, bound_to))
    except InvalidTag:
        problem: Exception = ConfigurationError(
            "the keys of the ring cannot be decrypted: encryption= is another secret than the one "
            "that they were encrypted with, or the store was changed"
        )
    except Exception as raised:  # noqa: BLE001 - a service of the application raises its own
        # Its text may show what was to be encrypted.
        problem = StoreUnavailable(
            f"encryption= could not {what} a key of the ring: {type(raised).__name__}"
        )
    # Outside of the handlers, so that the error has no context, which may show that too.
    raise problem


def _decoded(text: str, kid: str) -> bytes:
    try:
        return base64url.decode(text.encode())
    except ValueError:
        pass
    raise _not_the_key(kid)


def _key(content: bytes, kid: str) -> SigningKey:
    try:
        key = import_private_jwk(json.loads(content))
    except (UnusableKey, ValueError, AttributeError, RecursionError):
        key = None
    if key is None or key.kid != kid:
        raise _not_the_key(kid)
    return key


def _not_the_key(kid: str) -> ConfigurationError:
    return ConfigurationError(f"the key {kid!r} in the store of the ring is not that key")
