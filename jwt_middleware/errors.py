"""The exceptions of the package, as one tree.

::

    JWTMiddlewareError                 code, status, public
    ├── ConfigurationError             a setting is wrong; a ValueError, raised at start-up
    └── Refused                        a request was refused
        ├── RequestError               400   the request is malformed or ambiguous
        │   ├── PathInvalid
        │   ├── HeaderMalformed
        │   └── TokenRepeated
        ├── TokenError                 401   the token cannot be trusted
        │   ├── TokenMissing
        │   ├── TokenMalformed, TokenTooLarge
        │   ├── AlgorithmNotAllowed, TypeNotAllowed
        │   ├── IssuerUntrusted
        │   ├── KeyUnknown, SignatureInvalid
        │   ├── TokenExpired, TokenNotYetValid, TokenIssuedInFuture, LifetimeTooLong
        │   ├── AudienceMismatch, ClaimMissing, ClaimInvalid, ClaimsTypeMismatch
        │   ├── TokenBound
        │   ├── TokenRevoked
        │   └── UserUnknown, RefreshUnknown, RefreshReused, RefreshBurnt
        ├── AccessDenied               403   the token is valid, the access is not granted
        │   ├── RequirementNotMet
        │   └── CSRFRefused
        └── Unavailable                503   the keys or the store are unavailable
            ├── KeysUnavailable
            └── StoreUnavailable

Every ``code`` is stable; new ones may be added. ``public`` is the one sentence that is sent to the
client. It never contains a token, a key, a claim or the text of another library's exception.
``detail`` is for the operator's log. It names settings and reasons, never secrets. ``expected`` and
``found`` are for the operator too: the required value, and the value of the header or of a
registered claim, quoted, escaped and cut short.
"""

from collections.abc import Iterator

from jwt_middleware.evidence import NOT_COMPARED, Compared, Comparison


class JWTMiddlewareError(Exception):
    """Base class of all exceptions of the package. Never raised itself."""

    code = "error"
    status = 500
    public = "The request could not be handled"


class ConfigurationError(JWTMiddlewareError, ValueError):
    """A setting is wrong. The message names the setting, the value and the fix."""

    code = "configuration_invalid"


class Refused(Compared, JWTMiddlewareError):
    """A request was refused. The subclasses name the reason."""

    error: str | None = None
    """The OAuth error of RFC 6750 §3.1, or ``None``."""
    check = "shape and claims"
    """The check of the guard that raises it, as ``explain`` names the check."""

    issuer: str | None = None
    """The issuer of the token, if it is certain."""
    judged_by: str | None = None
    """The trusted issuer that the token names. It is certain only if it is ``issuer`` too."""

    def __init__(
        self,
        detail: str = "",
        *,
        expected: object = NOT_COMPARED,
        found: object = NOT_COMPARED,
        issuer: str | None = None,
    ) -> None:
        """
        :param detail: a few words for the operator.
        :param expected: the required value, or a collection of these. A text is shown as it is.
        :param found: the value in the token's header or registered claim, ``None`` if it is absent.
            Never any other value.
        :param issuer: the issuer of the token, if it is certain.
        """
        super().__init__(detail or self.public)
        self.detail = detail
        self.comparison, self.issuer = Comparison(expected, found), issuer

    @property
    def is_verdict(self) -> bool:
        """Whether the request or its token is at fault. ``False`` if they could not be checked."""
        return True

    @property
    def condemns_token(self) -> bool:
        """Whether the token that was sent can never be accepted, so that its cookie expires."""
        return False


class RequestError(Refused):
    """The request is malformed or ambiguous."""

    check = "token source"
    status = 400
    error = "invalid_request"


class PathInvalid(RequestError):
    """The path or the method is ambiguous."""

    check = "method and path"
    code = "path_invalid"
    public = "The request path or method is not acceptable"


class HeaderMalformed(RequestError):
    """A header that carries credentials is malformed."""

    code = "header_malformed"
    public = "The credentials of the request are malformed"

    @property
    def condemns_token(self) -> bool:
        return True


class TokenRepeated(RequestError):
    """The request has more than one token, or one token in several places (RFC 6750 §2)."""

    code = "token_repeated"
    public = "The request carries more than one token"


class TokenError(Refused):
    """The token is absent or cannot be trusted."""

    status = 401
    error: str | None = "invalid_token"

    @property
    def condemns_token(self) -> bool:
        return self.is_verdict


class TokenMissing(TokenError):
    """A required token is missing. The challenge then has no error (RFC 6750 §3.1)."""

    check = "token source"
    code = "token_missing"
    error = None
    public = "An access token is required"


class TokenMalformed(TokenError):
    """The token is not a compact JWS with JSON objects in it (RFC 7515 §7.1, RFC 7519 §7.2)."""

    code = "token_malformed"
    public = "The access token is malformed"


class TokenTooLarge(TokenError):
    """The token is longer than ``max_token_size``."""

    code = "token_too_large"
    public = "The access token is too large"


class AlgorithmNotAllowed(TokenError):
    """The header names an algorithm that is not configured (RFC 8725 §3.1)."""

    code = "algorithm_not_allowed"
    public = "The access token is signed with an algorithm that is not accepted"


class TypeNotAllowed(TokenError):
    """``typ`` is not an accepted type, or the token is an ID token (RFC 8725 §3.11)."""

    code = "type_not_allowed"
    public = "The token is not of an accepted type"


