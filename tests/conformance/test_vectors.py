"""Public vectors, below any claim: a compact JWS, keys, and accept or refuse."""

import pytest

from jwt_middleware import TokenError
from jwt_middleware.tokens import verify_jws
from tests.conformance.rows import ROWS, Row

SHORT_SECRET = "the secret is shorter than the hash (RFC 7518 §3.2)"
DETACHED = "the payload is not in the token (RFC 7515 appendix F); a bearer token carries its own"
EXTENSION = "crit, and the b64 of RFC 7797, are understood by nobody here (RFC 7515 §4.1.11)"
DECLARED = "the key says that it is for another algorithm (RFC 7517 §4.4)"
UNKNOWN_ALG = "the key names an algorithm that does not exist, ES521"
NO_BASE64URL = "a segment has a character that is not base64url (RFC 7515 §2)"
UNSIGNED = "an unsecured JWS is never accepted (RFC 8725 §3.2)"
SAME_BYTES = "byte for byte the vector 357, which is called valid"
ROCA = "whether a key was made by a faulty chip is for its owner to find out"
SAME_KID = "two keys of one kid are tried one after the other, as a rotation may need"

# Valid to their publisher, refused here.
REFUSED = {
    "wycheproof json_web_signature 346": DECLARED,
    "wycheproof json_web_signature 347": UNKNOWN_ALG,
    "wycheproof json_web_signature 350": DECLARED,
    "wycheproof json_web_signature 351": UNKNOWN_ALG,
    "wycheproof json_web_signature 372": NO_BASE64URL,
    "wycheproof json_web_signature 373": NO_BASE64URL,
    "cookbook 4_5.signature_with_detached_content compact": DETACHED,
    "cookbook hmac-sha2_b64_false compact": EXTENSION,
    "latchset rfc7515_A.5.jwsc": UNSIGNED,
    "latchset rfc7520_4.5.jwsc": DETACHED,
    "joserfc jws_examples HS256 compact": SHORT_SECRET,
    "joserfc jws_examples HS384 compact": SHORT_SECRET,
    "joserfc jws_examples HS512 compact": SHORT_SECRET,
    "joserfc jws_rfc7797 4.2 HS256 with b64=false compact": EXTENSION,
    "joserfc jws_rfc7797 HS256 with b64=true compact": EXTENSION,
    "joserfc jws_rfc7797 HS256 with b64=false, safe payload compact": EXTENSION,
    "joserfc jwt_use_jws HS256 token": SHORT_SECRET,
    "joserfc jwt_use_jws HS384 token": SHORT_SECRET,
    "joserfc jwt_use_jws HS512 token": SHORT_SECRET,
}
# Invalid to their publisher, accepted here.
ACCEPTED = {
    "wycheproof json_web_signature 367": SAME_BYTES,
    "wycheproof json_web_signature 370": SAME_BYTES,
    "wycheproof json_web_key 4": SAME_KID,
    "wycheproof json_web_key 7": ROCA,
    "wycheproof json_web_crypto 46": ROCA,
}


def is_json(row: Row) -> bool:
    """Return whether a token is in a JSON serialisation (RFC 7515 §7.2), which is no bearer token."""
    return row.token.startswith("{")


def outcome(row: Row) -> bytes | str:
    """Return the payload, or the code of the refusal; nothing else may come out."""
    try:
        return verify_jws(row.token, row.jwks, row.algorithms, published=False)
    except TokenError as refusal:
        return refusal.code


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_public_vector_ends_as_its_publisher_says(row: Row) -> None:
    """Accepted with its payload, or refused with an error of ours; each exception is listed."""
    found = outcome(row)
    expected = (
        row.is_valid and row.name not in REFUSED and not is_json(row)
    ) or row.name in ACCEPTED

    assert isinstance(found, bytes) is expected, found
    if expected and row.payload is not None:
        assert found == row.payload


def test_the_list_of_disagreements_is_exact() -> None:
    """Each entry names a vector that says otherwise, and only JSON is left out by its form."""
    differing = {row.name for row in ROWS if isinstance(outcome(row), bytes) is not row.is_valid}

    assert differing - {row.name for row in ROWS if is_json(row)} == {*REFUSED, *ACCEPTED}


def test_no_json_serialisation_is_a_token() -> None:
    """All of them are refused for their form, the good ones too."""
    forms = [row for row in ROWS if is_json(row)]

    assert len([row for row in forms if row.is_valid]) >= 50
    assert {outcome(row) for row in forms} == {"token_malformed"}


def test_the_vectors_are_all_there() -> None:
    """None is lost on the way, and no two share a name."""
    assert len({row.name for row in ROWS}) == len(ROWS) == 609
    assert sum(isinstance(outcome(row), bytes) for row in ROWS) >= 60


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.is_valid and not is_json(row)], ids=lambda row: row.name
)
def test_a_published_set_never_verifies_with_a_secret(row: Row) -> None:
    """Where everybody can read the keys, an ``oct`` key or a private half is no key."""
    members = row.jwks.get("keys", [row.jwks])
    if not any("d" in key or key["kty"] == "oct" for key in members):
        assert isinstance(outcome(row), bytes) or row.name in REFUSED
        return

    with pytest.raises(TokenError):
        verify_jws(row.token, row.jwks, row.algorithms)
