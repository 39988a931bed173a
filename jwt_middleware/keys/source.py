"""What a source of keys is, as the rooms above see it."""

from typing import Any, Protocol, runtime_checkable

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.effects import Effect
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.shared_fetch import Waited, Waiter
from jwt_middleware.keys.snapshot import CurrentSet, KeyHealth, Keys, Snapshot


class KeySource(Protocol):
    """Where one issuer's keys come from: the configuration, or its publisher."""

    @property
    def current(self) -> CurrentSet[Snapshot] | CurrentSet[Snapshot | None]:
        """What it holds now; the same object for as long as it lives, to be read without a lock."""
        ...

    @property
    def snapshot(self) -> Snapshot | None:
        """The set that is held now."""
        ...

    @property
    def distrusted(self) -> Distrusted:
        """What was withdrawn of it."""
        ...

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys | Waiter:
        """Return the keys to try, or, where they are fetched, what to wait for first.

        :raises KeyUnknown: if none fits.
        :raises KeysUnavailable: if there is no telling.
        """
        ...

    def distrust(self, kid: str | None = None) -> None:
        """Stop trusting one key, or all, at once and for good."""
        ...

    def apply_withdrawals(self) -> None:
        """Take out of the current set what was withdrawn, here or by another source."""
        ...

    def health(self) -> KeyHealth:
        """Return how it stands, without asking anybody."""
        ...


@runtime_checkable
class RemoteKeySource(KeySource, Protocol):
    """Keys that are fetched: they can be late, grow old, and be replaced."""

    def has(self, kid: str | None, algorithm: Algorithm) -> bool:
        """Return whether :meth:`plan` would name keys from memory."""
        ...

    def settle(self, kid: str | None, algorithm: Algorithm, waited: Waited) -> Keys:
        """Return the keys to try after waiting; never asks a second time.

        :raises KeyUnknown: if the issuer does not publish the key.
        :raises KeysUnavailable: if there is still no telling.
        """
        ...

    def signature_failed(self) -> None:
        """Take note that a signature was not good under a known key."""
        ...

    def start_warming(self) -> Effect | None:
        """Begin to fetch; return what to wait for, if there is anything."""
        ...

    def check_warm(self, required: bool) -> None:
        """Refuse to start without keys; raises ``KeysUnavailable`` where they are ``required``."""
        ...

    def export(self) -> dict[str, Any] | None:
        """Return the set as JSON can carry it; ``None`` where there is none yet."""
        ...

    def close(self) -> None:
        """Give up fetches and connections."""
        ...
