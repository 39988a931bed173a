"""Keys that the operator has withdrawn. No refresh brings them back."""

from collections.abc import Iterable

from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.snapshot import Keys

# A seed names a withdrawn key by the SHA-256 of its public key, which has this many bytes.
_DIGEST_SIZE = 32


class Distrusted:
    """The withdrawn keys, by key id and by key material.

    The material counts because a leaked key may come back under another key id. Both sets are
    replaced as a whole and never changed, so that readers take no lock.
    """

    def __init__(self) -> None:
        self._kids: frozenset[str] = frozenset()
        self._materials: frozenset[bytes] = frozenset()
        self._lock = TinyLock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = TinyLock()

    def add(self, kid: str | None, held: Keys) -> None:
        """Withdraw the key of that key id, or every key in ``held``.

        :param held: the keys of the current set; those with that key id are also withdrawn by
            their material.
        """
        meant = [key for key in held if kid is None or key.kid == kid]
        self._withdraw(() if kid is None else (kid,), (key.digest for key in meant))

    @property
    def digests(self) -> frozenset[bytes]:
        """The digests of the withdrawn keys."""
        return self._materials

    def take_keys_of(self, other: "Distrusted") -> None:
        """Withdraw the keys that another issuer of the same name has lost, but not its key ids."""
        self._withdraw((), other.digests)

    def _withdraw(self, kids: Iterable[str], materials: Iterable[bytes]) -> None:
        more = frozenset(materials)
        with self._lock:
            self._kids = self._kids.union(kids)
            self._materials = self._materials | more

    def __bool__(self) -> bool:
        return bool(self._kids or self._materials)

    def as_json(self) -> dict[str, list[str]]:
        """Return what was withdrawn as JSON values: key ids, and digests of keys."""
        return {
            "kids": sorted(self._kids),
            "keys": sorted(digest.hex() for digest in self._materials),
        }

    def take_over(self, kids: Iterable[str], keys: Iterable[str]) -> None:
        """Withdraw what :meth:`as_json` returned in another process.

        :raises ValueError: if a text in ``keys`` is not a SHA-256 digest.
        """
        materials = [bytes.fromhex(key) for key in keys]
        if any(len(material) != _DIGEST_SIZE for material in materials):
            raise ValueError("a digest must have 32 bytes")
        self._withdraw(kids, materials)

    def withdraws(self, key: VerificationKey) -> bool:
        """Return whether a key was withdrawn, by its key id or by its material."""
        return key.kid in self._kids or key.digest in self._materials

    def names(self, kid: str | None) -> bool:
        """Return whether the key of that key id was withdrawn."""
        return kid in self._kids

    def without(self, keys: Keys) -> Keys:
        """Return the keys that may still verify tokens.

        A key may have been withdrawn by its key id alone, before it was fetched. Its material is
        withdrawn here as well, because the issuer may also publish it under another key id.
        """
        if not self:
            return keys
        if named := [key for key in keys if key.kid in self._kids]:
            self._withdraw((), (key.digest for key in named))
        return tuple(key for key in keys if not self.withdraws(key))
