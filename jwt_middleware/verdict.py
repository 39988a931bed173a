"""The answers of the guard, as values.

A ``Deny`` is already a plain HTTP response; a face only sends it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from jwt_middleware.principal import Principal

Headers = tuple[tuple[str, str], ...]
Body = tuple[str, bytes]
"""A media type and the bytes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a requirement is not met. Returned by ``Requirement.judge``."""

    detail: str = ""
    """For the operator: what is asked for. A client never reads it."""
    code: str = "requirement_not_met"
    status: int = 403
    error: str = "insufficient_scope"
    """The error of the challenge, such as ``insufficient_user_authentication`` (RFC 9470 §3)."""
    public: str = "The access token does not grant what this request needs"
    parameters: tuple[tuple[str, str], ...] = ()
    """Further parameters of the challenge, such as ``max_age``."""


# One is made for each request and handed to its face alone: freezing it would treble its cost.
@dataclass(slots=True)
class Allow:
    """The request may pass."""

    principal: Principal
    rule: str
    """The rule that decided, in the words of the rule table."""
    response_headers: Headers = ()
    """Headers that the application's response gets, where it has none of that name."""
    subprotocol: str | None = None
    """The WebSocket subprotocol to answer with if the application chooses none."""
    closes_in: float | None = None
    """Seconds after which an open WebSocket is to be closed."""
    otherwise: "Deny | None" = None
    """What the request is refused with if it comes to a view that does ask for a login."""

    def __str__(self) -> str:
        who = self.principal.identity if self.principal.is_authenticated else "anonymous"
        # An operator reads it, and a subject is whatever an issuer wrote.
        shown = who if who.isprintable() else repr(who)
        return f"passes as {shown or 'a token without a subject'}"


@dataclass(frozen=True, slots=True)
class Reply:
    """The request is answered with this, and the application never sees it."""

    status: int
    headers: Headers
    body: bytes
    code: str
    """What a refusal is refused for; of any other answer, what it is."""
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False, compare=False)
    """The headers as ASGI takes them."""
    detail: str = field(default="", compare=False)
    """The sentence that a client reads."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}"

    @property
    def reason(self) -> str:
        """The phrase of the status line."""
        return HTTPStatus(self.status).phrase


@dataclass(frozen=True, slots=True)
class Deny(Reply):
    """The request is refused with this answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a body may say; all of it is public."""

    status: int
    code: str
    detail: str
    error: str | None

    @property
    def title(self) -> str:
        """The phrase of the status."""
        return HTTPStatus(self.status).phrase


ErrorBody = Literal["problem", "oauth"] | Callable[[Problem], Body]
