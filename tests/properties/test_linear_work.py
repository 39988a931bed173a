"""A request that is twice as large costs at most twice as much, in steps and in memory.

Steps are counted, not timed: instructions of the interpreter, which leaves out what one built-in
does; memory counts that, as nothing is worked on twice without being copied.
"""

import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from jwt_middleware import JWTMiddleware, JWTWSGIMiddleware
from jwt_middleware.testing import Clock
from tests.properties.test_any_request import asgi_app, build_guard, wsgi_app

SIZE = 32 * 1024
Request = tuple[str, dict[str, str], str]
"""Path, headers, query."""


def cookies(size: int) -> Request:
    return (
        "/a",
        {
            "cookie": "; ".join(
                f"c{number}={number}" for number in range(size * 10_000 // (2 * SIZE))
            )
        },
        "",
    )


# By name: the request of a size, and how it ends. The larger size is 64 KiB, or 10,000 cookies.
REQUESTS: dict[str, tuple[Callable[[int], Request], int]] = {
    "one cookie": (lambda n: ("/a", {"cookie": "__Host-t=" + "a" * n}, ""), 401),
    "one cookie that is no token": (
        lambda n: ("/a", {"cookie": "__Host-t=" + " \xff" * (n // 2)}, ""),
        400,
    ),
    "ten thousand cookies": (cookies, 401),
    "ten thousand cookies of one name": (
        lambda n: ("/a", {"cookie": "__Host-t=a;" * (n * 10_000 // (2 * SIZE))}, ""),
        401,
    ),
    "semicolons": (lambda n: ("/a", {"cookie": ";" * n}, ""), 401),
    "equals signs": (lambda n: ("/a", {"cookie": "=" * n}, ""), 401),
    "a path": (lambda n: ("/" + "a" * n, {}, ""), 401),
    "a path of segments": (lambda n: ("/a" * (n // 2), {}, ""), 401),
    "a path of slashes": (lambda n: ("/" * n, {}, ""), 401),
    "a path of holes": (lambda n: ("/orgs" + "//" * (n // 2), {}, ""), 401),
    "a path of escapes": (lambda n: ("/" + "%25" * (n // 3), {}, ""), 400),
    "a path of parameters": (lambda n: ("/" + ";" * n, {}, ""), 400),
    "a path of dots": (lambda n: ("/." * (n // 2), {}, ""), 400),
    "a path of backslashes": (lambda n: ("/" + "\\" * n, {}, ""), 400),
    "a bearer token": (lambda n: ("/a", {"authorization": "Bearer " + "a" * n}, ""), 401),
    "spaces before a token": (lambda n: ("/a", {"authorization": "Bearer" + " " * n}, ""), 400),
    "commas": (lambda n: ("/a", {"authorization": "Bearer a" + ",a" * (n // 2)}, ""), 400),
    "another scheme": (lambda n: ("/a", {"authorization": "x" * n}, ""), 401),
    "a query": (lambda n: ("/a", {}, "t=" + "a" * n), 401),
    "parameters": (lambda n: ("/a", {}, "&t=" * (n // 3)), 400),
}


def through(face: str, middleware: Any, request: Request) -> int:
    path, headers, query = request
    statuses: list[int] = []
    if face == "wsgi":
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query}
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        middleware(environ, lambda status, _: statuses.append(int(status[:3])))
        return statuses[0]

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode("latin-1")}
    scope["headers"] = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    running = middleware(scope, None, send)
    with pytest.raises(StopIteration):
        running.send(None)
    return statuses[0]


def build(face: str) -> Any:
    guard = build_guard(Clock())
    if face == "asgi":
        return JWTMiddleware(asgi_app, guard=guard)
    return JWTWSGIMiddleware(wsgi_app, guard=guard)


def steps(work: Callable[[], object]) -> int:
    """Return how many instructions the interpreter takes for some work."""
    count = 0

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    try:
        # CPython 3.12 starts to tell of instructions only after somebody has asked for them once.
        sys.settrace(trace)
        build("wsgi")
        sys.settrace(trace)
        count = 0
        work()
    finally:
        sys.settrace(before)
    return count


def memory(face: str, request: Request) -> int:
    """Return the most bytes that were held at once."""
    middleware = build(face)
    tracemalloc.start()
    try:
        through(face, middleware, request)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("face", ["asgi", "wsgi"])
@pytest.mark.parametrize("name", REQUESTS)
def test_twice_the_size_is_at_most_twice_the_work(name: str, face: str) -> None:
    """Steps and memory; and a large request is answered like a small one."""
    build_request, expected = REQUESTS[name]

    statuses: list[int] = []
    counts: list[int] = []
    for size in (SIZE, 2 * SIZE):
        ask = partial(through, face, build(face), build_request(size))
        counts.append(steps(lambda ask=ask: statuses.append(ask())))  # type: ignore[misc]
    held = [memory(face, build_request(size)) for size in (SIZE, 2 * SIZE)]

    assert statuses == [expected, expected]
    # What does not grow with the size, and then some.
    assert 0 < counts[1] <= 2 * counts[0] + 2_000
    assert held[1] <= 2 * held[0] + 100_000
    # Less than a hundred times the request itself: a cookie of six bytes is a few objects.
    assert held[1] <= 100 * 2 * SIZE + 100_000


def test_steps_would_tell_work_that_grows_faster() -> None:
    """A loop inside a loop takes four times the steps for twice the size."""

    def nested(environ: Any, start_response: Any) -> None:
        for _ in environ["PATH_INFO"]:
            for _ in environ["PATH_INFO"]:
                pass
        start_response("200 OK", [])

    def count(size: int) -> int:
        return steps(lambda: nested({"PATH_INFO": "a" * size}, lambda *_: None))

    assert count(200) > 3 * count(100) > 0
