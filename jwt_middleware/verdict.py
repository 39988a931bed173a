"""The verdicts of the guard.

A ``Deny`` is already a complete HTTP response, which the middleware only sends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Protocol

from jwt_middleware.errors import Refused
from jwt_middleware.principal import Principal

Headers = tuple[tuple[str, str], ...]
Body = tuple[str, bytes]
"""A media type and the bytes of a body."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a requirement is not met. Returned by ``Requirement.judge``."""

    detail: str = ""
    """The requirement, for the operator. It is never sent to a client."""
    code: str = "requirement_not_met"
    status: int = 403
    error: str = "insufficient_scope"
    """The error of the challenge, such as ``insufficient_user_authentication`` (RFC 9470 §3)."""
    public: str = "The access token does not grant what this request needs"
    parameters: tuple[tuple[str, str], ...] = ()
    """Further parameters of the challenge, such as ``max_age``."""


class Watch(Protocol):
    """Tells of the revocation of one token while a WebSocket is open."""

    def is_revoked(self) -> bool:
        """Return whether the token is revoked by now."""
        ...

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function, on any thread, when anything was revoked; return what ends that."""
        ...


# Not frozen, because that would treble its cost, and one is created for each request. Only the
# middleware of that request uses it.
@dataclass(slots=True)
class Allow:
    """The verdict that lets a request pass."""

    principal: Principal
    rule: str
    """The rule that decided, as the rule table prints it."""
    response_headers: Headers = ()
    """Headers to add to the application's response if it lacks them."""
    subprotocol: str | None = None
    """The WebSocket subprotocol to accept with if the application chooses none."""
    closes_in: float | None = None
    """The seconds after which an open WebSocket is closed; ``None`` to keep it open."""
    watch: Watch | None = None
    """What tells of the revocation of the token; ``None`` to keep an open WebSocket open."""
    otherwise: "Deny | None" = None
    """The refusal to send if the request reaches a view that requires a login."""
    credential: int | None = field(default=None, repr=False)
    """The hash of the token; 0 without a token, ``None`` if the rule reads none."""

    def __str__(self) -> str:
        who = self.principal.identity if self.principal.is_authenticated else "anonymous"
        # An issuer may put control characters into a subject, so they are escaped for the log.
        shown = who if who.isprintable() else repr(who)
        return f"passes as {shown or 'a token without a subject'}"


@dataclass(frozen=True, slots=True)
class Reply:
    """The verdict that sends this response. The application never sees the request."""

    status: int
    headers: Headers
    body: bytes
    code: str
    """The stable code of the refusal, or the kind of any other response."""
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False, compare=False)
    """The headers in the form of ASGI."""
    detail: str = field(default="", compare=False)
    """The public text of the refusal."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}"

    @property
    def reason(self) -> str:
        """The phrase of the status line."""
        return HTTPStatus(self.status).phrase


@dataclass(frozen=True, slots=True)
class Deny(Reply):
    """The verdict that refuses a request with this response."""

    problem: Refused | None = field(default=None, repr=False, compare=False)
    """The reason for the operator, of a refusal that is kept and perhaps sent later."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The content of an error body. All of it is public."""

    status: int
    code: str
    detail: str
    error: str | None

    @property
    def title(self) -> str:
        """The phrase of the status code."""
        return HTTPStatus(self.status).phrase


ErrorBody = Literal["problem", "oauth"] | Callable[[Problem], Body]
