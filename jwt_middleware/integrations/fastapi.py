"""FastAPI dependencies that return the caller and check the requirement of an operation.

The middleware has verified the token. A dependency reads the principal that the middleware attached
and verifies nothing again. A refusal by a dependency has the status, the challenge and the body of
a refusal by the middleware, on requests and on WebSockets.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Any, NoReturn, TypeVar

from jwt_middleware.checks import check_flag, check_kind, check_text
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard
from jwt_middleware.integrations.exact_rules import warnings_on_exact_rules
from jwt_middleware.integrations.openapi import Demands, Locks
from jwt_middleware.integrations.standing import warnings_on_standing
from jwt_middleware.integrations.unread_callers import warnings_on_callers
from jwt_middleware.logs import log_of
from jwt_middleware.principal import Principal, Typed_co, caller_key
from jwt_middleware.request.applications import described
from jwt_middleware.request.guarded_views import mark
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
"""The default name of the security scheme in OpenAPI."""

_log = log_of("jwt_middleware")

Claims_ = TypeVar("Claims_")


class AccessRefused(HTTPException):
    """A dependency refuses the caller.

    The response is that of the middleware. A handler that the application has for this class, or
    for the status, replaces it.
    """

    def __init__(self, deny: Deny) -> None:
        """:param deny: the refusal."""
        challenge = {name: text for name, text in deny.headers if name == "WWW-Authenticate"}
        super().__init__(deny.status, deny.code, challenge)
        self.deny = deny


class JWTBearer(SecurityBase, params.Security):
    """A dependency that returns the caller, or refuses it, and locks the operation in OpenAPI.

    ``Annotated[Principal, JWTBearer()]`` and ``dependencies=[JWTBearer()]`` need no ``Depends``.
    ``Depends(JWTBearer())`` and ``Security(JWTBearer(), scopes=["a"])`` work as well.
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
        :param requirement: what the caller must meet; by default a valid token.
            ``capture("name")`` in it is the route's path parameter.
        :param auto_error: whether an anonymous caller is refused. If ``False``, it passes as the
            anonymous principal, and only an authenticated caller must meet the requirement.
        :param scheme_name: the name of the security scheme in OpenAPI.
        :param description: the description of the security scheme in OpenAPI.
        :raises ConfigurationError: if ``requirement`` is not a Requirement; at a call, if no guard
            protects the application.
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
        if auto_error:
            mark(self, self.requirement)
        self.scheme_name = scheme_name
        self.model = HTTPBearer(bearerFormat="JWT", description=description)

    # Compared by identity, because one of the fields that ``params.Security`` compares is this
    # object.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.requirement})"

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """Return the principal.

        :raises AccessRefused: 401 for an anonymous caller; for others 403 or the status of the
            requirement.
        """
        return self._admitted(connection, security_scopes.scopes)

    def _admitted(self, connection: HTTPConnection, scopes: list[str]) -> Principal:
        asked = self._asked(tuple(scopes)) if scopes else self.requirement
        principal, deny = judged(connection, asked, admits_anonymous=not self.auto_error)
        if deny is not None:
            refuse(connection, deny)
        return principal

    def _asked(self, scopes: tuple[str, ...]) -> Requirement:
        """Return the requirement with the scopes that ``Security(...)`` adds to it."""
        # The cache is bounded, because the scopes come from the source of the application and never
        # from a request.
        known = self._with_scopes.get(scopes)
        if known is None:
            asked = has_scope(*scopes)
            is_plain = type(self.requirement) is Authenticated
            known = asked if is_plain else all_of(self.requirement, asked)
            self._with_scopes[scopes] = known
        return known


class TypedClaims(JWTBearer):
    """A dependency that returns the caller's claims as a type of the application."""

    def __init__(self, claims_type: type, requirement: Requirement | None = None) -> None:
        """
        :param claims_type: the type in ``Issuer(claims_type=...)``.
        :param requirement: what the caller must meet; by default a valid token.
        """
        check_kind("claims_type", claims_type, type, "a class, such as your dataclass")
        super().__init__(requirement)
        self.claims_type = claims_type

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Any:
        """Return the typed claims.

        :raises AccessRefused: as :class:`JWTBearer` does.
        :raises ConfigurationError: if the issuer has another ``claims_type``, or none.
        """
        claims = self._admitted(connection, security_scopes.scopes).typed
        if not isinstance(claims, _class_of(self.claims_type)):
            name = self.claims_type.__name__
            raise ConfigurationError(
                f"typed_claims({name}) must be given the type of the issuer's claims, which is "
                f"{type(claims).__name__}: write Issuer(..., claims_type={name})"
            )
        return claims


def requires(requirement: Requirement, *, scheme_name: str = SCHEME_NAME) -> JWTBearer:
    """Return a dependency that checks a requirement beyond the rule of the path.

    ``dependencies=[requires(has_scope("orders:read"))]``, or to get the caller as well
    ``Annotated[Principal, requires(has_scope("orders:read"))]``.

    :param scheme_name: the name of the security scheme in OpenAPI.
    :raises ConfigurationError: if ``requirement`` is not a Requirement.
    """
    return JWTBearer(checked_requirement("requires", requirement), scheme_name=scheme_name)


def typed_claims(claims_type: type[Claims_], requirement: Requirement | None = None) -> TypedClaims:
    """Return a dependency that returns the caller's claims as a type of the application.

    ``Annotated[MyClaims, typed_claims(MyClaims)]``.

    :param claims_type: the type in ``Issuer(claims_type=...)``.
    :param requirement: what the caller must meet; by default a valid token.
    :raises ConfigurationError: if ``requirement`` is not a Requirement; at a call, if the issuer
        has another ``claims_type``.
    """
    return TypedClaims(claims_type, requirement)


