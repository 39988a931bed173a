"""Keys that the operator has withdrawn, which no renewal brings back."""

from collections.abc import Iterable
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.keys.snapshot import Keys


class Distrusted:
    """Names of keys, and the keys themselves: a leaked key may come back under another name."""

    def __init__(self) -> None:
        self._kids: set[str] = set()
        self._materials: set[bytes] = set()

    def add(self, kid: str | None, held: Keys) -> None:
        """Withdraw the key of that name, or every key held.

        :param held: the keys there are now; those that are meant are withdrawn for what they are.
        """
        meant = [key for key in held if kid is None or key.kid == kid]
        self._materials.update(_material(key) for key in meant)
        if kid is not None:
            self._kids.add(kid)

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
        self._kids.update(kids)
        self._materials.update(map(bytes.fromhex, keys))

    def withdraws(self, key: VerificationKey) -> bool:
        """Return whether a key was withdrawn, by its name or by what it is."""
        return key.kid in self._kids or _material(key) in self._materials

    def names(self, kid: str | None) -> bool:
        """Return whether the key of that name was withdrawn."""
        return kid in self._kids

    def without(self, keys: Keys) -> Keys:
        """Return the keys that may still serve."""
        if not self:
            return keys
        return tuple(key for key in keys if not self.withdraws(key))


def _material(key: VerificationKey) -> bytes:
    if isinstance(key.material, bytes):
        return sha256(key.material).digest()
    spki: bytes = key.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(spki).digest()
