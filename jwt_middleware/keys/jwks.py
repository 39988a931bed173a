"""The key set of one issuer, as a state machine.

By age a set is *fresh*, then *ahead* (a renewal runs behind the requests), then *expired* (a
request waits for the renewal, and is served by the old set if it fails), then *dead*.

==============  ======  ========================================================
set             kid     decision
==============  ======  ========================================================
fresh, ahead    hit     use; when ahead, start one renewal behind it
fresh, ahead    miss    wait for a fetch under way, or ask within the budget, or unknown
expired         hit     wait for a renewal; while fetches fail, use
expired         miss    wait for a renewal; while fetches fail, unavailable
empty, dead     any     wait for a fetch; while fetches fail, unavailable
==============  ======  ========================================================

Readers take no lock: they read one attribute. The lock guards the bookkeeping alone and is never
held over a fetch, a parse or an observer.
"""

import random
from dataclasses import replace
from hashlib import sha256
from typing import Literal

from jwt_middleware.clock import Clock, SystemClock
from jwt_middleware.crypto.algorithms import Algorithm
from jwt_middleware.crypto.jwk import VerificationKey
from jwt_middleware.effects import Fly, Gap, Steps, arun, refuse_to_block, run
from jwt_middleware.errors import KeysUnavailable, KeyUnknown
from jwt_middleware.events import KeySkipped, KeysRefreshed, KeysRefreshFailed, Observer, tell
from jwt_middleware.keys.budget import UnknownKids
from jwt_middleware.keys.document import KeySet, Rejected, check_url, lifetime, read_key_set
from jwt_middleware.keys.fetch import Fetcher, HTTPFetcher, Response
from jwt_middleware.keys.flight import KeyFlight, TinyLock, renew_after_fork
from jwt_middleware.keys.location import Location
from jwt_middleware.keys.options import ResolverOptions
from jwt_middleware.keys.snapshot import KeyHealth, Snapshot

State = Literal["empty", "fresh", "ahead", "expired", "dead"]
_DEFAULTS = ResolverOptions()

# A fetch that says "no keys at all" must be repeated after this many seconds to be believed: an
# issuer's bad minute must not lock everybody out.
EMPTY_CONFIRMED_AFTER = 10.0

# Callers of unknown kids that may wait at once, so that invented kids cannot hold every worker.
MAX_WAITING = 8


