"""The decision.

The order of checks, and it matters:

1. method and path: what cannot be read with certainty           400
2. the rule of every reading of the path; ``public`` passes
3. the token sources: not one token 400, none where one is due   401
4. size, shape, algorithm, type, issuer, audience, times         401
5. a token known from before, or key and signature               401, 503
6. for a cookie, proof of where the request comes from           403
7. what the rule asks of the principal                           403

``_judge`` goes through them once and never waits. What memory cannot answer it names as a gap;
``ask`` has it filled and judges again.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Never, cast

from jwt_middleware.checks import check_count, check_flag, check_text
from jwt_middleware.clock import Clock, SystemClock, check_clock
from jwt_middleware.crypto.key_options import KeyOption
from jwt_middleware.effects import NO_ANSWERS, Answers, Gap, Steps, arun, ask, refuse_to_block, run
from jwt_middleware.errors import (
    ConfigurationError,
    CSRFRefused,
    PathInvalid,
    Refused,
    TokenMalformed,
    TokenMissing,
    TokenTooLarge,
    Unavailable,
    UserUnknown,
)
from jwt_middleware.events import Observer, RequestRefused, tell
from jwt_middleware.guard.authenticator import BLOCKING, Authenticator
from jwt_middleware.guard.explain import Explanation, Question, explanation
from jwt_middleware.guard.options import (
    GuardOptions,
    WarmUp,
    check_warm_up,
    checked_observers,
    checked_prefixes,
    checked_readings,
    chosen_issuers,
    chosen_rules,
    refuse_unknown,
    warn_of_grants,
)
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.registry import Registry
from jwt_middleware.keys.snapshot import KeyHealth
from jwt_middleware.principal import ANONYMOUS, Principal
from jwt_middleware.request.csrf import OriginProof
from jwt_middleware.request.preflight import Preflights
from jwt_middleware.request.sources import (
    BearerHeader,
    CookieToken,
    Sources,
    TokenSource,
    check_form,
)
from jwt_middleware.request.view import RequestView, Sent
from jwt_middleware.responses.headers import private, with_header
from jwt_middleware.responses.metadata import ProtectedResource
from jwt_middleware.responses.render import Renderer
from jwt_middleware.rules.applications import UNKNOWN, Application
from jwt_middleware.rules.methods import SOCKET
from jwt_middleware.rules.requirements import NO_CAPTURES, Match, Requirement, curing_scopes
from jwt_middleware.rules.roles import RoleHierarchy
from jwt_middleware.rules.rule import NO_RULE, Rule
from jwt_middleware.rules.table import RuleTable, Ruling
from jwt_middleware.tokens.cache import TokenCache
from jwt_middleware.tokens.claims import AnyAudience
from jwt_middleware.tokens.verifier import MAX_TOKEN_SIZE
from jwt_middleware.verdict import (
    Allow,
    Deny,
    ErrorBody,
    Headers,
    Refusal,
    Reply,
)

_log = logging.getLogger("jwt_middleware")

# What ten thousand tokens of 1.5 KB weigh; see tokens/cache.py for the estimate.
TOKEN_CACHE_BYTES = 64 * 1024 * 1024


class Guard:
    """Configuration and memory, and the one object that decides. Shared by threads and loops."""

    def __init__(
        self,
        *,
        issuers: Issuer | AdmittedIssuers | Iterable[Issuer | AdmittedIssuers] | None = None,
        rules: Sequence[Rule] = (),
        protected: Sequence[str] | None = None,
        token_sources: Sequence[TokenSource] = (BearerHeader(),),
        role_hierarchy: Mapping[str, Collection[str]] | None = None,
        realm: str | None = None,
        resource: str | None = None,
        error_body: ErrorBody = "problem",
        trusted_origins: Collection[str] = (),
        cors_preflight: bool = False,
        close_on_expiry: bool = False,
        warm_up: WarmUp = "lazy",
        prefixes: Sequence[str] = (),
        readings: Sequence[Callable[[str], str]] = (),
        case_sensitive: bool = True,
        observers: Sequence[Observer] = (),
        max_token_size: int = MAX_TOKEN_SIZE,
        token_cache_size: int = 10_000,
        token_cache_bytes: int = TOKEN_CACHE_BYTES,
        clock: Clock = SystemClock(),  # noqa: B008 - it has no state
        issuer: str | None = None,
        audience: str | Collection[str] | AnyAudience | None = None,
        key: KeyOption = None,
        algorithms: Collection[str] | None = None,
        **unknown: Never,
    ) -> None:
        """
        :param issuers: whom we trust: an ``Issuer``, ``AdmittedIssuers``, or a list of these.
        :param rules: the rule table; the first that matches decides, none means a valid token.
        :param protected: path prefixes that need a token while the rest is open, instead of rules.
        :param token_sources: where a token may be; the first that is present decides.
        :param role_hierarchy: for each role those that it brings with it.
        :param realm: the realm of challenges; ``api`` if left out.
        :param resource: the address of this service as clients use it. Its metadata (RFC 9728) is
            then served at ``/.well-known/oauth-protected-resource`` and named in each challenge.
        :param error_body: ``problem`` (RFC 9457), ``oauth`` (RFC 6749), or a callable.
        :param trusted_origins: exact origins of other pages that may use a cookie's token, such as
            ``https://app.example``.
        :param cors_preflight: whether the guard answers the CORS preflights of
            ``trusted_origins``, where no rule names OPTIONS. The application does not see them.
            A CORS middleware in front of this one makes it needless.
        :param close_on_expiry: whether an open WebSocket is closed when its token expires.
        :param warm_up: when keys are first fetched: with the first token (``lazy``), at start-up
            (``try``), or at start-up, which fails without them (``require``).
        :param prefixes: mount points that the application may strip from a path.
        :param readings: functions from a path to what the application's router makes of it; the
            rules must hold for that path too.
        :param case_sensitive: whether ``/Admin`` is another path than ``/admin``. Set it to
            ``False`` where the application serves one for the other.
        :param observers: callables that are told what happened.
        :param max_token_size: characters that a token may have.
        :param token_cache_size: verified tokens that are remembered; 0 for none.
        :param token_cache_bytes: what they may weigh together.
        :param clock: where time comes from.
        :param issuer: short form for one issuer, with ``audience``, ``key`` and ``algorithms``.
        :param audience: see :class:`~jwt_middleware.issuers.issuer.Issuer`.
        :param key: see ``Issuer.keys``.
        :param algorithms: see ``Issuer.algorithms``.
        :raises ConfigurationError: naming the setting, the value and the fix.
        """
        refuse_unknown(unknown)
        check_flag("cors_preflight", cors_preflight)
        check_flag("close_on_expiry", close_on_expiry)
        check_flag("case_sensitive", case_sensitive)
        check_warm_up(warm_up)
        check_clock(clock)
        check_count("max_token_size", max_token_size, 256)
        check_count("token_cache_size", token_cache_size, 0)
        check_count("token_cache_bytes", token_cache_bytes, 0)
        self._observers = checked_observers(observers)
        self._has_warned = False
        self._application = UNKNOWN
        self._table = RuleTable(
            chosen_rules(rules, protected),
            checked_prefixes(prefixes),
            steps=checked_readings(readings),
            case_sensitive=case_sensitive,
        )
        self._sources = Sources(token_sources)
        self._origins = OriginProof(trusted_origins)
        self._preflights = Preflights(self._origins.trusted) if cors_preflight else None
        self._close_on_expiry = close_on_expiry
        self.warm_up: WarmUp = warm_up
        self.error_body: ErrorBody = error_body
        tokens = TokenCache(token_cache_size, token_cache_bytes)
        chosen = chosen_issuers(issuers, issuer, audience, key, algorithms)
        self._issuers = Registry(chosen, clock, self._observers, tokens.forget)
        warn_of_grants(chosen, (rule.requires for rule in self._table.rules))
        self.resource = None if resource is None else self._described(resource, chosen)
        metadata = None if self.resource is None else self.resource.address
        if realm is not None:
            check_text("realm", realm, "api")
        self._answers = Renderer(realm or "api", error_body, self._sources.vary, metadata)
        self._owners = Authenticator(
            self._issuers, tokens, RoleHierarchy(role_hierarchy), max_token_size, clock
        )

    def __reduce__(self) -> Never:
        raise TypeError("a Guard holds keys and locks of its process: build one in each process")

    @property
    def rule_table(self) -> RuleTable:
        """The rules, to be asked about routes and paths."""
        return self._table

    @property
    def token_sources(self) -> tuple[TokenSource, ...]:
        """Where a token may be, in the order in which it is looked for."""
        return self._sources.every

    def stand_before(self, app: object, application: Application) -> None:
        """Learn which application a face is put in front of; :meth:`explain` goes by the latest.

        Warns where the rules leave paths open to a router that was never compared with them.

        :param app: the application.
        :param application: what is known of it.
        """
        self._application = application
        if application.is_measured or self._has_warned or not self._table.is_open_by_default:
            return
        self._has_warned = True
        _log.warning(
            "the rules leave open what they do not name, and the router of %s was not compared "
            "with them: it may serve a protected page by another spelling; protect what is not "
            "public instead, or describe the router with readings= and case_sensitive=",
            type(app).__qualname__,
        )

    def decide(
        self, view: RequestView, application: Application = UNKNOWN
    ) -> Allow | Reply | Steps[Allow | Reply]:
        """Return the verdict, or the steps that lead to it where memory does not suffice.

        :param application: what is known of the application that will get the request.
        """
        if self.resource is not None and _asks_for(view, self.resource):
            return self.resource.reply
        step = self._judge(view, application, NO_ANSWERS)
        if not isinstance(step, Gap):
            return step
        return ask(partial(self._judge, view, application), step)

    def _ruling(self, view: RequestView, application: Application = UNKNOWN) -> Ruling:
        # A client can send WEBSOCKET as a method; what opens a socket, only the server says.
        method = SOCKET if view.is_websocket else view.method
        sent: Sent | None = getattr(view, "sent", None)
        if sent is None:
            return self._table.ruling(method, view.path, application=application)
        path, mount_point, raw_path = sent
        return self._table.ruling(method, path, mount_point, raw_path, application)

    def _judge(
        self, view: RequestView, application: Application, answers: Answers
    ) -> Allow | Reply | Gap:
        try:
            ruling = self._ruling(view, application)
        except PathInvalid as problem:
            return self._refuse(problem, view)
        if ruling.is_public or self._preflights is not None:
            verdict = self._without_looking(view, ruling)
            if verdict is not None:
                return verdict
        try:
            found = self._sources.find(view)
            if found is None:
                return self._without_token(view, ruling)
            token, source = found
            try:
                principal = self._owners.find(token, answers)
            except (TokenMalformed, TokenTooLarge):
                # What verifies has the form of a token; only of what does not it is asked.
                check_form(token)
                raise
            if isinstance(principal, Gap):
                return principal
            if isinstance(source, CookieToken):
                self._check_origin(view, source, principal)
            return self._hold_against(view, ruling, principal, source)
        except Refused as problem:
            return self._with_bad_token(view, ruling, problem)

    def _without_looking(self, view: RequestView, ruling: Ruling) -> Allow | Reply | None:
        """Return the verdict where no token is looked at; ``None`` where one is."""
        if ruling.is_public:
            return self._pass(view, ruling, ANONYMOUS)
        if self._preflights is None or ruling.names_options:
            return None
        return self._preflights.answer(view)

    def _without_token(self, view: RequestView, ruling: Ruling) -> Allow | Deny:
        if ruling.admits_anonymous:
            return self._pass(view, ruling, ANONYMOUS, private(self._sources.vary))
        return self._refuse(TokenMissing(), view, ruling)

    def _with_bad_token(self, view: RequestView, ruling: Ruling, problem: Refused) -> Allow | Deny:
        # An outage is no verdict on the token: a 503 is never forgiven.
        if ruling.forgives_invalid and not isinstance(problem, Unavailable):
            nobody = replace(ANONYMOUS, refusal=problem.code)
            return self._pass(view, ruling, nobody, private(self._sources.vary))
        return self._refuse(problem, view, ruling)

    def _check_origin(self, view: RequestView, source: CookieToken, principal: Principal) -> None:
        if not self._origins.is_given(view, source, principal):
            raise CSRFRefused("the request does not prove that it comes from a trusted origin")

    def _hold_against(
        self, view: RequestView, ruling: Ruling, principal: Principal, source: TokenSource
    ) -> Allow | Deny:
        for demand in ruling.demands:
            refusal = demand[0].judge(principal, demand[1])
            if refusal is not None:
                return self._refuse_requirement(view, ruling, demand, principal, refusal)
        if ruling.admits_anonymous:
            return self._pass(view, ruling, principal, private(self._sources.vary))
        # RFC 9111 §3.5 keeps shared caches away from what a bearer header opened; from anywhere
        # else the answer has to say so itself, from the query by RFC 6750 §2.3.
        if source.vary != "Authorization":
            return self._pass(view, ruling, principal, private(source.vary))
        return self._pass(view, ruling, principal)

    def _pass(
        self, view: RequestView, ruling: Ruling, principal: Principal, headers: Headers = ()
    ) -> Allow:
        if not view.is_websocket:
            return Allow(principal, ruling.rule, headers)
        subprotocol = self._sources.subprotocol(view)
        return Allow(principal, ruling.rule, headers, subprotocol, self._closes_in(principal))

    def _closes_in(self, principal: Principal) -> float | None:
        if not self._close_on_expiry or principal.expires_at is None:
            return None
        return self._owners.seconds_left(principal)

    def _refuse(self, problem: Refused, view: RequestView, ruling: Ruling | None = None) -> Deny:
        deny = self._answers.refuse(problem)
        if problem.condemns_token and (expiry := self._sources.expiry(view)):
            deny = with_header(deny, "Set-Cookie", expiry)
        return self._told(deny, view, ruling, problem.detail)

    def _refuse_requirement(
        self,
        view: RequestView,
        ruling: Ruling,
        demand: tuple[Requirement, Match],
        principal: Principal,
        refusal: Refusal,
    ) -> Deny:
        deny = self._refusal_of(demand, principal, refusal)
        return self._told(deny, view, ruling, refusal.detail)

    def _refusal_of(
        self, demand: tuple[Requirement, Match], principal: Principal, refusal: Refusal
    ) -> Deny:
        scopes: Iterable[str] = ()
        if refusal.error == "insufficient_scope":
            scopes = curing_scopes(demand[0], principal, demand[1])
        return self._answers.refuse_requirement(refusal, scopes)

    def _told(self, deny: Deny, view: RequestView, ruling: Ruling | None, detail: str) -> Deny:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("refused: %s\n  because     %s", explanation(view, ruling, deny), detail)
        if self._observers:
            rule = "" if ruling is None else ruling.rule
            tell(self._observers, RequestRefused(deny.code, deny.status, rule, detail))
        return deny

    def has_rule(self, view: RequestView) -> bool:
        """Return whether any rule speaks of a request, so that the default does not decide it."""
        try:
            deciders = self._ruling(view).deciders
        except PathInvalid:
            return True
        return any(decider.rule is not NO_RULE for decider in deciders)

    @property
    def varies_with(self) -> list[str]:
        """The names of the request headers that an answer behind this guard may depend on."""
        return self._sources.vary.split(", ") if self._sources.vary else []

    def hold(
        self,
        principal: Principal,
        requirement: Requirement,
        captures: Mapping[str, str] = NO_CAPTURES.captures,
    ) -> Deny | None:
        """Hold a principal against more than the rule of its path asked, as a view does.

        :param captures: what ``capture(...)`` refers to: the parameters of the route.
        :return: the refusal: 401 for the anonymous, for others what the requirement says; ``None``
            if it is met.
        """
        if not principal.is_authenticated:
            # An ``optional`` rule may have let a bad token pass: then that is what was wrong.
            deny = self._answers.refuse_code(principal.refusal or TokenMissing.code)
            return self._told_by_view(deny, "")
        match = Match(captures)
        refusal = requirement.judge(principal, match)
        if refusal is None:
            return None
        deny = self._refusal_of((requirement, match), principal, refusal)
        return self._told_by_view(deny, refusal.detail)

    def missing_token(self) -> Deny:
        """Return the refusal of whoever sends no token where one is required."""
        return self._answers.refuse_code(TokenMissing.code)

    def unknown_user(self) -> Deny:
        """Return the refusal of a caller for whom the application has no active user."""
        return self._told_by_view(self._answers.refuse_code(UserUnknown.code), "")

    def _told_by_view(self, deny: Deny, detail: str) -> Deny:
        if self._observers:
            tell(self._observers, RequestRefused(deny.code, deny.status, "a view", detail))
        return deny

    def _described(
        self, resource: str, issuers: Iterable[Issuer | AdmittedIssuers]
    ) -> ProtectedResource:
        names = (each.issuer for each in issuers if isinstance(each, Issuer))
        return ProtectedResource(
            resource,
            # A name with a hole is nowhere to get a token from.
            [name for name in names if name and name.startswith("http") and "{" not in name],
            self._table.scopes,
            self._sources.methods,
        )

    def verify(self, token: str) -> Principal:
        """Return who owns a token that came by another way than a request.

        :raises TokenError: if it cannot be trusted.
        :raises KeysUnavailable: if that cannot be told at the moment.
        :raises ConfigurationError: if it would block a running event loop.
        """
        step = self._owners.find(_text(token), BLOCKING)
        if not isinstance(step, Gap):
            return step
        return run(ask(partial(self._owners.find, token), step))

    async def averify(self, token: str) -> Principal:
        """Do the same by awaiting."""
        step = self._owners.find(_text(token), NO_ANSWERS)
        if not isinstance(step, Gap):
            return step
        return await arun(ask(partial(self._owners.find, token), step))

    def explain(self, method: str, path: str, token: str | None = None) -> Explanation:
        """Return which rule decides a request, what it asks, and what a client would get.

        :param method: in any case; ``WEBSOCKET`` for a socket.
        :param token: what ``Authorization: Bearer`` would carry, or the cookie.
        :raises ConfigurationError: if it would block a running event loop.
        """
        view = Question("WEBSOCKET" if method.upper() == "WEBSOCKET" else method, path, token)
        step = self.decide(view, self._application)
        if not isinstance(step, (Allow, Reply)):
            refuse_to_block("Guard.explain", "Guard.averify")
            step = run(step)
        try:
            ruling = self._ruling(view, self._application)
        except PathInvalid:
            ruling = None
        return explanation(view, ruling, step)

    def health(self) -> dict[str | None, KeyHealth]:
        """Return how each issuer's keys stand, without asking anybody."""
        return {issuer.name: issuer.keys.health() for issuer in self._issuers}

    def distrust(self, issuer: str | None, kid: str | None = None) -> None:
        """Stop trusting one key of an issuer, or all of them, at once and for good.

        :raises ConfigurationError: if no such issuer is configured, or admitted.
        :raises KeysUnavailable: if the rule that may admit it cannot tell.
        """
        try:
            self._issuers.distrust(issuer, kid)
        except KeyError:
            raise ConfigurationError(
                f"distrust({issuer!r}): no such issuer is configured"
            ) from None
        self._owners.forget()

    def export_keys(self, issuer: str | None) -> dict[str, Any] | None:
        """Return the key set of an issuer as JSON can carry it, to be its ``seed`` elsewhere.

        ``None`` where there is none: not fetched yet, or held by the configuration.

        :raises ConfigurationError: if no such issuer is configured.
        """
        try:
            source = self._issuers.named(issuer).remote
        except KeyError:
            raise ConfigurationError(
                f"export_keys({issuer!r}): no such issuer is configured"
            ) from None
        return None if source is None else source.export()

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Fetch every issuer's keys now, so that the first request need not wait.

        :param timeout: seconds to wait at the most, in all; all issuers are asked at once.
        :param required: raise where keys cannot be had, instead of starting without.
        :raises KeysUnavailable: if ``required`` and an issuer cannot be reached.
        """
        self._issuers.warm(timeout, required)

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Do the same by awaiting."""
        await self._issuers.awarm(timeout, required)

    def close(self) -> None:
        """Give up fetches and connections; requests under way are answered with 503."""
        self._issuers.close()

    async def aclose(self) -> None:
        """Do the same; nothing of it waits."""
        self.close()


def _asks_for(view: RequestView, resource: ProtectedResource) -> bool:
    return view.path == resource.path and view.method in {"GET", "HEAD"}


def chosen_guard(guard: Guard | None, options: GuardOptions) -> Guard:
    """Return the guard of a face.

    :raises ConfigurationError: for a wrong option, or a guard and options together.
    """
    if guard is None:
        return Guard(**cast("Any", options))
    if not isinstance(guard, Guard):
        raise ConfigurationError(f"guard={guard!r} is no Guard: write guard=Guard(...)")
    if options:
        raise ConfigurationError(f"{next(iter(options))}= goes without guard=: set it on the Guard")
    return guard


def _text(token: object) -> str:
    if not isinstance(token, str):
        raise TokenMalformed("a token is text")
    return token
