"""Describes a guard in OpenAPI: its security schemes, required scopes and refusals.

Written for OpenAPI 3.1, where the names listed with a security scheme of any type are what the
caller must have (§4.8.30).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from jwt_middleware.errors import ConfigurationError
from jwt_middleware.guard.guard import Guard
from jwt_middleware.request.sources import (
    BearerHeader,
    CookieToken,
    HeaderToken,
    QueryToken,
    TokenSource,
)
from jwt_middleware.rules.requirements import (
    AllOf,
    AnyOf,
    Authenticated,
    Has,
    Requirement,
    all_of,
    every_part,
)
from jwt_middleware.rules.ruling import Ruling
from jwt_middleware.verdict import ErrorBody

Security = list[dict[str, list[str]]]
"""A list of alternatives; all schemes in one alternative are needed together."""

# A requirement with more alternatives is described without scopes, because a reader could not use
# so long a list.
MAX_WAYS = 8

# The characters of an OpenAPI name (§4.8.7.1) without the full stop, because it begins an escape.
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
# Cannot be part of an escape, because an escape never begins with two full stops or has one digit.
_AGAIN = ".."
_TEXT = {"type": "string"}


def schemes_of(sources: Iterable[TokenSource], name: str) -> dict[str, dict[str, str]]:
    """Return, by name, the security schemes of the sources that a plain request can use.

    :param name: the name of the bearer scheme; the names of others begin with it.
    :raises ConfigurationError: if OpenAPI cannot describe any of the sources.
    """
    found: dict[str, dict[str, str]] = {}
    for label, scheme in filter(None, (_scheme_of(source, name) for source in sources)):
        # Numbered, because several sources may read the same header, each with another scheme.
        same = sum(each.partition(_AGAIN)[0] == label for each in found)
        found[f"{label}{_AGAIN}{same + 1}" if same else label] = scheme
    if not found:
        raise ConfigurationError(
            "secure_openapi: the guard's token_sources cannot be described in OpenAPI: add "
            "BearerHeader() to them"
        )
    return found


def _scheme_of(source: TokenSource, name: str) -> tuple[str, dict[str, str]] | None:
    if isinstance(source, BearerHeader):
        return name, {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    if isinstance(source, HeaderToken):
        if source.name.lower() == "authorization" and source.scheme:
            return f"{name}-{_escaped(source.scheme, '-')}", {
                "type": "http",
                "scheme": source.scheme.lower(),
            }
        key = _key(source.name, name, "header")
        if source.scheme:
            key[1]["description"] = f"The token, after the word '{source.scheme}' and a space."
        return key
    if isinstance(source, CookieToken):
        return _key(source.name, name, "cookie")
    if isinstance(source, QueryToken) and source.http:
        return _key(source.name, name, "query")
    return None


def _key(parameter: str, name: str, place: str) -> tuple[str, dict[str, str]]:
    return f"{name}-{place}-{_escaped(parameter)}", {
        "type": "apiKey",
        "in": place,
        "name": parameter,
    }


def _escaped(text: str, also: str = "") -> str:
    """Return ASCII text with its special characters escaped, different for every text.

    :param also: one more character to escape: the hyphen, if it could be read as a separator.
    """
    found = _NOT_IN_A_NAME.sub(lambda met: f".{ord(met[0]):02X}", text)
    return found.replace(also, f".{ord(also):02X}") if also else found


def ways_of(requirement: Requirement) -> list[list[str]]:
    """Return the alternative sets of scopes that a requirement needs, without its other parts."""
    return [sorted(way) for way in dict.fromkeys(_ways(requirement))]


def _ways(requirement: Requirement) -> list[frozenset[str]]:
    found: list[frozenset[str]] = [frozenset()]
    if isinstance(requirement, Has) and requirement.kind == "scope":
        return [requirement.names]
    if isinstance(requirement, AnyOf):
        found = [way for part in requirement.members for way in _ways(part)]
    if isinstance(requirement, AllOf):
        found = reduce(_together, map(_ways, requirement.members), found)
    return found if len(found) <= MAX_WAYS else [frozenset()]


def _together(some: list[frozenset[str]], others: list[frozenset[str]]) -> list[frozenset[str]]:
    return [one | other for one in some for other in others][: MAX_WAYS + 1]


def both(some: Security, others: Security) -> Security:
    """Return the alternatives that combine one of each list."""
    if not others:
        return [] if some == [{}] else some
    return [{**one, **other} for one in some for other in others]


def refusals_of(error_body: ErrorBody) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the schema of a refusal's body, and the responses by status that refer to it.

    The schema is empty if a callable writes the bodies.
    """
    shape: dict[str, Any] = {}
    schema: dict[str, Any] = {}
    if not callable(error_body):
        schema = _SCHEMAS[error_body]
        media_type = "application/problem+json" if error_body == "problem" else "application/json"
        reference = {"$ref": f"#/components/schemas/{schema['title']}"}
        shape = {"content": {media_type: {"schema": reference}}}
    shape["headers"] = {"WWW-Authenticate": {"description": "RFC 6750 §3", "schema": _TEXT}}
    return schema, {
        "401": {"description": "The token is missing or cannot be trusted", **shape},
        "403": {"description": "The token does not grant what is asked for", **shape},
    }


