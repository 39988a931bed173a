"""Application Load Balancers of AWS: padded tokens, keys one by one, a signer in the header."""

import json
from typing import Any

import pytest

from jwt_middleware import (
    AdmittedIssuers,
    ConfigurationError,
    Guard,
    HeaderToken,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
)
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.formats import base64url
from jwt_middleware.keys.remote.http import FetchResponse
from jwt_middleware.presets import aws_alb
from jwt_middleware.testing import Clock, KeyPair
from tests.faces.calls import (
    asgi_app,
    http_scope,
    through_asgi,
    through_wsgi,
    wsgi_app,
    wsgi_environ,
)
from tests.keys.remote.test_single_keys import pem_of
from tests.keys.web import Web
from tests.presets.documents import code_of

POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_aB3dE5fG7"
ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/{}/50dc6c495c0c9188"
OURS, THEIRS = ARN.format("shop"), ARN.format("evil")
KID = "b64b1f0e-2c3d-4e5f-8a9b-0c1d2e3f4a5b"
ADDRESS = f"https://public-keys.auth.elb.eu-central-1.amazonaws.com/{KID}"
PAIR = KeyPair.generate("ES256", KID)


class Balancer:
    """One that signs as AWS does: all segments padded, and the signature made over that."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.web = Web()
        self.web.answers[ADDRESS] = FetchResponse(200, {}, pem_of(PAIR))

    def token(
        self,
        header: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        pair: KeyPair = PAIR,
    ) -> str:
        expires = int(self.clock.now()) + 120
        named = {"typ": "JWT", "kid": KID, "alg": "ES256", "iss": POOL, "client": "app"}
        said = {**named, "signer": OURS, "exp": expires, **(header or {})}
        good = {"sub": "8a2e1b70", "email": "a@acme.example", "username": "a", "iss": POOL}
        payload = {**good, "exp": expires, **(claims or {})}
        first = b".".join(padded(_json(each)) for each in (said, payload))
        return (first + b"." + padded(signature(first, pair))).decode()

    def issuer(self, **options: Any) -> Issuer:
        given = {"signer": OURS, "client_id": "app", "fetcher": self.web, **options}
        return aws_alb(POOL, **given)

    def guard(self, *others: Any) -> Guard:
        return Guard(
            issuers=[self.issuer(), *others],
            clock=self.clock,
            token_sources=[HeaderToken("X-Amzn-Oidc-Data")],
        )


def _json(members: dict[str, Any]) -> bytes:
    """Return the members without nulls, and a segment of them that needs padding."""
    kept = {name: value for name, value in members.items() if value is not None}
    text = json.dumps(kept).encode()
    return text if len(text) % 3 else text + b" "


def padded(data: bytes) -> bytes:
    text = base64url.encode(data)
    return text + b"=" * (-len(text) % 4)


def signature(signing_input: bytes, pair: KeyPair) -> bytes:
    made: bytes = ALGORITHMS["ES256"].implementation.sign(signing_input, pair.private)
    return made


@pytest.fixture
def balancer() -> Balancer:
    return Balancer()


async def both(guard: Guard, text: str) -> tuple[int, int]:
    """Return the statuses of both faces for a request with a token in its header."""
    headers = [("X-Amzn-Oidc-Data", text)]
    asgi = await through_asgi(JWTMiddleware(asgi_app, guard=guard), http_scope("GET", "/", headers))
    wsgi = through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard), wsgi_environ("GET", "/", headers))
    return asgi.status, wsgi.status


async def test_a_padded_token_passes(balancer: Balancer) -> None:
    """Through both faces; the key is fetched once, and a token that expired is 401, not 400."""
    guard = balancer.guard()
    text = balancer.token()
    assert text.count("=") > 2

    assert await both(guard, text) == (200, 200)
    principal = guard.verify(text)
    assert (principal.subject, principal.audience) == ("8a2e1b70", ())
    assert balancer.web.asked == [ADDRESS]
    balancer.clock.tick(200)
    assert await both(guard, text) == (401, 401)
    assert code_of(guard, text) == "token_expired"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        # Any load balancer of anybody in this region has the same keys.
        ({"signer": THEIRS}, "claim_invalid"),
        ({"signer": None}, "claim_missing"),
        ({"signer": [OURS]}, "claim_invalid"),
        ({"signer": OURS.replace("eu-central", "eu-west")}, "claim_invalid"),
        ({"client": "other"}, "claim_invalid"),
        ({"iss": "https://evil.example"}, "claim_invalid"),
        ({"alg": "none"}, "algorithm_not_allowed"),
        ({"alg": "RS256"}, "algorithm_not_allowed"),
        ({"kid": "../../evil"}, "key_unknown"),
        ({"kid": None}, "key_unknown"),
        ({"crit": ["b64"], "b64": False}, "token_malformed"),
    ],
)
def test_what_the_header_says_is_checked_before_keys(
    balancer: Balancer, header: dict[str, Any], code: str
) -> None:
    """The signature is good each time, and nothing is fetched."""
    guard = balancer.guard()

    assert code_of(guard, balancer.token(header)) == code
    assert balancer.web.asked == []


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://evil.example"}, "issuer_untrusted"),
        ({"iss": None}, "claim_missing"),
        ({"exp": None}, "claim_missing"),
        ({"exp": 1}, "token_expired"),
        ({"sub": None}, "claim_missing"),
        ({"aud": "other"}, "audience_mismatch"),
    ],
)
def test_claims_are_checked_as_those_of_any_issuer(
    balancer: Balancer, claims: dict[str, Any], code: str
) -> None:
    """What the header says of them does not replace them."""
    assert code_of(balancer.guard(), balancer.token(claims=claims)) == code


def test_a_foreign_signature_is_refused(balancer: Balancer) -> None:
    """Also of a key id that is published, and one that is not published is unknown."""
    guard = balancer.guard()
    assert code_of(guard, balancer.token(pair=KeyPair.generate("ES256"))) == "signature_invalid"
    other = {"kid": KID.replace("b64b", "0000")}
    assert code_of(guard, balancer.token(other)) == "key_unknown"
    assert code_of(guard, balancer.token()) == "passed"


def changed(text: str, *ways: Any) -> str:
    """Return a token whose segments are written otherwise, and signed anew over that."""
    first, second, _ = (way(each) for way, each in zip(ways, text.split("."), strict=True))
    last = padded(signature(f"{first}.{second}".encode(), PAIR)).decode()
    return f"{first}.{second}.{ways[2](last)}"


def bare(segment: str) -> str:
    return segment.rstrip("=")


def same(segment: str) -> str:
    return segment


@pytest.mark.parametrize(
    "ways",
    [
        (bare, bare, bare),
        (bare, same, same),
        (same, bare, same),
        (same, same, bare),
        (lambda each: f"{each}====", same, same),
        (same, lambda each: f"{each}=", same),
        (same, lambda each: f"{each[:4]}={each[4:]}", same),
        (same, same, lambda each: f"{each}===="),
        (same, same, lambda each: f"{each[:-3]}B=="),
    ],
)
def test_only_exact_padding_is_read(balancer: Balancer, ways: Any) -> None:
    """Each token has one spelling, signed or not."""
    guard = balancer.guard()
    text = balancer.token()
    assert code_of(guard, changed(text, same, same, same)) == "passed"
    assert code_of(guard, changed(text, *ways)) == "token_malformed"


def test_every_other_issuer_stays_strict(balancer: Balancer) -> None:
    """Beside a load balancer too, and even where it has the same name."""
    pair = KeyPair.generate("RS256", "k")
    other = Issuer("https://id.example", audience=None, keys=PAIR.jwk)
    direct = Issuer(POOL, audience="app", algorithms=["RS256"], keys=pair.jwk)
    guard = balancer.guard(other, direct)
    text = balancer.token(claims={"iss": "https://id.example"})

    assert code_of(guard, text) == "token_malformed"
    assert code_of(guard, changed(text, bare, bare, bare)) == "passed"
    only = Guard(issuers=other, clock=balancer.clock)
    assert code_of(only, text) == "token_malformed"
    assert code_of(guard, balancer.token()) == "passed"
    now = int(balancer.clock.now())
    own = pair.sign({"iss": POOL, "aud": "app", "sub": "a", "exp": now + 60})
    assert code_of(guard, own) == "passed"
    assert code_of(guard, f"{own}==") == "token_malformed"


def test_one_that_a_rule_admits_is_refused(balancer: Balancer) -> None:
    """Each key id would be a fetch beside the limits of the rule. The others stay strict."""
    strict = Issuer("https://id.example", audience=None, keys=PAIR.jwk)
    admitted = {POOL: balancer.issuer(), "https://id.example": strict}
    guard = Guard(issuers=AdmittedIssuers(admitted.get), clock=balancer.clock)

    assert code_of(guard, balancer.token()) == "keys_unavailable"
    assert balancer.web.asked == []
    other = balancer.token(claims={"iss": "https://id.example"})
    assert code_of(guard, other) == "token_malformed"


def test_invented_key_ids_do_not_lock_users_out(balancer: Balancer) -> None:
    """A flood of tokens that say all that a good one says."""
    guard = balancer.guard()
    for number in range(100):
        kid = f"{KID[:-3]}{number:03}"
        assert code_of(guard, balancer.token({"kid": kid})) == "key_unknown"
    assert len(balancer.web.asked) == 8
    balancer.clock.tick(10)
    assert code_of(guard, balancer.token()) == "passed"


def test_headers_with_dates_do_not_displace_others(balancer: Balancer) -> None:
    """The cache of headers is for those that come again."""
    guard = balancer.guard()
    headers = guard._authenticator._headers
    assert code_of(guard, balancer.token()) == "passed"
    assert not headers


def test_operations(balancer: Balancer) -> None:
    """Start-up needs no key; a withdrawn one does not come back."""
    guard = balancer.guard()
    guard.warm(required=True)
    assert guard.health()[POOL].state == "empty"
    assert code_of(guard, balancer.token()) == "passed"
    assert guard.health()[POOL].keys == 1
    guard.distrust(POOL, kid=KID)
    assert code_of(guard, balancer.token()) == "key_unknown"


@pytest.mark.parametrize(
    "wrong",
    [
        {"signer": []},
        {"signer": "arn:aws:iam::123456789012:role/x"},
        {"signer": OURS.replace(":123456789012", ":*")},
        {"signer": [OURS, OURS.replace("eu-central-1", "eu-west-1")]},
        {"signer": OURS.replace("eu-central-1", "evil.example/")},
        {"signer": [OURS, 1]},
        {"client_id": []},
        {"required_header": {"signer": THEIRS}},
        {"issuer": ""},
    ],
)
def test_the_load_balancer_must_be_named(balancer: Balancer, wrong: dict[str, Any]) -> None:
    """Without it any of the region could sign."""
    given: dict[str, Any] = {"issuer": POOL, "signer": OURS, "client_id": "app", **wrong}
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        aws_alb(**given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_uri": "https://keys.example/"},
        {"key_uri": "https://keys.example/{kid}/x"},
        {"key_uri": "https://{kid}.example/{kid}"},
        {"key_uri": "https://keys.example/{kid}", "jwks_uri": "https://keys.example/"},
        {"key_uri": "https://keys.example/{kid}", "discovery": "https://keys.example/"},
        {"key_uri": "https://keys.example/{kid}", "keys": PAIR.jwk},
        {"key_uri": "https://keys.example/{kid}", "seed": {}},
    ],
)
def test_key_uri_stands_alone(wrong: dict[str, Any]) -> None:
    """It has the place of the key id at its end, and no other source of keys beside it."""
    with pytest.raises(ConfigurationError, match="key_uri"):
        Issuer("https://id.example", audience="a", **wrong)
