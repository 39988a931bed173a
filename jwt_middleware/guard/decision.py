"""Decides whether a request may pass: runs the checks of the guard in their order.

The order matters:

1. method and path: ambiguous ones are refused                   400
2. the rule of every reading of the path; ``public`` passes
3. the token sources: several tokens 400, a missing token        401
4. size, shape, algorithm, type, issuer, audience, times         401
5. the token cache, or else the key and the signature            401, 503
6. what was revoked                                              401, 503
7. for a cookie, proof of the origin of the request              403
8. the requirements of the rule                                  403

``Judge.judge`` runs them once and never waits. If it lacks an answer, such as a key that is not
cached, it returns a ``Gap``. The caller fills the gap and calls it again.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from jwt_middleware.effects import Answers, Gap
from jwt_middleware.errors import (
    CSRFRefused,
    PathInvalid,
    Refused,
    RequirementNotMet,
    TokenMalformed,
    TokenMissing,
    TokenTooLarge,
    UserUnknown,
)
from jwt_middleware.events import Observer, RequestAllowed, RequestRefused, tell
from jwt_middleware.guard.authenticator import Authenticator
from jwt_middleware.guard.explain import explanation
from jwt_middleware.guard.refusal_log import RefusalLog
from jwt_middleware.logs import log_of
from jwt_middleware.principal import ANONYMOUS, Principal, full_name
from jwt_middleware.request.csrf import OriginCheck
from jwt_middleware.request.overrides import inner_root, refuse_other_method
from jwt_middleware.request.preflight import Preflights
from jwt_middleware.request.sources import CookieToken, TokenSource, check_form
from jwt_middleware.request.token_search import Sources
from jwt_middleware.request.view import RequestView, asks_for_socket
from jwt_middleware.responses.headers import private_headers, with_header
from jwt_middleware.responses.render import Renderer
from jwt_middleware.rules.applications import Application
from jwt_middleware.rules.methods import SOCKET, Method
from jwt_middleware.rules.requirements import Match, Requirement, missing_scopes
from jwt_middleware.rules.ruling import Ruling, together
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.verdict import Allow, Deny, Headers, Refusal, Reply

_log = log_of("jwt_middleware")

# The methods that events name. A client can invent others, and the labels of a metric must stay
# few, so that all others are called "other".
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides on requests by the configuration of one guard. Holds no state of a request."""

    table: RuleTable
    sources: Sources
    authenticator: Authenticator
    origins: OriginCheck
    preflights: Preflights | None
    renderer: Renderer
    closes_on_expiry: bool
    closes_on_revocation: bool
    observers: tuple[Observer, ...]
    log: RefusalLog | None
    """Writes a line on each refusal; ``None``: no client sent the request."""

    def ruling(self, view: RequestView, application: Application) -> Ruling:
        """Return the ruling of the rule table on a request.

        :raises PathInvalid: if its path or method is ambiguous.
        """
        # The method alone does not count, because a client can send WEBSOCKET as a method.
        method = SOCKET if view.is_websocket else view.method
        may_tunnel = view.may_tunnel
        if not may_tunnel and not application.reads_more:
            path, mount_point, raw_path = view.sent
            return self.table.ruling(method, path, mount_point, raw_path, application)
        plain = self._ruling_of(method, view, application)
        if not may_tunnel or not asks_for_socket(view):
            return plain
        # Only the application knows whether it opens a socket, so the rules of both apply.
        return together(plain, self._ruling_of(SOCKET, view, application))

    def _ruling_of(self, method: Method, view: RequestView, application: Application) -> Ruling:
        path, mount_point, raw_path = view.sent
        if not application.reads_more:
            return self.table.ruling(method, path, mount_point, raw_path, application)
        refuse_other_method(view, application)
        root = inner_root(view, application)
        return self.table.ruling(method, path, mount_point, raw_path, application, inner_root=root)

    def judge(
        self, view: RequestView, application: Application, answers: Answers
    ) -> Allow | Reply | Gap:
        """Return the verdict on a request, or the gap to fill first.

        :param answers: the answers to the gaps returned so far.
        """
        try:
            ruling = self.ruling(view, application)
        except PathInvalid as problem:
            return self._refuse(problem, view)
        if ruling.is_public or self.preflights is not None:
            verdict = self._without_looking(view, ruling)
            if verdict is not None:
                return verdict
        token = None
        try:
            found = self.sources.find(view)
            if found is None:
                return self._without_token(view, ruling)
            token, source = found
            try:
                principal = self.authenticator.find(token, answers)
            except (TokenMalformed, TokenTooLarge):
                # A verified token is well-formed, so the form is checked only after a failure (400
                # instead of 401).
                check_form(token)
                raise
            if isinstance(principal, Gap):
                return principal
            if isinstance(source, CookieToken):
                self._check_origin(view, source, principal)
            return self._hold_against(view, ruling, principal, source, token)
        except Refused as problem:
            return self._with_bad_token(view, ruling, problem, token)

    def _without_looking(self, view: RequestView, ruling: Ruling) -> Allow | Reply | None:
        """Return the verdict on a request that needs no token; ``None`` if it needs one."""
        if ruling.is_public:
            return self._pass(view, ruling, ANONYMOUS)
        if self.preflights is None or ruling.names_options:
            return None
        return self.preflights.answer(view)

    def _without_token(self, view: RequestView, ruling: Ruling) -> Allow | Deny:
        if ruling.admits_anonymous:
            return self._pass(view, ruling, ANONYMOUS, private_headers(self.sources.vary))
        return self._refuse_unless_exempt(TokenMissing(), view, ruling, None)

    def _with_bad_token(
        self, view: RequestView, ruling: Ruling, problem: Refused, token: str | None
    ) -> Allow | Deny:
        # If the token could not be checked (503), it may be valid, so ``optional`` does not apply.
        if ruling.forgives_invalid and problem.is_verdict:
            nobody = replace(ANONYMOUS, refusal=problem.code)
            allow = self._pass(view, ruling, nobody, private_headers(self.sources.vary))
            allow.credential = hash(token or "")
            return allow
        return self._refuse_unless_exempt(problem, view, ruling, token)

    def _refuse_unless_exempt(
        self, problem: Refused, view: RequestView, ruling: Ruling, token: str | None
    ) -> Allow | Deny:
        """Refuse a request, unless no rule matches and the view is exempt from the login."""
        if problem.status == 401 and problem.is_verdict and ruling.is_default:
            needs_no_login = getattr(view, "needs_no_login", None)
            if needs_no_login is not None and needs_no_login():
                headers = private_headers(self.sources.vary)
                deny = replace(self._denied(problem, view), problem=problem)
                nobody = ANONYMOUS if token is None else replace(ANONYMOUS, refusal=problem.code)
                return Allow(nobody, "login_not_required", headers, otherwise=deny)
        return self._refuse(problem, view, ruling, token)

    def _check_origin(self, view: RequestView, source: CookieToken, principal: Principal) -> None:
        if not self.origins.passes(view, source, principal):
            expected, found = self.origins.sides(view)
            raise CSRFRefused(
                "the request does not prove that it comes from a trusted origin",
                expected=expected,
                found=found,
                issuer=_issuer_of(principal),
            )

    def _hold_against(
        self,
        view: RequestView,
        ruling: Ruling,
        principal: Principal,
        source: TokenSource,
        token: str,
    ) -> Allow | Deny:
        for requirement, match in ruling.demands:
            refusal = requirement.judge(principal, match)
            if refusal is not None:
                problem = _unmet(requirement, principal, refusal)
                deny = self._refusal_of(requirement, principal, match, refusal)
                return self._tell(deny, problem, view, ruling, token)
        if ruling.admits_anonymous:
            return self._pass(view, ruling, principal, private_headers(self.sources.vary), token)
        # RFC 9111 §3.5 forbids shared caches to store the response to a request with an
        # Authorization header. For other sources the response must carry Cache-Control itself
        # (for the query: RFC 6750 §2.3).
        if source.vary != "Authorization":
            return self._pass(view, ruling, principal, private_headers(source.vary), token)
        return self._pass(view, ruling, principal, token=token)

    def _pass(
        self,
        view: RequestView,
        ruling: Ruling,
        principal: Principal,
        headers: Headers = (),
        token: str | None = None,
    ) -> Allow:
        if self.observers:
            tell(self.observers, _allowed(view, ruling, principal, token))
        allow = Allow(principal, ruling.rule, headers)
        if not ruling.is_public:
            # The hash of an empty text is 0.
            allow.credential = hash(token or "")
        if view.is_websocket:
            allow.subprotocol = self.sources.subprotocol(view)
            allow.closes_in = self._closes_in(principal)
            if self.closes_on_revocation and token is not None:
                allow.watch = self.authenticator.watched(token)
        return allow

    def _closes_in(self, principal: Principal) -> float | None:
        if not self.closes_on_expiry or principal.expires_at is None:
            return None
        return self.authenticator.seconds_left(principal)

    def _refusal_of(
        self, requirement: Requirement, principal: Principal, match: Match, refusal: Refusal
    ) -> Deny:
        scopes: Iterable[str] = ()
        if refusal.error == "insufficient_scope":
            scopes = missing_scopes(requirement, principal, match)
        return self.renderer.refuse_requirement(refusal, scopes)

    def hold(
        self, principal: Principal, requirement: Requirement, captures: Mapping[str, str]
    ) -> Deny | None:
        """Check a principal against a further requirement; ``None`` if it is met."""
        if not principal.is_authenticated:
            # An ``optional`` rule may have let an invalid token pass. Its code says more than
            # ``token_missing``.
            return self.told(self.renderer.refuse_code(principal.refusal or TokenMissing.code))
        match = Match(captures)
        refusal = requirement.judge(principal, match)
        if refusal is None:
            return None
        deny = self._refusal_of(requirement, principal, match, refusal)
        return self.told(deny, _unmet(requirement, principal, refusal))

    def unknown_user(self) -> Deny:
        """Return the refusal of a caller without an active user in the application."""
        return self.told(self.renderer.refuse_code(UserUnknown.code))

    def told(self, deny: Deny, problem: Refused | None = None, asked_by: str = "a view") -> Deny:
        """Report a refusal besides the rules to the log and the observers, and return it.

        :param asked_by: what asked for it.
        """
        left_out = self._admitted_to_log(deny)
        if self.observers or left_out is not None:
            self._report(_refused(deny, asked_by, problem or deny.problem), left_out)
        return deny

    def _admitted_to_log(self, deny: Deny) -> int | None:
        return None if self.log is None else self.log.admit(deny.code)

    def _report(self, event: RequestRefused, left_out: int | None) -> None:
        """Report a refusal to the log, unless it must not be written there, and to observers."""
        if left_out is not None and self.log is not None:
            self.log.write(event, left_out)
        tell(self.observers, event)

    def _refuse(
        self,
        problem: Refused,
        view: RequestView,
        ruling: Ruling | None = None,
        token: str | None = None,
    ) -> Deny:
        return self._tell(self._denied(problem, view), problem, view, ruling, token)

    def _tell(
        self,
        deny: Deny,
        problem: Refused,
        view: RequestView,
        ruling: Ruling | None,
        token: str | None,
    ) -> Deny:
        """Log the refusal of a request, report it to the observers, and return it."""
        if _log.isEnabledFor(logging.DEBUG):
            revokes = self.authenticator.has_revocations
            shown = explanation(view, ruling, deny, problem.reason, revokes=revokes)
            _log.debug("refused: %s", shown)
        left_out = self._admitted_to_log(deny)
        if self.observers or left_out is not None:
            event = replace(
                _refused(deny, "" if ruling is None else ruling.rule, problem),
                method=_method(view),
                pattern="" if ruling is None else ruling.pattern,
                token=None if token is None else _digest(token),
            )
            self._report(event, left_out)
        return deny

    def _denied(self, problem: Refused, view: RequestView) -> Deny:
        deny = self.renderer.refuse(problem)
        if problem.condemns_token and (expiry := self.sources.expiry(view)):
            return with_header(deny, "Set-Cookie", expiry)
        return deny


