"""Rows about paths and methods: how they are read, and whose rule decides."""

from tests.faces.scenarios import REQUEST, Scenario, good

UNREADABLE = [
    "/public/../admin",
    "/docs/./../admin",
    "/docs/%2e%2e/admin",
    "/docs/%2E%2e/admin",
    "/docs/..%2fadmin",
    "/docs/..;x/admin",
    "/docs/.;x=1/a",
    "/docs\\..\\admin",
    "/docs/..\\admin",
    "/docs/%252e%252e/admin",
    "/docs/%5c..%5cadmin",
    "/docs/..",
    "/docs/.",
    "/..",
    "/health\n",
    "/health%0a",
    "/health\x00",
    "/health%00",
    "/health\x7f",
    "/health\x85",
    "/docs/\ufffd",
    "health",
    "docs/x",
    "\\health",
    "/%" + "25" * 40,
    "/docs/" + "%41" * 1_000,
]
NOT_METHODS = ["GE T", "GET\n", "G\u00cbT", "", "GET/", "G(T"]

# What is sent, and whose rule must decide: the same as the plain path beside it.
SAME_AS_ADMIN = [
    "/admin/",
    "//admin",
    "/admin//",
    "///admin///x",
    "/admin;x",
    "/admin;x=1/y",
    "/%61dmin",
    "/%2561dmin",
    "/admin%2fx",
    "/admin%5cx",
    "/;a/admin",
    "/admin\\x",
]
NOT_ADMIN = ["/Admin", "/admi", "/admins", "/xadmin", "/ADMIN"]

ROWS = [
    *(
        Scenario(f"the path {path[:24]!r}", 400, "path_invalid", path, challenge=REQUEST)
        for path in UNREADABLE
    ),
    *(
        Scenario(
            f"a path with rubbish is not saved by a good token: {path!r}",
            400,
            "path_invalid",
            path,
            token=good(roles=["admin"]),
        )
        for path in UNREADABLE[:4]
    ),
    *(
        Scenario(f"the method {method!r}", 400, "path_invalid", "/health", method)
        for method in NOT_METHODS
    ),
    *(
        Scenario(f"{path!r} is under /admin", 403, "requirement_not_met", path, token=good())
        for path in SAME_AS_ADMIN
    ),
    *(
        Scenario(
            f"an admin may see {path!r}",
            200,
            path=path,
            token=good(roles=["admin"]),
            subject="alice",
        )
        for path in SAME_AS_ADMIN
    ),
    *(
        Scenario(f"{path!r} is not under /admin", 200, path=path, token=good(), subject="alice")
        for path in NOT_ADMIN
    ),
    *(
        Scenario(
            f"{method} is no GET, and opens no socket",
            401,
            "token_missing",
            "/items/7",
            method,
        )
        for method in ("WEBSOCKET", "websocket", "WebSocket")
    ),
    Scenario("below a public path", 200, path="/docs/admin"),
    Scenario("the empty path is the root", 401, "token_missing", ""),
    Scenario("a star is a path of its own", 401, "token_missing", "*", "OPTIONS"),
    Scenario("a long path that is plain", 200, path="/docs/" + "a" * 60_000),
    Scenario("a space in a path", 200, path="/docs/a b"),
    Scenario("a percent sign in a path", 200, path="/docs/100%"),
    Scenario("dots in a name", 200, path="/docs/v1.2..3/a.tar.gz"),
    Scenario("a hidden name", 200, path="/docs/.well-known/x"),
    Scenario("a tilde, a colon, an at sign", 200, path="/docs/~a:b@c"),
    Scenario("an emoji", 200, path="/docs/\U0001f600"),
    Scenario(
        "a hole takes one segment", 200, path="/users/alice/posts/1", token=good(), subject="alice"
    ),
    Scenario(
        "a hole and another owner", 403, "requirement_not_met", "/users/bob/posts/1", token=good()
    ),
    # Falcon would serve it with nothing for the owner.
    Scenario(
        "a hole that is filled with nothing",
        403,
        "requirement_not_met",
        "/users//posts/1",
        token=good(),
    ),
    Scenario(
        "nothing at the end fills no hole",
        200,
        path="/users/bob/posts/",
        token=good(),
        subject="alice",
    ),
    Scenario(
        "a hole does not take two segments",
        200,
        path="/users/bob/x/posts/1",
        token=good(),
        subject="alice",
    ),
    Scenario(
        "a hole with an escape is read both ways",
        403,
        "requirement_not_met",
        "/users/%61lice/posts/1",
        token=good(),
    ),
]
