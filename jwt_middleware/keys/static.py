"""Keys that the configuration holds."""

from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.errors import ConfigurationError, KeyUnknown
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.snapshot import MAX_CANDIDATES, CurrentSet, KeyHealth, Keys, Snapshot


class StaticKeys:
    """A fixed set of keys. Keys without a name serve any token; named ones only theirs."""

    def __init__(
        self, keys: tuple[VerificationKey, ...], distrusted: Distrusted | None = None
    ) -> None:
        """
        :param keys: in the order in which they are tried, at most four for one token.
        :param distrusted: what was withdrawn of them before.
        """
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """What was withdrawn of them."""
        self._lock = TinyLock()
        renew_after_fork(self)
        self.current = CurrentSet(Snapshot(self.distrusted.without(keys)))
        """The current set; another one only after :meth:`distrust`."""

    @property
    def snapshot(self) -> Snapshot:
        """The set that is held now."""
        return self.current.snapshot

    def plan(self, kid: str | None, algorithm: Algorithm) -> Keys:
        """Return the keys to try.

        :raises KeyUnknown: if none fits the token's header.
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
        """Withdraw one key, or all of them, for good.

        :raises ConfigurationError: if no configured key has that name: the key that is meant would
            go on serving.
        """
        held = self.snapshot
        if kid is not None and kid not in held.by_kid and not self.distrusted.names(kid):
            names = sorted(held.kids)
            raise ConfigurationError(
                f"distrust(kid={kid!r}): no configured key has that name, they are {names}: write "
                "kid=None to withdraw all of them, or take the key out of keys="
            )
        self.distrusted.add(kid, held.keys)
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Take out of the set what was withdrawn, here or by another source."""
        # Two withdrawals at once must not undo each other.
        with self._lock:
            held = self.snapshot
            kept = self.distrusted.without(held.keys)
            self.current.snapshot = Snapshot(kept, generation=held.generation + 1)

    def after_fork(self) -> None:
        """Have a lock of its own in a forked child."""
        self._lock = TinyLock()

    def health(self) -> KeyHealth:
        """Return how many keys there are."""
        keys = len(self.snapshot.keys)
        return KeyHealth("static", is_ready=keys > 0, keys=keys)
