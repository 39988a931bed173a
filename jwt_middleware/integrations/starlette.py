"""Starlette: what one endpoint asks for, beyond the rule of its path.

The middleware sets ``request.user``, ``request.auth.scopes`` and ``request.state.user``, which
Starlette's own ``requires`` works with. Ours says 401 with a challenge to the anonymous, and 403 to
the others.
"""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, ParamSpec, TypeVar, cast

from jwt_middleware.asgi.middleware import PRINCIPAL_KEY, guard_of
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.principal import Principal
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


def requires(requirement: Requirement) -> Callable[[Endpoint[..., Any]], Endpoint[..., Any]]:
    """Ask more of an endpoint's caller than the rule of its path does.

    For functions and methods, plain or ``async``, of a request or a WebSocket. ``capture("name")``
    in the requirement is the route's path parameter.

    :raises ConfigurationError: if it is no requirement, or the endpoint has no parameter
        ``request`` or ``websocket``; at a call, if no guard stands in front of the application.
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

            return guarded

        @wraps(endpoint)
        def guarded_in_a_thread(*args: Any, **kwargs: Any) -> Any:
            deny = refusal_of(_connection(position, args, kwargs), requirement)
            return endpoint(*args, **kwargs) if deny is None else as_response(deny)

        return guarded_in_a_thread

    return decorate


def _position_of_connection(endpoint: Endpoint[..., Any]) -> tuple[int, str]:
    parameters = list(signature(endpoint).parameters)
    for position, name in enumerate(parameters):
        if name in _NAMES:
            return position, name
    raise ConfigurationError(
        f"requires(...) on {endpoint.__qualname__}{tuple(parameters)}: add a parameter named "
        "'request' or 'websocket'"
    )


def _connection(
    place: tuple[int, str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HTTPConnection:
    position, name = place
    return cast("HTTPConnection", kwargs[name] if name in kwargs else args[position])


def checked_requirement(call: str, requirement: object) -> Requirement:
    """Return a requirement.

    :raises ConfigurationError: if it is none, naming the call that it was given to.
    """
    if not isinstance(requirement, Requirement):
        raise ConfigurationError(
            f"{call}({requirement!r}): that is no requirement, such as has_scope('orders:read')"
        )
    return requirement


def refusal_of(connection: HTTPConnection, requirement: Requirement) -> Deny | None:
    """Return the refusal of a caller who does not meet a requirement; ``None`` if it is met.

    :raises ConfigurationError: if no guard stands in front of the application.
    """
    return judged(connection, requirement)[1]


def judged(
    connection: HTTPConnection, requirement: Requirement, *, admits_anonymous: bool = False
) -> tuple[Principal, Deny | None]:
    """Return who is calling, and the refusal if they do not meet a requirement.

    :param admits_anonymous: whether nothing is asked of the anonymous.
    :raises ConfigurationError: if no guard stands in front of the application.
    """
    scope = connection.scope
    guard = guard_of(scope)
    if guard is None:
        raise ConfigurationError(
            f"{requirement} is asked for where no guard stands in front: "
            "app.add_middleware(JWTMiddleware, guard=guard)"
        )
    # Not ``scope["user"]``, which another middleware may have set since.
    principal: Principal = scope[PRINCIPAL_KEY]
    if admits_anonymous and not principal.is_authenticated:
        return principal, None
    captures = {name: str(value) for name, value in scope.get("path_params", {}).items()}
    return principal, guard.integration.hold(principal, requirement, captures)


def as_response(deny: Deny) -> Response:
    """Return a refusal as Starlette answers it."""
    response = Response(deny.body, deny.status)
    response.raw_headers = list(deny.raw_headers)
    return response


async def refuse_socket(websocket: WebSocket, deny: Deny) -> None:
    """Refuse a WebSocket that was not accepted yet, as the middleware does."""
    if "websocket.http.response" in (websocket.scope.get("extensions") or {}):
        await websocket.send_denial_response(as_response(deny))
    else:
        # RFC 6455 §7.4.1: 1008 is a violation of policy.
        await websocket.close(1008, deny.code)
