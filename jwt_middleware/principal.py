"""The principal of a request: a verified caller, or the anonymous one.

Many requests share one principal, so it is immutable: claims are read-only at every depth, and
scopes and roles are frozen sets.
"""

import json
from contextvars import ContextVar, Token
from dataclasses import FrozenInstanceError, dataclass, fields, make_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic

from jwt_middleware.claims import (
    ABSENT,
    NO_CLAIMS,
    ClaimPath,
    Claims,
    claim_at,
    claim_path,
    fingerprint,
)

if TYPE_CHECKING:
    # The default (PEP 696) lets strict type checkers accept a plain ``Principal``.
    from typing_extensions import TypeVar

    Typed_co = TypeVar("Typed_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    Typed_co = TypeVar("Typed_co", covariant=True)

__all__ = [
    "ABSENT",
    "ANONYMOUS",
    "NO_CLAIMS",
    "Caller",
    "ClaimPath",
    "Claims",
    "Principal",
    "Typed_co",
    "caller_key",
    "claim_at",
    "claim_path",
    "current_caller",
    "current_principal",
    "filled_principal",
    "identity_of",
    "is_current",
    "reset_current",
    "resume",
    "revise_current",
    "set_current",
    "suspend",
    "token_was_judged",
]


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

    With a label it is ``issuer#label|subject``. In the name and the label, ``|``, ``#`` and ``%``
    are written ``%7C``, ``%23`` and ``%25``, so that the first ``|`` ends them. The subject part is
    empty if the token has no subject.
    """
    issuer_label: str | None = None
    """What tells the issuer apart from others of its name: its label, or what it alone accepts."""
    is_authenticated: bool = True
    typed: Typed_co = None  # type: ignore[assignment]
    """The claims as an instance of the issuer's ``claims_type=``; ``None`` without it."""
    refusal: str | None = None
    """The code of the invalid token that an ``optional`` rule, or a Django view that needs no
    login, let pass as anonymous."""

    def __repr__(self) -> str:
        # No claims here, because logs and tracebacks contain the repr.
        if self.is_authenticated:
            return f"Principal(authenticated, {fingerprint(self, caller_key)})"
        return f"Principal(anonymous, {self.refusal})" if self.refusal else "Principal(anonymous)"

    @property
    def display_name(self) -> str:
        """A human-readable name: ``name``, ``preferred_username``, or the identity."""
        for claim in ("name", "preferred_username"):
            value = self.claims.get(claim)
            if isinstance(value, str) and value:
                return value
        return self.identity


def _refuse_to_change(_: Principal, name: str, _value: object = None) -> None:
    # Channels' AuthMiddleware writes the session's user here, into whatever user the scope has.
    # A caller whose token was judged stays the user, so nothing happens.
    if name != "_wrapped":
        raise FrozenInstanceError(
            f"A Principal cannot be changed, because requests share it: keep {name!r} elsewhere, "
            "such as in request.state"
        )


# Replaces what the dataclass made, which fails with an unreadable TypeError for a new name.
Principal.__setattr__ = Principal.__delattr__ = _refuse_to_change  # type: ignore[method-assign,assignment]


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


def identity_of(issuer: str | None, subject: str | None, label: str | None = None) -> str:
    """Return a name that is unique among the subjects of all issuers.

    :param issuer: the name of the issuer. Like the subject, it may contain any character.
    :param label: the label of the issuer, if its callers are others than those of a namesake.
    """
    name = _escaped(issuer or "")
    if label is not None:
        name = f"{name}#{_escaped(label)}"
    return f"{name}|{subject or ''}"


def full_name(issuer: str | None, label: str | None) -> str | None:
    """Return what operators call an issuer: its name, with the label if it has one."""
    return issuer if label is None else f"{issuer or ''}#{label}"


def _escaped(name: str) -> str:
    if "%" in name or "|" in name or "#" in name:
        return name.replace("%", "%25").replace("|", "%7C").replace("#", "%23")
    return name


ANONYMOUS: Principal = Principal(is_authenticated=False)
"""The principal of a request without a token."""


def token_was_judged(principal: Principal) -> bool:
    """Return whether the request had a token that the guard judged.

    If not, the guard knows nothing about the caller, and a user that the framework knows otherwise,
    as from a session, stays. A token that was refused and forgiven hides that user: a request that
    says one thing about its caller and another is answered as an anonymous one.
    """
    return principal.is_authenticated or principal.refusal is not None


class Caller:
    """The caller of one request, for all code that runs for it. Emptied when the request ends.

    A task that a request starts gets a copy of its context, which cannot be changed from outside.
    So the context holds this object, and the task finds it empty once the request is over.
    """

    __slots__ = ("entry", "principal")

    entry: Token["Caller | None"]

    def __init__(self, principal: Principal | None) -> None:
        self.principal = principal
        """The caller; ``None`` when the request is over."""

    def leave(self) -> None:
        """Stop being the current caller here, though the request goes on."""
        try:
            _current.reset(self.entry)
        except ValueError:
            # The request was begun in another context, of which this one may be a copy.
            if _current.get() is self:
                before = self.entry.old_value
                _current.set(before if isinstance(before, Caller) else None)

    def end(self) -> None:
        """End the request, for everything that still runs for it."""
        self.principal = None


_current: ContextVar[Caller | None] = ContextVar("jwt_middleware.caller", default=None)


def set_current(principal: Principal | None) -> Caller:
    """Begin a request: from here on, this is the caller of the current context."""
    caller = Caller(principal)
    caller.entry = _current.set(caller)
    return caller


current_caller = _current.get
resume = _current.set
suspend = _current.reset


def is_current(caller: Caller) -> bool:
    """Return whether this is the caller of the current context."""
    return _current.get() is caller


def reset_current(caller: Caller) -> None:
    """End the request of a caller, and leave its context."""
    # Written out, because two calls more would cost each request a tenth of a microsecond.
    caller.principal = None
    _current.reset(caller.entry)


def revise_current(principal: Principal) -> None:
    """Replace the caller of the current request, which was decided again."""
    caller = _current.get()
    # A task that outlived its request may still change that request; the caller stays away.
    if caller is not None and caller.principal is not None:
        caller.principal = principal


def current_principal() -> Principal:
    """Return the principal of the current request; outside a request, the anonymous one.

    A task that outlives the request which started it is outside a request.
    """
    caller = _current.get()
    return (caller and caller.principal) or ANONYMOUS


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
        [who.is_authenticated, who.refusal, who.issuer, who.issuer_label, who.subject],
        [sorted(names) for names in (who.scopes, who.roles, who.permissions)],
        sorted((name, value) for name, value in claims if name not in _OF_ONE_TOKEN),
    ]
    # JSON delimits each text and each list, so that two callers cannot share a key.
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
