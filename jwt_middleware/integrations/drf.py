"""Django REST framework: the caller that the middleware verified, and requirements of a view.

The Django middleware decides first, by the rule table; these let a view ask for more, in the
framework's own words.
"""

from typing import Any

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.integrations.django import principal_of
from jwt_middleware.integrations.django_settings import MIDDLEWARE, configured
from jwt_middleware.principal import Principal
from jwt_middleware.rules.requirements import Requirement, has_scope
from jwt_middleware.verdict import Deny
from jwt_middleware.wsgi import PRINCIPAL_KEY

try:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.exceptions import APIException
    from rest_framework.permissions import BasePermission
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.drf needs Django REST framework: "
        "pip install djangorestframework"
    ) from None


class JWTAuthentication(BaseAuthentication):  # type: ignore[misc]
    """``request.user`` is whom the middleware mapped the token to, ``request.auth`` the principal.

    A request without a token is left to the next class, as the framework expects.
    """

    def authenticate(self, request: Any) -> tuple[Any, Principal] | None:
        """Return the user and the principal; ``None`` for the anonymous.

        :raises ConfigurationError: if the middleware is not installed.
        :raises Denied: 401 ``user_unknown`` if the project has no active user for the principal.
        """
        whole = request._request
        if PRINCIPAL_KEY not in whole.META:
            raise ConfigurationError(
                f"JWTAuthentication reads what the middleware verified: add {MIDDLEWARE!r} to "
                "MIDDLEWARE"
            )
        principal = principal_of(whole)
        if not principal.is_authenticated:
            return None
        _check_user(whole)
        return whole._cached_user, principal

    # What the base class returns is all that pyright knows of these two.
    def authenticate_header(self, request: Any) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the challenge, without which the framework answers 403 in place of 401."""
        return _challenge(configured().guard.integration.missing_token())


class Denied(APIException):  # type: ignore[misc]
    """A refusal of ours, with its status and challenge, in the framework's body."""

    def __init__(self, deny: Deny) -> None:
        super().__init__(deny.detail, deny.code)
        self.status_code = deny.status
        self.auth_header = _challenge(deny)


def _challenge(deny: Deny) -> str:
    return dict(deny.headers).get("WWW-Authenticate", "")


def _check_user(request: Any) -> None:
    """Refuse a caller for whom the project has nobody: a good token of a deactivated account.

    :raises Denied: 401.
    """
    settings = configured()
    # Where nothing is mapped, every token is a user: there is nobody to look up.
    if settings.user_of is not None and not request._cached_user.is_authenticated:
        raise Denied(settings.guard.integration.unknown_user())


class Requires(BasePermission):  # type: ignore[misc]
    """A requirement of a view: ``permission_classes = [requires(has_role("admin"))]``."""

    requirement: Requirement

    def has_permission(self, request: Any, view: Any) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return ``True``, or refuse in our words.

        :raises Denied: 401 for the anonymous, and for whoever is no active user of the project; for
            others what the requirement says.
        """
        whole = request._request
        captures = {name: str(value) for name, value in view.kwargs.items()}
        principal = principal_of(whole)
        if principal.is_authenticated:
            _check_user(whole)
        deny = configured().guard.integration.hold(principal, self.asked_of(view), captures)
        if deny is not None:
            raise Denied(deny)
        return True

    def asked_of(self, view: Any) -> Requirement:
        """Return what is asked for."""
        return self.requirement


class HasScopes(Requires):
    """The scopes that a view lists in ``required_scopes``."""

    def asked_of(self, view: Any) -> Requirement:
        scopes: Any = getattr(view, "required_scopes", ())
        if not scopes or isinstance(scopes, str):
            raise ConfigurationError(
                f"HasScopes: {type(view).__name__}.required_scopes={scopes!r} must be a list of "
                "scopes, such as ['orders:read']"
            )
        return has_scope(*scopes)


def requires(requirement: Requirement) -> type[Requires]:
    """Return a permission class that asks for a requirement.

    ``capture("name")`` in it is a parameter of the route.

    :raises ConfigurationError: if it is no requirement.
    """
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"requires({requirement!r}): that is no requirement, such as has_scope('orders:read')"
        )
    return type("Requires", (Requires,), {"requirement": requirement})
