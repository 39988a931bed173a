"""FastAPI: who is calling, as a dependency, and what an operation asks of them.

The middleware has verified the token; a dependency reads what it attached and verifies nothing
again. What a dependency refuses has the status, the challenge and the body of the middleware's own
refusals, on requests and on WebSockets.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Any, NoReturn, TypeVar

from jwt_middleware.checks import check_flag, check_kind, check_text
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard
from jwt_middleware.integrations.openapi import Demands, Locks
from jwt_middleware.principal import Principal, Typed_co, caller_key
from jwt_middleware.request.applications import described
from jwt_middleware.rules.analysis import RouteAnalysis
from jwt_middleware.rules.paths import segments
from jwt_middleware.rules.requirements import Authenticated, Requirement, all_of, has_scope
from jwt_middleware.verdict import Deny

try:
    from fastapi import FastAPI, HTTPException, params
    from fastapi.openapi.models import HTTPBearer
    from fastapi.requests import HTTPConnection
    from fastapi.responses import Response
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
    from fastapi.websockets import WebSocket
except ImportError:
    raise ImportError(
        "jwt_middleware.integrations.fastapi needs FastAPI: pip install 'asgi-wsgi-jwt[fastapi]'"
    ) from None

from jwt_middleware.integrations.routes.starlette import routes_of
from jwt_middleware.integrations.starlette import (
    as_response,
    checked_requirement,
    judged,
    refuse_socket,
)

SCHEME_NAME = "JWT"
"""What the security scheme is called in OpenAPI, unless told otherwise."""

Claims_ = TypeVar("Claims_")


class AccessRefused(HTTPException):
    """A dependency refuses the caller.

    It is answered as the middleware answers. Where the application has a handler for this class, or
    for the status, that one is asked instead.
    """

    def __init__(self, deny: Deny) -> None:
        """:param deny: the answer."""
        challenge = {name: text for name, text in deny.headers if name == "WWW-Authenticate"}
        super().__init__(deny.status, deny.code, challenge)
        self.deny = deny


class JWTBearer(SecurityBase, params.Security):
    """A dependency that gives the caller, refuses who may not call, and locks the operation.

    It is its own marker: ``Annotated[Principal, JWTBearer()]`` and ``dependencies=[JWTBearer()]``
    do without ``Depends``; ``Depends(JWTBearer())`` and ``Security(JWTBearer(), scopes=["a"])``
    work as well.
    """

    def __init__(
        self,
        requirement: Requirement | None = None,
        *,
        auto_error: bool = True,
        scheme_name: str = SCHEME_NAME,
        description: str | None = None,
    ) -> None:
        """
        :param requirement: what is asked of the caller; a valid token if left out.
            ``capture("name")`` in it is the route's path parameter.
        :param auto_error: whether the anonymous are refused. If not, they pass as the anonymous
            principal, and only who is known must meet the requirement.
        :param scheme_name: the name of the security scheme in OpenAPI.
        :param description: what OpenAPI says of it.
        :raises ConfigurationError: if that is no requirement; at a call, if no guard stands in
            front of the application.
        """
        check_flag("auto_error", auto_error)
        check_text("scheme_name", scheme_name, SCHEME_NAME)
        if description is not None:
            check_text("description", description, "A token of the shop.")
        params.Security.__init__(self, dependency=self)
        chosen = Authenticated() if requirement is None else requirement
        self.requirement = checked_requirement(type(self).__name__, chosen)
        self._with_scopes: dict[tuple[str, ...], Requirement] = {}
        self.auto_error = auto_error
        self.scheme_name = scheme_name
        self.model = HTTPBearer(bearerFormat="JWT", description=description)

    # A marker is compared by its fields, of which one is this very object.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.requirement})"

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """Return the principal.

        :raises AccessRefused: 401 for the anonymous, 403 or what the requirement says for others.
        """
        return self._admitted(connection, security_scopes.scopes)

    def _admitted(self, connection: HTTPConnection, scopes: list[str]) -> Principal:
        asked = self._asked(tuple(scopes)) if scopes else self.requirement
        principal, deny = judged(connection, asked, admits_anonymous=not self.auto_error)
        if deny is not None:
            _refuse(connection, deny)
        return principal

    def _asked(self, scopes: tuple[str, ...]) -> Requirement:
        """Return the requirement with the scopes that ``Security(...)`` adds to it."""
        # They stand in the source of the application, so a request can add none to these.
        known = self._with_scopes.get(scopes)
        if known is None:
            asked = has_scope(*scopes)
            is_plain = type(self.requirement) is Authenticated
            known = asked if is_plain else all_of(self.requirement, asked)
            self._with_scopes[scopes] = known
        return known


class TypedClaims(JWTBearer):
    """A dependency that gives the claims of the caller as a type of the application's own."""

    def __init__(self, claims_type: type, requirement: Requirement | None = None) -> None:
        """
        :param claims_type: what the issuer names with ``claims_type=``.
        :param requirement: what is asked of the caller; a valid token if left out.
        """
        check_kind("claims_type", claims_type, type, "a class, such as your dataclass")
        super().__init__(requirement)
        self.claims_type = claims_type

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """Return the typed claims.

        :raises AccessRefused: as the class above.
        :raises ConfigurationError: if the issuer reads its claims into another type, or none.
        """
        claims = self._admitted(connection, security_scopes.scopes).typed
        if not isinstance(claims, _class_of(self.claims_type)):
            name = self.claims_type.__name__
            raise ConfigurationError(
                f"claims of the type {name} are asked for, and the issuer gives "
                f"{type(claims).__name__}: write Issuer(..., claims_type={name})"
            )
        return claims


