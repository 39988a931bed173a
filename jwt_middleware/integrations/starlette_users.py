"""Starlette: the application's user of a request, as ``request.user``.

::

    app.add_middleware(UserMiddleware, load_user=load_user)
    app.add_middleware(JWTMiddleware, guard=guard)  # added last, so that it is in front

``request.auth.scopes`` and ``principal_of(request)`` stay those of the token.
"""

from inspect import isawaitable, iscoroutinefunction
from typing import Any

from jwt_middleware.asgi.middleware import PRINCIPAL_KEY, guard_of
from jwt_middleware.asgi.types import ASGIApp, Receive, Scope, Send
from jwt_middleware.errors import ConfigurationError, UserUnknown
from jwt_middleware.integrations.starlette import as_response, refuse_socket
from jwt_middleware.integrations.users import LoadUser, Users
from jwt_middleware.principal import Principal
from jwt_middleware.verdict import Deny

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.websockets import WebSocket
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.starlette_users needs Starlette: "
        "pip install 'asgi-wsgi-jwt[starlette]'"
    ) from None


async def user_of(users: Users[Any], principal: Principal, scope: Scope) -> Any:
    """Return the user of an authenticated caller.

    A plain hook runs on a thread, so that it may ask a database.

    :raises UserUnknown: if the application has no active one.
    """
    user = users.known(principal, scope)
    if user is not None:
        return user
    is_async = iscoroutinefunction(users.load)
    loaded = users.load(principal) if is_async else await run_in_threadpool(users.load, principal)
    return users.remember(principal, scope, await loaded if isawaitable(loaded) else loaded)


def unknown_user(scope: Scope) -> Deny:
    """Return the refusal of a caller without an active user.

    :raises ConfigurationError: if no guard protects the application.
    """
    guard = guard_of(scope)
    if guard is None:
        raise ConfigurationError(
            "UserMiddleware needs a guard in front of it: add JWTMiddleware after it, because what "
            "is added last is in front"
        )
    return guard.integration.unknown_user()


class UserMiddleware:
    """Puts the application's user into ``request.user`` of each request with a token.

    It is put around the whole application, or around the routes that want it.
    An anonymous caller stays the anonymous principal.
    """

    def __init__(self, app: ASGIApp, load_user: LoadUser[Any]) -> None:
        """
        :param app: the application behind it.
        :param load_user: takes the principal and returns the user, or ``None`` if the application
            has no active one, and the request is refused with 401 ``user_unknown``.
        :raises ConfigurationError: if ``load_user`` cannot be called.
        """
        self.app = app
        self._users = Users(load_user)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3.0)."""
        kind = scope["type"]
        if kind not in {"http", "websocket"} or await self._has_user(scope):
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await refuse_socket(WebSocket(scope, receive, send), unknown_user(scope))
        else:
            await as_response(unknown_user(scope))(scope, receive, send)

    async def _has_user(self, scope: Scope) -> bool:
        principal: Principal | None = scope.get(PRINCIPAL_KEY)
        if principal is None:
            # Raises, because no guard is in front.
            unknown_user(scope)
        elif principal.is_authenticated:
            try:
                scope["user"] = await user_of(self._users, principal, scope)
            except UserUnknown:
                return False
        return True
