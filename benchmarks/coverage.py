"""Measures how long the coverage of a thousand routes takes."""

import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jwt_middleware import Guard, has_scope, protect, public
from jwt_middleware.integrations import coverage


async def endpoint(_: Request) -> Response:
    return Response()


def thousand_routes() -> None:
    routes = [Route(f"/area-{n % 20}/item-{n}/{{id}}", endpoint) for n in range(980)]
    routes += [Route(f"/{{area}}/item-{n}/{{rest:path}}", endpoint) for n in range(20)]
    print("\nCoverage of 1,000 routes (promised: under 2 s)")
    for count in (10, 1_000):
        rules = [protect(f"/area-{n % 20}/item-{n}/{{id}}") for n in range(count)]
        guard = Guard(
            key=b"0123456789abcdefghijklmnopqrstuv",
            algorithms=["HS256"],
            issuer="https://id.example/",
            rules=[*rules, public("/{area}/item-1/**"), protect("/**", requires=has_scope("a"))],
        )
        start = time.perf_counter()
        coverage(guard, Starlette(routes=routes))
        print(f"  {count + 2:>5} rules {time.perf_counter() - start:9.2f} s")


ALL = (thousand_routes,)
