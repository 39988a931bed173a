"""Requirements: the conditions that a rule sets for a principal.

``&``, ``|`` and ``~`` combine requirements. Python's ``and``, ``or`` and ``not`` cannot be
redefined and would silently drop one side, so a requirement used as a truth value raises.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jwt_middleware.checks import check_text
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.principal import ABSENT, ClaimPath, Claims, Principal, claim_at, claim_path
from jwt_middleware.verdict import Refusal

# RFC 6749 §3.3, scope-token.
_NOT_IN_A_SCOPE = re.compile(r"[^!#-\[\]-~]")


@dataclass(frozen=True, slots=True)
class Match:
    """The result of matching a path with a rule's pattern."""

    captures: Mapping[str, str]
    """The values of the pattern's parameters."""


NO_CAPTURES = Match({})


class Requirement(ABC):
    """A condition that a rule sets. ``str()`` returns it in words."""

    __slots__ = ()

    @abstractmethod
    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        """Return the refusal if the principal does not meet the requirement, else ``None``."""

    def parts(self) -> tuple["Requirement", ...]:
        """Return the requirements that this requirement combines."""
        return ()

    def __and__(self, other: "Requirement") -> "Requirement":
        return all_of(self, other)

    def __or__(self, other: "Requirement") -> "Requirement":
        return any_of(self, other)

    def __invert__(self) -> "Requirement":
        return Not(self)

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self} has no truth value: combine requirements with & | ~, not with and, or, not"
        )


@dataclass(frozen=True, slots=True)
class Authenticated(Requirement):
    """Requires a valid token with any claims."""

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        return None if principal.is_authenticated else Refusal(str(self))

    def __str__(self) -> str:
        return "a valid token"


@dataclass(frozen=True, slots=True)
class Has(Requirement):
    """Requires all given names among the principal's scopes, roles or permissions."""

    kind: str
    names: frozenset[str]
    _held: str = field(init=False, repr=False, compare=False)
    """The attribute of a principal that lists such names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_held", f"{self.kind}s")

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        held: frozenset[str] = getattr(principal, self._held)
        return None if self.names <= held else Refusal(str(self))

    def __str__(self) -> str:
        return f"{self.kind} {' and '.join(sorted(self.names))}"


@dataclass(frozen=True, slots=True)
class Capture:
    """The value of a parameter of the rule's pattern."""

    name: str

    def check(self, captures: Mapping[str, str]) -> None:
        """Check that the route has the parameter; under ``~`` a missing one would admit everyone.

        :raises ConfigurationError: if the parameter is missing; the message names the others.
        """
        if self.name not in captures:
            raise ConfigurationError(
                f"capture({self.name!r}): the route has no parameter of that name; it has "
                f"{sorted(captures)}: write one of these"
            )

    def __str__(self) -> str:
        return f"{{{self.name}}}"


@dataclass(frozen=True, slots=True)
class HasClaim(Requirement):
    """Requires a claim that is present, equals a value, or lists the value."""

    path: ClaimPath
    value: Any

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        if isinstance(self.value, Capture):
            self.value.check(match.captures)
        found = claim_at(principal.claims, self.path)
        if found is ABSENT:
            return Refusal(str(self))
        return None if self._fits(found, match) else Refusal(str(self))

    def _fits(self, found: Any, match: Match) -> bool:
        if self.value is ABSENT:
            return True
        wanted = self.value
        if isinstance(wanted, Capture):
            return _names_the_same(found, match.captures[wanted.name])
        if isinstance(found, tuple) and any(json_equal(item, wanted) for item in found):
            return True
        return json_equal(found, wanted)

    def __str__(self) -> str:
        name = ".".join(self.path)
        return f"claim {name}" if self.value is ABSENT else f"claim {name} = {_plain(self.value)}"


def _plain(value: Any) -> Any:
    """Return a configured value as it was written, for display."""
    return Claims({"": value}).to_dict()[""] if isinstance(value, Claims | tuple) else value


def _names_the_same(claim: Any, captured: str) -> bool:
    """Compare a claim with a segment of the path; an integer is compared by its decimal digits."""
    if isinstance(claim, tuple):
        return any(_names_the_same(item, captured) for item in claim)
    return bool((str(claim) if type(claim) is int else claim) == captured)


def json_equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: ``True`` is not ``1``, ``1`` is ``1.0``."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Claims) and isinstance(other, Claims):
        return one.keys() == other.keys() and all(json_equal(one[k], other[k]) for k in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(json_equal, one, other))
    return bool(one == other)


@dataclass(frozen=True, slots=True)
class AllOf(Requirement):
    """Requires every part."""

    members: tuple[Requirement, ...]

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        for part in self.members:
            if (refusal := part.judge(principal, match)) is not None:
                return refusal
        return None

    def parts(self) -> tuple[Requirement, ...]:
        return self.members

    def __str__(self) -> str:
        return " and ".join(f"({part})" if part.parts() else str(part) for part in self.members)


@dataclass(frozen=True, slots=True)
class AnyOf(Requirement):
    """Requires at least one part."""

    members: tuple[Requirement, ...]

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        if any(part.judge(principal, match) is None for part in self.members):
            return None
        return Refusal(str(self))

    def parts(self) -> tuple[Requirement, ...]:
        return self.members

    def __str__(self) -> str:
        return " or ".join(f"({part})" if part.parts() else str(part) for part in self.members)


