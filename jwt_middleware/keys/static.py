"""Verification keys from the configuration."""

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.errors import ConfigurationError, KeyUnknown
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.snapshot import MAX_CANDIDATES, CurrentSet, KeyHealth, Keys, Snapshot


class StaticKeys:
    """A fixed set of keys. A key with a key id serves only tokens with it; others serve any."""

    def __init__(
        self, keys: tuple[VerificationKey, ...], distrusted: Distrusted | None = None
    ) -> None:
        """
        :param keys: the keys, in the order in which they are tried; at most four for one token.
        :param distrusted: the keys that were withdrawn before.
        """
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """The withdrawn keys."""
        self._lock = TinyLock()
        renew_after_fork(self)
        self.current = CurrentSet(Snapshot(self.distrusted.without(keys)))
        """The current set. Only :meth:`distrust` and :meth:`apply_withdrawals` replace it."""

    @property
    def snapshot(self) -> Snapshot:
        """The current key set."""
        return self.current.snapshot

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys:
        """Return the keys to try.

        :raises KeyUnknown: if no key fits the token's header.
        """
        snapshot = self.snapshot
        if kid is None:
            found = snapshot.all_serving(algorithm)
        else:
            found = snapshot.named(kid, algorithm)
            if unnamed := snapshot.by_kid.get(None):
                found += tuple(key for key in unnamed if key.may_serve(algorithm))
        if not found:
            raise KeyUnknown("no configured key fits the header")
        return found[:MAX_CANDIDATES]

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw one key, or all keys, permanently.

        :raises ConfigurationError: if no configured key has that key id, because the key that was
            meant would continue to serve.
        """
        held = self.snapshot
        if kid is not None and kid not in held.by_kid and not self.distrusted.names(kid):
            names = sorted(held.kids)
            raise ConfigurationError(
                f"distrust(kid={kid!r}) must name a configured key, one of {names}: write kid=None "
                "to withdraw all keys, or remove the key from keys="
            )
        self.distrusted.add(kid, held.keys)
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Remove the withdrawn keys from the set, also those that another source withdrew."""
        # The lock is held because two withdrawals at once must not undo each other.
        with self._lock:
            held = self.snapshot
            kept = self.distrusted.without(held.keys)
            self.current.snapshot = Snapshot(kept, generation=held.generation + 1)

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = TinyLock()

    def health(self) -> KeyHealth:
        """Return the health of the source, with the number of its keys."""
        keys = len(self.snapshot.keys)
        return KeyHealth("static", is_ready=keys > 0, keys=keys)
