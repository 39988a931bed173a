"""The guard: the public object that holds the configuration, the token cache and the keys."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Never, cast, get_args

from jwt_middleware.clock import Clock, SystemClock, usable_clock
from jwt_middleware.crypto.key_options import KeyOption
from jwt_middleware.effects import NO_ANSWERS, Gap, Steps, arun, ask, refuse_to_block, run
from jwt_middleware.errors import (
    ConfigurationError,
    PathInvalid,
    TokenMalformed,
)
from jwt_middleware.events import Event, Observer, RequestRefused
from jwt_middleware.guard.authenticator import BLOCKING, Authenticator
from jwt_middleware.guard.decision import Judge
from jwt_middleware.guard.explain import Explanation, SampleRequest, explanation
from jwt_middleware.guard.integration import Integration
from jwt_middleware.guard.options import (
    WarmUp,
    check_revocation,
    chosen_issuers,
    chosen_rules,
    event_functions,
    every_rule,
    mount_points,
    path_functions,
    path_prefixes,
    refuse_unknown,
    warn_of_grants,
)
from jwt_middleware.guard.placement import Placement
from jwt_middleware.guard.refusal_log import RefusalLog
from jwt_middleware.issuers.admitted import AdmittedIssuers
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.registry import Registry
from jwt_middleware.keys.snapshot import KeyHealth
from jwt_middleware.logs import log_of
from jwt_middleware.options import Choice, Count, Flag, Kind, Text, read_options
from jwt_middleware.principal import Principal
from jwt_middleware.request.csrf import OriginCheck
from jwt_middleware.request.preflight import Preflights
from jwt_middleware.request.sources import (
    BearerHeader,
    TokenSource,
)
from jwt_middleware.request.token_search import Sources
from jwt_middleware.request.view import RequestView
from jwt_middleware.responses.metadata import ProtectedResource
from jwt_middleware.responses.render import Renderer
from jwt_middleware.revocation.revocation_list import RevocationList
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

_log = log_of("jwt_middleware")

# The estimated size of ten thousand cached tokens of 1.5 KB each; see tokens/cache.py.
TOKEN_CACHE_BYTES = 64 * 1024 * 1024


class Guard:
    """Decides whether a request may pass.

    One instance is safe to share between threads and event loops.
    """

    def __init__(
        self,
        *,
        issuers: Issuer | AdmittedIssuers | Iterable[Issuer | AdmittedIssuers] | None = None,
        rules: Annotated[Sequence[Rule], every_rule] = (),
        protected: Annotated[Sequence[str] | None, path_prefixes] = None,
        token_sources: Sequence[TokenSource] = (BearerHeader(),),
        role_hierarchy: Mapping[str, Collection[str]] | None = None,
        realm: Annotated[str | None, Text("api")] = None,
        resource: str | None = None,
        error_body: ErrorBody = "problem",
        trusted_origins: Collection[str] = (),
        cors_preflight: Annotated[bool, Flag()] = False,
        close_on_expiry: Annotated[bool, Flag()] = False,
        close_on_revocation: Annotated[bool, Flag()] = False,
        warm_up: Annotated[WarmUp, Choice(get_args(WarmUp))] = "lazy",
        revocation: Annotated[
            RevocationList | None, Kind(RevocationList, "RevocationList(store, on_lag='refuse')")
        ] = None,
        prefixes: Annotated[Sequence[str], mount_points] = (),
        readings: Annotated[Sequence[Callable[[str], str]], path_functions] = (),
        case_sensitive: Annotated[bool, Flag()] = True,
        observers: Annotated[Sequence[Observer], event_functions] = (),
        max_token_size: Annotated[int, Count(256)] = MAX_TOKEN_SIZE,
        token_cache_size: Annotated[int, Count(0)] = 10_000,
        token_cache_bytes: Annotated[int, Count(0)] = TOKEN_CACHE_BYTES,
        clock: Annotated[Clock, usable_clock] = SystemClock(),  # noqa: B008 - it has no state
        issuer: str | None = None,
        audience: str | Collection[str] | AnyAudience | None = None,
        key: KeyOption = None,
        algorithms: Collection[str] | None = None,
        **unknown: Never,
    ) -> None:
        """
        :param issuers: the trusted issuers: an ``Issuer``, ``AdmittedIssuers``, or a list of these.
        :param rules: the rule table. The first rule that matches decides; a path without a rule
            needs a valid token.
        :param protected: path prefixes that need a token, instead of ``rules``. All other paths are
            open.
        :param token_sources: the parts of a request that may carry a token. The first one present
            decides.
        :param role_hierarchy: maps each role to the roles that it includes.
        :param realm: the realm of the challenges; ``api`` by default.
        :param resource: the URL of this service as clients use it. Its metadata (RFC 9728) is then
            served at ``/.well-known/oauth-protected-resource`` and named in each challenge.
        :param error_body: the format of error bodies: ``problem`` (RFC 9457), ``oauth`` (RFC 6749),
            or a callable.
        :param trusted_origins: exact origins whose pages may send the token in a cookie, such as
            ``https://app.example``.
        :param cors_preflight: whether the guard responds to the CORS preflights of
            ``trusted_origins`` if no rule names OPTIONS. The application does not see them.
            Leave it ``False`` if a CORS middleware is in front of this one.
        :param close_on_expiry: whether an open WebSocket is closed when its token expires.
        :param close_on_revocation: whether an open WebSocket is closed when its token is revoked.
        :param warm_up: when keys are first fetched: for the first token (``lazy``), at start-up
            (``try``), or at start-up, which fails if there are no keys (``require``).
        :param revocation: the revoked tokens, sessions, subjects and keys, which are refused.
        :param prefixes: the mount points that the application may strip from a path.
        :param readings: functions that rewrite a path as the application's router does. The rule
            of the rewritten path must allow the request too.
        :param case_sensitive: whether ``/Admin`` and ``/admin`` are different paths. Set it to
            ``False`` if the application's router treats them as the same.
        :param observers: callables that receive each event.
        :param max_token_size: the greatest length of a token, in characters.
        :param token_cache_size: the greatest number of cached tokens; 0 turns the cache off.
        :param token_cache_bytes: the greatest size of the token cache.
        :param clock: the source of the time.
        :param issuer: the name of the only issuer. A short form of ``issuers``, with ``audience``,
            ``key`` and ``algorithms``.
        :param audience: See :class:`~jwt_middleware.issuers.issuer.Issuer`.
        :param key: See ``Issuer.keys``.
        :param algorithms: See ``Issuer.algorithms``.
        :raises ConfigurationError: if a setting is wrong. The message names the setting, the value
            and the fix.
        """
        refuse_unknown(unknown)
        read = read_options(Guard, locals())
        told: tuple[Observer, ...] = read["observers"]
        table = RuleTable(
            chosen_rules(read["rules"], read["protected"]),
            read["prefixes"],
            steps=read["readings"],
            case_sensitive=case_sensitive,
        )
        sources = Sources(token_sources)
        origins = OriginCheck(trusted_origins)
        tokens = TokenCache(token_cache_size, token_cache_bytes)
        chosen = chosen_issuers(issuers, issuer, audience, key, algorithms)
        self._issuers = Registry(chosen, clock, told, tokens.forget)
        check_revocation(chosen, revocation, closes_sockets=close_on_revocation)
        warn_of_grants(chosen, (rule.requires for rule in table.rules))
        self._resource = None if resource is None else _described(resource, chosen, table, sources)
        metadata = None if self._resource is None else self._resource.address
        self._authenticator = Authenticator(
            self._issuers,
            tokens,
            RoleHierarchy(role_hierarchy),
            max_token_size,
            clock,
            revocations=revocation,
        )
        self._judge = Judge(
            table,
            sources,
            self._authenticator,
            origins,
            Preflights(origins.trusted) if cors_preflight else None,
            Renderer(realm or "api", error_body, sources.vary, metadata),
            close_on_expiry,
            close_on_revocation,
            told,
            RefusalLog(clock),
        )
        self.integration = Integration(
            self._judge,
            warm_up,
            error_body,
            Placement(self._judge, None if self._resource is None else self._resource.path),
            self._issuers.start_warming,
        )
        """The interface for middleware and framework integrations."""

    def __reduce__(self) -> Never:
        raise TypeError(
            "a Guard cannot be pickled, because it holds keys and locks: build one in each process"
        )

    def decide(
        self, view: RequestView, application: Application = UNKNOWN
    ) -> Allow | Reply | Steps[Allow | Reply]:
        """Return the verdict on a request, or the steps to it if keys must be fetched first.

        :param application: the description of the application behind the guard.
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
        """Verify a token that did not come with a request, and return its principal.

        :raises TokenError: if the token cannot be trusted.
        :raises KeysUnavailable: if the keys cannot be fetched at the moment.
        :raises ConfigurationError: if the call would block a running event loop.
        """
        step = self._authenticator.find(_text(token), BLOCKING)
        if not isinstance(step, Gap):
            return step
        return run(ask(partial(self._authenticator.find, token), step))

    async def averify(self, token: str) -> Principal:
        """Async version of :meth:`verify`."""
        step = self._authenticator.find(_text(token), NO_ANSWERS)
        if not isinstance(step, Gap):
            return step
        return await arun(ask(partial(self._authenticator.find, token), step))

    def explain(
        self, method: str, path: str, token: str | None = None, *, mounted_at: str = ""
    ) -> Explanation:
        """Return the rules, the requirements and the verdict for a sample request.

        :param method: the method in upper or lower case; ``WEBSOCKET`` for a WebSocket.
        :param path: the path as the server passes it on. Under ASGI it begins with the mount point.
        :param token: the token in ``Authorization: Bearer``, or in the cookie.
        :param mounted_at: ``root_path`` or ``SCRIPT_NAME``, if the server sets one.
        :raises ConfigurationError: if the call would block a running event loop.
        """
        meant = "WEBSOCKET" if method.upper() == "WEBSOCKET" else method
        view = SampleRequest(meant, path, token, mount_point=mounted_at)
        application = self.integration.application
        # No client sent this request, so the observers must not count it.
        told: list[Event] = []
        judge = replace(self._judge, observers=(told.append,), log=None)
        step = self._decided_by(judge, view, application)
        if not isinstance(step, (Allow, Reply)):
            refuse_to_block("Guard.explain", "Guard.averify")
            step = run(step)
        try:
            ruling = judge.ruling(view, application)
        except PathInvalid:
            ruling = None
        because = next((each.detail for each in told if isinstance(each, RequestRefused)), "")
        revokes = self._authenticator.has_revocations
        return explanation(view, ruling, step, because, revokes=revokes)

    def health(self) -> dict[str | None, KeyHealth]:
        """Return the state of each issuer's keys without fetching them.

        An issuer with a label is named ``issuer#label``.
        """
        return {issuer.full_name: issuer.keys.health() for issuer in self._issuers}

    def distrust(self, issuer: str | None, kid: str | None = None) -> None:
        """Distrust one key of an issuer, or all of its keys, immediately and permanently.

        :param issuer: its name, which means every issuer of that name, or ``issuer#label``.
        :raises ConfigurationError: if the issuer is neither configured nor admitted.
        :raises KeysUnavailable: if the rule that admits issuers cannot decide at the moment.
        """
        try:
            self._issuers.distrust(issuer, kid)
        except KeyError:
            raise ConfigurationError(
                f"distrust({issuer!r}) must name a configured or admitted issuer: write its iss, "
                "and for one of several tenants the configured name"
            ) from None
        self._authenticator.forget()

    def export_keys(self, issuer: str | None) -> dict[str, Any] | None:
        """Return the key set of an issuer as a JSON object, for the ``seed`` of another process.

        Returns ``None`` if the keys were not fetched yet, or if they are in the configuration.

        :param issuer: its name, or ``issuer#label``.
        :raises ConfigurationError: if the issuer is not configured.
        """
        try:
            source = self._issuers.named(issuer).remote
        except KeyError:
            raise ConfigurationError(
                f"export_keys({issuer!r}) must name a configured issuer: write its iss"
            ) from None
        return None if source is None else source.export()

    def warm(self, timeout: float | None = None, required: bool = False) -> None:
        """Fetch the keys of every issuer now, so that the first request need not wait.

        :param timeout: the longest wait in seconds. All issuers are fetched from concurrently.
        :param required: whether to raise if keys cannot be fetched.
        :raises KeysUnavailable: if ``required`` is set and the keys of an issuer cannot be fetched.
        """
        self._issuers.warm(timeout, required)

    async def awarm(self, timeout: float | None = None, required: bool = False) -> None:
        """Async version of :meth:`warm`."""
        await self._issuers.awarm(timeout, required)

    def close(self) -> None:
        """Cancel fetches and close connections. Requests waiting for keys are refused with 503."""
        self._issuers.close()

    async def aclose(self) -> None:
        """Async version of :meth:`close`. It never waits."""
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
        # A name with a parameter ({tenant}) is left out: a client cannot get a token from it.
        [name for name in names if name and name.startswith("http") and "{" not in name],
        table.scopes,
        sources.methods,
    )


def _asks_for(view: RequestView, resource: ProtectedResource) -> bool:
    return view.path == resource.path and view.method in {"GET", "HEAD"}


def chosen_guard(guard: Guard | None, options: Mapping[str, object]) -> Guard:
    """Return the guard of a middleware: the given one, or one built from the options.

    :raises ConfigurationError: if an option is wrong, or if both a guard and options are given.
    """
    if guard is None:
        return Guard(**cast("Any", options))
    if not isinstance(guard, Guard):
        raise ConfigurationError(f"guard={guard!r} must be a Guard: write guard=Guard(...)")
    if options:
        raise ConfigurationError(
            f"{next(iter(options))}= cannot be combined with guard=: set it on the Guard"
        )
    return guard


def _text(token: object) -> str:
    if not isinstance(token, str):
        raise TokenMalformed("the token must be a str")
    return token
