"""The issuers of one guard. A token of any other issuer is refused without a fetch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jwt_middleware.clock import Clock
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.daemons import threads_run
from jwt_middleware.effects import REQUEST_PATIENCE, Steps, arun, refuse_to_block, run
from jwt_middleware.errors import (
    ClaimInvalid,
    ClaimMissing,
    ConfigurationError,
    IssuerUntrusted,
    TokenError,
)
from jwt_middleware.events import Observer
from jwt_middleware.evidence import kind_of
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.admitted_pool import AdmittedPool
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.namesakes import check_apart, labels_of, named
from jwt_middleware.issuers.tenants import TENANT, TENANT_ID, AnyTenant
from jwt_middleware.issuers.trusted import Named, TrustedIssuer, source_of
from jwt_middleware.issuers.withdrawals import Withdrawals
from jwt_middleware.keys.snapshot import CURRENT
from jwt_middleware.keys.source import KeySource
from jwt_middleware.logs import log_of
from jwt_middleware.principal import Principal, full_name

_log = log_of("jwt_middleware")


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
                # Not the value, which may contain a secret.
                raise ConfigurationError(
                    f"issuers: a value of type {type(issuer).__name__} must be Issuer(...)"
                )
        _check_names(fixed, len(chosen))
        self._fixed = [
            TrustedIssuer(issuer, label, source_of(issuer, clock, observers, label=label))
            for issuer, label in _with_labels(fixed)
        ]
        self._by_name: dict[str | None, Named] = {
            name: named([each for each in self._fixed if name in _names(each.issuer)])
            for issuer in self._fixed
            for name in _names(issuer.issuer)
        }
        self._templates = [
            _Template(group) for name, group in self._by_name.items() if TENANT in (name or "")
        ]
        self._exact = {
            name: group for name, group in self._by_name.items() if TENANT not in (name or "")
        }
        if rules or any(each.remote is not None for each in self._fixed):
            _warn_without_threads()
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
        self.may_be_padded = bool(rules) or any(each.issuer.padded for each in self._fixed)
        """Whether a token of any issuer may be padded."""
        self.has_several = bool(len(chosen) > 1 or rules or self._templates)
        """Whether one subject may mean two callers, of two issuers."""

    def __iter__(self) -> Iterator[TrustedIssuer]:
        yield from self._fixed
        for pool in self._pools:
            yield from pool.in_service()

    def named(self, name: str | None) -> TrustedIssuer:
        """Return the issuer of that name, which has a label if several issuers have the name.

        :raises KeyError: if the guard has no such issuer.
        :raises ConfigurationError: if it has several.
        :raises KeysUnavailable: if the rule that may admit it fails.
        """
        issuer = self._labelled(name)
        if issuer is not None:
            return issuer
        group = self._by_name.get(name)
        if group is None and name is not None:
            group = self._admitted(name)
        if group is None:
            raise KeyError(name)
        issuer, *others = group.members
        if others:
            labels = [each.full_name for each in group.members]
            raise ConfigurationError(
                f"{name!r} is the name of several issuers: write one of {labels}"
            )
        return issuer

    def _labelled(self, name: str | None) -> TrustedIssuer | None:
        """Return the issuer that a name with a label means; ``None`` for any other name.

        :raises ConfigurationError: if it is also the name of an issuer that a rule admits.
        """
        base, separator, label = (name or "").rpartition("#")
        if not separator or name in self._by_name:
            return None
        group = self._by_name.get(base or None) or self._admitted(base)
        if group is None:
            return None
        issuer = next((each for each in group.members if each.label == label), None)
        if issuer is not None and any(each.name == name for each in self):
            raise ConfigurationError(
                f"{name!r} is both a name and an issuer of {base!r} with a label: write {base!r}, "
                "for all issuers of that name, or another label="
            )
        return issuer

    def choose(self, claims: Mapping[str, Any], alg: str) -> TrustedIssuer:
        """Return the issuer that checks a token: that of its ``iss``, matched exactly.

        :param alg: the algorithm in the token's header.
        :raises ClaimMissing: if ``iss`` is missing.
        :raises ClaimInvalid: if ``iss`` is not text.
        :raises IssuerUntrusted: if the issuer is not trusted.
        :raises TokenError: if several issuers have that name, and none may accept the token.
        :raises KeysUnavailable: if the rule that may admit it fails.
        """
        group = self._group(claims)
        try:
            return group.fitting(alg, claims)
        except TokenError as problem:
            problem.judged_by = group.members[0].name
            raise

    def of(self, principal: Principal) -> TrustedIssuer:
        """Return the issuer of a principal that this guard has authenticated.

        :raises KeysUnavailable: if the rule that admitted it fails.
        """
        return self._group(principal.claims).labelled(principal.issuer_label)

    def _group(self, claims: Mapping[str, Any]) -> Named:
        name = claims.get("iss", "")
        if not isinstance(name, str):
            raise ClaimInvalid("iss", "a string", kind_of(name))
        group = self._unnamed or self._exact.get(name)
        if group is not None:
            return group
        if "iss" not in claims:
            raise ClaimMissing("iss")
        group = self._find(name)
        if group is None:
            raise IssuerUntrusted("iss", expected=self._by_name or "an admitted issuer", found=name)
        return group

    def _find(self, name: str) -> Named | None:
        if name in self._by_name:
            # The name of a template itself, which is not a valid ``iss``.
            return None
        return self._tenants_issuer(name) or self._admitted(name)

    def _tenants_issuer(self, name: str) -> Named | None:
        covering = (each.group for each in self._templates if each.covers(name))
        return next(covering, None)

    def _admitted(self, name: str) -> Named | None:
        for pool in self._pools:
            group = pool.get(name)
            if group is not None:
                return group
        return None

    def still_trusts(self, issuer: TrustedIssuer) -> bool:
        """Return whether an issuer is still in service, unchanged.

        :raises KeysUnavailable: if the rule that admitted it fails.
        """
        if not self._pools or issuer in self._fixed:
            return True
        group = self._admitted(issuer.name or "")
        return group is not None and any(each is issuer for each in group.members)

    def proved(self, issuer: TrustedIssuer) -> bool:
        """Record that a token of this issuer was verified; return whether it is in service."""
        if issuer in self._fixed:
            return True
        return any(pool.proved(issuer) for pool in self._pools)

    def distrust(self, name: str | None, kid: str | None) -> None:
        """Withdraw one key of an issuer, or all keys, permanently.

        :param name: a name with a label, or a name for all issuers of that name.
        :raises KeyError: if the guard has no issuer of that name.
        :raises KeysUnavailable: if the rule that may admit it fails.
        :raises ConfigurationError: if there is nothing to withdraw.
        """
        issuer, group = self._labelled(name), self._by_name.get(name)
        if issuer is not None:
            self._withdrawals.keep(issuer.name or "")
            _withdraw(kid, [issuer.keys])
            self._pass_on(issuer)
            # The issuers of one name that a rule admits share what is withdrawn.
            for source in self._sources_of(issuer.name or ""):
                source.apply_withdrawals()
        elif group is not None:
            try:
                _withdraw(kid, [each.keys for each in group.members])
            finally:
                for each in group.members:
                    self._pass_on(each)
        elif name is None or self._tenants_issuer(name) is not None:
            # The keys are those of all tenants, so they are withdrawn by the name of the template.
            raise KeyError(name)
        else:
            self._distrust_admitted(name, kid)

    def _pass_on(self, issuer: TrustedIssuer) -> None:
        """Withdraw the keys that an issuer has lost from the other issuers of its names, too.

        They may publish the same key, under another key id or at another address.
        """
        names = _names(issuer.issuer)
        for each in self._fixed:
            if each is not issuer and not set(names).isdisjoint(_names(each.issuer)):
                each.keys.distrusted.take_keys_of(issuer.keys.distrusted)
                each.keys.apply_withdrawals()

    def _distrust_admitted(self, name: str, kid: str | None) -> None:
        """Withdraw keys of an issuer for all rules, whether or not it has a place."""
        group = self._admitted(name)
        if group is None:
            raise KeyError(name)
        self._withdrawals.keep(name)
        sources = self._sources_of(name)
        holders = [each for each in sources if kid is not None or each.snapshot is not None]
        members = [each.keys for each in group.members if each.keys not in holders]
        _withdraw(kid, [*holders, *members])
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

    def start_warming(self) -> None:
        """Start to fetch every issuer's keys, all at once, without waiting for them."""
        steps = self._warming(required=False)
        next(steps, None)
        steps.close()

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

    :raises ConfigurationError: if there is nothing to withdraw in any of them; or, if all keys are
        to be withdrawn, in one of them, whose keys would be trusted when they are fetched.
    """
    problems = []
    for source in sources:
        try:
            source.distrust(kid)
        except ConfigurationError as problem:
            problems.append(problem)
    if problems and (kid is None or len(problems) == len(sources)):
        raise problems[-1]


class _Template:
    """A name with a parameter for the tenant, and the issuers of that name."""

    def __init__(self, group: Named) -> None:
        self.group = group
        self._before, _, self._after = (group.members[0].name or "").partition(TENANT)
        self._tenants = [each.issuer.tenants or () for each in group.members]

    def covers(self, issuer: str) -> bool:
        """Return whether a name is that of a trusted tenant."""
        if not issuer.startswith(self._before) or not issuer.endswith(self._after):
            return False
        tenant = issuer[len(self._before) : len(issuer) - len(self._after)]
        if not TENANT_ID.fullmatch(tenant):
            return False
        return any(isinstance(each, AnyTenant) or tenant in each for each in self._tenants)


def _warn_without_threads() -> None:
    if not threads_run():
        _log.warning(
            "no thread can be started here, so that no keys can be fetched: allow threads, as with "
            "--enable-threads of uWSGI, or give each Issuer its keys="
        )


def _names(issuer: Issuer) -> tuple[str | None, ...]:
    """Return every name that a token of an issuer may have."""
    return (issuer.issuer, *issuer.aliases)


def _with_labels(issuers: list[Issuer]) -> list[tuple[Issuer, str | None]]:
    """Return each issuer with what tells it apart from others of its name.

    :raises ConfigurationError: if a token could be accepted by two, or a name with a label could
        mean two.
    """
    labels: dict[int, str | None] = {id(each): each.label for each in issuers}
    for name in dict.fromkeys(name for each in issuers for name in _names(each)):
        sharing = [each for each in issuers if name in _names(each)]
        check_apart(name, sharing)
        for each, label in zip(sharing, labels_of(sharing), strict=True):
            labels[id(each)] = label or labels[id(each)]
    found = [(each, labels[id(each)]) for each in issuers]
    names = [full_name(each.issuer, label) for each, label in found]
    for each, label in found:
        if names.count(full_name(each.issuer, label)) > 1:
            raise ConfigurationError(
                f"issuers: {full_name(each.issuer, label)!r} must mean one issuer: write another "
                "label= for one of them"
            )
    return found


def _check_names(issuers: list[Issuer], count: int) -> None:
    if not count:
        raise ConfigurationError("issuers=[] must name at least one issuer: write [Issuer(...)]")
    if count > 1 and any(each.issuer is None for each in issuers):
        raise ConfigurationError("issuers: one without a name must be the only one")
