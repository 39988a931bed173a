"""The principal of a request: a verified caller, or the anonymous one.

Many requests share one principal, so it is immutable: claims are read-only at every depth, and
scopes and roles are frozen sets.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, fields, make_dataclass
from enum import Enum
from hashlib import blake2b, sha256
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Generic

from jwt_middleware.errors import ConfigurationError

if TYPE_CHECKING:
    # The default (PEP 696) lets strict type checkers accept a plain ``Principal``.
    from typing_extensions import TypeVar

    Typed_co = TypeVar("Typed_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    Typed_co = TypeVar("Typed_co", covariant=True)

Value = TypeVar("Value")

ClaimPath = tuple[str, ...]


class _Absent(Enum):
    # An Enum member keeps its identity when copied or pickled, so that ``is`` works.
    ABSENT = "absent"


ABSENT: Any = _Absent.ABSENT
"""The result of :func:`claim_at` for a missing claim, since a claim may itself be ``None``."""


class Claims(Mapping[str, Any]):
    """The claims of a token, read-only at every depth. Objects are ``Claims``, arrays tuples."""

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
        """Return a deep copy as plain dictionaries and lists, which may be changed."""
        return {name: _thaw(value) for name, value in self._members.items()}


def _as_json(claims: Claims) -> str:
    return json.dumps(claims.to_dict(), sort_keys=True)


# Random for each process, so that claims cannot be guessed from a mark.
_MARKING_KEY = token_bytes(32)


def _mark(value: Value, content: Callable[[Value], str]) -> str:
    """Return a keyed hash of a value, which identifies its content without revealing it.

    Some caches use the ``repr`` of the arguments as their key. If all principals had the same
    ``repr``, such a cache would return the result of one caller to another.
    """
    try:
        text = content(value)
    except Exception:  # noqa: BLE001 - hand-made values may fail; a repr must not raise
        text = f"{id(value)}"
    return blake2b(
        text.encode("utf-8", "surrogatepass"), key=_MARKING_KEY, digest_size=16
    ).hexdigest()


# Most claims have one of these types, which are immutable and need no copy.
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
    """Return a claim path as member names: ``"realm_access.roles"`` gives two names.

    :param path: a dotted path, or a tuple of names if a name contains a dot or a slash.
    :param setting: the name of the setting, for messages.
    :raises ConfigurationError: if a name is empty, or if a dotted path contains a slash.
    """
    if isinstance(path, str) and "/" in path:
        raise ConfigurationError(
            f"{setting} {path!r} cannot contain a slash: write ({path!r},) for a claim of that name"
        )
    if not isinstance(path, str | tuple | list):
        raise ConfigurationError(f"{setting} {path!r} must be a claim path: write 'a.b'")
    names = path.split(".") if isinstance(path, str) else path
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"{setting} {path!r} cannot have an empty name: write 'a.b'")
    return tuple(names)


def claim_at(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    """Return the claim at a claim path, or :data:`ABSENT`."""
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
    """The caller of a request, as its token describes it. Compatible with Starlette's ``BaseUser``.

    ``Principal[MyClaims]`` is a principal of an issuer with ``claims_type=MyClaims``.
    """

    subject: str | None = None
    """``sub``, or the issuer's ``subject_claim``; ``None`` if the token has no subject."""
    issuer: str | None = None
    """``iss``; ``None`` for an issuer configured without a name."""
    audience: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    """The roles in the token, and the roles that the role hierarchy adds."""
    permissions: frozenset[str] = frozenset()
    claims: Claims = NO_CLAIMS
    expires_at: int | None = None
    """``exp``, in POSIX seconds."""
    token_id: str | None = None
    """``jti``."""
    identity: str = ""
    """The subject, or ``issuer|subject`` if several issuers are trusted (OIDC Core §5.7).

    An issuer with a label is named by it. In the issuer, ``|`` is written ``%7C`` and ``%`` is
    written ``%25``, so that the first ``|`` ends it. The subject part is empty if the token has no
    subject.
    """
    issuer_label: str | None = None
    """The label of the issuer, which tells issuers of one name apart."""
    is_authenticated: bool = True
    typed: Typed_co = None  # type: ignore[assignment]
    """The claims as an instance of the issuer's ``claims_type=``; ``None`` without it."""
    refusal: str | None = None
    """The code of the invalid token that an ``optional`` rule let pass as anonymous."""

    def __repr__(self) -> str:
        # No claims here, because logs and tracebacks contain the repr.
        if self.is_authenticated:
            return f"Principal(authenticated, {_mark(self, caller_key)})"
        return f"Principal(anonymous, {self.refusal})" if self.refusal else "Principal(anonymous)"

    @property
    def display_name(self) -> str:
        """A human-readable name: ``name``, ``preferred_username``, or the identity."""
        for claim in ("name", "preferred_username"):
            value = self.claims.get(claim)
            if isinstance(value, str) and value:
                return value
        return self.identity


# A class with the same fields that is not frozen, for ``filled_principal``.
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
    issuer_label: str | None,
) -> Principal:
    """Return a principal with these values.

    The constructor of a frozen dataclass is four times as slow, which is a twentieth of the cost of
    a new token. So a draft is filled, and its class is then changed to ``Principal``.
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
        issuer_label,
    )
    draft.__class__ = Principal
    return draft  # type: ignore[no-any-return]


def identity_of(issuer: str | None, subject: str | None) -> str:
    """Return a name that is unique among the subjects of all issuers.

    :param issuer: the name of the issuer. Like the subject, it may contain any character.
    """
    name = issuer or ""
    if "%" in name or "|" in name:
        name = name.replace("%", "%25").replace("|", "%7C")
    return f"{name}|{subject or ''}"


ANONYMOUS: Principal = Principal(is_authenticated=False)
"""The principal of a request without a token."""


_current: ContextVar[Principal | None] = ContextVar("jwt_middleware.principal", default=None)


def current_principal() -> Principal:
    """Return the principal of the current request; outside a request, the anonymous one."""
    return _current.get() or ANONYMOUS


# These claims differ between the tokens of one caller and do not affect identity or access.
_OF_ONE_TOKEN = frozenset({"exp", "iat", "nbf", "jti"})


def caller_key(principal: Principal | None = None) -> str:
    """Return a cache key for one caller: 64 hexadecimal digits.

    All tokens with the same issuer, subject, scopes, roles, permissions and other claims have the
    same key, whatever their times and ``jti``. If any of these differ, the keys differ. All
    anonymous callers share one key. The key is not secret and reveals no claim.

    :param principal: the caller; by default the principal of the current request.
    """
    who = current_principal() if principal is None else principal
    claims = who.claims.to_dict().items()
    said = [
        [who.is_authenticated, who.refusal, who.issuer, who.subject],
        [sorted(names) for names in (who.scopes, who.roles, who.permissions)],
        sorted((name, value) for name, value in claims if name not in _OF_ONE_TOKEN),
    ]
    # JSON delimits each text and each list, so that two callers cannot share a key.
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


set_current = _current.set
reset_current = _current.reset
