"""The current key set of one source, and everything that changes it.

A late outcome never replaces a newer one, and a withdrawn key never comes back.
"""

from dataclasses import replace

from jwt_middleware.clock import Clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.events import Event, KeyDocumentRejected, KeyFetchesPaused
from jwt_middleware.keys.remote.download import Failed, Outcome
from jwt_middleware.keys.remote.fetch_limits import FetchLimits
from jwt_middleware.keys.remote.shared_fetch import SharedFetch
from jwt_middleware.keys.remote.state import KeySetState, Terms, absorb, removals
from jwt_middleware.keys.snapshot import CurrentSet, KeyHealth, Snapshot, State, state_of


class HeldKeys:
    """Applies the outcomes of fetches to the key set, and removes withdrawn keys.

    The methods that change it are called with the lock of the source held.
    """

    def __init__(self, terms: Terms, limits: FetchLimits, clock: Clock) -> None:
        """:param limits: records the fetches that succeed and fail."""
        self.current: CurrentSet[Snapshot | None] = CurrentSet(None)
        self._terms = terms
        self._limits = limits
        self._clock = clock
        self._empty_since: float | None = None
        self._last_success_at: float | None = None

    @property
    def state(self) -> State:
        """The state of the set by its age."""
        return state_of(self.current.snapshot, self._clock.monotonic(), self._clock.now())

    def take_in(
        self, fetch: SharedFetch, outcome: Outcome, *, is_given_up: bool
    ) -> tuple[str, list[Event]]:
        """Apply the outcome of a fetch; return the result, as a word and as events.

        :param is_given_up: whether the fetch took so long that others may have followed it.
        """
        if self._limits.is_closed or (is_given_up and not self._is_of_use(fetch, outcome)):
            return "ignored", []
        known = KeySetState(self.current.snapshot, self._empty_since)
        change = absorb(known, outcome, fetch.number, self._terms, self._clock.monotonic())
        self._empty_since = change.state.empty_since
        if change.failure is not None:
            return change.word, self._pause(change.failure)
        if change.state.snapshot is not None and change.word != "ignored":
            self._exchange(fetch, change.state.snapshot)
        return change.word, list(change.events)

    def _is_of_use(self, fetch: SharedFetch, outcome: Outcome) -> bool:
        snapshot = self.current.snapshot
        has_newer = snapshot is not None and snapshot.generation >= fetch.number
        return not has_newer and not isinstance(outcome, Failed)

    def _pause(self, failure: Failed) -> list[Event]:
        backoff, name = self._limits.backoff, self._terms.name
        now = self._clock.monotonic()
        seconds = backoff.failed(failure.reason, failure.retry_after, now)
        paused = KeyFetchesPaused(name, seconds, backoff.failures, failure.reason)
        if failure.is_rejected:
            return [KeyDocumentRejected(name, failure.reason), paused]
        return [paused]

    def _exchange(self, fetch: SharedFetch, snapshot: Snapshot) -> None:
        """Replace the current set. Readers see this one assignment."""
        known, self.current.snapshot = self.current.snapshot, snapshot
        before = frozenset[str]() if known is None else known.kids
        self._limits.succeeded(snapshot.kids, before)
        self._last_success_at = self._clock.now()
        fetch.succeeded = True

    def withdraw(self, kid: str | None) -> None:
        """Record that one key is withdrawn, or every key of the current set.

        :raises ConfigurationError: if all keys are to be withdrawn and none was fetched yet.
        """
        known = self.current.snapshot
        if known is None and kid is None:
            raise ConfigurationError(
                f"distrust({self._terms.name!r}) cannot withdraw all keys, because no keys were "
                "fetched yet: name the key with kid=, or call warm() first"
            )
        self._terms.distrusted.add(kid, known.keys if known is not None else ())

    def apply_withdrawals(self) -> list[Event]:
        """Remove the withdrawn keys from the set, also those that another source withdrew."""
        known = self.current.snapshot
        if known is None:
            return []
        fresh = replace(known, keys=self._terms.distrusted.without(known.keys))
        self.current.snapshot = fresh
        return list(removals(known, fresh, self._terms.name))

    def health(self, *, is_fetching: bool, stuck: int) -> KeyHealth:
        """Return the health of the source.

        :param stuck: how many threads hang in fetches that took too long.
        """
        snapshot, backoff = self.current.snapshot, self._limits.backoff
        now, wall = self._clock.monotonic(), self._clock.now()
        state = "closed" if self._limits.is_closed else state_of(snapshot, now, wall)
        keys = len(snapshot.keys) if snapshot is not None else 0
        return KeyHealth(
            state,
            is_ready=keys > 0 and state != "dead",
            keys=keys,
            failures=backoff.failures,
            last_failure=backoff.last_failure,
            is_degraded=keys > 0 and state == "expired",
            is_fetching=is_fetching,
            age=None if snapshot is None else snapshot.instant(now, wall) - snapshot.fetched_at,
            generation=0 if snapshot is None else snapshot.generation,
            last_success_at=self._last_success_at,
            next_attempt_in=max(0.0, backoff.ends_at - now),
            stuck_fetches=stuck,
        )
