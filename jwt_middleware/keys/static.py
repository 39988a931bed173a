"""Keys that the configuration holds."""

from typing import Never

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.effects import Flight
from jwt_middleware.errors import KeyUnknown
from jwt_middleware.keys.snapshot import KeyHealth, Snapshot


class StaticKeys:
    """A fixed set of keys. Keys without a name serve any token; named ones only theirs."""

    def __init__(self, keys: tuple[VerificationKey, ...]) -> None:
        """:param keys: in the order in which they are tried."""
        self.snapshot: Snapshot | None = Snapshot(keys)

    def plan(self, kid: str | None, algorithm: Algorithm) -> tuple[VerificationKey, ...]:
        """Return the keys to try.

        :raises KeyUnknown: if none fits the token's header.
        """
        snapshot = self.snapshot
        assert snapshot is not None  # noqa: S101 - for the type checker: it is set above
        serving = snapshot.all_serving(algorithm)
        found = tuple(key for key in serving if kid is None or key.kid in {None, kid})
        if not found:
            raise KeyUnknown("no configured key fits the header")
        return found

    def settle(self, kid: str | None, algorithm: Algorithm, flight: Flight, landed: bool) -> Never:
        """Never reached: a fixed set asks for no flight."""
        raise NotImplementedError

    def distrust(self, kid: str | None = None) -> None:
        """Remove one key, or all of them."""
        snapshot = self.snapshot
        assert snapshot is not None  # noqa: S101 - as above
        kept = tuple(key for key in snapshot.keys if kid is not None and key.kid != kid)
        self.snapshot = Snapshot(kept, generation=snapshot.generation + 1)

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Do nothing: the keys are here."""

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Do nothing: the keys are here."""

    def health(self) -> KeyHealth:
        """Return how many keys there are."""
        keys = self.snapshot.keys if self.snapshot else ()
        return KeyHealth("static", bool(keys), len(keys))

    def close(self) -> None:
        """Do nothing: nothing is open."""
