"""Who is calling: a verified principal, or the anonymous one.

One principal serves many requests, so nothing reachable from it can be changed: claims are
read-only at every depth, scopes and roles are frozen sets.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, fields, make_dataclass
from enum import Enum
from hashlib import blake2b, sha256
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Generic

from jwt_middleware.checks import listed
from jwt_middleware.errors import ConfigurationError

if TYPE_CHECKING:
    # With a default (PEP 696), so that plain ``Principal`` needs no brackets under strict checks.
    from typing_extensions import TypeVar

    Typed_co = TypeVar("Typed_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    Typed_co = TypeVar("Typed_co", covariant=True)

Value = TypeVar("Value")

ClaimPath = tuple[str, ...]


class _Absent(Enum):
    # A member of an Enum stays itself when it is copied or pickled: `is` can be trusted.
    ABSENT = "absent"


ABSENT: Any = _Absent.ABSENT
"""What :func:`claim_at` returns where there is no such claim; a claim may itself be ``None``."""


class Claims(Mapping[str, Any]):
    """The claims of a token, read-only at every depth: objects are ``Claims``, arrays tuples."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Any]) -> None:
        if _SCALARS.issuperset(map(type, members.values())):
            self._members = dict(members)
        else:
            self._members = {name: _freeze(value) for name, value in members.items()}

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"Claims({', '.join(map(str, self._members))}; {_mark(self, _as_json)})"

    def __hash__(self) -> int:
        return hash(frozenset(self._members))

    def __reduce__(self) -> tuple[type["Claims"], tuple[dict[str, Any]]]:
        return Claims, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Return a deep copy of plain dictionaries and lists, free to change."""
        return {name: _thaw(value) for name, value in self._members.items()}


def _as_json(claims: Claims) -> str:
    return json.dumps(claims.to_dict(), sort_keys=True)


# Of this process alone: nobody can try claims until one comes out.
_MARKING_KEY = token_bytes(32)


def _mark(value: Value, content: Callable[[Value], str]) -> str:
    """Return what tells a value from others of other content, and nothing of that content.

    Caches key what a function returns by the ``repr`` of its arguments: one that was the same for
    everybody would hand one caller's answer to the next.
    """
    try:
        text = content(value)
    except Exception:  # noqa: BLE001 - of what somebody made by hand; a repr raises nothing
        text = f"{id(value)}"
    return blake2b(
        text.encode("utf-8", "surrogatepass"), key=_MARKING_KEY, digest_size=16
    ).hexdigest()


# Most claims are one of these, and nothing in them can change.
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _freeze(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Mapping):
        return Claims(value)
    if isinstance(value, (list, tuple)):
        return tuple([_freeze(item) for item in value])
    return value


def _thaw(value: Any) -> Any:
    if isinstance(value, Claims):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_thaw(item) for item in value]
    return value


def claim_path(path: str | ClaimPath, setting: str = "claim path") -> ClaimPath:
    """Return a claim path as member names: ``"realm_access.roles"`` is two of them.

    :param path: a dotted path, or a tuple of names where one contains a dot or a slash.
    :param setting: what messages call it.
    :raises ConfigurationError: for an empty name, or for text that is meant as one name.
    """
    if isinstance(path, str) and "/" in path:
        raise ConfigurationError(
            f"{setting} {path!r} contains a slash: write ({path!r},) if that is the claim's name"
        )
    names = path.split(".") if isinstance(path, str) else listed(setting, path, "'a.b'")
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"{setting} {path!r} has an empty name")
    return tuple(names)


def claim_at(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    """Return the claim at a path of member names, or :data:`ABSENT`."""
    value: Any = claims
    for name in path:
        if type(value) not in _OBJECTS or name not in value:
            return ABSENT
        value = value[name]
    return value


_OBJECTS = frozenset({Claims, dict})


NO_CLAIMS = Claims({})


@dataclass(frozen=True, slots=True, repr=False)
class Principal(Generic[Typed_co]):
    """Who is calling, and what the token says of them. Fits Starlette's ``BaseUser``.

    ``Principal[MyClaims]`` is one whose issuer reads its claims into ``claims_type=MyClaims``.
    """

    subject: str | None = None
    """``sub``, or ``None`` where the token has none."""
    issuer: str | None = None
    """``iss``; ``None`` for an issuer configured without a name."""
    audience: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    """The roles of the token and those that the role hierarchy adds."""
    permissions: frozenset[str] = frozenset()
    claims: Claims = NO_CLAIMS
    expires_at: int | None = None
    """``exp``, in POSIX seconds."""
    token_id: str | None = None
    """``jti``."""
    identity: str = ""
    """The subject; ``issuer|subject`` where several issuers are trusted (OIDC Core §5.7).

    In the issuer's part ``|`` is ``%7C`` and ``%`` is ``%25``: the first ``|`` ends it. A
    subject that is missing and one that is empty both leave the other part empty.
    """
    is_authenticated: bool = True
    typed: Typed_co = None  # type: ignore[assignment]
    """The claims as the type that the issuer names with ``claims_type=``; ``None`` without."""
    refusal: str | None = None
    """For the anonymous only: the code of the token that an ``optional`` rule let pass."""

    def __repr__(self) -> str:
        # Whatever logs a principal, or the values that an error came by, would log claims.
        if self.is_authenticated:
            return f"Principal(authenticated, {_mark(self, caller_key)})"
        return f"Principal(anonymous, {self.refusal})" if self.refusal else "Principal(anonymous)"

    @property
    def display_name(self) -> str:
        """A name for people: ``name``, ``preferred_username``, or the identity."""
        for claim in ("name", "preferred_username"):
            value = self.claims.get(claim)
            if isinstance(value, str) and value:
                return value
        return self.identity


# The same fields while they may still be set.
_Draft: Any = make_dataclass(
    "_Draft",
    [(each.name, each.type, each) for each in fields(Principal)],
    bases=(Generic[Typed_co],),  # type: ignore[index]
    slots=True,
)


def filled_principal(  # noqa: PLR0917 - the fields, in their order
    subject: str | None,
    issuer: str | None,
    audience: tuple[str, ...],
    scopes: frozenset[str],
    roles: frozenset[str],
    permissions: frozenset[str],
    claims: Claims,
    expires_at: int | None,
    token_id: str | None,
    identity: str,
) -> Principal:
    """Return the principal of these values.

    What freezes a dataclass makes each assignment in its constructor a call, six times as slow:
    a tenth of all that a new token costs. So a draft is filled, and then becomes the principal.
    """
    draft = _Draft(
        subject,
        issuer,
        audience,
        scopes,
        roles,
        permissions,
        claims,
        expires_at,
        token_id,
        identity,
    )
    draft.__class__ = Principal
    return draft  # type: ignore[no-any-return]


def identity_of(issuer: str | None, subject: str | None) -> str:
    """Return a name that no other subject of any issuer has.

    :param issuer: the issuer's name, which may contain any character, as the subject may.
    """
    name = issuer or ""
    if "%" in name or "|" in name:
        name = name.replace("%", "%25").replace("|", "%7C")
    return f"{name}|{subject or ''}"


ANONYMOUS: Principal = Principal(is_authenticated=False)
"""Who is calling where no token was asked for or sent."""


_current: ContextVar[Principal | None] = ContextVar("jwt_middleware.principal", default=None)


def current_principal() -> Principal:
    """Return who makes the current request; the anonymous principal outside a request."""
    return _current.get() or ANONYMOUS


# What is new in every token of one caller, and says nothing of who that is or what they may do.
_OF_ONE_TOKEN = frozenset({"exp", "iat", "nbf", "jti"})


def caller_key(principal: Principal | None = None) -> str:
    """Return 64 hexadecimal digits for whatever keeps an answer for one caller.

    They are the same for every token that says the same of the same caller, and others where
    issuer, subject, scopes, roles, permissions or any other claim differ. All who are anonymous
    have one key. It is no secret, and tells no claim.

    :param principal: the caller; who makes the current request if left out.
    """
    who = current_principal() if principal is None else principal
    claims = who.claims.to_dict().items()
    said = [
        [who.is_authenticated, who.refusal, who.issuer, who.subject],
        [sorted(names) for names in (who.scopes, who.roles, who.permissions)],
        sorted((name, value) for name, value in claims if name not in _OF_ONE_TOKEN),
    ]
    # JSON tells each text and each list where it ends, so that no two callers come to one.
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


set_current = _current.set
reset_current = _current.reset
