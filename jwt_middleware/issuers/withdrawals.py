"""The withdrawn keys of admitted issuers, by the issuer's name.

An issuer may lose its place, come back with other settings, or be admitted by another rule. Its
withdrawn keys must stay withdrawn, so they are kept apart from its sources.
"""

from weakref import WeakValueDictionary

from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.keys.distrust import Distrusted


class Withdrawals:
    """One :class:`Distrusted` for each name, shared by all key sources of that name."""

    def __init__(self) -> None:
        # Weak, because any client can write a name that a rule admits. An operator's withdrawals
        # are few, and are kept.
        self._shared: WeakValueDictionary[str, Distrusted] = WeakValueDictionary()
        self._kept: dict[str, Distrusted] = {}
        self._lock = TinyLock()
        renew_after_fork(self)

    def of(self, name: str) -> Distrusted:
        """Return the withdrawn keys of an issuer, the same object for as long as it is used."""
        with self._lock:
            return self._shared.setdefault(name, Distrusted())

    def keep(self, name: str) -> None:
        """Keep the withdrawn keys of an issuer permanently, also those that come later."""
        with self._lock:
            self._kept[name] = self._shared.setdefault(name, Distrusted())

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = TinyLock()
