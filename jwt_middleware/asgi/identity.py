"""What the ASGI middleware tells the application about the caller, in the scope.

Other code of the application writes there too: the middleware of a framework's sessions puts the
user that it knows. What is its own stays, unless the guard has judged a token.
"""

from copy import copy
from typing import Any, Self

from jwt_middleware.asgi.types import Scope
from jwt_middleware.principal import ANONYMOUS, Principal, token_was_judged
from jwt_middleware.request.view import CALLER_KEY

PRINCIPAL_KEY = "jwt_middleware.principal"

# Which scope the state belongs to: a copy of a scope, as dispatchers make them, shares the state.
_SCOPE_KEY = "jwt_middleware.scope"

# The scope that Starlette's ``requires("authenticated")`` looks for.
_AUTHENTICATED = "authenticated"


class AuthScopes:
    """The ``auth`` of Starlette's scope: a list of scopes, created for each request.

    As Starlette's conventions have it, the list of a verified caller contains ``authenticated``. A
    token cannot add or remove that name.
    """

    def __init__(self, principal: Principal) -> None:
        found: list[str] = []
        if principal.is_authenticated:
            found = [_AUTHENTICATED, *principal.scopes]
            if _AUTHENTICATED in principal.scopes:
                found = found[1:]
        self.scopes = found


class UnnamedCaller(Principal[Any]):
    """The anonymous principal of one request, until a framework names its own user.

    Channels' AuthMiddleware writes the session's user into the user that the scope has already, as
    ``_wrapped``. From then on this object is that user, as Django's lazy users are. The guard never
    reads it.
    """

    # The slots of the principal stay empty, so that ``__getattr__`` answers for them.
    __slots__ = ("_wrapped",)

    def __new__(cls) -> Self:
        return object.__new__(cls)

    def __init__(self) -> None:
        """No-op: creating it costs each anonymous request as little as can be."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ANONYMOUS if name == "_wrapped" else self._user, name)

    @property
    def is_unnamed(self) -> bool:
        """Whether it is still the anonymous principal."""
        return self._user is ANONYMOUS

    @property
    def _user(self) -> Any:
        try:
            return object.__getattribute__(self, "_wrapped")
        except AttributeError:
            return ANONYMOUS

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._user)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_wrapped":
            object.__setattr__(self, name, value)
        else:
            setattr(self._user, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._user, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._user == (other._user if type(other) is UnnamedCaller else other))

    def __hash__(self) -> int:
        return hash(self._user)

    def __repr__(self) -> str:
        return repr(self._user)

    def __str__(self) -> str:
        return str(self._user)

    def __bool__(self) -> bool:
        return bool(self._user)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _itself, (self._user,)


def _itself(user: object) -> object:
    return user


def attach(scope: Scope, principal: Principal, shared_state: object, fills_user: bool) -> None:
    """Tell the application who the caller is, in every place where it may look.

    :param shared_state: the state of the lifespan, which all requests would share; ``None`` if
        unknown.
    :param fills_user: whether the application writes its user into the user that the scope has.
    """
    is_judged = token_was_judged(principal)
    user = UnnamedCaller() if fills_user and not is_judged else principal
    if "state" in scope:
        _put_into_state(scope, principal, shared_state)
    else:
        scope["state"] = {"user": principal}
    if is_judged or scope.get("user") is None or _is_ours(scope["user"], scope):
        scope["user"] = user
    scope["auth"] = AuthScopes(principal)
    scope[PRINCIPAL_KEY] = principal
    scope[_SCOPE_KEY] = id(scope)


def _put_into_state(scope: Scope, principal: Principal, shared_state: object) -> None:
    state = scope["state"]
    left = state.get("user")
    is_named_here = left is scope.get("user") or left is scope.get(PRINCIPAL_KEY)
    is_own = is_named_here and scope.get(_SCOPE_KEY) == id(scope)
    if state is shared_state or (_is_ours(left, scope) and not is_own):
        # The server, or a dispatcher, did not copy the state for this request. Another request may
        # still read it.
        state = scope["state"] = copy(state)
    if "user" not in state or _is_ours(left, scope):
        state["user"] = principal


def _is_ours(user: object, scope: Scope) -> bool:
    if type(user) is UnnamedCaller:
        # An outer guard left it unnamed, and a framework may have named its user since: for this
        # request, or for an earlier one with the same scope.
        caller = scope.get(CALLER_KEY)
        return user.is_unnamed or caller is None or caller.principal is None
    # The type and not ``isinstance``, which reads ``__class__``: a lazy user would query for it.
    return issubclass(type(user), Principal)
