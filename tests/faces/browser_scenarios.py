"""Rows about tokens that a browser carries: cookies, their proof of origin, queries, preflights."""

from typing import Any

from tests.faces.scenarios import INVALID, REQUEST, Scenario, TokenMaker, bad, good, raw

API = "api.example"
HOST = ("Host", API)
OWN = (HOST, ("Origin", f"https://{API}"))
SAME = (("Sec-Fetch-Site", "same-origin"),)
CROSS = (("Sec-Fetch-Site", "cross-site"),)
WRITER = good(scope="orders:write", csrf="s3cret")
EXPIRED_COOKIE = "session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
PRIVATE = {"cache-control": "private"}


def browser(name: str, status: int, code: str | None = None, **more: Any) -> Scenario:
    """Return a row about a cookie, unless it says otherwise."""
    return Scenario(name, status, code, **{"guard": "browser", "token_in": "session", **more})


def written(
    name: str, headers: tuple[tuple[str, str], ...], token: TokenMaker = WRITER, **more: Any
) -> Scenario:
    """Return a row of a POST that proves where it comes from."""
    return browser(name, 200, method="POST", headers=headers, token=token, subject="alice", **more)


def forged(
    name: str, headers: tuple[tuple[str, str], ...], token: TokenMaker = WRITER, **more: Any
) -> Scenario:
    """Return a row of a POST that does not."""
    return browser(
        name,
        403,
        "csrf_refused",
        method="POST",
        headers=headers,
        token=token,
        challenge="",
        answers={"set-cookie": None},
        **more,
    )


PREFLIGHT = (("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST"))
ALLOWED: dict[str, str | None] = {
    "access-control-allow-origin": "https://app.example",
    "access-control-allow-credentials": "true",
    "access-control-allow-methods": "POST",
}


def preflight(name: str, status: int, code: str | None = None, **more: Any) -> Scenario:
    """Return a row of what a browser asks before it sends."""
    return Scenario(
        name, status, code, method="OPTIONS", **{"guard": "browser", "headers": PREFLIGHT, **more}
    )


