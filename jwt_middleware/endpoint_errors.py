"""The errors of endpoints: a request for tokens, or for the end of a login, that is refused.

Their codes are as stable as those of ``errors.py``. ``error`` is the name that OAuth clients know
(RFC 6749 §5.2, RFC 7009 §2.2.1), and a refused token is ``invalid_grant``.
"""

from collections.abc import Iterator

from jwt_middleware.errors import Refused


class EndpointRefused(Refused):
    """An endpoint refuses a request. The subclasses name the reason."""

    check = "endpoint"
    status = 400
    error: str | None = "invalid_request"


class MethodNotAllowed(EndpointRefused):
    """The endpoint has no answer for the method (RFC 9110 §15.5.6)."""

    code = "method_not_allowed"
    status = 405
    public = "The endpoint does not allow this method"


class ParametersInvalid(EndpointRefused):
    """A parameter is missing, repeated or not text, or the body cannot be read."""

    code = "parameters_invalid"
    public = "The parameters of the request are missing or malformed"


class BodyTooLarge(EndpointRefused):
    """The body is longer than any request needs."""

    code = "body_too_large"
    status = 413
    public = "The body of the request is too large"


class BodyTooSlow(EndpointRefused):
    """The body did not arrive in time (RFC 9110 §15.5.9)."""

    code = "body_too_slow"
    status = 408
    public = "The body of the request did not arrive in time"


class GrantTypeUnsupported(EndpointRefused):
    """The client asks for tokens in a way that the endpoint does not have."""

    code = "grant_type_unsupported"
    error = "unsupported_grant_type"
    public = "The endpoint takes refresh tokens only"


class ScopeNotGranted(EndpointRefused):
    """The client asks for a scope that its login does not have (RFC 6749 §6)."""

    code = "scope_not_granted"
    error = "invalid_scope"
    public = "The login does not have the requested scope"


class TokenKindUnsupported(EndpointRefused):
    """Tokens of that kind cannot be revoked (RFC 7009 §2.2.1)."""

    code = "token_kind_unsupported"
    error = "unsupported_token_type"
    public = "The endpoint revokes refresh tokens only"


class RequestsTooMany(EndpointRefused):
    """The application limits how often a client may ask (RFC 6585 §4)."""

    code = "requests_too_many"
    status = 429
    public = "There were too many requests"

    def __init__(self, detail: str = "", retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """The seconds until the client may ask again."""


def endpoint_refusals() -> Iterator[type[EndpointRefused]]:
    """Yield every refusal of endpoints, in the order of this page."""
    yield from EndpointRefused.__subclasses__()
