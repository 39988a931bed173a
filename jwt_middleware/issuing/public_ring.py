"""The public half of a ring: it publishes and verifies, and has nothing to sign with."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jwt_middleware.crypto.algorithms import ALGORITHMS, Algorithm, select
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.crypto.key_options import KeyOption, read_keys
from jwt_middleware.crypto.signing import members_of, thumbprint
from jwt_middleware.effects import Steps
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.source import KeySource
from jwt_middleware.keys.static import StaticKeys
from jwt_middleware.options import Seconds


class PublicKeyRing:
    """Public keys of an issuer whose private keys are elsewhere, as in another service.

    It has no ``mint`` and no ``signing``, and a :class:`Minter` does not take it.
    """

    patience_to_publish = 0.5
    """The seconds that publishing may take. It never waits."""

    def __init__(
        self,
        *keys: KeyOption,
        algorithm: str = "ES256",
        max_age: float | timedelta = 3600.0,
    ) -> None:
        """
        :param keys: PEM text, a ``KeyFile``, a ``Path``, a JWK, a JWK Set or a public key object.
        :param algorithm: the algorithm of keys that do not name their own, as a JWK may.
        :param max_age: the seconds for which verifiers may keep the published key set.
        :raises ConfigurationError: for a key that cannot verify with the algorithm, or a shared
            secret, which has no public half.
        """
        (known,) = select([algorithm])
        if known.is_symmetric:
            raise ConfigurationError(
                f"algorithm={algorithm!r} of a PublicKeyRing must be of public keys, because a "
                "shared secret has no public half: write 'ES256' or the like"
            )
        self.max_age = Seconds(366 * 86_400.0, may_be_zero=False)("max_age", max_age)
        """The seconds for which verifiers may keep the published key set."""
        self._keys = tuple(_named(read_keys(list(keys), _readable(known)), known))

    def jwks(self) -> dict[str, Any]:
        """Return the keys as a JWK Set (RFC 7517 §5)."""
        return {
            "keys": [
                {**members_of(key.material), "kid": key.kid, "alg": key.alg, "use": "sig"}
                for key in self._keys
            ]
        }

    def publishing(self) -> Steps[dict[str, Any]]:
        """Return the steps to the keys, as :meth:`jwks` returns them."""
        yield from ()
        return self.jwks()

    def key_source(self, name: str, distrusted: Distrusted | None) -> KeySource:
        """Return the ring as the key source of an issuer (see ``Issuer(keys=...)``)."""
        return StaticKeys(self._keys, distrusted)

    def check_algorithms(self, algorithms: tuple[Algorithm, ...]) -> None:
        """Check that an issuer accepts what the keys sign.

        :raises ConfigurationError: if it does not.
        """
        names = [each.name for each in algorithms]
        for key in self._keys:
            if key.alg not in names:
                raise ConfigurationError(
                    f"keys={self!r} verify {key.alg}, and algorithms={names} do not accept that: "
                    f"write algorithms=[{key.alg!r}]"
                )

    def __repr__(self) -> str:
        return f"PublicKeyRing({len(self._keys)} keys)"


def _readable(algorithm: Algorithm) -> tuple[Algorithm, ...]:
    # A JWK names its own algorithm, which need not be that of the others.
    return (algorithm, *(row for row in ALGORITHMS.values() if not row.is_symmetric))


def _named(keys: tuple[VerificationKey, ...], algorithm: Algorithm) -> Iterator[VerificationKey]:
    """Yield each key once, with a key id and its one algorithm."""
    seen: set[str] = set()
    for key in keys:
        if key.alg is None and not key.may_serve(algorithm):
            raise ConfigurationError(
                f"a key of type {key.kty} cannot verify algorithm={algorithm.name!r}: write the "
                "algorithm of the key, such as algorithm='RS256'"
            )
        # RFC 7638, as a ring names what it signs with.
        kid = key.kid or thumbprint(members_of(key.material))
        if kid not in seen:
            seen.add(kid)
            yield replace(key, kid=kid, alg=key.alg or algorithm.name)