class IssuerUntrusted(TokenError):
    """``iss`` does not name a trusted issuer."""

    code = "issuer_untrusted"
    public = "The access token was issued by an authority that is not trusted"


class KeyUnknown(TokenError):
    """No key of the issuer matches the header of the token."""

    check = "key and signature"
    code = "key_unknown"
    public = "The access token is signed with an unknown key"
    retry_after: float | None = None
    """The seconds until keys can be fetched again; ``None`` if they were fetched.

    It is set if too many tokens named unknown keys. Then this token may be valid.
    """

    def __init__(
        self,
        detail: str = "",
        retry_after: float | None = None,
        expected: object = NOT_COMPARED,
        found: object = NOT_COMPARED,
    ) -> None:
        super().__init__(detail, expected=expected, found=found)
        self.retry_after = retry_after

    @property
    def is_verdict(self) -> bool:
        return self.retry_after is None


class SignatureInvalid(TokenError):
    """The signature does not verify."""

    check = "key and signature"
    code = "signature_invalid"
    public = "The signature of the access token is not valid"


class TokenExpired(TokenError):
    """``exp`` is in the past, leeway included."""

    code = "token_expired"
    public = "The access token has expired"


class TokenNotYetValid(TokenError):
    """``nbf`` is in the future, leeway included."""

    code = "token_not_yet_valid"
    public = "The access token is not valid yet"

    @property
    def condemns_token(self) -> bool:
        # The token will be valid later. A server clock that went back must not log out every user.
        return False


class TokenIssuedInFuture(TokenError):
    """``iat`` is in the future, leeway included."""

    code = "token_issued_in_future"
    public = "The access token was issued in the future"

    @property
    def condemns_token(self) -> bool:
        return False


class LifetimeTooLong(TokenError):
    """``exp`` minus ``iat`` exceeds the configured limit."""

    code = "lifetime_too_long"
    public = "The access token lives longer than is accepted"


class AudienceMismatch(TokenError):
    """``aud`` does not name this service."""

    code = "audience_mismatch"
    public = "The access token is meant for another audience"


class ClaimMissing(TokenError):
    """A required claim is absent."""

    code = "claim_missing"
    public = "The access token lacks a required claim"

    def __init__(self, claim: str) -> None:
        super().__init__(f"claim {claim!r} is required")
        self.claim = claim


class ClaimInvalid(TokenError):
    """A claim has the wrong type or value."""

    code = "claim_invalid"
    public = "The access token carries a claim of the wrong type or value"

    def __init__(
        self, claim: str, expected: object = NOT_COMPARED, found: object = NOT_COMPARED
    ) -> None:
        detail = f"claim {claim!r} has the wrong type or value"
        super().__init__(detail, expected=expected, found=found)
        self.claim = claim


class ClaimsTypeMismatch(TokenError):
    """The claims do not match the ``claims_type`` of the issuer."""

    code = "claims_type_mismatch"
    public = "The claims of the access token are not of the expected shape"


class TokenBound(TokenError):
    """A token bound to a key (``cnf``) was sent as a plain bearer (RFC 8705 §3, RFC 9449 §7)."""

    code = "token_bound"
    public = "The access token is bound to a key and cannot be used as a bearer token"


class TokenRevoked(TokenError):
    """The token, its session, its subject or its key was revoked."""

    check = "revocation"
    code = "token_revoked"
    public = "The access token has been revoked"


class UserUnknown(TokenError):
    """The token is valid, but the application has no active user for its subject."""

    check = "requirement"
    code = "user_unknown"
    public = "The access token is not that of an active user"


class RefreshUnknown(TokenError):
    """The login of a refresh token is not known any more."""

    code = "refresh_unknown"
    public = "The refresh token is not known"


class RefreshReused(TokenError):
    """A refresh token was used again, so that its login has ended (RFC 9700 §4.14.2)."""

    code = "refresh_reused"
    public = "The refresh token was used before"


class RefreshBurnt(TokenError):
    """The login of a refresh token has ended."""

    code = "refresh_burnt"
    public = "The login of the refresh token has ended"


class AccessDenied(Refused):
    """The caller is authenticated but lacks access."""

    check = "requirement"
    status = 403


class RequirementNotMet(AccessDenied):
    """The principal does not meet a requirement of the rule."""

    code = "requirement_not_met"
    error = "insufficient_scope"
    public = "The access token does not grant what this request needs"


class CSRFRefused(AccessDenied):
    """The request has a token in a cookie and no proof of a trusted origin."""

    check = "origin"
    code = "csrf_refused"
    public = "The request lacks proof of its origin"


class Unavailable(Refused):
    """The decision needs keys or a store that are unavailable. A retry may succeed."""

    status = 503

    def __init__(self, detail: str = "", retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """The seconds until a retry is useful."""

    @property
    def is_verdict(self) -> bool:
        return False


class KeysUnavailable(Unavailable):
    """There are no usable keys, so the token cannot be verified."""

    check = "key and signature"
    code = "keys_unavailable"
    public = "The token cannot be verified at the moment"


class StoreUnavailable(Unavailable):
    """A required store does not respond."""

    check = "revocation"
    code = "store_unavailable"
    public = "The token cannot be checked at the moment"


def refusals() -> Iterator[type[Refused]]:
    """Yield every concrete class of refusal, in the order of the tree."""
    for group in (RequestError, TokenError, AccessDenied, Unavailable):
        yield from group.__subclasses__()
