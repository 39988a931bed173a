"""Starlette: requirements of single endpoints, beyond the rule of the path.

The middleware sets ``request.user``, ``request.auth.scopes`` and ``request.state.user``, so
Starlette's own ``requires`` works too. The ``requires`` of this module responds with 401 and a
challenge to an anonymous caller, and with 403 to others.

``request.user`` may be another one's: a user of a session stays where no token was judged.
"""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, ParamSpec, TypeVar, cast

from jwt_middleware.asgi.middleware import PRINCIPAL_KEY, guard_of
from jwt_middleware.asgi.middleware import judged as judged_of
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.principal import ANONYMOUS, Principal
from jwt_middleware.request.guarded_views import name_of, remember
from jwt_middleware.rules.requirements import Requirement
from jwt_middleware.verdict import Deny

try:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.websockets import WebSocket
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.starlette needs Starlette: "
        "pip install 'asgi-wsgi-jwt[starlette]'"
    ) from None

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")
Endpoint = Callable[Parameters, Returned]

_NAMES = ("request", "websocket")


def principal_of(connection: HTTPConnection) -> Principal:
    """Return the principal of a request or WebSocket; the anonymous one if no guard is in front."""
    found: Principal = connection.scope.get(PRINCIPAL_KEY, ANONYMOUS)
    return found


def requires(requirement: Requirement) -> Callable[[Endpoint[..., Any]], Endpoint[..., Any]]:
    """Check a requirement of an endpoint beyond the rule of its path.

    For functions and methods, plain or ``async``, of a request or a WebSocket. ``capture("name")``
    in the requirement is the route's path parameter.

    :raises ConfigurationError: if ``requirement`` is not a Requirement, or the endpoint has no
        parameter ``request`` or ``websocket``; at a call, if no guard protects the application.
    """
    checked_requirement("requires", requirement)

    def decorate(endpoint: Endpoint[..., Any]) -> Endpoint[..., Any]:
        position = _position_of_connection(endpoint)
        if iscoroutinefunction(endpoint):

            @wraps(endpoint)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                connection = _connection(position, args, kwargs)
                deny = refusal_of(connection, requirement)
                if deny is None:
                    return await endpoint(*args, **kwargs)
                if isinstance(connection, WebSocket):
                    await refuse_socket(connection, deny)
                    return None
                return as_response(deny)

            remember(endpoint, guarded, requirement)
            return guarded

        @wraps(endpoint)
        def guarded_in_a_thread(*args: Any, **kwargs: Any) -> Any:
            deny = refusal_of(_connection(position, args, kwargs), requirement)
            return endpoint(*args, **kwargs) if deny is None else as_response(deny)

        remember(endpoint, guarded_in_a_thread, requirement)
        return guarded_in_a_thread

    return decorate


def _position_of_connection(endpoint: Endpoint[..., Any]) -> tuple[int, str]:
    parameters = list(signature(endpoint).parameters)
    for position, name in enumerate(parameters):
        if name in _NAMES:
            return position, name
    raise ConfigurationError(
        f"requires(...) on {name_of(endpoint)}{tuple(parameters)} must be next to a function that "
        "takes the request, below the decorator of the route: add a parameter named 'request' or "
        "'websocket'"
    )


def _connection(
    place: tuple[int, str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HTTPConnection:
    position, name = place
    return cast("HTTPConnection", kwargs[name] if name in kwargs else args[position])


def checked_requirement(call: str, requirement: object) -> Requirement:
    """Return a requirement, checked.

    :param call: the name of the call that it was given to, for the error.
    :raises ConfigurationError: if it is not a Requirement.
    """
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"{call}({requirement!r}) must be given a Requirement: write "
            f"{call}(has_scope('orders:read'))"
        )
    return requirement


def refusal_of(connection: HTTPConnection, requirement: Requirement) -> Deny | None:
    """Return the refusal if the caller does not meet a requirement; otherwise ``None``.

    :raises ConfigurationError: if no guard protects the application.
    """
    return judged(connection, requirement)[1]


def judged(
    connection: HTTPConnection, requirement: Requirement, *, admits_anonymous: bool = False
) -> tuple[Principal, Deny | None]:
    """Return the caller, and the refusal if the caller does not meet a requirement.

    :param admits_anonymous: whether an anonymous caller passes without meeting it.
    :raises ConfigurationError: if no guard protects the application.
    """
    scope = connection.scope
    guard = guard_of(scope)
    if guard is None:
        raise ConfigurationError(
            f"{requirement} needs a guard that protects the application: write "
            "app.add_middleware(JWTMiddleware, guard=guard)"
        )
    # ``scope["user"]`` is not used, because another middleware may have replaced it.
    principal: Principal = scope[PRINCIPAL_KEY]
    if admits_anonymous and not principal.is_authenticated:
        return principal, None
    captures = {name: str(value) for name, value in scope.get("path_params", {}).items()}
    deny = guard.integration.hold(principal, requirement, captures)
    if deny is not None and not principal.is_authenticated:
        # Starlette leaves the endpoint in the scope, and FastAPI does, too.
        view = scope.get("endpoint") or requirement
        guard.integration.warn_if_unread(name_of(view), *judged_of(scope))
    return principal, deny


def as_response(deny: Deny) -> Response:
    """Return a refusal as a Starlette response."""
    response = Response(deny.body, deny.status)
    response.raw_headers = list(deny.raw_headers)
    return response


async def refuse_socket(websocket: WebSocket, deny: Deny) -> None:
    """Refuse a WebSocket before it is accepted, as the middleware does."""
    if "websocket.http.response" in (websocket.scope.get("extensions") or {}):
        await websocket.send_denial_response(as_response(deny))
    else:
        # RFC 6455 §7.4.1: 1008 means a policy violation.
        await websocket.close(1008, deny.code)