def requires(requirement: Requirement, *, scheme_name: str = SCHEME_NAME) -> JWTBearer:
    """Return a dependency that asks more of the caller than the rule of the path does.

    ``dependencies=[requires(has_scope("orders:read"))]``, or for the caller as well
    ``Annotated[Principal, requires(has_scope("orders:read"))]``.

    :param scheme_name: the name of the security scheme in OpenAPI.
    :raises ConfigurationError: if it is no requirement.
    """
    return JWTBearer(checked_requirement("requires", requirement), scheme_name=scheme_name)


def typed_claims(claims_type: type[Claims_], requirement: Requirement | None = None) -> TypedClaims:
    """Return a dependency that gives the claims of the caller as a type of the application's own.

    ``Annotated[MyClaims, typed_claims(MyClaims)]``.

    :param claims_type: what the issuer names with ``claims_type=``.
    :param requirement: what is asked of the caller; a valid token if left out.
    :raises ConfigurationError: if that is no requirement; at a call, if the issuer reads its claims
        into another type.
    """
    return TypedClaims(claims_type, requirement)


authenticated_principal = JWTBearer()
"""Gives the caller; the anonymous are refused with 401."""

optional_principal = JWTBearer(auto_error=False)
"""Gives the caller, who may be anonymous."""

CurrentPrincipal = Annotated[Principal[Typed_co], authenticated_principal]
"""Who is calling, for the signature of an endpoint; ``CurrentPrincipal[MyClaims]`` is typed."""

OptionalPrincipal = Annotated[Principal[Typed_co], optional_principal]
"""Who is calling, who may be anonymous."""


def keyed_by_caller(
    func: Callable[..., Any],
    namespace: str = "",
    *,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    **_: Any,
) -> str:
    """Return the key under which fastapi-cache2 keeps an answer for one caller.

    ``@cache(key_builder=keyed_by_caller)``, or for all endpoints
    ``FastAPICache.init(backend, key_builder=keyed_by_caller)``. A dependency that gives the caller
    is left to :func:`caller_key`; other arguments are told apart by their ``repr``.
    """
    given = {name: value for name, value in kwargs.items() if not isinstance(value, Principal)}
    parts = [func.__module__, func.__qualname__, repr(args), repr(sorted(given.items()))]
    # JSON tells where each part ends.
    digest = sha256(json.dumps([*parts, caller_key()]).encode()).hexdigest()
    return f"{namespace}:{digest}"


