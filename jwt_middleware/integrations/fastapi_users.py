"""FastAPI: the application's user of a request, as a typed dependency.

::

    CurrentUser = Annotated[User, user_dependency(load_user)]

    @app.get("/me")
    async def me(user: CurrentUser) -> str: ...
"""

from typing import Any

try:
    from fastapi.requests import HTTPConnection
    from fastapi.security import SecurityScopes
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.fastapi_users needs FastAPI: "
        "pip install 'asgi-wsgi-jwt[fastapi]'"
    ) from None

from jwt_middleware.errors import UserUnknown
from jwt_middleware.integrations.fastapi import JWTBearer, refuse
from jwt_middleware.integrations.starlette_users import unknown_user, user_of
from jwt_middleware.integrations.users import LoadUser, Users
from jwt_middleware.rules.requirements import Requirement


class JWTUser(JWTBearer):
    """A dependency that returns the application's user of the caller."""

    def __init__(
        self,
        load_user: LoadUser[Any],
        requirement: Requirement | None = None,
        *,
        auto_error: bool = True,
    ) -> None:
        """
        :param load_user: takes the principal and returns the user, or ``None`` if the application
            has no active one. A plain function runs on a thread.
        :param requirement: what the caller must meet; by default a valid token.
        :param auto_error: whether an anonymous caller is refused; otherwise the user is ``None``.
        :raises ConfigurationError: if ``load_user`` cannot be called.
        """
        super().__init__(requirement, auto_error=auto_error)
        self._users = Users(load_user)

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """Return the user; ``None`` for an anonymous caller.

        :raises AccessRefused: as :class:`JWTBearer` does, and 401 ``user_unknown`` without a user.
        """
        principal = self._admitted(connection, security_scopes.scopes)
        if not principal.is_authenticated:
            return None
        try:
            return await user_of(self._users, principal, connection.scope)
        except UserUnknown:
            deny = unknown_user(connection.scope)
        return refuse(connection, deny)


def user_dependency(
    load_user: LoadUser[Any], requirement: Requirement | None = None, *, auto_error: bool = True
) -> JWTUser:
    """Return a dependency that returns the application's user: ``Annotated[User, ...]``.

    :param load_user: takes the principal and returns the user, or ``None`` if the application has
        no active one, and the request is refused with 401 ``user_unknown``.
    :param requirement: what the caller must meet; by default a valid token.
    :param auto_error: whether an anonymous caller is refused; otherwise the user is ``None``.
    :raises ConfigurationError: if ``load_user`` cannot be called.
    """
    return JWTUser(load_user, requirement, auto_error=auto_error)
