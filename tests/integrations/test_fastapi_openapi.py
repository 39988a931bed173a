"""What the document of a FastAPI application says of its guard."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyHeader
from fastapi.testclient import TestClient
from starlette.applications import Starlette

from jwt_middleware import (
    BearerHeader,
    ConfigurationError,
    CookieToken,
    Guard,
    HeaderToken,
    JWTMiddleware,
    Principal,
    QueryToken,
    SubprotocolToken,
    any_of,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.fastapi import (
    CurrentPrincipal,
    JWTBearer,
    OptionalPrincipal,
    authenticated_principal,
    requires,
    secure_openapi,
)

RULES = [
    public("/health", "/users/me", "/open/**"),
    optional("/feed", "/maybe"),
    optional("/forgiving", on_invalid="anonymous"),
    protect("/orders/**", requires=has_scope("orders:read"), methods=["GET"]),
    protect("/orders/**", requires=has_scope("orders:write") & has_role("clerk")),
    protect("/reports", requires=any_of(has_scope("reports"), has_role("boss"))),
    protect("/wide", requires=any_of(*(has_scope(f"s{n}") for n in range(20)))),
    protect("/pairs", requires=any_of(has_scope("a"), has_scope("b")) & has_scope("c")),
]
JWT: dict[str, list[str]] = {"JWT": []}


def guard(**options: Any) -> Guard:
    key = b"0123456789abcdefghijklmnopqrstuv"
    return Guard(key=key, algorithms=["HS256"], issuer="https://a/", rules=RULES, **options)


def document(**options: Any) -> dict[str, Any]:
    app = FastAPI()
    router = APIRouter(prefix="/orders")
    for path in (
        "/health",
        "/feed",
        "/maybe",
        "/reports",
        "/wide",
        "/pairs",
        "/other",
        "/users/{name}",
    ):
        app.get(path)(endpoint)
    router.get("/{number:int}")(endpoint)
    router.post("/{number:int}")(endpoint)
    app.include_router(router)
    secure_openapi(app, guard(**options))
    found: dict[str, Any] = app.openapi()
    return found


async def endpoint() -> None: ...


def security(found: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{method} {path}": operation.get("security")
        for path, item in found["paths"].items()
        for method, operation in item.items()
    }


def test_operations_are_locked_as_their_rules_say() -> None:
    """Public ones are not, optional ones may be; scopes are told where they are what is missing."""
    assert security(document()) == {
        "get /health": None,
        "get /feed": [{}, JWT],
        "get /maybe": [{}, JWT],
        "get /reports": [{"JWT": ["reports"]}, JWT],
        "get /wide": [JWT],
        "get /pairs": [{"JWT": ["a", "c"]}, {"JWT": ["b", "c"]}],
        "get /other": [JWT],
        # One user is public, and the others are not.
        "get /users/{name}": [{}, JWT],
        "get /orders/{number}": [{"JWT": ["orders:read"]}],
        "post /orders/{number}": [{"JWT": ["orders:write"]}],
    }


def responses(found: dict[str, Any], path: str, method: str = "get") -> set[str]:
    return set(found["paths"][path][method]["responses"]) & {"401", "403"}


def test_refusals_are_among_the_responses() -> None:
    """403 where more than a token is asked for; none where nobody is refused."""
    found = document()

    assert responses(found, "/health") == set()
    assert responses(found, "/feed") == responses(found, "/other") == {"401"}
    assert responses(found, "/reports") == responses(found, "/orders/{number}") == {"401", "403"}


@pytest.mark.parametrize("error_body", ["problem", "oauth"])
def test_the_schema_of_a_refusal_is_that_of_a_real_one(error_body: Any) -> None:
    """Every member that is required is there, and every one that is there is named."""
    found = document(error_body=error_body)
    answer = TestClient(JWTMiddleware(FastAPI(), guard=guard(error_body=error_body))).get("/orders")
    [(media_type, told)] = found["paths"]["/other"]["get"]["responses"]["401"]["content"].items()
    schema = found["components"]["schemas"][told["schema"]["$ref"].rpartition("/")[2]]

    assert media_type == answer.headers["content-type"]
    assert set(schema["required"]) <= answer.json().keys() <= schema["properties"].keys()


def test_a_body_of_the_applications_own_has_no_schema() -> None:
    """Nobody can tell what it is."""
    found = document(error_body=lambda problem: ("text/plain", b""))

    assert "content" not in found["paths"]["/other"]["get"]["responses"]["401"]


def test_every_source_of_a_plain_request_is_a_scheme() -> None:
    """Each an alternative; what only sockets can use is none."""
    sources = [
        BearerHeader(),
        HeaderToken("Authorization", scheme="Token"),
        HeaderToken("X-Access", scheme="JWT"),
        HeaderToken("X-Plain"),
        CookieToken("__Host-token"),
        QueryToken("access_token", http=True),
        QueryToken("ticket"),
        SubprotocolToken(),
    ]
    found = document(token_sources=sources)

    assert found["components"]["securitySchemes"] == {
        "JWT": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "JWT-Token": {"type": "http", "scheme": "token"},
        "JWT-header-X-Access": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Access",
            "description": "The token, after the word 'JWT' and a space.",
        },
        "JWT-header-X-Plain": {"type": "apiKey", "in": "header", "name": "X-Plain"},
        "JWT-cookie-__Host-token": {"type": "apiKey", "in": "cookie", "name": "__Host-token"},
        "JWT-query-access_token": {"type": "apiKey", "in": "query", "name": "access_token"},
    }
    schemes = list(found["components"]["securitySchemes"])
    assert security(found)["get /other"] == [{scheme: []} for scheme in schemes]
    assert security(found)["get /feed"] == [{}, *({scheme: []} for scheme in schemes)]
    # A cookie needs proof of origin where something could change.
    assert responses(found, "/other") == {"401"}


def test_a_cookie_may_be_refused_where_something_could_change() -> None:
    """For want of a proof of origin, though the rule asks for a token only."""
    app = FastAPI()
    app.post("/other")(endpoint)
    secure_openapi(app, guard(token_sources=[CookieToken()]))

    assert responses(app.openapi(), "/other", "post") == {"401", "403"}


def test_what_dependencies_ask_for_is_told_too() -> None:
    """Beside the rule; the anonymous have no way in where a dependency refuses them."""
    app = FastAPI()
    key = APIKeyHeader(name="X-Key")

    @app.get("/feed")
    async def feed(caller: CurrentPrincipal) -> None: ...

    @app.get("/maybe")
    async def maybe(caller: OptionalPrincipal) -> None: ...

    @app.get("/open/asked", dependencies=[requires(has_scope("x"))])
    async def asked() -> None: ...

    @app.get("/orders/{number}", dependencies=[JWTBearer(has_scope("x"), scheme_name="Own")])
    async def order(number: int) -> None: ...

    @app.get("/other")
    async def other(
        caller: Annotated[Principal, Security(authenticated_principal, scopes=["y"])],
        secret: Annotated[str, Security(key)],
    ) -> None: ...

    secure_openapi(app, guard())

    assert security(app.openapi()) == {
        "get /feed": [JWT],
        "get /maybe": [{}, JWT],
        "get /open/asked": [{"JWT": ["x"]}],
        "get /orders/{number}": [{"JWT": ["orders:read", "x"]}],
        "get /other": [{"JWT": ["y"], "APIKeyHeader": []}],
    }
    assert set(app.openapi()["components"]["securitySchemes"]) == {"JWT", "APIKeyHeader"}
    assert responses(app.openapi(), "/open/asked") == {"401", "403"}


def test_a_route_may_come_later() -> None:
    """The document is worked out when it is asked for, once for as long as the routes are these."""
    app = FastAPI()
    secure_openapi(app, guard())
    app.get("/other")(endpoint)
    first = app.openapi()
    again = app.openapi()
    app.get("/feed")(endpoint)
    app.openapi_schema = None

    assert again is first
    assert security(first) == {"get /other": [JWT]}
    assert security(app.openapi()) == {"get /other": [JWT], "get /feed": [{}, JWT]}


def test_a_mounted_application_says_where_it_is() -> None:
    """The rules see the whole path; the outer document has nothing of the inner one."""
    outer, inner = FastAPI(), FastAPI()
    inner.get("/{number}")(endpoint)
    outer.get("/{name}")(endpoint)
    outer.mount("/orders", inner)
    secure_openapi(inner, guard(), mounted_at="/orders")
    secure_openapi(outer, guard(), scheme_name="Token")

    assert security(inner.openapi()) == {"get /{number}": [{"JWT": ["orders:read"]}]}
    assert security(outer.openapi())["get /{name}"][0] == {}
    assert outer.openapi()["components"]["securitySchemes"].keys() == {"Token"}


def test_the_document_that_is_served_is_the_same() -> None:
    """At the address where FastAPI has it."""
    app = FastAPI(openapi_url="/open/api.json")
    app.get("/other")(endpoint)
    secure_openapi(app, guard())

    served = TestClient(JWTMiddleware(app, guard=guard())).get("/open/api.json").json()

    assert served == app.openapi()
    assert security(served) == {"get /other": [JWT]}


@pytest.mark.parametrize(
    ("app", "options", "sentence"),
    [
        (Starlette(), {}, "must be given a FastAPI application"),
        (FastAPI(), {"token_sources": [SubprotocolToken()]}, "cannot be described in OpenAPI"),
    ],
)
def test_a_mistake_is_a_sentence(app: Any, options: Any, sentence: str) -> None:
    """At once."""
    with pytest.raises(ConfigurationError, match=sentence):
        secure_openapi(app, guard(**options))
