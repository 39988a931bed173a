"""The interface of a guard for middleware and framework integrations."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MethodType
from weakref import ref

from jwt_middleware.errors import KeysUnavailable, PathInvalid, TokenMissing
from jwt_middleware.guard.decision import Judge
from jwt_middleware.guard.options import WarmUp
from jwt_middleware.guard.placement import Placement
from jwt_middleware.logs import log_of
from jwt_middleware.principal import Principal
from jwt_middleware.request.sources import TokenSource
from jwt_middleware.request.view import RequestView
from jwt_middleware.rules.applications import UNKNOWN, Application
from jwt_middleware.rules.methods import named_method
from jwt_middleware.rules.requirements import NO_CAPTURES, Requirement
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.verdict import Allow, Deny, ErrorBody

_log = log_of("jwt_middleware")


# The names of views come from the application's source, so there are not many.
_MOST_VIEWS = 1_000

REFUSED = "every caller is refused"


def unread(rule: str, consequence: str = REFUSED) -> str:
    """Return what is wrong with a view that asks for a caller under a ``public`` rule."""
    return (
        f"asks for a caller, and {rule} reads no token, so that {consequence}: write optional(...) "
        "in place of public(...)"
    )


class Integration:
    """Gives middleware and framework integrations access to one guard."""

    def __init__(
        self,
        judge: Judge,
        warm_up: WarmUp,
        error_body: ErrorBody,
        placement: Placement,
        start_warming: Callable[[], None],
    ) -> None:
        """
        :param judge: the judge of the guard.
        :param warm_up: when keys are first fetched.
        :param error_body: the format of error bodies.
        :param placement: tells of options without effect where the guard stands.
        :param start_warming: starts to fetch the keys of every issuer, without waiting for them.
        """
        self._judge = judge
        self._has_warned = False
        self.warm_up: WarmUp = warm_up
        self.error_body: ErrorBody = error_body
        self.placement = placement
        self.start_warming = start_warming
        self.application: Application = UNKNOWN
        """The description of the application that the guard was last put in front of."""
        self._told: set[str] = set()
        # Plain references in a list, because the search for what an application consists of must
        # not lead from one application of a guard to another.
        self._applications: list[ref[object]] = []

    @property
    def rule_table(self) -> RuleTable:
        """The rule table of the guard."""
        return self._judge.table

    @property
    def token_sources(self) -> tuple[TokenSource, ...]:
        """The token sources, in the order in which they are searched."""
        return self._judge.sources.every

    @property
    def varies_with(self) -> list[str]:
        """The names of the request headers that a response behind this guard may depend on."""
        vary = self._judge.sources.vary
        return vary.split(", ") if vary else []

    @property
    def applications(self) -> list[object]:
        """The applications that middleware has put the guard in front of, as far as they live."""
        found = (each() for each in self._applications)
        return [each for each in found if each is not None]

    def stand_before(self, app: object, application: Application) -> None:
        """Record the application that a middleware is put in front of.

        ``explain`` uses the latest one. Logs a warning if the rules leave paths open and the router
        of the application was not compared with them.

        :param app: the application.
        :param application: the description of the application.
        """
        self.application = application
        self.placement.stands()
        if application.paths_are_whole:
            self.placement.sees_sockets = True
        # Of a method, as ``app.wsgi_app`` is one, the object stays and the method does not.
        owner = app.__self__ if isinstance(app, MethodType) else app
        known = self.applications
        if all(owner is not each for each in known):
            # An application without weak references is not remembered.
            with suppress(TypeError):
                self._applications = [ref(each) for each in (*known, owner)]
        if application.is_measured or self._has_warned or not self.rule_table.is_open_by_default:
            return
        self._has_warned = True
        _log.warning(
            "the rules leave other paths open, and the router of %s was not compared with them, so "
            "it may serve a protected page under another spelling: make every path that is not "
            "public protected, or describe the router with readings= and case_sensitive=",
            type(app).__qualname__,
        )

    def hold(
        self,
        principal: Principal,
        requirement: Requirement,
        captures: Mapping[str, str] = NO_CAPTURES.captures,
    ) -> Deny | None:
        """Check a principal against the requirement of a view.

        :param captures: the parameters of the route, for ``capture(...)``.
        :return: ``None`` if the requirement is met. Otherwise the refusal: 401 for an anonymous
            caller, the refusal of the requirement for others.
        """
        return self._judge.hold(principal, requirement, captures)

    def warn_if_unread(self, view: str, method: str, path: str, mount_point: str = "") -> None:
        """Log a warning, once, that a view refused an anonymous caller under a ``public`` rule.

        :param view: the name of the view.
        :param method: the method that the guard judged; ``WEBSOCKET`` for a WebSocket.
        :param path: the path that the guard judged.
        :param mount_point: the mount point that the guard judged.
        """
        if view in self._told or len(self._told) >= _MOST_VIEWS:
            return
        with suppress(PathInvalid):
            ruling = self.rule_table.ruling(
                named_method(method), path, mount_point, application=self.application
            )
            if ruling.is_public:
                self._told.add(view)
                _log.warning("%s %s", view, unread(ruling.rule))

    def still_passes(self, view: RequestView, credential: int | None) -> bool:
        """Return whether a request that passed this guard has no other token since.

        :param credential: what the verdict said of its token.
        """
        return not self._judge.sources.has_another(view, credential)

    def missing_keys(self, problem: KeysUnavailable) -> Deny:
        """Report that a request came before the keys that ``warm_up`` requires; return its refusal.

        :param problem: why there are no keys.
        """
        deny = self._judge.renderer.refuse(problem)
        return self._judge.told(deny, problem, f"warm_up={self.warm_up!r}")

    def missing_token(self) -> Deny:
        """Return the refusal of a request that needs a token and has none."""
        return self._judge.renderer.refuse_code(TokenMissing.code)

    def unknown_user(self) -> Deny:
        """Return the refusal of a caller without an active user in the application."""
        return self._judge.unknown_user()

    def refuse_after_all(self, allow: Allow) -> Deny | None:
        """Return the refusal of a request that passed as exempt but reached a view with a login."""
        return None if allow.otherwise is None else self._judge.told(allow.otherwise)
