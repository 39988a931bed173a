"""What a forked child must not inherit: a lock that another thread held, a fetch under way.

``os.fork`` copies memory and one thread. A lock that was held by any other thread stays locked in
the child for ever, and what that thread was changing stays half changed.
"""

import os
import threading
from typing import Protocol
from weakref import WeakValueDictionary


class Forkable(Protocol):
    """Something with a lock, or with work under way."""

    def after_fork(self) -> None:
        """Reset locks and work under way in a forked child."""
        ...


TinyLock = threading.Lock
"""Held for microseconds, never over a fetch, a parse or an observer.

An object with such a lock renews it after a fork, see :func:`renew_after_fork`.
"""

# By identity, because two objects with a lock each may be equal.
_forkables: "WeakValueDictionary[int, Forkable]" = WeakValueDictionary()


def renew_after_fork(forkable: Forkable) -> None:
    """Have ``forkable.after_fork()`` called in every forked child, for as long as it lives."""
    _forkables[id(forkable)] = forkable


def _after_fork() -> None:
    for forkable in list(_forkables.values()):
        forkable.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
