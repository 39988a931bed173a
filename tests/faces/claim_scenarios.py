"""Rows about what a token says: requirements on claims, and two issuers side by side."""

from typing import Any

from tests.faces.scenarios import Scenario, TokenMaker, bad, good, signed_with

DEEP = "/claims/deep"
NAMESPACE = "https://ns.example/x"


def partner(name: str, status: int, code: str | None = None, **more: Any) -> Scenario:
    """Return a row of a token that the other issuer signed."""
    return Scenario(name, status, code, guard="two issuers", is_others=True, **more)


def own(name: str, status: int, code: str | None = None, **more: Any) -> Scenario:
    """Return a row of a token of the first of two issuers."""
    return Scenario(name, status, code, guard="two issuers", **more)


def denied(name: str, path: str, **claims: Any) -> Scenario:
    return Scenario(name, 403, "requirement_not_met", path, token=good(**claims))


def granted(name: str, path: str, **claims: Any) -> Scenario:
    return Scenario(name, 200, path=path, token=good(**claims), subject="alice")


def for_audience(audience: str) -> TokenMaker:
    """Make a token with the algorithm that both issuers may use."""
    return lambda issuer: issuer.token("ES256", aud=audience)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ROWS = [
    granted("a claim that is there", "/claims/present", plan="free"),
    granted("a claim that is there and false", "/claims/present", plan=False),
    denied("a claim that is not there", "/claims/present"),
    granted("a claim of a value", "/claims/pro", plan="pro"),
    granted("a claim that lists a value", "/claims/pro", plan=["free", "pro"]),
    denied("a claim of another value", "/claims/pro", plan="Pro"),
    denied("a claim that lists others", "/claims/pro", plan=["prof"]),
    denied("a claim that is an object", "/claims/pro", plan={"pro": True}),
    granted("a claim below a name with dots", DEEP, **{NAMESPACE: {"level": 3}}),
    granted("three is three point nought", DEEP, **{NAMESPACE: {"level": 3.0}}),
    denied("three is not text", DEEP, **{NAMESPACE: {"level": "3"}}),
    denied("a claim that is no object", DEEP, **{NAMESPACE: "level"}),
    denied("true is not one", DEEP, **{NAMESPACE: {"level": True}}),
    granted("not a guest", "/claims/not-guest", roles=["member"]),
    denied("a guest", "/claims/not-guest", roles=["guest"]),
    granted("both scopes", "/claims/both", scope="b a c"),
    Scenario(
        "one of two scopes names both",
        403,
        "requirement_not_met",
        "/claims/both",
        token=good(scope="a"),
        challenge='scope="a b"',
    ),
    denied("scopes are told apart by spaces alone", "/claims/both", scope="a,b"),
    denied("scopes know case", "/claims/both", scope="A B"),
    denied("a scope as an object grants nothing", "/claims/both", scope={"a": 1, "b": 2}),
    denied("a scope as a number grants nothing", "/claims/both", scope=7),
    denied("roles as an object grant nothing", "/admin", roles={"admin": True}),
    denied("roles that nest grant nothing", "/admin", roles=[["admin"]]),
    denied("a role in other letters", "/admin", roles=["Admin"]),
    denied("a role with a space", "/admin", roles=["admin "]),
    granted("unknown claims are no matter", "/x", nonce="n", acr="1", amr=["pwd"]),
    granted("claims may nest", "/x", tree=nested(20)),
    Scenario(
        "claims may not nest for ever", 401, "token_malformed", "/x", token=good(tree=nested(40))
    ),
    Scenario(
        "a token without a subject has an empty name",
        200,
        token=good(sub=None),
        sees={"authenticated": True, "identity": ""},
    ),
    own("the first of two issuers", 200, token=good(), subject="alice"),
    own(
        "an issuer named in the identity",
        200,
        path="/x",
        token=good(),
        subject="alice",
        sees={"scopes": ["orders:read"]},
    ),
    own(
        "the first issuer, for the other's audience",
        401,
        "audience_mismatch",
        token=good(aud="partner"),
    ),
    own("the first issuer may use RS256", 200, token=signed_with("RS256"), subject="alice"),
    own("a stranger beside two", 401, "issuer_untrusted", token=bad("of a stranger")),
    partner("the other issuer", 200, path="/x", token=for_audience("partner"), subject="alice"),
    partner(
        "the other issuer, for the first's audience",
        401,
        "audience_mismatch",
        token=for_audience("orders"),
    ),
    partner(
        "the other issuer with the first's algorithm",
        401,
        "algorithm_not_allowed",
        token=signed_with("EdDSA"),
    ),
    Scenario(
        "the other issuer, to a guard of one", 401, "issuer_untrusted", token=good(), is_others=True
    ),
]