ROWS = [
    browser("a cookie", 200, token=good(), subject="alice", answers={"vary": "Cookie", **PRIVATE}),
    browser("a cookie on HEAD", 200, method="HEAD", token=good(), headers=CROSS),
    browser("a cookie on GET across sites", 200, token=good(), headers=CROSS, subject="alice"),
    browser("no cookie", 401, "token_missing", answers={"set-cookie": None}),
    browser("an empty cookie", 401, "token_missing", headers=(("Cookie", "session="),)),
    browser("a cookie of another name", 401, "token_missing", headers=(("Cookie", "a=b"),)),
    browser("a nameless cookie", 401, "token_missing", headers=(("Cookie", "session"),)),
    browser(
        "a cookie in quotes",
        400,
        "header_malformed",
        token=raw('"a.b.c"'),
        challenge=REQUEST,
        answers={"set-cookie": EXPIRED_COOKIE},
    ),
    browser(
        "an expired token in a cookie",
        401,
        "token_expired",
        token=bad("expired"),
        challenge=INVALID,
        answers={"set-cookie": EXPIRED_COOKIE},
    ),
    browser(
        "a forged token in a cookie",
        401,
        "signature_invalid",
        token=bad("forged"),
        answers={"set-cookie": EXPIRED_COOKIE},
    ),
    browser(
        "rubbish in a cookie",
        401,
        "token_malformed",
        token=raw("rubbish"),
        answers={"set-cookie": EXPIRED_COOKIE},
    ),
    browser(
        "a good cookie without the scope stays",
        403,
        "requirement_not_met",
        token=good(scope="x"),
        answers={"set-cookie": None},
    ),
    browser(
        "two cookies that differ",
        400,
        "token_repeated",
        headers=(("Cookie", "session=a; session=b"),),
    ),
    browser(
        "two cookies that agree",
        401,
        "token_malformed",
        headers=(("Cookie", "session=a; session=a"),),
    ),
    browser(
        "a header before a cookie",
        200,
        token=good(),
        token_in="header",
        headers=(("Cookie", "session=rubbish"),),
        subject="alice",
        answers={"vary": None},
    ),
    browser(
        "a bad header before a cookie",
        401,
        "token_malformed",
        token=good(),
        headers=(("Authorization", "Bearer rubbish"),),
        answers={"set-cookie": None},
    ),
    browser(
        "another scheme, then a cookie",
        200,
        token=good(),
        subject="alice",
        headers=(("Authorization", "Basic YTpi"),),
    ),
    browser("a public path with a bad cookie", 200, path="/health", token=raw("rubbish")),
    forged("a POST that proves nothing", ()),
    forged("a POST across sites", CROSS),
    forged("a POST across sites of one domain", (("Sec-Fetch-Site", "same-site"),)),
    forged("a POST with an empty site", (("Sec-Fetch-Site", ""),)),
    forged("a POST from a foreign origin", (HOST, ("Origin", "https://evil.example"))),
    forged(
        "a POST from an origin that begins like ours",
        (HOST, ("Origin", f"https://{API}.evil.example")),
    ),
    forged("a POST from no origin", (HOST, ("Origin", "null"))),
    forged("a POST without TLS", (HOST, ("Origin", f"http://{API}"))),
    forged("a POST to another port", (HOST, ("Origin", f"https://{API}:8443"))),
    forged("a POST whose site contradicts its origin", (*OWN, *CROSS)),
    forged("a POST from an origin that is nearly trusted", (("Origin", "https://app.example/"),)),
    forged("a POST with a wrong proof", (("X-CSRF-Token", "guess"),)),
    forged(
        "a POST with a proof and no claim",
        (("X-CSRF-Token", "s3cret"),),
        good(scope="orders:write"),
    ),
    forged(
        "a POST with an empty proof", (("X-CSRF-Token", ""),), good(scope="orders:write", csrf="")
    ),
    forged(
        "a cookie that repeats the header proves nothing",
        (("X-CSRF-Token", "x"), ("Cookie", "csrf=x")),
    ),
    forged("proof comes before the requirement", (), good(scope="x")),
    written("a POST of our own page", SAME),
    written("a POST that the user began", (("Sec-Fetch-Site", "none"),)),
    written("a POST of our own origin", OWN),
    written(
        "a POST of our own origin and port",
        (("Host", "api.example:8443"), ("Origin", "https://api.example:8443")),
    ),
    written(
        "a POST on this machine", (("Host", "localhost:8000"), ("Origin", "http://localhost:8000"))
    ),
    written("a POST from a trusted origin", (("Origin", "https://app.example"), *CROSS)),
    written("a POST that repeats the claim", (("X-CSRF-Token", "s3cret"), *CROSS)),
    written("a cookie that is exempt", CROSS, token_in="legacy"),
    written("a header needs no proof", CROSS, token_in="header"),
    browser(
        "a POST that is proven and may not",
        403,
        "requirement_not_met",
        method="POST",
        headers=SAME,
        token=good(),
        challenge='scope="orders:write"',
    ),
    browser(
        "a POST with a bad token is a 401 first",
        401,
        "token_expired",
        method="POST",
        token=bad("expired"),
    ),
    browser(
        "optional and forged",
        403,
        "csrf_refused",
        challenge="",
        path="/feed",
        method="POST",
        token=good(),
    ),
    browser(
        "lenient and forged",
        200,
        path="/lenient",
        method="POST",
        token=good(),
        sees={"refusal": "csrf_refused"},
    ),
    browser(
        "lenient and a bad cookie",
        200,
        path="/lenient",
        token=bad("expired"),
        sees={"refusal": "token_expired"},
    ),
    browser(
        "optional, nobody, varies with every source",
        200,
        path="/feed",
        answers={"vary": "Authorization, X-Token, Cookie", **PRIVATE},
    ),
    browser(
        "optional, alice, varies with every source",
        200,
        path="/feed",
        token=good(),
        subject="alice",
        answers={"vary": "Authorization, X-Token, Cookie", **PRIVATE},
    ),
    browser(
        "a token in a header of its own",
        200,
        token=good(),
        token_in="X-Token",
        subject="alice",
        answers={"vary": "X-Token", **PRIVATE},
    ),
    browser(
        "two words in a header of its own",
        400,
        "header_malformed",
        headers=(("X-Token", "Bearer a"),),
    ),
    browser(
        "Authorization before a header of its own",
        401,
        "token_malformed",
        token=good(),
        token_in="X-Token",
        headers=(("Authorization", "Bearer x"),),
    ),
    browser(
        "a token in the query",
        200,
        token=good(),
        token_in="query",
        subject="alice",
        answers={"vary": None, **PRIVATE},
    ),
    browser(
        "an expired token in the query",
        401,
        "token_expired",
        token=bad("expired"),
        token_in="query",
    ),
    browser("an empty token in the query", 400, "header_malformed", query="token="),
    browser("two tokens in the query", 400, "token_repeated", query="token=a&token=b"),
    browser("one token twice in the query", 400, "token_repeated", query="token=a&token=a"),
    browser("one token twice, once escaped", 400, "token_repeated", query="token=a&%74oken=a"),
    browser("a token and an empty one", 400, "token_repeated", query="token=a&token="),
    browser(
        "a token in query and header",
        400,
        "token_repeated",
        token=good(),
        token_in="header",
        query="token=a",
    ),
    browser("a cookie before the query", 200, token=good(), query="token=rubbish", subject="alice"),
    browser("a query that is no query", 401, "token_missing", query="%%%&&=&"),
    browser(
        "a query needs no proof of origin",
        200,
        method="POST",
        token=WRITER,
        token_in="query",
        subject="alice",
        headers=CROSS,
    ),
    Scenario("the query is no source by default", 401, "token_missing", query="token=a.b.c"),
    Scenario(
        "a cookie is no source by default",
        401,
        "token_missing",
        headers=(("Cookie", "__Host-token=a.b.c"),),
    ),
    preflight("a preflight of a trusted origin", 204, answers=ALLOWED),
    preflight("a preflight to where nobody may", 204, path="/admin", answers=ALLOWED),
    preflight(
        "a preflight that names headers",
        204,
        headers=(*PREFLIGHT, ("Access-Control-Request-Headers", "x-a, authorization")),
        answers={**ALLOWED, "access-control-allow-headers": "x-a, authorization"},
    ),
    preflight(
        "a preflight that names what is no header",
        204,
        headers=(*PREFLIGHT, ("Access-Control-Request-Headers", "x-a; b")),
        answers={**ALLOWED, "access-control-allow-headers": None},
    ),
    preflight(
        "a preflight of another origin",
        401,
        "token_missing",
        headers=(("Origin", "https://evil.example"), PREFLIGHT[1]),
        answers={"access-control-allow-origin": None},
    ),
    preflight(
        "a preflight for what is no method",
        401,
        "token_missing",
        headers=(PREFLIGHT[0], ("Access-Control-Request-Method", "PO ST")),
    ),
    preflight("a preflight where everything is open", 200, path="/health"),
    preflight("a preflight where a rule names OPTIONS", 401, "token_missing", path="/explicit"),
    preflight(
        "OPTIONS without an origin",
        401,
        "token_missing",
        headers=(("Access-Control-Request-Method", "POST"),),
    ),
    preflight(
        "OPTIONS without a method asked for",
        401,
        "token_missing",
        headers=(("Origin", "https://app.example"),),
    ),
    preflight("a preflight where they are not opted into", 401, "token_missing", guard="plain"),
    preflight("a preflight along a bad path", 400, "path_invalid", path="/a/../b"),
]