@dataclass(frozen=True, slots=True)
class Demands:
    """The requirements in the code of an operation, beyond the rule of its path."""

    requirements: tuple[Requirement, ...] = ()
    admits_anonymous: bool = True


class Locks:
    """Writes the requirements of a guard into the operations of an OpenAPI document."""

    def __init__(self, guard: Guard, name: str) -> None:
        """
        :param name: the name of the bearer scheme.
        :raises ConfigurationError: if OpenAPI cannot describe any of the guard's token sources.
        """
        self.schemes = schemes_of(guard.integration.token_sources, name)
        self.schema, self._responses = refusals_of(guard.integration.error_body)
        self._proves_origin = any(
            isinstance(source, CookieToken) and source.csrf
            for source in guard.integration.token_sources
        )

    def put(
        self, operation: dict[str, Any], method: str, rulings: Iterable[Ruling], demands: Demands
    ) -> None:
        """Add the security and the refusals of one operation to it.

        :param rulings: the rulings that requests to the operation can get.
        """
        found: Security = []
        for ruling in rulings:
            needed = all_of(*(rule.requires for rule in ruling.rules), *demands.requirements)
            is_open = ruling.is_public or ruling.admits_anonymous
            if is_open and demands.admits_anonymous:
                found.append({})
            if not ruling.is_public or not demands.admits_anonymous:
                found += [{each: way} for way in ways_of(needed) for each in self.schemes]
                self._tell(operation, self._refuses(method, needed))
        others = operation.pop("security", [])
        distinct = [each for place, each in enumerate(found) if each not in found[:place]]
        if security := both(distinct, others):
            operation["security"] = security

    def _refuses(self, method: str, needed: Requirement) -> list[str]:
        leaves = (part for part in every_part(needed) if not part.parts())
        asks_more = any(type(part) is not Authenticated for part in leaves)
        proves = self._proves_origin and method not in {"GET", "HEAD", "OPTIONS"}
        return ["401", "403"] if asks_more or proves else ["401"]

    def _tell(self, operation: dict[str, Any], statuses: list[str]) -> None:
        for status in statuses:
            operation.setdefault("responses", {}).setdefault(status, self._responses[status])


_SCHEMAS: dict[str, dict[str, Any]] = {
    # RFC 9457 §3.1
    "problem": {
        "title": "RefusedProblem",
        "type": "object",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": _TEXT,
            "error": _TEXT,
        },
        "required": ["type", "title", "status", "detail", "code"],
    },
    # RFC 6749 §5.2
    "oauth": {
        "title": "RefusedError",
        "type": "object",
        "properties": {"error": _TEXT, "error_description": _TEXT, "code": _TEXT},
        "required": ["error", "error_description", "code"],
    },
}
