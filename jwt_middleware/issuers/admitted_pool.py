"""The issuers that a rule admits when a token names them. They are dropped when others need room.

A name that the rule refuses is not stored. A name that it admits costs a place, a key set and
perhaps a fetch, and any client can write it into a token. So an issuer is proven only when a token
of it was verified. The others share a few places and a small budget of fetches, whatever their
names and however often they return, so that they use up nothing of a proven issuer.
"""

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from traceback import extract_tb
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from jwt_middleware.clock import Clock
from jwt_middleware.errors import KeysUnavailable
from jwt_middleware.events import Observer
from jwt_middleware.forks import TinyLock, renew_after_fork
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.namesakes import check_apart, labels_of, named
from jwt_middleware.issuers.trusted import Named, TrustedIssuer, source_of
from jwt_middleware.issuers.withdrawals import Withdrawals
from jwt_middleware.keys.remote.pool_limits import (
    RETURNING_BURST,
    RETURNING_INTERVAL,
    UNPROVEN_BURST,
    UNPROVEN_INTERVAL,
    PoolLimit,
    PoolShare,
)
from jwt_middleware.keys.remote.rate_limits import RateLimit
from jwt_middleware.keys.source import KeySource, RemoteKeySource
from jwt_middleware.logs import log_of

_log = log_of("jwt_middleware")

# The most proven issuers to remember that lost their place. Each has a budget of its own, which
# outlives its keys. Longer names are not remembered.
MAX_RETURNING = 10_000
MAX_NAME_LENGTH = 512

# The log is limited, because a rule may fail for every token, and any client can send tokens.
LOG_BURST = 10
LOG_INTERVAL = 60.0


