"""Flask: the application's user of a request, as ``current_user``.

::

    jwt = JWT(app, guard=guard)
    JWTUsers(app, lambda principal: db.session.get(User, principal.subject))

    @app.get("/me")
    @requires()
    def me(): return current_user.name
"""

from typing import Any, cast

from jwt_middleware.checks import check_kind
from jwt_middleware.errors import ConfigurationError, UserUnknown
from jwt_middleware.integrations.users import LoadUser, Users
from jwt_middleware.wsgi import PRINCIPAL_KEY, guard_of

try:
    from flask import Flask, Response, abort, current_app, request
    from werkzeug.local import LocalProxy
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.flask_users needs Flask: pip install 'asgi-wsgi-jwt[flask]'"
    ) from None

__all__ = ["JWTUsers", "current_user", "get_current_user"]

_EXTENSION = "jwt_middleware.users"


class JWTUsers:
    """The Flask extension that knows the users of an application."""

    def __init__(self, app: Flask | None = None, load_user: LoadUser[Any] | None = None) -> None:
        """
        :param app: the application; or call :meth:`init_app` later.
        :param load_user: takes the principal and returns the user, or ``None`` if the application
            has no active one. A plain function, or an ``async`` one.
        :raises ConfigurationError: if ``load_user`` cannot be called.
        """
        self._users = Users(cast("LoadUser[Any]", load_user))
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Let ``current_user`` of an application ask the hook."""
        check_kind("app", app, Flask, "JWTUsers(app, load_user), with the application")
        app.extensions[_EXTENSION] = self._users


def get_current_user() -> Any:
    """Return the user of the caller; ``None`` for an anonymous caller.

    The request is answered with 401 ``user_unknown`` if the hook returns ``None``.

    :raises ConfigurationError: if the application has no hook, or no guard.
    """
    users: Users[Any] | None = current_app.extensions.get(_EXTENSION)
    guard = guard_of(request.environ)
    if users is None or guard is None:
        raise ConfigurationError(
            "current_user needs a guard and a hook: write JWT(app, guard=guard) and "
            "JWTUsers(app, load_user)"
        )
    principal = request.environ[PRINCIPAL_KEY]
    if not principal.is_authenticated:
        return None
    user = users.known(principal, request.environ)
    if user is not None:
        return user
    loaded = current_app.ensure_sync(users.load)(principal)
    try:
        return users.remember(principal, request.environ, loaded)
    except UserUnknown:
        deny = guard.integration.unknown_user()
    return abort(Response(deny.body, deny.status, dict(deny.headers)))


current_user: Any = LocalProxy(get_current_user)
"""The user of the caller; it is ``None`` for an anonymous caller."""
