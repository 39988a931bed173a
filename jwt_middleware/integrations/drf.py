"""Django REST framework: authentication by the verified caller, and permissions for views.

The Django middleware decides first, by the rule table. The classes here let a view require more,
as authentication and permission classes of the framework.
"""

from typing import Any

try:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.exceptions import APIException
    from rest_framework.permissions import AND, BasePermission, IsAuthenticated
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.drf needs Django REST framework: "
        "pip install djangorestframework"
    ) from None

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.integrations.django import has_passed, judged_as, principal_of
from jwt_middleware.integrations.django_settings import MIDDLEWARE, configured
from jwt_middleware.principal import Principal
from jwt_middleware.request.guarded_views import name_of
from jwt_middleware.rules.requirements import Requirement, has_scope
from jwt_middleware.verdict import Deny


class JWTAuthentication(BaseAuthentication):  # type: ignore[misc]
    """Sets ``request.user`` to the user of the middleware, and ``request.auth`` to the principal.

    A request without a token is left to the next authentication class, as the framework expects.
    """

    def authenticate(self, request: Any) -> tuple[Any, Principal] | None:
        """Return the user and the principal; ``None`` for an anonymous caller.

        :raises ConfigurationError: if the middleware is not installed.
        :raises Denied: 401 ``user_unknown`` if the project has no active user for the principal.
        """
        whole = request._request
        _check_middleware("JWTAuthentication", whole)
        principal = principal_of(whole)
        if not principal.is_authenticated:
            return None
        _check_user(whole)
        return whole._cached_user, principal

    # pyright is overruled, because it infers the types of these two methods from what the untyped
    # base classes return.
    def authenticate_header(self, request: Any) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the challenge. Without one the framework would respond with 403 instead of 401."""
        _warn_if_unread(request)
        return _challenge(configured().guard.integration.missing_token())


def _check_middleware(name: str, request: Any) -> None:
    # A guard around the whole project is not enough, because it sets no user.
    if not has_passed(request):
        raise ConfigurationError(
            f"{name} needs the middleware, which verifies tokens: add {MIDDLEWARE!r} to MIDDLEWARE"
        )


class Denied(APIException):  # type: ignore[misc]
    """A refusal of the guard: its status and challenge, in the framework's body."""

    def __init__(self, deny: Deny) -> None:
        super().__init__(deny.detail, deny.code)
        self.status_code = deny.status
        self.auth_header = _challenge(deny)


def _challenge(deny: Deny) -> str:
    return dict(deny.headers).get("WWW-Authenticate", "")


def _warn_if_unread(request: Any) -> None:
    """Log a warning if a view refuses every caller, because the rule of its path reads no token."""
    if principal_of(request._request).is_authenticated:
        return
    context = request.parser_context or {}
    view = name_of(context.get("view"))
    configured().guard.integration.warn_if_unread(view, *judged_as(request._request))


def _check_user(request: Any) -> None:
    """Refuse a caller without an active user in the project, such as a deactivated account.

    :raises Denied: 401.
    """
    settings = configured()
    # Without ``user_of`` every verified token is a user, so none is looked up.
    if settings.user_of is not None and not request._cached_user.is_authenticated:
        raise Denied(settings.guard.integration.unknown_user())


class Requires(BasePermission):  # type: ignore[misc]
    """A permission that checks a requirement.

    ``permission_classes = [requires(has_role("admin"))]``.
    """

    requirement: Requirement

    def has_permission(self, request: Any, view: Any) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return ``True``, or refuse as the guard does.

        :raises Denied: 401 for an anonymous caller and for a caller without an active user in the
            project; for others the status of the requirement.
        :raises ConfigurationError: if the middleware is not installed.
        """
        whole = request._request
        _check_middleware(type(self).__name__, whole)
        captures = {name: str(value) for name, value in view.kwargs.items()}
        principal = principal_of(whole)
        if principal.is_authenticated:
            _check_user(whole)
        deny = configured().guard.integration.hold(principal, self.asked_of(view), captures)
        if deny is not None:
            _warn_if_unread(request)
            raise Denied(deny)
        return True

    def asked_of(self, view: Any) -> Requirement:
        """Return the requirement of a view."""
        return self.requirement


def needs_caller(view: Any) -> bool:
    """Return whether a view of the framework refuses every caller without a token.

    A class that chooses its permissions for each request may not.

    :param view: what ``as_view`` of the class returned.
    """
    view_class = view.cls
    # What ``as_view`` and ``@action`` were given replaces the attributes of the class.
    given = getattr(view, "initkwargs", {})
    # Imported late: its module imports this one where the settings name JWTAuthentication.
    from rest_framework.views import APIView

    if view_class.get_permissions is not APIView.get_permissions:
        return False
    found = list(given.get("permission_classes", view_class.permission_classes))
    # ``A & B`` is kept as an object with both. Where either suffices, the other may let pass.
    for each in found:
        if getattr(each, "operator_class", None) is AND:
            found += [each.op1_class, each.op2_class]
    kinds = [each for each in found if isinstance(each, type)]
    if any(issubclass(each, Requires) for each in kinds):
        return True
    ways = given.get("authentication_classes", view_class.authentication_classes)
    is_ours = bool(ways) and all(issubclass(each, JWTAuthentication) for each in ways)
    return is_ours and any(issubclass(each, IsAuthenticated) for each in kinds)


class HasScopes(Requires):
    """A permission that requires the scopes of a view's ``required_scopes``."""

    def asked_of(self, view: Any) -> Requirement:
        scopes: Any = getattr(view, "required_scopes", ())
        if not scopes or isinstance(scopes, str):
            raise ConfigurationError(
                f"HasScopes: {type(view).__name__}.required_scopes={scopes!r} must be a list of "
                "scopes, such as ['orders:read']"
            )
        return has_scope(*scopes)


def requires(requirement: Requirement) -> type[Requires]:
    """Return a permission class that checks a requirement.

    ``capture("name")`` in it is a parameter of the route.

    :raises ConfigurationError: if ``requirement`` is not a Requirement.
    """
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"requires({requirement!r}) must be given a Requirement: write "
            "requires(has_scope('orders:read'))"
        )
    return type("Requires", (Requires,), {"requirement": requirement})
