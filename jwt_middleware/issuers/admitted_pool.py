"""Issuers that a rule admits: asked for when a token names them, and dropped when others need room.

A name that the rule refuses leaves nothing behind. A name that it admits costs a place, a key set
and perhaps a fetch, and anybody can write it into a token. So issuers are told apart by whether a
token of theirs was ever good: those are proven. The others share a few places and a small budget of
fetches, whatever names they have and however often they come back; nothing that they spend belongs
to a proven issuer.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from traceback import extract_tb
from weakref import WeakKeyDictionary, WeakValueDictionary

from jwt_middleware.clock import Clock
from jwt_middleware.errors import KeysUnavailable
from jwt_middleware.events import Observer
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.trusted import Trust, source_of
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.remote.rate_limits import Bucket
from jwt_middleware.keys.remote.shared_fetch import (
    UNPROVEN_BURST,
    UNPROVEN_INTERVAL,
    FlightLimit,
    Share,
)
from jwt_middleware.keys.source import KeySource

_log = logging.getLogger("jwt_middleware")

# Issuers that lost their place and were proven before: they come back as what they are. A name is
# an address; what is longer is not remembered.
MAX_PROVEN_BEFORE = 10_000
MAX_NAME_LENGTH = 512

# A rule that fails may do so for every token, and anybody can send those.
LOG_BURST = 10
LOG_INTERVAL = 60.0


class Admissions:
    """The issuers that one rule has admitted and that are in service."""

    def __init__(
        self,
        rule: AdmittedIssuers,
        clock: Clock,
        observers: tuple[Observer, ...],
        forget: Callable[[Trust], None],
    ) -> None:
        """:param forget: told of an issuer that is no longer in service."""
        self._rule = rule
        self._clock = clock
        self._observers = observers
        self._forget = forget
        now = clock.monotonic()
        self._limit = FlightLimit(rule.max_flights, Bucket(UNPROVEN_BURST, UNPROVEN_INTERVAL, now))
        self._log_budget = Bucket(LOG_BURST, LOG_INTERVAL, now)
        self._proven_before: OrderedDict[str, None] = OrderedDict()
        self._shares: WeakKeyDictionary[KeySource, Share] = WeakKeyDictionary()
        self._is_closed = False
        self._trusts: OrderedDict[str, Trust] = OrderedDict()
        """By name; of those that have shown a good token, the latest to do so stands last."""
        self._proven: set[str] = set()
        self._withdrawn = dict[str, Distrusted]()
        """What an operator has withdrawn of issuers that are not in service."""
        # An issuer may lose its place while requests still wait for its keys. As long as anybody
        # holds them they are found here, and whoever waited is served.
        self._sources: WeakValueDictionary[object, KeySource] = WeakValueDictionary()
        self._lock = TinyLock()
        renew_after_fork(self)

    def live(self) -> list[Trust]:
        """Return the issuers in service."""
        with self._lock:
            return list(self._trusts.values())

    def get(self, issuer: str) -> Trust | None:
        """Return the issuer of that name; ``None`` if the rule does not admit it.

        :raises KeysUnavailable: if the rule cannot tell, or this is closed.
        """
        known = self._trusts.get(issuer)
        if known is not None and self._is_recent(known):
            return known
        if known is None and self._is_closed:
            raise KeysUnavailable("the guard is closed")
        try:
            settings = self._asked(issuer)
            made = None if settings is None else self._in_service(settings, known)
        except Exception as problem:  # noqa: BLE001 - the rule is foreign code
            raise self._undecided(problem) from None
        return self._exchange(issuer, known, made)

    def _is_recent(self, known: Trust) -> bool:
        # The greater of both ages counts: for so long an issuer is trusted that no longer is one.
        return (
            self._clock.monotonic() < known.admitted_until
            and self._clock.now() < known.admitted_before
        )

    def _asked(self, issuer: str) -> Issuer | None:
        settings = self._rule.admit(issuer)
        if settings is None:
            return None
        if not isinstance(settings, Issuer):
            raise TypeError("the rule returned neither an Issuer nor None")
        # To trust one name with the keys of another is what nobody means.
        if settings.issuer != issuer or settings.aliases:
            raise ValueError("the rule returned an Issuer of another name")
        return settings.admitted_with(self._rule.grants)

    def _in_service(self, settings: Issuer, known: Trust | None) -> Trust:
        if known is None or known.settings.key_settings != settings.key_settings:
            return Trust(settings, self._source(settings, known))
        if known.settings.token_settings != settings.token_settings:
            return Trust(settings, known.source)
        return known

    def _source(self, settings: Issuer, known: Trust | None) -> KeySource:
        with self._lock:
            kept = self._sources.get(settings.key_settings)
            distrusted = self._withdrawn.get(settings.issuer or "")
        if known is not None:
            distrusted = known.source.distrusted
        if kept is not None and not distrusted:
            return kept
        if kept is not None and kept.distrusted is distrusted:
            # One that was put aside may still hold what was withdrawn meanwhile.
            kept.apply_withdrawals()
            return kept
        share = Share(self._limit)
        share.is_proven = self._was_proven(settings.issuer or "")
        source = source_of(settings, self._clock, self._observers, share, distrusted)
        with self._lock:
            self._shares[source] = share
        return source

    def _was_proven(self, name: str) -> bool:
        return name in self._proven or name in self._proven_before

    def _exchange(self, issuer: str, known: Trust | None, made: Trust | None) -> Trust | None:
        """Put what the rule said in the place of what was known, unless another was faster."""
        with self._lock:
            current = self._trusts.get(issuer)
            if current is not known and current is not None:
                return current
            gone = self._retire(issuer) if current is not None and made is not current else []
            if made is not None:
                made.admitted_until = self._clock.monotonic() + self._rule.readmit_after
                made.admitted_before = self._clock.now() + self._rule.readmit_after
                self._trusts[issuer] = made
                self._sources[made.settings.key_settings] = made.source
                gone += self._make_room(issuer)
        for trust in gone:
            self._forget(trust)
        return made

    def _make_room(self, newest: str) -> list[Trust]:
        if len(self._trusts) <= self._rule.most:
            return []
        # A name can be written into a token by anybody; a good signature cannot.
        others = [name for name in self._trusts if name != newest and name not in self._proven]
        idle = (name for name in others if not self._trusts[name].source.health().is_fetching)
        # Without one the newest has no place until a token of it was good. A request that waits for
        # its keys holds them meanwhile.
        return self._retire(next(idle, newest))

    def _retire(self, issuer: str) -> list[Trust]:
        """Take an issuer out of service; return it if there may be tokens to forget."""
        trust = self._trusts.pop(issuer)
        # For good means for good: the next time this issuer is in service, too.
        if trust.source.distrusted:
            self._withdrawn[issuer] = trust.source.distrusted
        if issuer not in self._proven:
            # No token of it was ever good, and to look for one would cost whoever comes next.
            return []
        self._proven.discard(issuer)
        if len(issuer) <= MAX_NAME_LENGTH:
            self._proven_before[issuer] = None
            if len(self._proven_before) > MAX_PROVEN_BEFORE:
                self._proven_before.popitem(last=False)
        return [trust]

    def proved(self, trust: Trust) -> bool:
        """Take note of a good token: its issuer keeps its place the longest.

        :return: whether it is in service.
        """
        name = trust.issuer or ""
        gone: list[Trust] = []
        with self._lock:
            share = self._shares.get(trust.source)
            if share is None or self._trusts.setdefault(name, trust) is not trust:
                return False
            share.is_proven = True
            self._proven.add(name)
            self._trusts.move_to_end(name)
            if len(self._trusts) > self._rule.most:
                gone = self._retire(next(iter(self._trusts)))
        for each in gone:
            self._forget(each)
        return True

    def open(self) -> None:
        """Admit again, after :meth:`close`."""
        self._is_closed = False

    def close(self) -> None:
        """Admit nobody any more, and close what is in service."""
        self._is_closed = True
        for trust in self.live():
            if trust.remote is not None:
                trust.remote.close()

    def after_fork(self) -> None:
        """Start over in a forked child, with the keys of its parent."""
        self._lock = TinyLock()

    def _undecided(self, problem: Exception) -> KeysUnavailable:
        """Return the refusal for a rule that failed, and log where it did, so and so often.

        Not its message, which may quote the name that a token carries.
        """
        kind = type(problem).__name__
        with self._lock:
            is_to_be_told = self._log_budget.take(self._clock.monotonic())
        if is_to_be_told:
            place = extract_tb(problem.__traceback__)[-1]
            _log.error("issuer_admission_failed: %s at %s:%s", kind, place.filename, place.lineno)
        return KeysUnavailable(f"the rule for admitted issuers failed ({kind})")
