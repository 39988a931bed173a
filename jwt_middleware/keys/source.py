"""The protocols of key sources, which the packages for issuers and guards use."""

from typing import Any, Protocol, runtime_checkable

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.effects import Effect
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.shared_fetch import Waited, Waiter
from jwt_middleware.keys.snapshot import CurrentSet, KeyHealth, Keys, Snapshot


class KeySource(Protocol):
    """The source of one issuer's keys: the configuration, or a key set that is fetched."""

    @property
    def current(self) -> CurrentSet[Snapshot] | CurrentSet[Snapshot | None]:
        """The current set, read without a lock. A source keeps one such object all its life."""
        ...

    @property
    def snapshot(self) -> Snapshot | None:
        """The current key set."""
        ...

    @property
    def distrusted(self) -> Distrusted:
        """The withdrawn keys of this source."""
        ...

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the keys to try, or a waiter for the fetch that may bring them.

        :raises KeyUnknown: if no key fits.
        :raises KeysUnavailable: if the keys cannot be fetched at present.
        """
        ...

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw one key, or all keys, immediately and permanently."""
        ...

    def apply_withdrawals(self) -> None:
        """Remove the withdrawn keys from the current set, also those of another source."""
        ...

    def health(self) -> KeyHealth:
        """Return the health of the source, without a fetch."""
        ...


@runtime_checkable
class OwnKeys(Protocol):
    """Keys that this process signs with, as an option of an issuer."""

    def key_source(self, name: str, distrusted: Distrusted | None) -> KeySource:
        """Return the key source of an issuer.

        :param name: what messages call it.
        :param distrusted: the keys that were withdrawn before.
        """
        ...

    def check_algorithms(self, algorithms: tuple[Algorithm, ...]) -> None:
        """Check that an issuer accepts what the keys sign.

        :raises ConfigurationError: if it does not.
        """
        ...


@runtime_checkable
class RemoteKeySource(KeySource, Protocol):
    """A source of keys that are fetched. They can be late, expire and be replaced."""

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would return keys without a wait."""
        ...

    def settle(self, kid: str | None, algorithm: Algorithm, waited: Waited) -> Keys:
        """Return the keys to try after a wait. It never begins another fetch.

        :raises KeyUnknown: if the issuer does not publish the key.
        :raises KeysUnavailable: if the keys could not be fetched.
        """
        ...

    def signature_failed(self) -> None:
        """Record that a signature did not verify with a known key."""
        ...

    def start_warming(self) -> Effect | None:
        """Begin a fetch if one is needed; return the effect to wait for, or ``None``."""
        ...

    def check_warm(self, required: bool) -> None:
        """Raise ``KeysUnavailable`` if keys are ``required`` and there are none."""
        ...

    def export(self) -> dict[str, Any] | None:
        """Return the current set as JSON values; ``None`` if none was fetched yet."""
        ...

    def close(self) -> None:
        """Abandon fetches and close connections."""
        ...
