"""Everything that can go wrong, as one tree.

::

    JWTMiddlewareError                 code, status, public
    ├── ConfigurationError             a setting is wrong; a ValueError, raised at start-up
    └── Refused                        a request was turned away
        ├── RequestError               400   the request cannot be read
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
        │   └── UserUnknown
        ├── AccessDenied               403   the token is good, the caller may not
        │   ├── RequirementNotMet
        │   └── CSRFRefused
        └── Unavailable                503   what is needed to decide is out of reach
            ├── KeysUnavailable
            └── StoreUnavailable

``code`` is stable and only ever added to. ``public`` is the one sentence that a client may read; it
never contains a token, a key, a claim or the text of another library's exception. ``detail`` is for
the operator's log and names settings and reasons, never secrets. ``expected`` and ``found`` are for
the operator too: what was asked for, and what a header or a registered claim said instead.
"""

from collections.abc import Collection, Iterator

# What an operator reads of a value that anybody may have written into a token.
MAX_EVIDENCE_LENGTH = 120


class JWTMiddlewareError(Exception):
    """The root of the tree; never raised itself."""

    code = "error"
    status = 500
    public = "The request could not be handled"


class ConfigurationError(JWTMiddlewareError, ValueError):
    """A setting is wrong. The sentence names the setting, the value and the fix."""

    code = "configuration_invalid"


class Refused(JWTMiddlewareError):
    """A request was turned away; the subclasses say why."""

    error: str | None = None
    """The OAuth error of RFC 6750 §3.1, where one applies."""
    check = "shape and claims"
    """The check of the guard that refuses with it, as ``explain`` names it."""

    issuer: str | None = None
    """Whose token it was, where that was known."""
    _expected: object = None
    _found: object = None

    def __init__(
        self,
        detail: str = "",
        *,
        expected: object = None,
        found: object = None,
        issuer: str | None = None,
    ) -> None:
        """
        :param detail: a few words for the operator.
        :param expected: what was asked for.
        :param found: what the token says there: of its header or a registered claim, nothing else.
        :param issuer: whose token it is, where that is known.
        """
        super().__init__(detail or self.public)
        self.detail = detail
        if expected is not None:
            self._expected = expected
        if found is not None:
            self._found = found
        if issuer is not None:
            self.issuer = issuer

    @property
    def expected(self) -> str:
        """What was asked for, or nothing."""
        return _evidence(self._expected)

    @property
    def found(self) -> str:
        """What the token says instead, cut and escaped, or nothing."""
        return _evidence(self._found)

    @property
    def evidence(self) -> str:
        """All of it as one line for a log."""
        parts = [self.detail or self.public]
        parts += [f"expected {self.expected}"] if self.expected else []
        parts += [f"found {self.found}"] if self.found else []
        return ", ".join(parts)

    @property
    def is_verdict(self) -> bool:
        """Whether it says something of the request or its token, and not that nobody can tell."""
        return True

    @property
    def condemns_token(self) -> bool:
        """Whether it says of the token that was sent that it is of no use."""
        return False


class RequestError(Refused):
    """The request cannot be read with certainty."""

    check = "token source"
    status = 400
    error = "invalid_request"


class PathInvalid(RequestError):
    """The path or method could be understood in more than one way."""

    check = "method and path"
    code = "path_invalid"
    public = "The request path or method is not acceptable"


class HeaderMalformed(RequestError):
    """A header that carries credentials is not of its form."""

    code = "header_malformed"
    public = "The credentials of the request are malformed"

    @property
    def condemns_token(self) -> bool:
        return True


class TokenRepeated(RequestError):
    """More than one token was sent, or one in more than one way (RFC 6750 §2)."""

    code = "token_repeated"
    public = "The request carries more than one token"


class TokenError(Refused):
    """The token is absent or cannot be trusted."""

    status = 401
    error: str | None = "invalid_token"

    @property
    def condemns_token(self) -> bool:
        return True


class TokenMissing(TokenError):
    """A token is required and there is none; the challenge then has no error (RFC 6750 §3.1)."""

    check = "token source"
    code = "token_missing"
    error = None
    public = "An access token is required"


class TokenMalformed(TokenError):
    """The token is not a compact JWS with JSON objects in it (RFC 7515 §7.1, RFC 7519 §7.2)."""

    code = "token_malformed"
    public = "The access token is malformed"


class TokenTooLarge(TokenError):
    """The token is longer than the guard reads."""

    code = "token_too_large"
    public = "The access token is too large"


class AlgorithmNotAllowed(TokenError):
    """The header names an algorithm that the configuration does not (RFC 8725 §3.1)."""

    code = "algorithm_not_allowed"
    public = "The access token is signed with an algorithm that is not accepted"


class TypeNotAllowed(TokenError):
    """``typ`` is none of the accepted types, or the token is an ID token (RFC 8725 §3.11)."""

    code = "type_not_allowed"
    public = "The token is not of an accepted type"


