"""The scenario table's words, its guards, and the rows of a plain API.

``table.py`` puts the rows of all modules together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    HeaderToken,
    Issuer,
    QueryToken,
    any_of,
    capture,
    has_claim,
    has_permission,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.testing import BAD_TOKENS, FakeIssuer, bad_token

AUDIENCE = "orders"
TokenMaker = Callable[[FakeIssuer], str]

RULES = (
    public("/health", "/docs/**"),
    public("/items/**", methods=["GET"]),
    optional("/feed"),
    optional("/lenient", on_invalid="anonymous"),
    protect("/admin/**", requires=has_role("admin")),
    protect("/orders/**", requires=has_scope("orders:read"), methods=["GET"]),
    protect("/orders/**", requires=has_scope("orders:write") & ~has_claim("suspended", value=True)),
    protect("/tenants/{tenant}/**", requires=has_claim("tenant", capture("tenant"))),
    protect("/reports", requires=any_of(has_scope("reports"), has_role("auditor"))),
    protect("/billing", requires=has_permission("billing:pay") & has_scope("billing")),
    protect("/caf\u00e9", requires=has_role("barista")),
    protect("/explicit", requires=has_scope("orders:read"), methods=["GET", "OPTIONS"]),
    protect("/claims/present", requires=has_claim("plan")),
    protect("/claims/pro", requires=has_claim("plan", "pro")),
    protect("/claims/deep", requires=has_claim(("https://ns.example/x", "level"), 3)),
    protect("/claims/not-guest", requires=~has_role("guest")),
    protect("/claims/both", requires=has_scope("a", "b")),
    protect("/users/{id}/posts/{post}", requires=has_claim("sub", capture("id"))),
)

SOURCES = (
    BearerHeader(),
    HeaderToken("X-Token"),
    CookieToken("session", clear_on_invalid=True),
    CookieToken("legacy", csrf=False),
    QueryToken("token", http=True),
)
BROWSER: Mapping[str, Any] = {
    "token_sources": SOURCES,
    "trusted_origins": ["https://app.example"],
    "cors_preflight": True,
}
GUARDS: Mapping[str, Mapping[str, Any]] = {"plain": {}, "browser": BROWSER, "two issuers": {}}
VARY = {
    "plain": "Authorization",
    "browser": "Authorization, X-Token, Cookie",
    "two issuers": "Authorization",
}
"""What every refusal of a guard depends on."""


def build_guard(name: str, issuer_url: str, other_url: str) -> Guard:
    """Return one of the guards that rows are asked of."""
    settings = {"audience": AUDIENCE, "permissions_claim": "can.do"}
    issuers = [Issuer(issuer_url, **settings)]  # type: ignore[arg-type]
    if name == "two issuers":
        issuers.append(Issuer(other_url, audience="partner", algorithms=["ES256"]))
    return Guard(
        issuers=issuers,
        rules=RULES,
        role_hierarchy={"owner": ["admin", "owner"], "admin": ["auditor"]},
        **GUARDS[name],
    )


@dataclass(frozen=True)
class Scenario:
    """One row: a request, and the answer."""

    name: str
    status: int
    code: str | None = None
    path: str = "/orders/1"
    method: str = "GET"
    token: TokenMaker | None = None
    headers: tuple[tuple[str, str], ...] = ()
    challenge: str | None = None
    """A part of ``WWW-Authenticate``; ``""`` for none at all."""
    subject: str | None = None
    """Whom the application sees, where the request passes; ``None`` for the anonymous."""
    sees: dict[str, Any] = field(default_factory=dict)
    """More of what the application sees."""
    guard: str = "plain"
    query: str = ""
    token_in: str = "header"
    """Where the token goes: ``header``, ``query``, or the name of a cookie."""
    is_others: bool = False
    """Whether the other issuer makes the token."""
    answers: dict[str, str | None] = field(default_factory=dict)
    """Headers of the answer, by name in lower case; ``None`` for none of that name."""


def good(**claims: Any) -> TokenMaker:
    """Make a token for alice who may read orders."""
    given = {"aud": AUDIENCE, "scope": "orders:read", **claims}
    return lambda issuer: issuer.token(**given)


def signed_with(alg: str) -> TokenMaker:
    return lambda issuer: issuer.token(alg, aud=AUDIENCE, scope="orders:read")


def bad(kind: str) -> TokenMaker:
    return lambda issuer: bad_token(kind, issuer, aud=AUDIENCE, scope="orders:read")


def raw(text: str) -> TokenMaker:
    return lambda _: text


def header(value: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", value),)


BARE = 'Bearer realm="api"'
INVALID = 'error="invalid_token"'
REQUEST = 'error="invalid_request"'
SCOPE = 'error="insufficient_scope"'

BAD_TOKEN_ROWS = [
    Scenario(f"a token {kind}", 401, code, token=bad(kind), challenge=INVALID)
    for kind, (code, _) in BAD_TOKENS.items()
]

ROWS = [
    Scenario(f"a token {kind}", 401, code, token=bad(kind), challenge=INVALID)
    for kind, (code, _) in BAD_TOKENS.items()
]

UNREADABLE_PATHS = [
    "/public/../admin",
    "/docs/./../admin",
    "/docs/%2e%2e/admin",
    "/docs/..;x/admin",
    "/docs\\..\\admin",
    "/docs/%252e%252e/admin",
    "/health\n",
    "/health\x00",
    "/health\x85",
    "/%" + "25" * 40,
]
PATH_ROWS = [
    Scenario(f"the path {path[:24]!r}", 400, "path_invalid", path, challenge=REQUEST)
    for path in UNREADABLE_PATHS
]

ROWS = [
    Scenario("public needs nothing", 200, path="/health"),
    Scenario("public does not look at a token", 200, path="/health", token=raw("rubbish")),
    Scenario("public below", 200, path="/docs/a/b"),
    Scenario("a public prefix ends at its segment", 401, "token_missing", "/docsx", challenge=BARE),
    Scenario("a trailing slash changes nothing", 200, path="/health/"),
    Scenario("double slashes change nothing", 200, path="//health"),
    Scenario("case matters in paths", 401, "token_missing", "/HEALTH"),
    Scenario("HEAD counts as GET", 200, path="/items/1", method="HEAD"),
    Scenario("POST is not GET", 401, "token_missing", "/items/1", method="POST"),
    Scenario("a method in lower case is the method", 401, "token_missing", "/items/1", "post"),
    Scenario("OPTIONS is judged like any method", 401, "token_missing", "/items/1", "OPTIONS"),
    Scenario("an unknown method falls to the default", 401, "token_missing", "/items/1", "BREW"),
    Scenario("no rule: a token is needed", 401, "token_missing", "/elsewhere", challenge=BARE),
    Scenario("no rule: any valid token passes", 200, path="/x", token=good(), subject="alice"),
    Scenario("no token", 401, "token_missing", challenge=BARE),
    Scenario("a good token", 200, token=good(), subject="alice"),
    Scenario("an ES256 token", 200, token=signed_with("ES256"), subject="alice"),
    Scenario("an EdDSA token", 200, token=signed_with("EdDSA"), subject="alice"),
    Scenario("one of several audiences", 200, token=good(aud=["x", AUDIENCE]), subject="alice"),
    Scenario(
        "scopes reach the application",
        200,
        token=good(scope="orders:read  b"),
        subject="alice",
        sees={"scopes": ["b", "orders:read"]},
    ),
    Scenario("scopes as an array", 200, token=good(scope=["orders:read"]), subject="alice"),
    Scenario("a token without sub", 200, token=good(sub=None), sees={"authenticated": True}),
    Scenario("another scheme is no token", 401, "token_missing", headers=header("Basic YTpi")),
    Scenario("Digest is no token", 401, "token_missing", headers=header('Digest a="b", c="d"')),
    Scenario("an empty header is no token", 401, "token_missing", headers=header("")),
    Scenario("Bearer alone", 400, "header_malformed", headers=header("Bearer"), challenge=REQUEST),
    Scenario("Bearer and two words", 400, "header_malformed", headers=header("Bearer a b")),
    Scenario("Bearer and a strange byte", 400, "header_malformed", headers=header("Bearer \xe9")),
    Scenario(
        "two tokens in one header", 400, "token_repeated", headers=header("Bearer a, Bearer b")
    ),
    Scenario("Basic, then Bearer", 400, "token_repeated", headers=header("Basic YTpi,Bearer a")),
    Scenario("rubbish for a token", 401, "token_malformed", token=raw("rubbish")),
    Scenario("a token too large", 401, "token_too_large", token=raw("a" * 16_385)),
    Scenario("five segments", 401, "token_malformed", token=raw("a.b.c.d.e")),
    Scenario("three empty segments", 400, "header_malformed", headers=header("Bearer ")),
    Scenario("dots alone", 401, "token_malformed", token=raw("..")),
    Scenario(
        "a scope is missing",
        403,
        "requirement_not_met",
        token=good(scope="x"),
        challenge=f'{BARE}, {SCOPE}, error_description="The access token does not grant what this '
        'request needs", scope="orders:read"',
    ),
    Scenario(
        "writing asks for another scope",
        403,
        "requirement_not_met",
        method="POST",
        token=good(),
        challenge='scope="orders:write"',
    ),
    Scenario("writing", 200, method="POST", token=good(scope="orders:write"), subject="alice"),
    Scenario(
        "a claim forbids writing, and no scope would help",
        403,
        "requirement_not_met",
        method="POST",
        token=good(suspended=True),
        challenge=SCOPE,
    ),
    Scenario(
        "1 is not true",
        200,
        method="PUT",
        token=good(scope="orders:write", suspended=1),
        subject="alice",
    ),
    Scenario(
        "a role is missing", 403, "requirement_not_met", "/admin", token=good(), challenge=SCOPE
    ),
    Scenario("a role", 200, path="/admin/x", token=good(roles=["admin"]), subject="alice"),
    Scenario("a role as text", 200, path="/admin", token=good(roles="admin"), subject="alice"),
    Scenario("a role implied", 200, path="/admin", token=good(roles=["owner"]), subject="alice"),
    Scenario(
        "a role implied twice", 200, path="/reports", token=good(roles=["owner"]), subject="alice"
    ),
    Scenario(
        "the lowest role opens no door",
        403,
        "requirement_not_met",
        "/admin",
        token=good(roles=["auditor"]),
    ),
    Scenario("either of two", 200, path="/reports", token=good(scope="reports"), subject="alice"),
    Scenario(
        "neither of two",
        403,
        "requirement_not_met",
        "/reports",
        token=good(),
        challenge='scope="reports"',
    ),
    Scenario(
        "a hole and a claim", 200, path="/tenants/a/x", token=good(tenant="a"), subject="alice"
    ),
    Scenario(
        "a hole and a number", 200, path="/tenants/7/x", token=good(tenant=7), subject="alice"
    ),
    Scenario("another tenant", 403, "requirement_not_met", "/tenants/b/x", token=good(tenant="a")),
    Scenario(
        "a tenant in disguise",
        403,
        "requirement_not_met",
        "/tenants/%61;b/x",
        token=good(tenant="a"),
    ),
    Scenario(
        "a permission, nested",
        200,
        path="/billing",
        token=good(scope="billing", can={"do": ["billing:pay"]}),
        subject="alice",
    ),
    Scenario(
        "a scope without the permission",
        403,
        "requirement_not_met",
        "/billing",
        token=good(scope="billing"),
    ),
    Scenario("a path that is no ASCII", 403, "requirement_not_met", "/caf\u00e9", token=good()),
    Scenario("a parameter on a public path", 401, "token_missing", "/health;x/y"),
    Scenario("escaped once more", 403, "requirement_not_met", "/%61dmin", token=good()),
    Scenario("a backslash for a slash", 403, "requirement_not_met", "/admin\\x", token=good()),
    Scenario("optional, nobody", 200, path="/feed", sees={"authenticated": False}),
    Scenario("optional, alice", 200, path="/feed", token=good(), subject="alice"),
    Scenario("optional, bad token", 401, "token_expired", "/feed", token=bad("expired")),
    Scenario(
        "lenient, bad token",
        200,
        path="/lenient",
        token=bad("expired"),
        sees={"refusal": "token_expired"},
    ),
    Scenario(
        "lenient, rubbish",
        200,
        path="/lenient",
        headers=header("Bearer"),
        sees={"refusal": "header_malformed"},
    ),
    *BAD_TOKEN_ROWS,
]