def _issuer_of(principal: Principal) -> str | None:
    return full_name(principal.issuer, principal.issuer_label)


def _unmet(requirement: Requirement, principal: Principal, refusal: Refusal) -> RequirementNotMet:
    return RequirementNotMet(
        refusal.detail,
        expected=str(requirement),
        issuer=_issuer_of(principal),
    )


def _allowed(
    view: RequestView, ruling: Ruling, principal: Principal, token: str | None
) -> RequestAllowed:
    return RequestAllowed(
        _method(view),
        ruling.rule,
        ruling.pattern,
        _issuer_of(principal),
        None if token is None else _digest(token),
    )


def _refused(deny: Deny, rule: str, problem: Refused | None) -> RequestRefused:
    if problem is None:
        return RequestRefused(deny.code, deny.status, rule, "")
    return RequestRefused(
        deny.code,
        deny.status,
        rule,
        problem.reason,
        issuer=problem.issuer,
        expected=problem.expected,
        found=problem.found,
        judged_by=problem.judged_by,
    )


def _method(view: RequestView) -> str:
    if view.is_websocket:
        return "WEBSOCKET"
    return view.method if view.method in _METHODS else "other"


def _digest(token: str) -> str:
    # 64 bits are enough to recognise a token in a log, and the token cannot be computed from them.
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:16]
