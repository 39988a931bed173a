"""The key set that one source holds, and how the outcome of a fetch changes it.

A failure never touches the set, an unchanged answer keeps its key objects, and a late outcome never
replaces a newer one.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jwt_middleware.clock import Clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.events import (
    Event,
    KeyAdded,
    KeyDocumentRejected,
    KeyFetchesPaused,
    KeyFetchFinished,
    KeyFetchStarted,
    KeyRemoved,
    KeySkipped,
    Observer,
    tell,
)
from jwt_middleware.forks import renew_after_fork
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.download import Arrived, Failed, Intake, Outcome, Unchanged
from jwt_middleware.keys.remote.fetch_limits import Ledger
from jwt_middleware.keys.remote.freshness import ages
from jwt_middleware.keys.remote.http import HTTPFetcher
from jwt_middleware.keys.remote.options import ResolverOptions
from jwt_middleware.keys.remote.shared_fetch import Share, SharedFetch
from jwt_middleware.keys.seed import export
from jwt_middleware.keys.snapshot import KeyHealth, Snapshot, State, state_of

# Names of keys are foreign text: shown without control characters, and not endlessly.
SHOWN_KID_LENGTH = 64


class KeySetHolder:
    """Holds the current set and takes in new ones."""

    def __init__(
        self,
        name: str,
        intake: Intake,
        *,
        own_fetcher: HTTPFetcher,
        options: ResolverOptions,
        clock: Clock,
        observers: tuple[Observer, ...],
        spread: random.Random,
        share: Share | None,
        distrusted: Distrusted | None,
    ) -> None:
        """
        :param name: what events call this source.
        :param intake: fetches and reads.
        :param own_fetcher: what it asks with unless it was given another, and ends with this.
        :param spread: where the random part of intervals comes from.
        :param share: in how many fetches may be under way at once, over several sources.
        :param distrusted: what was withdrawn of this source before.
        """
        self.snapshot: Snapshot | None = None
        """The current set, replaced by one assignment; read without a lock."""
        self._name = name
        self._intake = intake
        self._own_fetcher = own_fetcher
        self._options = options
        self._clock = clock
        self._observers = observers
        self._spread = spread
        self.distrusted = Distrusted() if distrusted is None else distrusted
        """What was withdrawn of it."""
        self._ledger = Ledger(options, spread, self._new_fetch, share, clock.monotonic())
        self._last_success_at: float | None = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Start over in a forked child, with the keys of its parent."""
        self._ledger.after_fork()

    def _new_fetch(self, *, number: int, reason: str, now: float, kid: str | None) -> SharedFetch:
        return SharedFetch(
            self._carry_out,
            self._abandon,
            number=number,
            reason=reason,
            seconds=self._options.timeout,
            now=now,
            kid=kid,
        )

    def _carry_out(self, fetch: SharedFetch) -> None:
        """Fetch, take in, wake who waits, and tell: in this order, so that nobody waits for us."""
        began = self._clock.monotonic()
        tell(self._observers, KeyFetchStarted(self._name, fetch.reason))
        outcome = self._intake.fetch(self.snapshot)
        with self._ledger.lock:
            word, events = self._absorb(fetch, outcome)
            self._ledger.free(fetch)
        fetch.finish()
        seconds = self._clock.monotonic() - began
        for event in (KeyFetchFinished(self._name, fetch.reason, word, seconds), *events):
            tell(self._observers, event)

    def _abandon(self, fetch: SharedFetch) -> None:
        with self._ledger.lock:
            self._ledger.free(fetch)

    def _absorb(self, fetch: SharedFetch, outcome: Outcome) -> tuple[str, list[Event]]:
        """Take in what a fetch brought; return what came of it, in a word and in events."""
        if self._ledger.is_closed or self._is_late(fetch, outcome):
            return "ignored", []
        match outcome:
            case Failed():
                return self._failed(outcome)
            case Unchanged():
                return self._unchanged(fetch, outcome)
            case Arrived():
                return self._arrived(fetch, outcome)

    def _is_late(self, fetch: SharedFetch, outcome: Outcome) -> bool:
        """Tell whether the source has given a fetch up and has no use for what it brings."""
        if self._ledger.fetch is fetch:
            return False
        snapshot = self.snapshot
        has_newer = snapshot is not None and snapshot.generation >= fetch.number
        return has_newer or isinstance(outcome, Failed)

    def _failed(self, outcome: Failed) -> tuple[str, list[Event]]:
        backoff, now = self._ledger.backoff, self._clock.monotonic()
        seconds = backoff.failed(outcome.reason, outcome.retry_after, now)
        paused = KeyFetchesPaused(self._name, seconds, backoff.failures, outcome.reason)
        if outcome.is_rejected:
            return "rejected", [KeyDocumentRejected(self._name, outcome.reason), paused]
        return "failed", [paused]

    def _unchanged(self, fetch: SharedFetch, outcome: Unchanged) -> tuple[str, list[Event]]:
        known = self.snapshot
        if known is None or known.document != outcome.document:
            return "ignored", []
        self._exchange(fetch, self._aged(known, fetch, outcome))
        return "unchanged", []

    def _arrived(self, fetch: SharedFetch, outcome: Arrived) -> tuple[str, list[Event]]:
        if outcome.key_set.is_empty and not self._ledger.believes_empty(self._clock.monotonic()):
            return self._failed(Failed("the key set is empty", is_rejected=True))
        known = self.snapshot
        fresh = Snapshot(
            self.distrusted.without(outcome.key_set.keys),
            url=outcome.url,
            document=outcome.document,
            etag=outcome.etag,
            last_modified=outcome.last_modified,
            imported=outcome.key_set.imported,
        )
        self._exchange(fetch, self._aged(fresh, fetch, outcome))
        return "changed", list(self._changes(known, fresh, outcome))

    def _aged(
        self, snapshot: Snapshot, fetch: SharedFetch, outcome: Arrived | Unchanged
    ) -> Snapshot:
        soft, hard = ages(self._options, outcome.lifetime, self._spread)
        hard_at = outcome.asked_at + hard
        return replace(
            snapshot,
            generation=fetch.number,
            fetched_at=outcome.asked_at,
            soft_at=outcome.asked_at + soft,
            hard_at=hard_at,
            dead_at=hard_at + self._options.stale_if_error,
            wall_offset=outcome.wall_offset,
        )

    def _exchange(self, fetch: SharedFetch, snapshot: Snapshot) -> None:
        """Put a set in place of the one before. This assignment is what readers see."""
        known = self.snapshot
        before = known.kids if known is not None else frozenset[str]()
        self.snapshot = snapshot
        self._ledger.succeeded(snapshot.kids, before, is_empty=not snapshot.imported)
        self._last_success_at = self._clock.now()
        fetch.succeeded = True

    def _changes(
        self, known: Snapshot | None, fresh: Snapshot, outcome: Arrived
    ) -> Iterator[Event]:
        for key in fresh.keys:
            if known is None or not known.holds(key):
                yield KeyAdded(self._name, shown(key.kid))
        for key in known.keys if known is not None else ():
            if not fresh.holds(key):
                yield KeyRemoved(self._name, shown(key.kid))
        for skipped in outcome.key_set.skipped:
            yield KeySkipped(self._name, shown(skipped.kid), skipped.reason)

    def distrust(self, kid: str | None = None) -> None:
        """Withdraw a key, or every key there is, now; no renewal brings it back.

        :param kid: the name of the key; ``None`` for all that are held. Keys that the issuer
            publishes afterwards are trusted.
        :raises ConfigurationError: if all are to be withdrawn and none was fetched yet.
        """
        with self._ledger.lock:
            known = self.snapshot
            if known is None and kid is None:
                raise ConfigurationError(
                    f"distrust({self._name!r}): no keys were fetched yet: name the key with kid=, "
                    "or call warm() first"
                )
            self.distrusted.add(kid, known.keys if known is not None else ())
        self.apply_withdrawals()

    def apply_withdrawals(self) -> None:
        """Take out of the current set what was withdrawn, here or by another source."""
        with self._ledger.lock:
            known = self.snapshot
            if known is None:
                return
            self.snapshot = replace(known, keys=self.distrusted.without(known.keys))
            removed = [key for key in known.keys if not self.snapshot.holds(key)]
        for key in removed:
            tell(self._observers, KeyRemoved(self._name, shown(key.kid)))

    @property
    def _state(self) -> State:
        return state_of(self.snapshot, self._clock.monotonic(), self._clock.now())

    def health(self) -> KeyHealth:
        """Return how it stands, without asking anybody."""
        snapshot, now, backoff = self.snapshot, self._clock.monotonic(), self._ledger.backoff
        wall = self._clock.now()
        state = "closed" if self._ledger.is_closed else state_of(snapshot, now, wall)
        keys = len(snapshot.keys) if snapshot is not None else 0
        return KeyHealth(
            state,
            is_ready=keys > 0 and state != "dead",
            keys=keys,
            failures=backoff.failures,
            last_failure=backoff.last_failure,
            is_degraded=keys > 0 and state == "expired",
            is_fetching=self._ledger.fetch is not None,
            age=None if snapshot is None else snapshot.instant(now, wall) - snapshot.fetched_at,
            generation=0 if snapshot is None else snapshot.generation,
            last_success_at=self._last_success_at,
            next_attempt_in=max(0.0, backoff.opens_at - now),
        )

    def export(self) -> dict[str, Any] | None:
        """Return the set as JSON can carry it, to be a ``seed`` elsewhere; ``None`` without one."""
        snapshot = self.snapshot
        return None if snapshot is None else export(snapshot, self._clock, self.distrusted)

    def close(self) -> None:
        """Forget the keys, wake who waits, give up what is under way. ``warm`` opens it again."""
        with self._ledger.lock:
            fetch = self._ledger.fetch
            if fetch is not None:
                self._ledger.free(fetch)
            self._ledger.is_closed = True
            self.snapshot = None
        if fetch is not None:
            fetch.finish()
        self._own_fetcher.close()

    async def aclose(self) -> None:
        """Do the same; nothing of it waits."""
        self.close()


def shown(kid: str | None) -> str | None:
    """Return the name of a key as text that can be logged."""
    return None if kid is None else ascii(kid)[1:-1][:SHOWN_KID_LENGTH]
