"""Every kind of bad token, each wrong in one way only."""

from collections.abc import Callable
from typing import Any

from jwt_middleware.formats import base64url
from jwt_middleware.testing.issuer import FakeIssuer
from jwt_middleware.testing.keys import KeyPair

BadToken = Callable[[FakeIssuer, dict[str, Any]], str]


def _claims(**changes: Any) -> BadToken:
    return lambda issuer, claims: issuer.key.sign(issuer.claims(**{**claims, **changes}))


def _ages(name: str, seconds: int) -> BadToken:
    def build(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
        now = issuer.claims()["iat"]
        return issuer.token(**{**claims, name: now + seconds})

    return build


def _headers(**headers: Any) -> BadToken:
    return lambda issuer, claims: issuer.key.sign(issuer.claims(**claims), headers)


def _tampered(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    header, _, signature = issuer.token(**claims).split(".")
    other = issuer.key.sign(issuer.claims(**{**claims, "sub": "mallory"})).split(".")[1]
    return f"{header}.{other}.{signature}"


def _unsigned(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    return issuer.key.sign(issuer.claims(**claims), alg="none")


def _forged(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    stranger = KeyPair.generate(issuer.key.alg, kid=issuer.key.kid)
    return stranger.sign(issuer.claims(**claims))


def _confused(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    # The public key as an HMAC secret (CVE-2017-11424).
    secret = KeyPair(issuer.key.public_pem.encode(), "HS256", issuer.key.kid)
    return secret.sign(issuer.claims(**claims))


def _repeated_member(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    good = issuer.claims(**claims)
    return issuer.key.sign(f'{{"sub":"mallory","iss":"{good["iss"]}","sub":"alice"}}'.encode())


def _padded(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    return issuer.token(**claims) + "="


def _json_form(issuer: FakeIssuer, claims: dict[str, Any]) -> str:
    # The flattened JSON serialisation is not a bearer token; in base64url it is not compact.
    return base64url.encode(issuer.token(**claims).encode()).decode()


BAD_TOKENS: dict[str, tuple[str, BadToken]] = {
    "expired": ("token_expired", _ages("exp", -60)),
    "not yet valid": ("token_not_yet_valid", _ages("nbf", 120)),
    "issued in the future": ("token_issued_in_future", _ages("iat", 120)),
    "without exp": ("claim_missing", _claims(exp=None)),
    "without aud": ("claim_missing", _claims(aud=None)),
    "without iss": ("claim_missing", _claims(iss=None)),
    "exp as text": ("claim_invalid", _claims(exp="9999999999")),
    "exp as boolean": ("claim_invalid", _claims(exp=True)),
    "sub as number": ("claim_invalid", _claims(sub=42)),
    "aud as number": ("claim_invalid", _claims(aud=42)),
    "iss as number": ("claim_invalid", _claims(iss=42)),
    "for another audience": ("audience_mismatch", _claims(aud="elsewhere")),
    "of a stranger": ("issuer_untrusted", _claims(iss="https://stranger.example/")),
    "an ID token": ("type_not_allowed", _claims(at_hash="x")),
    "bound to a key": ("token_bound", _claims(cnf={"jkt": "x"})),
    "of another type": ("type_not_allowed", _headers(typ="logout+jwt")),
    "with an unknown kid": ("key_unknown", _headers(kid="nobody")),
    "with a kid that is no text": ("token_malformed", _headers(kid=1)),
    "with a critical extension": ("token_malformed", _headers(crit=["x"], x=1)),
    "tampered": ("signature_invalid", _tampered),
    "forged": ("signature_invalid", _forged),
    "unsigned": ("algorithm_not_allowed", _unsigned),
    "signed with the public key": ("algorithm_not_allowed", _confused),
    "with a member twice": ("token_malformed", _repeated_member),
    "padded": ("token_malformed", _padded),
    "not compact": ("token_malformed", _json_form),
}
"""By name: the code it is refused with, and how it is built for an issuer."""


def bad_token(kind: str, issuer: FakeIssuer, **claims: Any) -> str:
    """Return a token that is wrong in the way ``kind`` says and good in every other.

    :param kind: a name of :data:`BAD_TOKENS`.
    :param claims: the claims of the good token, such as ``aud``.
    """
    return BAD_TOKENS[kind][1](issuer, claims)
