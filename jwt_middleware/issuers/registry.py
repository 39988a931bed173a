"""The issuers of one guard. A token of any other issuer is refused without a fetch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.effects import REQUEST_PATIENCE, Steps, arun, refuse_to_block, run
from jwt_middleware.errors import (
    ClaimInvalid,
    ClaimMissing,
    ConfigurationError,
    IssuerUntrusted,
)
from jwt_middleware.events import Observer
from jwt_middleware.evidence import kind_of
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.admitted_pool import AdmittedPool
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.tenants import TENANT, TENANT_ID, AnyTenant
from jwt_middleware.issuers.trusted import TrustedIssuer, source_of
from jwt_middleware.issuers.withdrawals import Withdrawals
from jwt_middleware.keys.snapshot import CURRENT
from jwt_middleware.keys.source import KeySource


class Registry:
    """Finds the issuer that a token names: in the list, among the tenants, or by a rule."""

    def __init__(
        self,
        issuers: Iterable[Issuer | AdmittedIssuers],
        clock: Clock,
        observers: tuple[Observer, ...],
        forget: Callable[[TrustedIssuer], None] = lambda _: None,
    ) -> None:
        """
        :param forget: called with each admitted issuer that is not in service any more.
        :raises ConfigurationError: for an empty list, a name twice, or one without a name
            among several.
        """
        chosen = tuple(issuers)
        fixed = [issuer for issuer in chosen if isinstance(issuer, Issuer)]
        rules = [rule for rule in chosen if isinstance(rule, AdmittedIssuers)]
        for issuer in chosen:
            if not isinstance(issuer, Issuer | AdmittedIssuers):
                raise ConfigurationError(f"issuers: {issuer!r} must be Issuer(...)")
        _check_names(fixed, len(chosen))
        self._fixed = [
            TrustedIssuer(issuer, source_of(issuer, clock, observers)) for issuer in fixed
        ]
        self._by_name = {
            name: issuer for issuer in self._fixed for name in (issuer.name, *issuer.issuer.aliases)
        }
        self._templates = [_Template(issuer) for issuer in self._fixed if issuer.issuer.is_template]
        self._exact = {
            name: issuer for name, issuer in self._by_name.items() if not issuer.issuer.is_template
        }
        self._withdrawals = Withdrawals()
        self._pools = [
            AdmittedPool(rule, clock, observers, self._withdrawals, forget) for rule in rules
        ]
        self.admits = bool(rules)
        """Whether a rule may admit more issuers."""
        self._unnamed = self._by_name.get(None)
        names = (name for issuer in self._fixed for name in issuer.algorithms)
        self.algorithms = frozenset(ALGORITHMS if rules else names)
        """The algorithms that any issuer may sign with."""
        self.has_several = bool(len(chosen) > 1 or rules or self._templates)
        """Whether one subject may mean two callers, of two issuers."""

    def __iter__(self) -> Iterator[TrustedIssuer]:
        yield from self._fixed
        for pool in self._pools:
            yield from pool.in_service()

    def named(self, name: str | None) -> TrustedIssuer:
        """Return the issuer of that name.

        :raises KeyError: if the guard has no such issuer.
        :raises KeysUnavailable: if the rule that may admit it fails.
        """
        issuer = self._by_name.get(name)
        if issuer is None and name is not None:
            issuer = self._admitted(name)
        if issuer is None:
            raise KeyError(name)
        return issuer

    def choose(self, claims: Mapping[str, Any]) -> TrustedIssuer:
        """Return the issuer that a token names in ``iss``; the match is exact.

        :raises ClaimMissing: if ``iss`` is missing.
        :raises ClaimInvalid: if ``iss`` is not text.
        :raises IssuerUntrusted: if the issuer is not trusted.
        :raises KeysUnavailable: if the rule that may admit it fails.
        """
        name = claims.get("iss", "")
        if not isinstance(name, str):
            raise ClaimInvalid("iss", "a string", kind_of(name))
        issuer = self._unnamed or self._exact.get(name)
        if issuer is not None:
            return issuer
        if "iss" not in claims:
            raise ClaimMissing("iss")
        issuer = self._find(name)
        if issuer is None:
            raise IssuerUntrusted("iss", expected=self._by_name or "an admitted issuer", found=name)
        return issuer

    def _find(self, name: str) -> TrustedIssuer | None:
        if name in self._by_name:
            # The name of a template itself, which is not a valid ``iss``.
            return None
        return self._tenants_issuer(name) or self._admitted(name)

    def _tenants_issuer(self, name: str) -> TrustedIssuer | None:
        covering = (each.issuer for each in self._templates if each.covers(name))
        return next(covering, None)

    def _admitted(self, name: str) -> TrustedIssuer | None:
        for pool in self._pools:
            issuer = pool.get(name)
            if issuer is not None:
                return issuer
        return None

    def still_trusts(self, issuer: TrustedIssuer) -> bool:
        """Return whether an issuer is still in service, unchanged.

        :raises KeysUnavailable: if the rule that admitted it fails.
        """
        if not self._pools or issuer in self._fixed:
            return True
        return self._admitted(issuer.name or "") is issuer

    def proved(self, issuer: TrustedIssuer) -> bool:
        """Record that a token of this issuer was verified; return whether it is in service."""
        if issuer in self._fixed:
            return True
        return any(pool.proved(issuer) for pool in self._pools)

    def distrust(self, name: str | None, kid: str | None) -> None:
        """Withdraw one key of an issuer, or all keys, permanently.

        :raises KeyError: if the guard has no issuer of that name.
        :raises KeysUnavailable: if the rule that may admit it fails.
        :raises ConfigurationError: if there is nothing to withdraw.
        """
        fixed = self._by_name.get(name)
        if fixed is not None:
            fixed.keys.distrust(kid)
        elif name is not None and self._tenants_issuer(name) is not None:
            # The keys are those of all tenants, so they are withdrawn by the name of the template.
            raise KeyError(name)
        else:
            self._distrust_admitted(self.named(name), kid)

    def _distrust_admitted(self, issuer: TrustedIssuer, kid: str | None) -> None:
        """Withdraw keys of an issuer for all rules, whether or not it has a place."""
        name = issuer.name or ""
        self._withdrawals.keep(name)
        sources = self._sources_of(name)
        holders = [each for each in sources if kid is not None or each.snapshot is not None]
        _withdraw(kid, holders or [issuer.keys])
        # One that was added meanwhile, and one without a key of that key id.
        for source in self._sources_of(name):
            source.apply_withdrawals()

    def _sources_of(self, name: str) -> list[KeySource]:
        return [source for pool in self._pools for source in pool.sources_of(name)]

    def warm(self, timeout: float | None, required: bool) -> None:
        """Fetch every issuer's keys, all at once.

        :param timeout: the total seconds to wait at the most.
        :param required: whether to raise if keys cannot be fetched, after all were tried.
        :raises KeysUnavailable: if ``required`` and an issuer's keys cannot be fetched.
        """
        if not all(issuer.keys.health().state in CURRENT for issuer in self):
            refuse_to_block("Guard.warm", "Guard.awarm")
        run(self._warming(required), REQUEST_PATIENCE if timeout is None else timeout)

    async def awarm(self, timeout: float | None, required: bool) -> None:
        """Async version of :meth:`warm`."""
        await arun(self._warming(required), REQUEST_PATIENCE if timeout is None else timeout)

    def _warming(self, required: bool) -> Steps[None]:
        """Start the fetches of all issuers at once, then wait for each in turn."""
        for pool in self._pools:
            pool.open()
        sources = [issuer.remote for issuer in self if issuer.remote is not None]
        waiters = [source.start_warming() for source in sources]
        for waiter in waiters:
            if waiter is not None:
                yield waiter
        for source in sources:
            source.check_warm(required)

    def close(self) -> None:
        """Abandon fetches, close connections and stop admitting issuers."""
        for issuer in self._fixed:
            if issuer.remote is not None:
                issuer.remote.close()
        for pool in self._pools:
            pool.close()


def _withdraw(kid: str | None, sources: list[KeySource]) -> None:
    """Withdraw a key of all sources of one issuer.

    :raises ConfigurationError: if there is nothing to withdraw in any of them.
    """
    problems = []
    for source in sources:
        try:
            source.distrust(kid)
        except ConfigurationError as problem:
            problems.append(problem)
    if len(problems) == len(sources):
        raise problems[-1]


class _Template:
    """An issuer's name with a parameter for the tenant."""

    def __init__(self, issuer: TrustedIssuer) -> None:
        self.issuer = issuer
        self._before, _, self._after = (issuer.name or "").partition(TENANT)
        self._tenants = issuer.issuer.tenants

    def covers(self, issuer: str) -> bool:
        """Return whether a name is that of a trusted tenant."""
        if not issuer.startswith(self._before) or not issuer.endswith(self._after):
            return False
        tenant = issuer[len(self._before) : len(issuer) - len(self._after)]
        if not TENANT_ID.fullmatch(tenant):
            return False
        return isinstance(self._tenants, AnyTenant) or tenant in (self._tenants or ())


def _check_names(issuers: list[Issuer], count: int) -> None:
    names = [name for issuer in issuers for name in (issuer.issuer, *issuer.aliases)]
    if not count:
        raise ConfigurationError("issuers=[] must name at least one issuer: write [Issuer(...)]")
    if len(set(names)) < len(names):
        raise ConfigurationError(f"issuers: a name must not be twice in {names}")
    if None in names and count > 1:
        raise ConfigurationError("issuers: one without a name must be the only one")