def secure_openapi(
    app: FastAPI, guard: Guard, *, scheme_name: str = SCHEME_NAME, mounted_at: str = ""
) -> None:
    """Have the document of an application say what its guard asks for.

    Protected operations get their lock, the scopes that the deciding rule and the dependencies ask
    for, and the responses of a refusal; public ones stay as they are; for optional ones a token is
    one of two ways. ``app.openapi()`` works it out when it is asked, so that routes may come later.

    :param guard: the one in front of the application.
    :param scheme_name: the name of the bearer scheme; the names of others begin with it.
    :param mounted_at: where this application is mounted in the one behind the guard.
    :raises ConfigurationError: if OpenAPI has no words for the guard's token sources.
    """
    if not isinstance(app, FastAPI):
        raise ConfigurationError(f"secure_openapi({app!r}): that is no FastAPI application")
    check_kind("guard", guard, Guard, "the Guard in front of the application")
    check_text("scheme_name", scheme_name, SCHEME_NAME)
    if mounted_at != "":
        check_text("mounted_at", mounted_at, "/v1")
    locks = Locks(guard, scheme_name)
    prefix = segments(mounted_at)
    plain, written = app.openapi, dict[str, Any]()

    def openapi() -> dict[str, Any]:
        document = plain()
        # FastAPI keeps its document, and makes a new one where routes were added.
        if document is not written.get("document"):
            _lock(document, app, guard, locks, prefix)
            written["document"] = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _lock(
    document: dict[str, Any], app: FastAPI, guard: Guard, locks: Locks, prefix: tuple[str, ...]
) -> None:
    own: set[str] = set()
    application = guard.integration.application if prefix else described(app, paths_are_whole=True)
    analysis = RouteAnalysis(guard.integration.rule_table, application)
    for route in routes_of(app):
        # What is mounted has a document of its own.
        is_mounted = route.template.text != getattr(route.source, "path", None)
        dependant = getattr(route.source, "dependant", None)
        if dependant is None or is_mounted:
            continue
        template = replace(route.template, parts=(*prefix, *route.template.parts))
        operations = document["paths"].get(route.source.path_format, {})
        bearers = [call for call in _calls(dependant) if isinstance(call, JWTBearer)]
        own |= {bearer.scheme_name for bearer in bearers}
        for method in route.methods:
            if (operation := operations.get(method.lower())) is not None:
                demands = _demands(operation, bearers)
                locks.put(operation, method, analysis.rulings(method, template), demands)
    components = document.setdefault("components", {})
    schemes = components.setdefault("securitySchemes", {})
    for name in own:
        schemes.pop(name, None)
    schemes |= locks.schemes
    if locks.schema:
        components.setdefault("schemas", {})[locks.schema["title"]] = locks.schema


def _calls(dependant: Any) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


def _demands(operation: dict[str, Any], bearers: list[JWTBearer]) -> Demands:
    """Return what an operation's dependencies ask for, and take it out of its own security."""
    names = {bearer.scheme_name for bearer in bearers}
    security = operation.pop("security", [])
    if others := [each for each in security if not names & each.keys()]:
        operation["security"] = others
    # What ``Security(..., scopes=[...])`` adds stands nowhere else.
    scopes = {scope for each in security for name in names & each.keys() for scope in each[name]}
    requirements = [bearer.requirement for bearer in bearers]
    if scopes:
        requirements.append(has_scope(*scopes))
    admits = all(not bearer.auto_error for bearer in bearers)
    return Demands(tuple(requirements), admits)


def _class_of(claims_type: Any) -> type:
    """Return what its values are instances of: those of a ``TypedDict`` are dictionaries."""
    return dict if hasattr(claims_type, "__total__") else claims_type


def _refuse(connection: HTTPConnection, deny: Deny) -> NoReturn:
    """Raise the refusal where it is answered in our words.

    Starlette looks for a handler in what its innermost application left in the scope; put there, it
    needs no installing, neither in the application nor in those that are mounted in it.
    """
    by_class: dict[Any, Any] = connection.scope["starlette.exception_handlers"][0]
    by_class.setdefault(AccessRefused, _answer)
    raise AccessRefused(deny)


async def _answer(connection: HTTPConnection, refused: AccessRefused) -> Response | None:
    if isinstance(connection, WebSocket):
        await refuse_socket(connection, refused.deny)
        return None
    return as_response(refused.deny)