class AdmittedPool:
    """The issuers that one rule has admitted and that are in service."""

    def __init__(
        self,
        policy: AdmittedIssuers,
        clock: Clock,
        observers: tuple[Observer, ...],
        withdrawals: Withdrawals,
        forget: Callable[[TrustedIssuer], None],
    ) -> None:
        """
        :param withdrawals: the withdrawn keys by issuer, shared by all rules of a guard.
        :param forget: called with each issuer that is not in service any more.
        """
        self._policy = policy
        self._readmit_after: Any = policy.readmit_after
        self._clock = clock
        self._observers = observers
        self._withdrawals = withdrawals
        self._forget = forget
        now = clock.monotonic()
        budget = RateLimit(UNPROVEN_BURST, UNPROVEN_INTERVAL, now)
        self._limit = PoolLimit(policy.max_flights, budget)
        self._log_budget = RateLimit(LOG_BURST, LOG_INTERVAL, now)
        self._is_closed = False
        self._issuers: OrderedDict[str, Named] = OrderedDict()
        """The issuers by name. The proven name with the latest verified token is last."""
        self._proven: set[str] = set()
        self._returning: OrderedDict[str, RateLimit] = OrderedDict()
        """The budgets of issuers that were proven before and have no place."""
        # The dictionaries are weak because an issuer may lose its place while requests still wait
        # for its keys. Its sources stay here until then.
        self._sources: WeakValueDictionary[object, KeySource] = WeakValueDictionary()
        self._names: WeakKeyDictionary[KeySource, str] = WeakKeyDictionary()
        self._shares: WeakKeyDictionary[KeySource, PoolShare] = WeakKeyDictionary()
        self._lock = TinyLock()
        renew_after_fork(self)

    def in_service(self) -> list[TrustedIssuer]:
        """Return the issuers in service."""
        with self._lock:
            return [issuer for group in self._issuers.values() for issuer in group.members]

    def get(self, name: str) -> Named | None:
        """Return the issuers of that name; ``None`` if the rule does not admit it.

        :raises KeysUnavailable: if the rule fails, or the pool is closed.
        """
        known = self._issuers.get(name)
        if known is not None and self._is_recent(known):
            return known
        if known is None and self._is_closed:
            raise KeysUnavailable("the guard is closed")
        try:
            settings = self._asked(name)
            made = self._made(settings, known) if settings else None
        except Exception as problem:  # noqa: BLE001 - the rule is foreign code
            raise self._undecided(problem) from None
        return self._exchange(name, known, made)

    def _is_recent(self, known: Named) -> bool:
        # The greater of both ages counts, because an issuer that the rule now refuses is still
        # trusted for this time.
        return self._clock.monotonic() < min(
            each.admitted_until for each in known.members
        ) and self._clock.now() < min(each.admitted_before for each in known.members)

    def _asked(self, name: str) -> list[Issuer]:
        answer = self._policy.admit(name)
        if answer is None:
            return []
        several = [answer] if isinstance(answer, Issuer) else answer
        if not isinstance(several, list | tuple):
            raise TypeError("the rule returned neither an Issuer, nor a list of them, nor None")
        for settings in several:
            if not isinstance(settings, Issuer):
                raise TypeError("the rule returned a list of something else than Issuers")
            if settings.key_uri is not None:
                # Each key id would be a fetch beyond the limits of the pool.
                raise ValueError("the rule returned an Issuer with key_uri=")
            # Another name is refused, because it would be trusted with the keys of this one.
            if settings.issuer != name or settings.aliases:
                raise ValueError("the rule returned an Issuer of another name")
        check_apart(name, several)
        return [settings.admitted_with(self._policy.grants) for settings in several]

    def _made(self, settings: list[Issuer], known: Named | None) -> Named:
        """Return the issuers of one name: those that are known, as far as they are unchanged."""
        before: Sequence[TrustedIssuer] = () if known is None else known.members
        made = [
            self._made_one(each, label, before)
            for each, label in zip(settings, labels_of(settings), strict=True)
        ]
        if known is not None and _are_the_same(made, known.members):
            return known
        return named(made)

    def _made_one(
        self, settings: Issuer, label: str | None, before: Iterable[TrustedIssuer]
    ) -> TrustedIssuer:
        for known in before:
            if known.issuer == settings and known.label == label:
                return known
        for known in before:
            if known.issuer.key_settings == settings.key_settings:
                return TrustedIssuer(settings, label, known.keys)
        return TrustedIssuer(settings, label, self._source(settings, label))

    def _source(self, settings: Issuer, label: str | None) -> KeySource:
        """Return the key source of an issuer; simultaneous callers get the same one."""
        with self._lock:
            kept = self._sources.get(settings.key_settings)
        if kept is not None:
            return kept
        distrusted = self._withdrawals.of(settings.issuer or "")
        share = PoolShare(self._limit)
        made = source_of(
            settings,
            self._clock,
            self._observers,
            share=share,
            distrusted=distrusted,
            label=label,
        )
        with self._lock:
            kept = self._sources.setdefault(settings.key_settings, made)
            if kept is made:
                self._register(settings.issuer or "", made, share)
        if kept is made and distrusted:
            # What was withdrawn while it was made has not reached it.
            made.apply_withdrawals()
        return kept

    def _register(self, name: str, source: KeySource, share: PoolShare) -> None:
        self._names[source] = name
        self._shares[source] = share
        share.is_proven = name in self._proven
        share.returning = self._returning.get(name)
        if share.returning is not None:
            self._returning.move_to_end(name)

    def _exchange(self, name: str, known: Named | None, made: Named | None) -> Named | None:
        """Replace the known issuers by the rule's result, unless another thread was faster."""
        gone: list[TrustedIssuer] = []
        with self._lock:
            current = self._issuers.get(name)
            if current is not known and current is not None:
                return current
            is_refused = self._is_closed and made is not None and made is not current
            if made is None:
                gone = [] if current is None else self._retire(name)
            elif is_refused:
                for each in made.members:
                    self._sources.pop(each.issuer.key_settings, None)
            else:
                gone = self._put(name, current, made)
        for each in gone:
            self._forget(each)
        if is_refused and made is not None:
            # The pool was closed while the rule was running, so a new source is closed as well.
            for each in made.members:
                _close(each.keys)
            raise KeysUnavailable("the guard is closed")
        return made

    def _put(self, name: str, current: Named | None, made: Named) -> list[TrustedIssuer]:
        """Put issuers into service; return the issuers whose cached tokens must go."""
        for issuer in made.members:
            # Set here and not when it is made, because another thread may be faster with another
            # list of the rule, and this one is then never in service.
            issuer.group = made
            issuer.admitted_until = self._clock.monotonic() + self._readmit_after
            issuer.admitted_before = self._clock.now() + self._readmit_after
        self._issuers[name] = made
        if current is None:
            return self._make_room(name)
        # Of an unchanged issuer too: beside other issuers of its name it may accept less.
        return list(current.members) if current is not made and name in self._proven else []

    def _make_room(self, newest: str) -> list[TrustedIssuer]:
        if len(self._issuers) <= self._policy.most:
            return []
        # If no unproven issuer is idle, the newest gets a place only after a token of it was
        # verified. A request that waits for its keys keeps them until then.
        return self._retire(self._unproven_and_idle(newest) or newest)

    def _unproven_and_idle(self, keep: str) -> str | None:
        """Return an issuer to drop first: any client can write a name, but not a valid token."""
        for name, group in self._issuers.items():
            is_idle = not any(each.keys.health().is_fetching for each in group.members)
            if name != keep and name not in self._proven and is_idle:
                return name
        return None

    def _retire(self, name: str) -> list[TrustedIssuer]:
        """Take a name out of service; return its issuers if there may be cached tokens of them."""
        group = self._issuers.pop(name)
        if name not in self._proven:
            # No token of it was verified, so a search of the cache would only delay a request.
            return []
        self._proven.discard(name)
        self._remember(name, [self._shares[each.keys] for each in group.members])
        return list(group.members)

    def _remember(self, name: str, shares: list[PoolShare]) -> None:
        """Record that an issuer was proven, with a budget that outlives its keys."""
        now = self._clock.monotonic()
        limit = self._returning.get(name) or RateLimit(RETURNING_BURST, RETURNING_INTERVAL, now)
        for share in shares:
            share.is_proven, share.returning = False, limit
        if len(name) > MAX_NAME_LENGTH:
            return
        self._returning[name] = limit
        self._returning.move_to_end(name)
        if len(self._returning) > MAX_RETURNING:
            self._returning.popitem(last=False)

    def proved(self, issuer: TrustedIssuer) -> bool:
        """Record a verified token: its issuer is now the last to lose its place.

        :return: whether the issuer is in service.
        """
        name = issuer.name or ""
        gone: list[TrustedIssuer] = []
        with self._lock:
            group = self._issuers.get(name, issuer.group)
            if issuer.keys not in self._shares or issuer not in group.members:
                return False
            self._issuers[name] = group
            for each in group.members:
                self._shares[each.keys].is_proven = True
            self._proven.add(name)
            self._issuers.move_to_end(name)
            if len(self._issuers) > self._policy.most:
                gone = self._retire(self._unproven_and_idle(name) or next(iter(self._issuers)))
        for each in gone:
            self._forget(each)
        return True

    def sources_of(self, name: str) -> list[KeySource]:
        """Return every key source of an issuer, in service or waited for."""
        with self._lock:
            return [source for source, owner in self._names.items() if owner == name]

    def open(self) -> None:
        """Admit issuers again, after :meth:`close`."""
        self._is_closed = False

    def close(self) -> None:
        """Stop admitting issuers, and close the sources in service or waited for."""
        with self._lock:
            self._is_closed = True
            sources = list(self._names)
            self._sources = WeakValueDictionary(
                {
                    each.issuer.key_settings: each.keys
                    for group in self._issuers.values()
                    for each in group.members
                }
            )
        for source in sources:
            _close(source)

    def after_fork(self) -> None:
        """Create a new lock in a forked child, which keeps the keys of its parent."""
        self._lock = TinyLock()

    def _undecided(self, problem: Exception) -> KeysUnavailable:
        """Return the refusal for a rule that failed, and logs the place at a limited rate.

        The message of the exception is not logged, because it may quote the name in a token.
        """
        kind = type(problem).__name__
        with self._lock:
            is_to_be_told = self._log_budget.take(self._clock.monotonic())
        if is_to_be_told:
            place = extract_tb(problem.__traceback__)[-1]
            _log.error("issuer_admission_failed: %s at %s:%s", kind, place.filename, place.lineno)
        return KeysUnavailable(f"the rule for admitted issuers failed ({kind})")


def _are_the_same(made: Sequence[TrustedIssuer], known: Sequence[TrustedIssuer]) -> bool:
    return len(made) == len(known) and all(map(operator.is_, made, known))


def _close(source: KeySource) -> None:
    if isinstance(source, RemoteKeySource):
        source.close()
