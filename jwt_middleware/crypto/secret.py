"""Secrets and key files as options; their contents never show in a repr, a log or an error.

A shared secret is refused if it looks like a public key, a certificate or a path. Attackers may
know each of these, and a token signed with it would verify (CVE-2017-11424, CVE-2022-29217,
CVE-2026-48526).
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from jwt_middleware.checks import check_text, shown
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.daemons import within
from jwt_middleware.errors import ConfigurationError

# A file is read within this many seconds, because one on a network share that hangs would hold up
# the start for ever, or a request whose issuer is admitted by a rule.
READ_SECONDS = 5.0

# Key sets are at most as long as those that are fetched; a device such as /dev/zero has no end.
MAX_FILE_BYTES = 262_144


class Secret:
    """A shared secret for HMAC. Its text never shows in a repr, a log or an error."""

    __slots__ = ("_name", "_value")

    def __init__(self, value: str | bytes, *, name: str = "key") -> None:
        """
        :param value: the secret; text is encoded as UTF-8.
        :param name: the name for messages, such as the environment variable of the secret.
        :raises ConfigurationError: if ``value`` is neither text nor bytes, or is empty.
        """
        if not isinstance(value, str | bytes):
            raise ConfigurationError(f"{name} must be str or bytes, not {type(value).__name__}")
        check_text("name", name, "key")
        self._value = _encoded(name, value)
        self._name = name
        if not self._value:
            raise ConfigurationError(f"{name} is empty: set it to at least 32 random bytes")

    @classmethod
    def from_env(cls, name: str) -> "Secret":
        """Return the secret in the environment variable ``name``, byte for byte.

        :raises ConfigurationError: if the variable is not set or empty.
        """
        if not isinstance(name, str) or not name.isprintable() or "=" in name or not name:
            raise ConfigurationError(
                f"Secret.from_env({shown(name)}) must name a variable: write "
                "Secret.from_env('JWT_SECRET') or the like"
            )
        value = os.environ.get(name)
        if not value:
            raise ConfigurationError(
                f"the environment variable {name} is not set: "
                f"export {name}=$(openssl rand -base64 48)"
            )
        # os.environ has surrogates for bytes that are not text; fsencode() restores the bytes.
        return cls(os.fsencode(value), name=name)

    def to_key(self, bits: int) -> VerificationKey:
        """Return the verification key.

        :param bits: the minimum size, which is that of the algorithm's hash (RFC 7518 §3.2).
        :raises ConfigurationError: if the secret is shorter, or looks like another kind of value.
        """
        if kind := kind_of_text(self._value):
            raise ConfigurationError(
                f"{self._name} is {kind}, which cannot be a secret: {WHAT_TO_WRITE[kind]}"
            )
        if len(self._value) * 8 < bits:
            raise ConfigurationError(
                f"{self._name} has {len(self._value)} bytes, and HS{bits} needs at least "
                f"{bits // 8} (RFC 7518 §3.2): create one with openssl rand -base64 48"
            )
        return VerificationKey("oct", None, self._value)

    def __repr__(self) -> str:
        return f"Secret({self._name}=...)"


def _encoded(name: str, value: str | bytes) -> bytes:
    try:
        return value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{name} must be text that UTF-8 can encode: write the secret as bytes"
        ) from None


# A random secret in base64 may begin with a slash, but is not taken for a path. It would need 40
# characters without a capital letter, or would have to spell a directory name.
_LOOKS_LIKE = (
    (re.compile(rb"^\s*[A-Za-z][A-Za-z0-9+.-]*://"), "an address"),
    (re.compile(rb"-----BEGIN [A-Z0-9 ]+-----"), "PEM text"),
    (re.compile(rb"^\s*(ssh-|ecdsa-sha2-)"), "an SSH public key"),
    (re.compile(rb"^(?:\xef\xbb\xbf)?\s*[\[{].*\"(?:kty|keys)\"", re.DOTALL), "JWK text"),
    (re.compile(rb"^(?:\.{1,2}/|~/|[A-Za-z]:\\)"), "a path"),
    (re.compile(rb"^/(?:[a-z0-9._ -]+/)*[a-z0-9._ -]+$"), "a path"),
    (re.compile(rb"^/(?:app|data|etc|home|mnt|opt|root|run|srv|tmp|usr|var|Users)/"), "a path"),
    (re.compile(rb"^[\w./\\ -]+\.(?:pem|key|crt|cer|der|pub|jwks?|json)$"), "a file name"),
)


_PUBLIC_KEY = "name the public key with algorithms=['RS256'] or the like"
_FILE = "write KeyFile(...) with the path"

WHAT_TO_WRITE = {
    "an address": "write jwks_uri= with the address of a key set, or leave keys= out for discovery",
    "PEM text": _PUBLIC_KEY,
    "an SSH public key": _PUBLIC_KEY,
    "DER data": "write the key as PEM text, with algorithms=['RS256'] or the like",
    "JWK text": "write json.loads(...) of the text, and algorithms=['RS256'] or the like",
    "a path": _FILE,
    "a file name": _FILE,
    "the name of an existing file": _FILE,
}
"""What to write in place of a text that is not what an option needs, by the kind of text."""


def kind_of_text(value: bytes) -> str | None:
    """Return what a text looks like: a key of :data:`WHAT_TO_WRITE`, or ``None``."""
    for pattern, kind in _LOOKS_LIKE:
        if pattern.search(value):
            return kind
    if _is_der_sequence(value):
        return "DER data"
    return "the name of an existing file" if _names_a_file(value) else None


def _is_der_sequence(value: bytes) -> bool:
    """Return whether ``value`` is one ASN.1 SEQUENCE with exactly the stated length."""
    if len(value) < 2 or value[0] != 0x30:
        return False
    if value[1] < 0x80:
        return value[1] == len(value) - 2
    octets = value[1] & 0x7F
    return int.from_bytes(value[2 : 2 + octets], "big") == len(value) - 2 - octets


def _names_a_file(value: bytes) -> bool:
    try:
        path = Path(os.fsdecode(value))
        if len(value) >= 4096 or not path.is_absolute():
            # A relative path cannot lead to a share that hangs, unless all of the process does.
            return len(value) < 4096 and path.is_file()
        return within(READ_SECONDS, "jwt_middleware.key_file", ("secret", path), path.is_file)
    except TimeoutError:
        # Something hangs at that place, which no random secret would name.
        return True
    except (OSError, ValueError):
        return False


_KEY_TEXT = re.compile(r"-----BEGIN|^\s*\{")


def _unreadable(path: str | os.PathLike[str], problem: OSError) -> ConfigurationError:
    return ConfigurationError(f"KeyFile({os.fspath(path)!r}) cannot be read: {problem.strerror}")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with a key: PEM, OpenSSH, JWK or JWKS."""

    path: str | os.PathLike[str]
    password: str | bytes | None = field(default=None, repr=False)
    """The password that decrypts an encrypted private key."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not os.fspath(self.path):
            raise ConfigurationError(
                f"KeyFile({shown(self.path)}) must have a path: write KeyFile('key.pem') or the "
                "like"
            )
        if _KEY_TEXT.search(str(os.fspath(self.path))):
            raise ConfigurationError(
                "KeyFile(...) has the text of a key in the place of a path: write "
                "KeyFile('key.pem'), or give the text itself"
            )
        if self.password is not None and not isinstance(self.password, str | bytes):
            raise ConfigurationError(f"KeyFile({shown(self.path)}): password= must be str or bytes")

    def read(self) -> bytes:
        """Return the content of the file.

        :raises ConfigurationError: if the file cannot be read.
        """
        try:
            data = within(READ_SECONDS, "jwt_middleware.key_file", os.fspath(self.path), self._read)
        except TimeoutError as problem:
            if problem.strerror:
                raise _unreadable(self.path, problem) from None
            raise ConfigurationError(
                f"KeyFile({os.fspath(self.path)!r}) could not be read within {READ_SECONDS:g} "
                "seconds: name a file of this machine, or look at the network share"
            ) from None
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"KeyFile({shown(self.path)}) must have a path: write KeyFile('key.pem') or the "
                "like"
            ) from None
        except OSError as problem:
            raise _unreadable(self.path, problem) from None
        if len(data) > MAX_FILE_BYTES:
            raise ConfigurationError(
                f"KeyFile({os.fspath(self.path)!r}) must not be longer than {MAX_FILE_BYTES:,} "
                "bytes: name a file with keys and nothing else"
            )
        return data

    def _read(self) -> bytes:
        with Path(self.path).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)

    @property
    def password_bytes(self) -> bytes | None:
        """The password as bytes; text is encoded as UTF-8."""
        if self.password is None:
            return None
        return _encoded(f"KeyFile({shown(self.path)}, password=)", self.password)