class IssuerUntrusted(TokenError):
    """``iss`` names nobody whom the configuration trusts."""

    code = "issuer_untrusted"
    public = "The access token was issued by an authority that is not trusted"


class KeyUnknown(TokenError):
    """No key of the issuer fits the token's header."""

    check = "key and signature"
    code = "key_unknown"
    public = "The access token is signed with an unknown key"
    retry_after: float | None = None
    """Seconds until the issuer can be asked, where it was not; ``None`` where it was.

    Too many tokens name unknown keys then. That is no verdict on this one.
    """

    def __init__(self, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after

    @property
    def is_verdict(self) -> bool:
        return self.retry_after is None

    @property
    def condemns_token(self) -> bool:
        return self.is_verdict


class SignatureInvalid(TokenError):
    """The signature does not verify."""

    check = "key and signature"
    code = "signature_invalid"
    public = "The signature of the access token is not valid"


class TokenExpired(TokenError):
    """``exp`` lies in the past, leeway included."""

    code = "token_expired"
    public = "The access token has expired"


class TokenNotYetValid(TokenError):
    """``nbf`` lies in the future, leeway included."""

    code = "token_not_yet_valid"
    public = "The access token is not valid yet"

    @property
    def condemns_token(self) -> bool:
        # It will be good; and a clock of ours that went back must not log everybody out.
        return False


class TokenIssuedInFuture(TokenError):
    """``iat`` lies in the future, leeway included."""

    code = "token_issued_in_future"
    public = "The access token was issued in the future"

    @property
    def condemns_token(self) -> bool:
        return False


class LifetimeTooLong(TokenError):
    """``exp`` minus ``iat`` is more than the configuration allows."""

    code = "lifetime_too_long"
    public = "The access token lives longer than is accepted"


class AudienceMismatch(TokenError):
    """``aud`` does not name us."""

    code = "audience_mismatch"
    public = "The access token is meant for another audience"


class ClaimMissing(TokenError):
    """A required claim is absent."""

    code = "claim_missing"
    public = "The access token lacks a required claim"

    def __init__(self, claim: str) -> None:
        super().__init__(f"claim {claim!r} is required", expected=f"claim {claim}")
        self.claim = claim


class ClaimInvalid(TokenError):
    """A registered claim is not of its type."""

    code = "claim_invalid"
    public = "The access token carries a claim of the wrong type or value"

    def __init__(self, claim: str) -> None:
        super().__init__(f"claim {claim!r} has the wrong type or value")
        self.claim = claim


class ClaimsTypeMismatch(TokenError):
    """The claims do not fit the type that the application asked for."""

    code = "claims_type_mismatch"
    public = "The claims of the access token are not of the expected shape"


class TokenBound(TokenError):
    """A token bound to a key (``cnf``) was sent as a plain bearer (RFC 8705 §3, RFC 9449 §7)."""

    code = "token_bound"
    public = "The access token is bound to a key and cannot be used as a bearer token"


class TokenRevoked(TokenError):
    """The token, its session, its subject or its key was withdrawn."""

    check = "revocation"
    code = "token_revoked"
    public = "The access token has been revoked"


class UserUnknown(TokenError):
    """The token is good, and the application has no active user for its subject."""

    check = "requirement"
    code = "user_unknown"
    public = "The access token is not that of an active user"


class AccessDenied(Refused):
    """The caller is known and may not do this."""

    check = "requirement"
    status = 403


class RequirementNotMet(AccessDenied):
    """The rule asks for something that the principal lacks."""

    code = "requirement_not_met"
    error = "insufficient_scope"
    public = "The access token does not grant what this request needs"


class CSRFRefused(AccessDenied):
    """A cookie came without proof that the request is of the same origin."""

    check = "origin"
    code = "csrf_refused"
    public = "The request lacks proof of its origin"


class Unavailable(Refused):
    """Something that the decision needs is out of reach; trying again may help."""

    status = 503

    def __init__(self, detail: str = "", retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """Seconds until another try makes sense."""

    @property
    def is_verdict(self) -> bool:
        return False


class KeysUnavailable(Unavailable):
    """No usable verification keys, and no telling whether the token is good."""

    check = "key and signature"
    code = "keys_unavailable"
    public = "The token cannot be verified at the moment"


class StoreUnavailable(Unavailable):
    """A store that must be asked does not answer."""

    check = "revocation"
    code = "store_unavailable"
    public = "The token cannot be checked at the moment"


def _evidence(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        value = ", ".join(sorted(map(str, value)))
    text = str(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= MAX_EVIDENCE_LENGTH else f"{text[:MAX_EVIDENCE_LENGTH]}..."


def refusals() -> Iterator[type[Refused]]:
    """Yield every concrete refusal, in the order of the tree."""
    for group in (RequestError, TokenError, AccessDenied, Unavailable):
        yield from group.__subclasses__()
