"""What faces and the integrations of frameworks need of a guard, and nobody else."""

import logging
from collections.abc import Mapping

from jwt_middleware.errors import TokenMissing
from jwt_middleware.guard.decision import Judge
from jwt_middleware.guard.options import WarmUp
from jwt_middleware.principal import Principal
from jwt_middleware.request.sources import TokenSource
from jwt_middleware.rules.applications import UNKNOWN, Application
from jwt_middleware.rules.requirements import NO_CAPTURES, Requirement
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.verdict import Allow, Deny, ErrorBody

_log = logging.getLogger("jwt_middleware")


class Integration:
    """One guard, as the code between it and a framework sees it."""

    def __init__(self, judge: Judge, warm_up: WarmUp, error_body: ErrorBody) -> None:
        """
        :param judge: decides.
        :param warm_up: when keys are first fetched.
        :param error_body: how the bodies of refusals are written.
        """
        self._judge = judge
        self._has_warned = False
        self.warm_up: WarmUp = warm_up
        self.error_body: ErrorBody = error_body
        self.application: Application = UNKNOWN
        """What is known of the application that the guard was last put in front of."""

    @property
    def rule_table(self) -> RuleTable:
        """The rules, to be asked about routes and paths."""
        return self._judge.table

    @property
    def token_sources(self) -> tuple[TokenSource, ...]:
        """Where a token may be, in the order in which it is looked for."""
        return self._judge.sources.every

    @property
    def varies_with(self) -> list[str]:
        """The names of the request headers that an answer behind this guard may depend on."""
        vary = self._judge.sources.vary
        return vary.split(", ") if vary else []

    def stand_before(self, app: object, application: Application) -> None:
        """Learn which application a face is put in front of; ``explain`` goes by the latest.

        Warns where the rules leave paths open to a router that was never compared with them.

        :param app: the application.
        :param application: what is known of it.
        """
        self.application = application
        if application.is_measured or self._has_warned or not self.rule_table.is_open_by_default:
            return
        self._has_warned = True
        _log.warning(
            "the rules leave open what they do not name, and the router of %s was not compared "
            "with them: it may serve a protected page by another spelling; protect what is not "
            "public instead, or describe the router with readings= and case_sensitive=",
            type(app).__qualname__,
        )

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
        return self._judge.hold(principal, requirement, captures)

    def missing_token(self) -> Deny:
        """Return the refusal of whoever sends no token where one is required."""
        return self._judge.renderer.refuse_code(TokenMissing.code)

    def unknown_user(self) -> Deny:
        """Return the refusal of a caller for whom the application has no active user."""
        return self._judge.unknown_user()

    def refuse_after_all(self, allow: Allow) -> Deny | None:
        """Return the refusal of a request that passed because its view was to need no login."""
        return None if allow.otherwise is None else self._judge.told(allow.otherwise)