@dataclass(frozen=True, slots=True)
class Not(Requirement):
    """Requires that a part is not met, and a valid token: an anonymous caller is refused."""

    part: Requirement
    _captures: tuple[Capture, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_captures", tuple(captures_of(self.part)))

    def judge(self, principal: Principal, match: Match) -> Refusal | None:
        # All captures are checked first, because a part that is not met would end the judgement
        # and hide a mistake in the rule.
        for each in self._captures:
            each.check(match.captures)
        refusal = self.part.judge(principal, match)
        # Only a Refusal counts, so that a custom requirement that returns another value by mistake
        # does not admit the caller.
        if not principal.is_authenticated or not isinstance(refusal, Refusal):
            return Refusal(str(self))
        # A status of 500 or more means that the part could not be judged, so it must not admit.
        return refusal if refusal.status >= 500 else None

    def parts(self) -> tuple[Requirement, ...]:
        return (self.part,)

    def __str__(self) -> str:
        return f"not ({self.part})"


def authenticated() -> Requirement:
    """Require a valid token and nothing more."""
    return Authenticated()


def has_scope(*names: str) -> Requirement:
    """Require every one of these scopes (RFC 6749 §3.3).

    :raises ConfigurationError: if there are no names, or a name is not a scope token.
    """
    for name in names:
        if isinstance(name, str) and _NOT_IN_A_SCOPE.search(name):
            raise ConfigurationError(
                f"has_scope({name!r}): a scope must be printable ASCII without spaces, quotes and "
                "backslashes: write several scopes as several arguments"
            )
    return Has("scope", _checked("has_scope", names))


def has_role(*names: str) -> Requirement:
    """Require every one of these roles, granted directly or implied by the role hierarchy."""
    return Has("role", _checked("has_role", names))


def has_permission(*names: str) -> Requirement:
    """Require every one of these permissions."""
    return Has("permission", _checked("has_permission", names))


def has_claim(path: str | ClaimPath, value: Any = ABSENT) -> Requirement:
    """Require a claim.

    ``~has_claim("suspended", True)`` is met where the claim is absent.

    :param path: the dotted path of the claim, or a tuple of names if a name contains a dot or a
        slash.
    :param value: the value that the claim must equal, compared as JSON; an array must list the
        value. If left out, the claim must be present. ``capture("name")`` is the value of that
        parameter of the pattern.
    :raises ConfigurationError: for an empty name, or a value that is not JSON.
    """
    if not isinstance(value, Capture) and value is not ABSENT and not _is_json(value):
        raise ConfigurationError(
            f"has_claim({path!r}, {value!r}): the value must be JSON, as a claim is: write text, a "
            "number, a boolean, None, a list or a dictionary of these, or capture('name')"
        )
    frozen = value if isinstance(value, Capture) else Claims({"": value})[""]
    return HasClaim(claim_path(path), frozen)


def capture(name: str) -> Capture:
    """Name a parameter of the rule's pattern, to compare a claim with its value.

    :raises ConfigurationError: if ``name`` is not a name.
    """
    check_text("capture: name", name, "tenant")
    return Capture(name)


def _is_json(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(each) for name, each in value.items())
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    return value is None or isinstance(value, str) or is_number


def any_of(*requirements: Requirement) -> Requirement:
    """Require at least one of several requirements."""
    return AnyOf(_flattened("any_of", AnyOf, requirements))


def all_of(*requirements: Requirement) -> Requirement:
    """Require every one of several requirements."""
    return AllOf(_flattened("all_of", AllOf, requirements))


def _checked(call: str, names: tuple[str, ...]) -> frozenset[str]:
    if not names:
        raise ConfigurationError(f"{call}() cannot be empty: name at least one")
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"{call}({name!r}): a name must be text: write several names as several arguments"
            )
    return frozenset(names)


def _flattened(
    call: str, kind: type[AllOf | AnyOf], requirements: tuple[Requirement, ...]
) -> tuple[Requirement, ...]:
    if not requirements:
        raise ConfigurationError(f"{call}() cannot be empty: name at least one requirement")
    flat: list[Requirement] = []
    for part in requirements:
        if not isinstance(part, Requirement):
            raise ConfigurationError(
                f"{call}({part!r}) must have requirements: write has_role('editor') or the like"
            )
        flat.extend(part.parts() if type(part) is kind else (part,))
    return tuple(flat)


def every_part(requirement: Requirement) -> Iterable[Requirement]:
    """Yield a requirement and all requirements inside it."""
    yield requirement
    for part in requirement.parts():
        yield from every_part(part)


def captures_of(requirement: Requirement) -> Iterable[Capture]:
    """Yield every pattern parameter that a requirement compares a claim with."""
    for part in every_part(requirement):
        if isinstance(part, HasClaim) and isinstance(part.value, Capture):
            yield part.value


def missing_scopes(requirement: Requirement, principal: Principal, match: Match) -> frozenset[str]:
    """Return the scopes that would meet the requirement; empty if more than scopes is missing."""
    for scopes in _ways(requirement):
        richer = replace(principal, scopes=principal.scopes | scopes)
        if scopes and requirement.judge(richer, match) is None:
            return scopes
    return frozenset()


def _ways(requirement: Requirement) -> list[frozenset[str]]:
    """Return the sets of scopes worth trying, the likeliest first; at most one per alternative."""
    if isinstance(requirement, Has) and requirement.kind == "scope":
        return [requirement.names]
    if isinstance(requirement, AnyOf):
        return [way for part in requirement.members for way in _ways(part)]
    if isinstance(requirement, AllOf):
        return [frozenset().union(*(_ways(part)[0] for part in requirement.members))]
    return [frozenset()]
