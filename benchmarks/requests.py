"""Measures requests with a known, a new and a refused token, beside the floor and PyJWT."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import jwt
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

from benchmarks.floor import (
    bare,
    call,
    environ_of,
    floor,
    new_floor,
    refusing_floor,
    scope_of,
    wsgi_bare,
    wsgi_floor,
)
from benchmarks.harness import measure, show
from jwt_middleware import Guard, Issuer, JWTMiddleware, JWTWSGIMiddleware, has_scope, protect
from jwt_middleware.asgi.types import ASGIApp, Scope
from jwt_middleware.crypto.algorithms import ALGORITHMS
from jwt_middleware.formats import base64url
from jwt_middleware.testing import KeyPair
from jwt_middleware.wsgi import Environ, StartResponse, WSGIApp

PAIR = KeyPair.generate("RS256", kid="a")
UNTIL = int(time.time()) + 86_400


def token(number: int = 0) -> str:
    return PAIR.sign(
        {
            "iss": "https://id.example/",
            "aud": "orders",
            "sub": f"user-{number}",
            "exp": UNTIL,
            "scope": "orders:read profile",
        }
    )


def guard_of(rules: int = 1, cached: int = 10_000) -> Guard:
    more = [protect(f"/path-{number}/{{id}}") for number in range(rules - 1)]
    return Guard(
        issuers=Issuer("https://id.example/", audience="orders", keys=PAIR.jwk),
        rules=[*more, protect("/orders/**", requires=has_scope("orders:read"))],
        token_cache_size=cached,
    )


def ours(rules: int = 1, cached: int = 10_000) -> ASGIApp:
    return JWTMiddleware(bare, guard=guard_of(rules, cached))


class PyJWTBackend(AuthenticationBackend):
    """The backend that the documentation of two libraries recommends."""

    async def authenticate(self, conn: HTTPConnection) -> Any:
        text = conn.headers["Authorization"].removeprefix("Bearer ")
        try:
            claims = jwt.decode(text, PUBLIC, ["RS256"], audience="orders")
        except jwt.PyJWTError as problem:
            raise AuthenticationError(str(problem)) from None
        return AuthCredentials(claims["scope"].split()), SimpleUser(claims["sub"])


PUBLIC = PAIR.private.public_key()


def theirs() -> ASGIApp:
    return AuthenticationMiddleware(bare, backend=PyJWTBackend())


def verifies(signed: bytes, signature: bytes) -> bool:
    return ALGORITHMS["RS256"].verifies(PUBLIC, signed, signature)


def verification(tokens: Iterator[str]) -> Callable[[], object]:
    """Return what no Python code can shorten: the signature, in a loop that does nothing else."""

    def work() -> None:
        signed, _, signature = next(tokens).encode().rpartition(b".")
        verifies(signed, base64url.decode(signature))

    return work


def requests_of(text: str, path: str = "/orders/1") -> Callable[[], Scope]:
    scope = scope_of(text, path)
    return lambda: {**scope, "state": {}}


def in_turn(makers: list[Callable[[], Scope]]) -> Callable[[], Scope]:
    turn = cycle(makers)

    def make() -> Scope:
        return next(turn)()

    return make


def known_token() -> None:
    text = token()
    least = floor({text.encode(): (object(), UNTIL)})
    apps = {"bare app": bare, "floor": least, "ours": ours(), "PyJWT in Starlette": theirs()}
    times = measure({name: call(app, requests_of(text)) for name, app in apps.items()})
    show("A known token (promised: ours adds at most 4 floors)", times, "floor")


def pyjwt_in_wsgi(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    text = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    environ["claims"] = jwt.decode(text, PUBLIC, ["RS256"], audience="orders")
    return wsgi_bare(environ, start_response)


def known_token_wsgi() -> None:
    text = token()
    apps: dict[str, WSGIApp] = {
        "bare app": wsgi_bare,
        "floor": wsgi_floor({text: (object(), UNTIL)}),
        "ours": JWTWSGIMiddleware(wsgi_bare, guard=guard_of()),
        "PyJWT in WSGI": pyjwt_in_wsgi,
    }
    environ = environ_of(text)
    times = measure({name: partial(_serve, app, environ) for name, app in apps.items()})
    show("A known token under WSGI (promised: ours adds at most 4 floors)", times, "floor")


def _serve(app: WSGIApp, environ: Environ) -> object:
    return app({**environ}, lambda *_: lambda _: None)


def new_token() -> None:
    tokens = [token(number) for number in range(3_000)]
    scopes = [scope_of(text) for text in tokens]

    def each() -> Callable[[], Scope]:
        turn = cycle(scopes)
        return lambda: {**next(turn), "state": {}}

    least = new_floor(verifies, {"iss": "https://id.example/", "aud": "orders"})
    apps = {"bare app": bare, "floor": least}
    apps |= {"ours": ours(cached=0), "PyJWT in Starlette": theirs()}
    work: dict[str, Callable[[], object]] = {"signature alone": verification(cycle(tokens))}
    work |= {name: call(app, each()) for name, app in apps.items()}
    show("A new RS256 token (promised: ours costs at most 1.6 floors)", measure(work), "floor")


def refusal() -> None:
    expired = PAIR.sign({"iss": "https://id.example/", "aud": "orders", "exp": 1})
    apps = {"bare app": bare, "floor": refusing_floor(), "ours": ours()}
    apps["PyJWT in Starlette"] = theirs()
    work = {name: call(app, requests_of(expired)) for name, app in apps.items()}
    show("An expired token", measure(work), "floor")


def rules() -> None:
    text = token()
    work = {}
    for count in (10, 1_000):
        app = ours(rules=count)
        paths = [requests_of(text, f"/orders/{number}") for number in range(5_000)]
        work[f"{count} rules"] = call(app, in_turn(paths))
    show(
        "Paths never seen before (promised: 1,000 rules cost 1.5 times 10)",
        measure(work),
        "10 rules",
    )


ALL = (known_token, known_token_wsgi, new_token, refusal, rules)