class JWKSResolver:
    """Resolves the keys of one issuer from its published set."""

    def __init__(
        self,
        jwks_uri: str | None = None,
        *,
        issuer: str | None = None,
        options: ResolverOptions = _DEFAULTS,
        fetcher: Fetcher | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - it has no state
        observers: tuple[Observer, ...] = (),
        spread: random.Random | None = None,
    ) -> None:
        """
        :param jwks_uri: where the set is; found by discovery from ``issuer`` if left out.
        :param fetcher: asks over the network.
        :param spread: where the random part of intervals comes from.
        :raises ConfigurationError: for an address that keys must not come from.
        """
        name, url = ("jwks_uri", jwks_uri) if jwks_uri is not None else ("issuer", issuer or "")
        check_url(name, url, allow_http=options.allow_http)
        self.snapshot: Snapshot | None = None
        self._issuer = issuer
        self._options = options
        self._fetcher = fetcher or HTTPFetcher()
        self._location = Location(jwks_uri, issuer, options, self._fetcher, clock)
        self._clock = clock
        self._observers = observers
        self._spread = spread or random.SystemRandom()
        self._lock = TinyLock()
        self._flight: KeyFlight | None = None
        self._unknown = UnknownKids(options, clock)
        self._vanished: frozenset[str] = frozenset()
        self._distrusted: set[str | None] = set()
        self._failures = 0
        self._last_failure: str | None = None
        self._gate_opens = 0.0
        self._empty_since: float | None = None
        self._is_closed = False
        renew_after_fork(self)

    def plan(self, kid: str | None, algorithm: Algorithm) -> tuple[VerificationKey, ...] | Gap:
        """Return the keys to try, or the flight that may bring them. Never waits.

        :raises KeyUnknown: if no key fits and asking again makes no sense.
        :raises KeysUnavailable: if that cannot be told.
        """
        snapshot, now = self.snapshot, self._clock.monotonic()
        keys = _find(snapshot, kid, algorithm)
        if snapshot is not None and keys and now < snapshot.soft_at:
            return keys
        state = self._state(snapshot, now)
        if keys and state == "ahead":
            self._renew_behind(now)
            return keys
        if keys and state == "expired":
            flight = self._joined_or_launched(now)
            return keys if flight is None else _wait_for(flight)
        if state in {"fresh", "ahead"}:
            return self._ask_for_unknown(kid, now)
        flight = self._joined_or_launched(now)
        if flight is None:
            raise self._unavailable(now)
        return _wait_for(flight)

    def settle(
        self, kid: str | None, algorithm: Algorithm, flight: object, landed: bool
    ) -> tuple[VerificationKey, ...]:
        """Return the keys to try after waiting; never asks for another flight.

        :raises KeyUnknown: if the set that was fetched does not have it.
        :raises KeysUnavailable: if there is still no telling.
        """
        snapshot, now = self.snapshot, self._clock.monotonic()
        state = self._state(snapshot, now)
        keys = _find(snapshot, kid, algorithm)
        if keys and state not in {"empty", "dead"}:
            return keys
        succeeded = landed and isinstance(flight, KeyFlight) and flight.succeeded
        if succeeded and kid is not None:
            with self._lock:
                self._unknown.missed(kid)
        if succeeded or state in {"fresh", "ahead"}:
            raise KeyUnknown("the issuer publishes no key that fits the header")
        raise self._unavailable(now)

    def _state(self, snapshot: Snapshot | None, now: float) -> State:
        if snapshot is None:
            return "empty"
        if now < snapshot.soft_at:
            return "fresh"
        if now < snapshot.hard_at:
            return "ahead"
        return "expired" if now < snapshot.dead_at else "dead"

    def _renew_behind(self, now: float) -> None:
        with self._lock:
            if self._flying(now) is not None or now < self._gate_opens:
                return
            flight = self._launch(now)
        if flight.claim():
            flight.start()

    def _joined_or_launched(self, now: float) -> KeyFlight | None:
        """Return the flight to wait for; ``None`` while the gate is closed after a failure."""
        with self._lock:
            flying = self._flying(now)
            if flying is not None:
                return flying
            return None if now < self._gate_opens or self._is_closed else self._launch(now)

    def _ask_for_unknown(self, kid: str | None, now: float) -> Gap:
        with self._lock:
            flight = self._flight_for_unknown(kid, now)
        if flight is None:
            raise KeyUnknown("no key fits the header, and asking again must wait")
        return _wait_for(flight)

    def _flight_for_unknown(self, kid: str | None, now: float) -> KeyFlight | None:
        flying = self._flying(now)
        if flying is not None:
            flying.waiting += 1
            return flying if flying.waiting <= MAX_WAITING else None
        if now < self._gate_opens or self._is_closed:
            return None
        if kid in self._vanished:
            # It was in the set before this one: some publishers drop keys for a moment while they
            # roll over. One more look, on no budget but its own.
            self._vanished -= {kid}
            return self._launch(now)
        return self._launch(now) if self._unknown.may_ask(kid) else None

    def _flying(self, now: float) -> KeyFlight | None:
        """Return the flight under way; one that outlived every limit counts as lost."""
        flight = self._flight
        if flight is not None and now > flight.started + self._options.timeout + 1:
            flight = self._flight = None
        return flight

    def _launch(self, now: float) -> KeyFlight:
        self._flight = KeyFlight(self._fetch, self._options.timeout, now)
        return self._flight

    def _fetch(self, flight: KeyFlight) -> None:
        """Fetch, read and take in. Runs on the fetching thread, without the lock."""
        try:
            response = self._location.ask_for_keys(self.snapshot)
            snapshot, skipped = self._next_snapshot(response)
        except Rejected as rejected:
            self._take_failure(flight, rejected)
        except Exception as foreign:  # noqa: BLE001 - a fetcher is foreign code, whatever it raises
            self._take_failure(flight, Rejected(f"no answer ({type(foreign).__name__})"))
        else:
            self._take(flight, snapshot, skipped)
        finally:
            self._free(flight)

    def _next_snapshot(self, response: Response) -> tuple[Snapshot, KeySet | None]:
        previous, now = self.snapshot, self._clock.monotonic()
        if response.status == 304 and previous is not None:
            return self._aged(previous, response, now), None
        digest = sha256(response.body).digest()
        if previous is not None and digest == previous.digest:
            return self._aged(previous, response, now), None
        read = read_key_set(response.body, self._options.max_keys)
        self._believe_emptiness(read, now)
        keys = tuple(key for key in read.keys if not self._is_distrusted(key))
        fresh = Snapshot(keys, digest=digest, etag=response.headers.get("etag"))
        return self._aged(fresh, response, now), read

    def _aged(self, snapshot: Snapshot, response: Response, now: float) -> Snapshot:
        options = self._options
        wanted = options.refresh_after * (1 - 0.1 * self._spread.random())
        soft = now + min(lifetime(response.headers, wanted), options.max_age)
        hard = now + options.max_age
        generation = 1 + (self.snapshot.generation if self.snapshot else 0)
        return replace(
            snapshot,
            generation=generation,
            soft_at=soft,
            hard_at=hard,
            dead_at=hard + options.stale_if_error,
        )

    def _believe_emptiness(self, read: KeySet, now: float) -> None:
        """Take "no keys at all" for an answer only when it is said twice."""
        if read.keys:
            self._empty_since = None
            return
        if not read.is_empty:
            raise Rejected("the key set has no usable key")
        if self._empty_since is None:
            self._empty_since = now
        if now - self._empty_since < EMPTY_CONFIRMED_AFTER:
            raise Rejected("the key set is empty")

    def _take(self, flight: KeyFlight, snapshot: Snapshot, read: KeySet | None) -> None:
        with self._lock:
            if self._flight is not flight:
                return
            previous = self.snapshot
            if previous is not None and read is not None:
                self._vanished = previous.kids - snapshot.kids
            self.snapshot = snapshot
            self._unknown.found(snapshot.kids)
            self._failures, self._last_failure, self._gate_opens = 0, None, 0.0
            flight.succeeded = True
        tell(self._observers, KeysRefreshed(self._issuer, len(snapshot.keys), read is not None))
        for kid, reason in read.skipped if read else ():
            tell(self._observers, KeySkipped(self._issuer, _digest(kid), reason))

    def _take_failure(self, flight: KeyFlight, rejected: Rejected) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if self._flight is not flight:
                return
            self._failures += 1
            self._last_failure = rejected.reason
            self._gate_opens = now + self._pause(rejected.retry_after)
        tell(self._observers, KeysRefreshFailed(self._issuer, rejected.reason))

    def _pause(self, retry_after: float | None) -> float:
        """Return how long to leave the publisher alone: 1, 2, 4 ... seconds, with jitter."""
        if retry_after is not None:
            return max(1.0, min(retry_after, 300.0))
        longest: float = min(self._options.max_backoff, 2.0 ** min(self._failures - 1, 10))
        return longest * (0.5 + 0.5 * self._spread.random())

    def _free(self, flight: KeyFlight) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None

    def _is_distrusted(self, key: VerificationKey) -> bool:
        return key.kid in self._distrusted

    def _unavailable(self, now: float) -> KeysUnavailable:
        reason = self._last_failure or "the keys have not arrived"
        return KeysUnavailable(reason, retry_after=max(1.0, self._gate_opens - now))

    def distrust(self, kid: str | None = None) -> None:
        """Remove one key, or all there are, now; no renewal brings them back."""
        with self._lock:
            snapshot = self.snapshot
            held = {key.kid for key in snapshot.keys} if snapshot else set()
            self._distrusted |= held if kid is None else {kid}
            if snapshot is not None:
                kept = tuple(key for key in snapshot.keys if not self._is_distrusted(key))
                # The digest goes too: the same document has to be read again, without them.
                self.snapshot = replace(snapshot, keys=kept, digest=b"", etag=None)

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Fetch now unless there are fresh keys.

        :param timeout: seconds to wait at the most.
        :raises KeysUnavailable: if ``required`` and there are still none.
        """
        refuse_to_block("warm", "awarm")
        run(self._warming(), **({} if timeout is None else {"patience": timeout}))
        self._check_warm(required)

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Do the same by awaiting."""
        await arun(self._warming(), **({} if timeout is None else {"patience": timeout}))
        self._check_warm(required)

    def _warming(self) -> Steps[None]:
        now = self._clock.monotonic()
        if self._state(self.snapshot, now) != "fresh":
            flight = self._joined_or_launched(now)
            if flight is not None:
                yield Fly(flight)

    def _check_warm(self, required: bool) -> None:
        if required and not self.health().is_ready:
            raise self._unavailable(self._clock.monotonic())

    def health(self) -> KeyHealth:
        """Return how it stands, without asking anybody."""
        snapshot = self.snapshot
        state = self._state(snapshot, self._clock.monotonic())
        keys = len(snapshot.keys) if snapshot else 0
        is_ready = keys > 0 and state != "dead"
        return KeyHealth(state, is_ready, keys, self._failures, self._last_failure)

    def after_fork(self) -> None:
        """Start over in a forked child: another process's lock and flight, but our keys."""
        self._lock = TinyLock()
        self._flight = None

    def close(self) -> None:
        """Wake who waits and close the connections; nothing is fetched any more."""
        with self._lock:
            flight, self._flight, self._is_closed = self._flight, None, True
        if flight is not None:
            flight.land()
        self._fetcher.close()


def _find(
    snapshot: Snapshot | None, kid: str | None, algorithm: Algorithm
) -> tuple[VerificationKey, ...]:
    if snapshot is None:
        return ()
    if kid is not None:
        return snapshot.named(kid, algorithm)
    # A token without kid is served only where there is no choice (RFC 7515 §4.1.4 leaves it open).
    serving = snapshot.all_serving(algorithm)
    return serving if len(serving) == 1 else ()


def _wait_for(flight: KeyFlight) -> Gap:
    return Gap("keys", Fly(flight))


def _digest(kid: str | None) -> str | None:
    """Return a short name for a kid, which is foreign text and never logged as it is."""
    return None if kid is None else sha256(kid.encode("utf-8", "replace")).hexdigest()[:12]