authenticated_principal = JWTBearer()
"""Returns the caller; an anonymous caller is refused with 401."""

optional_principal = JWTBearer(auto_error=False)
"""Returns the caller, which may be anonymous."""

CurrentPrincipal = Annotated[Principal[Typed_co], authenticated_principal]
"""The caller, for the signature of an endpoint; ``CurrentPrincipal[MyClaims]`` is typed."""

OptionalPrincipal = Annotated[Principal[Typed_co], optional_principal]
"""The caller, which may be anonymous, for the signature of an endpoint."""


def keyed_by_caller(
    func: Callable[..., Any],
    namespace: str = "",
    *,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    **_: Any,
) -> str:
    """Return the key under which fastapi-cache2 caches a response for one caller.

    ``@cache(key_builder=keyed_by_caller)``, or for all endpoints
    ``FastAPICache.init(backend, key_builder=keyed_by_caller)``. A principal among the
    arguments is replaced by :func:`caller_key`; other arguments are compared by their ``repr``.
    """
    given = {name: value for name, value in kwargs.items() if not isinstance(value, Principal)}
    parts = [func.__module__, func.__qualname__, repr(args), repr(sorted(given.items()))]
    # JSON keeps the parts apart, so that different parts never make the same text.
    digest = sha256(json.dumps([*parts, caller_key()]).encode()).hexdigest()
    return f"{namespace}:{digest}"


def secure_openapi(
    app: FastAPI, guard: Guard, *, scheme_name: str = SCHEME_NAME, mounted_at: str = ""
) -> None:
    """Add the requirements of a guard to the OpenAPI document of an application.

    A protected operation gets its lock, the scopes that the deciding rule and the dependencies
    require, and the responses of a refusal. A public operation is left unchanged. For an optional
    operation the token is one of two alternatives. ``app.openapi()`` adds them when it is
    called, so routes may be added later.

    :param guard: the guard that protects the application.
    :param scheme_name: the name of the bearer scheme; the names of others begin with it.
    :param mounted_at: where this application is mounted in the one behind the guard.
    :raises ConfigurationError: if OpenAPI cannot describe any of the guard's token sources.
    """
    if not isinstance(app, FastAPI):
        raise ConfigurationError(
            f"secure_openapi({app!r}) must be given a FastAPI application: write "
            "secure_openapi(app, guard)"
        )
    check_kind("guard", guard, Guard, "the Guard in front of the application")
    check_text("scheme_name", scheme_name, SCHEME_NAME)
    if mounted_at != "":
        check_text("mounted_at", mounted_at, "/v1")
    locks = Locks(guard, scheme_name)
    prefix = segments(mounted_at)
    plain, written = app.openapi, dict[str, Any]()

    def openapi() -> dict[str, Any]:
        document = plain()
        # Compared, because FastAPI caches its document and makes a new one when routes were added.
        if document is not written.get("document"):
            _lock(document, app, guard, locks, prefix)
            written["document"] = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _lock(
    document: dict[str, Any], app: FastAPI, guard: Guard, locks: Locks, prefix: tuple[str, ...]
) -> None:
    for warning in () if prefix else warnings_on_standing(guard, app):
        _log.warning("%s", warning)
    own: set[str] = set()
    application = guard.integration.application if prefix else described(app, paths_are_whole=True)
    analysis = RouteAnalysis(guard.integration.rule_table, application)
    routes = list(routes_of(app))
    if not prefix:
        rules = guard.integration.rule_table.rules
        for warning in (
            *warnings_on_callers(analysis, routes),
            *warnings_on_exact_rules(rules, analysis, routes),
        ):
            _log.warning("%s", warning)
    for route in routes:
        # A mounted application is skipped, because it has its own document.
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
    """Return what an operation's dependencies require, and remove it from its ``security``."""
    names = {bearer.scheme_name for bearer in bearers}
    security = operation.pop("security", [])
    if others := [each for each in security if not names & each.keys()]:
        operation["security"] = others
    # Read from the document, because FastAPI records the scopes of ``Security(...)`` only there.
    scopes = {scope for each in security for name in names & each.keys() for scope in each[name]}
    requirements = [bearer.requirement for bearer in bearers]
    if scopes:
        requirements.append(has_scope(*scopes))
    admits = all(not bearer.auto_error for bearer in bearers)
    return Demands(tuple(requirements), admits)


def _class_of(claims_type: Any) -> type:
    """Return the class of a type's values, which is ``dict`` for a ``TypedDict``."""
    return dict if hasattr(claims_type, "__total__") else claims_type


def refuse(connection: HTTPConnection, deny: Deny) -> NoReturn:
    """Raise a refusal that is rendered as the middleware renders it.

    Starlette looks for a handler in the scope, where its innermost application has left its
    handlers. A handler added there needs no installing in the application or in mounted ones.
    """
    by_class: dict[Any, Any] = connection.scope["starlette.exception_handlers"][0]
    by_class.setdefault(AccessRefused, _answer)
    raise AccessRefused(deny)


async def _answer(connection: HTTPConnection, refused: AccessRefused) -> Response | None:
    if isinstance(connection, WebSocket):
        await refuse_socket(connection, refused.deny)
        return None
    return as_response(refused.deny)
