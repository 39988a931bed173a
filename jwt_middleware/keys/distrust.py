"""Keys that the operator has withdrawn, which no renewal brings back."""

from collections.abc import Iterable
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.snapshot import Keys

# What names a withdrawn key in a seed: the SHA-256 of its public key.
_DIGEST_SIZE = 32


class Distrusted:
    """Names of keys, and the keys themselves: a leaked key may come back under another name.

    Both sets are replaced as a whole and never changed, so that readers take no lock.
    """

    def __init__(self) -> None:
        self._kids: frozenset[str] = frozenset()
        self._materials: frozenset[bytes] = frozenset()
        self._lock = TinyLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Have a lock of its own in a forked child."""
        self._lock = TinyLock()

    def add(self, kid: str | None, held: Keys) -> None:
        """Withdraw the key of that name, or every key held.

        :param held: the keys there are now; those that are meant are withdrawn for what they are.
        """
        meant = [key for key in held if kid is None or key.kid == kid]
        self._withdraw(() if kid is None else (kid,), map(_material, meant))

    def _withdraw(self, kids: Iterable[str], materials: Iterable[bytes]) -> None:
        more = frozenset(materials)
        with self._lock:
            self._kids = self._kids.union(kids)
            self._materials = self._materials | more

    def __bool__(self) -> bool:
        return bool(self._kids or self._materials)

    def as_json(self) -> dict[str, list[str]]:
        """Return what was withdrawn as JSON can carry it: names, and digests of keys."""
        return {
            "kids": sorted(self._kids),
            "keys": sorted(digest.hex() for digest in self._materials),
        }

    def take_over(self, kids: Iterable[str], keys: Iterable[str]) -> None:
        """Withdraw what :meth:`as_json` told elsewhere.

        :raises ValueError: for a digest that is none.
        """
        materials = [bytes.fromhex(key) for key in keys]
        if any(len(material) != _DIGEST_SIZE for material in materials):
            raise ValueError("a digest of another length")
        self._withdraw(kids, materials)

    def withdraws(self, key: VerificationKey) -> bool:
        """Return whether a key was withdrawn, by its name or by what it is."""
        return key.kid in self._kids or _material(key) in self._materials

    def names(self, kid: str | None) -> bool:
        """Return whether the key of that name was withdrawn."""
        return kid in self._kids

    def without(self, keys: Keys) -> Keys:
        """Return the keys that may still serve.

        A key that was withdrawn by its name alone, before anybody had seen it, is known for what it
        is from now on: its publisher may list it under another name as well.
        """
        if not self:
            return keys
        if named := [key for key in keys if key.kid in self._kids]:
            self._withdraw((), map(_material, named))
        return tuple(key for key in keys if not self.withdraws(key))


def _material(key: VerificationKey) -> bytes:
    if isinstance(key.material, bytes):
        return sha256(key.material).digest()
    spki: bytes = key.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(spki).digest()
