"""The object that users hold: configuration, memory, and the life of its keys."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Never, cast

from jwt_middleware.checks import check_count, check_flag, check_text
from jwt_middleware.clock import Clock, SystemClock, check_clock
from jwt_middleware.crypto.key_options import KeyOption
from jwt_middleware.effects import NO_ANSWERS, Gap, Steps, arun, ask, refuse_to_block, run
from jwt_middleware.errors import (
    ConfigurationError,
    PathInvalid,
    TokenMalformed,
)
from jwt_middleware.events import Observer
from jwt_middleware.guard.authenticator import BLOCKING, Authenticator
from jwt_middleware.guard.decision import Judge
from jwt_middleware.guard.explain import Explanation, SampleRequest, explanation
from jwt_middleware.guard.integration import Integration
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
from jwt_middleware.principal import Principal
from jwt_middleware.request.csrf import OriginCheck
from jwt_middleware.request.preflight import Preflights
from jwt_middleware.request.sources import (
    BearerHeader,
    Sources,
    TokenSource,
)
from jwt_middleware.request.view import RequestView
from jwt_middleware.responses.metadata import ProtectedResource
from jwt_middleware.responses.render import Renderer
from jwt_middleware.rules.applications import UNKNOWN, Application
from jwt_middleware.rules.roles import RoleHierarchy
from jwt_middleware.rules.rule import Rule
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.tokens.cache import TokenCache
from jwt_middleware.tokens.claims import AnyAudience
from jwt_middleware.tokens.verifier import MAX_TOKEN_SIZE
from jwt_middleware.verdict import (
    Allow,
    ErrorBody,
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
        observers = checked_observers(observers)
        table = RuleTable(
            chosen_rules(rules, protected),
            checked_prefixes(prefixes),
            steps=checked_readings(readings),
            case_sensitive=case_sensitive,
        )
        sources = Sources(token_sources)
        origins = OriginCheck(trusted_origins)
        tokens = TokenCache(token_cache_size, token_cache_bytes)
        chosen = chosen_issuers(issuers, issuer, audience, key, algorithms)
        self._issuers = Registry(chosen, clock, observers, tokens.forget)
        warn_of_grants(chosen, (rule.requires for rule in table.rules))
        self._resource = None if resource is None else _described(resource, chosen, table, sources)
        metadata = None if self._resource is None else self._resource.address
        if realm is not None:
            check_text("realm", realm, "api")
        self._authenticator = Authenticator(
            self._issuers, tokens, RoleHierarchy(role_hierarchy), max_token_size, clock
        )
        self._judge = Judge(
            table,
            sources,
            self._authenticator,
            origins,
            Preflights(origins.trusted) if cors_preflight else None,
            Renderer(realm or "api", error_body, sources.vary, metadata),
            close_on_expiry,
            observers,
        )
        self.integration = Integration(self._judge, warm_up, error_body)
        """For faces and integrations of frameworks."""

    def __reduce__(self) -> Never:
        raise TypeError("a Guard holds keys and locks of its process: build one in each process")

    def decide(
        self, view: RequestView, application: Application = UNKNOWN
    ) -> Allow | Reply | Steps[Allow | Reply]:
        """Return the verdict, or the steps that lead to it where memory does not suffice.

        :param application: what is known of the application that will get the request.
        """
        return self._decided_by(self._judge, view, application)

    def _decided_by(
        self, judge: Judge, view: RequestView, application: Application
    ) -> Allow | Reply | Steps[Allow | Reply]:
        if self._resource is not None and _asks_for(view, self._resource):
            return self._resource.reply
        step = judge.judge(view, application, NO_ANSWERS)
        if not isinstance(step, Gap):
            return step
        return ask(partial(judge.judge, view, application), step)

    def verify(self, token: str) -> Principal:
        """Return who owns a token that came by another way than a request.

        :raises TokenError: if it cannot be trusted.
        :raises KeysUnavailable: if that cannot be told at the moment.
        :raises ConfigurationError: if it would block a running event loop.
        """
        step = self._authenticator.find(_text(token), BLOCKING)
        if not isinstance(step, Gap):
            return step
        return run(ask(partial(self._authenticator.find, token), step))

    async def averify(self, token: str) -> Principal:
        """Do the same by awaiting."""
        step = self._authenticator.find(_text(token), NO_ANSWERS)
        if not isinstance(step, Gap):
            return step
        return await arun(ask(partial(self._authenticator.find, token), step))

    def explain(
        self, method: str, path: str, token: str | None = None, *, mounted_at: str = ""
    ) -> Explanation:
        """Return which rule decides a request, what it asks, and what a client would get.

        :param method: in any case; ``WEBSOCKET`` for a socket.
        :param path: as the server hands it over: under ASGI with the mount point in front.
        :param token: what ``Authorization: Bearer`` would carry, or the cookie.
        :param mounted_at: ``root_path`` or ``SCRIPT_NAME``, where the server has set one.
        :raises ConfigurationError: if it would block a running event loop.
        """
        meant = "WEBSOCKET" if method.upper() == "WEBSOCKET" else method
        view = SampleRequest(meant, path, token, mount_point=mounted_at)
        application = self.integration.application
        # Nobody sent it, and so nobody is told.
        judge = replace(self._judge, observers=())
        step = self._decided_by(judge, view, application)
        if not isinstance(step, (Allow, Reply)):
            refuse_to_block("Guard.explain", "Guard.averify")
            step = run(step)
        try:
            ruling = judge.ruling(view, application)
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
        self._authenticator.forget()

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


def _described(
    resource: str,
    issuers: Iterable[Issuer | AdmittedIssuers],
    table: RuleTable,
    sources: Sources,
) -> ProtectedResource:
    names = (each.issuer for each in issuers if isinstance(each, Issuer))
    return ProtectedResource(
        resource,
        # A name with a hole is nowhere to get a token from.
        [name for name in names if name and name.startswith("http") and "{" not in name],
        table.scopes,
        sources.methods,
    )


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
