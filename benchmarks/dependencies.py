"""FastAPI operations: bare, behind the middleware, and with a dependency that gives the caller."""

from fastapi import Depends, FastAPI, Response
from fastapi.requests import HTTPConnection

from benchmarks.floor import call
from benchmarks.harness import measure, show
from benchmarks.requests import PAIR, requests_of, token
from jwt_middleware import Guard, Issuer, JWTMiddleware, has_scope
from jwt_middleware.integrations.fastapi import CurrentPrincipal, requires

EMPTY = Response()


async def nothing(connection: HTTPConnection) -> None:
    """What is left is what FastAPI takes to call any dependency."""


def operations() -> FastAPI:
    app = FastAPI()

    @app.get("/without")
    async def without() -> Response:
        return EMPTY

    @app.get("/nothing", dependencies=[Depends(nothing)])
    async def with_nothing() -> Response:
        return EMPTY

    @app.get("/caller")
    async def with_caller(_caller: CurrentPrincipal) -> Response:
        return EMPTY

    @app.get("/requires", dependencies=[requires(has_scope("orders:read"))])
    async def with_requirement() -> Response:
        return EMPTY

    return app


def fastapi_dependency() -> None:
    app = operations()
    issuer = Issuer("https://id.example/", audience="orders", keys=PAIR.jwk)
    guarded = JWTMiddleware(app, guard=Guard(issuers=issuer))
    text = token()
    work = {
        "bare": call(app, requests_of(text, "/without")),
        "behind the middleware": call(guarded, requests_of(text, "/without")),
        "and a dependency that does nothing": call(guarded, requests_of(text, "/nothing")),
        "and CurrentPrincipal": call(guarded, requests_of(text, "/caller")),
        "and requires(...)": call(guarded, requests_of(text, "/requires")),
    }
    show(
        "A FastAPI operation (promised: ours costs at most 3 µs more)",
        measure(work),
        "and a dependency that does nothing",
    )


ALL = (fastapi_dependency,)
