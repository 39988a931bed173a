"""The application's own users: one hook, from the caller of a request to a user object.

It is asked when a user is first needed, and once for a request. Each framework has its own way to
the user: ``current_user`` of Flask, a dependency of FastAPI, ``request.user`` of Starlette.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Generic, TypeAlias, TypeVar

from jwt_middleware.errors import ConfigurationError, UserUnknown
from jwt_middleware.principal import Principal

User = TypeVar("User")

LoadUser: TypeAlias = (
    Callable[[Principal], User | None] | Callable[[Principal], Awaitable[User | None]]
)
"""Takes the caller and returns its user, blocking or awaiting; ``None`` for no active user."""

_KEY = "jwt_middleware.user"


class Users(Generic[User]):
    """Remembers the user of a request, so that the hook is asked once."""

    def __init__(self, load_user: LoadUser[User]) -> None:
        """
        :param load_user: the hook.
        :raises ConfigurationError: if it cannot be called.
        """
        if not callable(load_user):
            raise ConfigurationError(
                f"load_user={load_user!r} must be a function that takes the principal and returns "
                "a user: write load_user=its_name"
            )
        self.load = load_user

    def known(self, principal: Principal, request: MutableMapping[str, Any]) -> User | None:
        """Return the user if it was loaded for this very caller; ``None`` otherwise.

        :param request: the scope or the environment of the request.
        """
        users, caller, user = request.get(_KEY, (None, None, None))
        # The caller is compared, because a guard further in may have judged another token.
        return user if users is self and caller is principal else None

    def remember(
        self, principal: Principal, request: MutableMapping[str, Any], user: User | None
    ) -> User:
        """Keep the user that was loaded, and return it.

        :raises UserUnknown: if there is none.
        """
        if user is None:
            raise UserUnknown
        request[_KEY] = (self, principal, user)
        return user
