"""Real routers held against the guard, spelling by spelling.

The bare application says which handler a spelling reaches. The guarded application is then asked
by somebody who has everything except what that handler's rule asks for. Whoever reaches it, or any
other handler that asks for what they lack, has found a path that guard and router read differently.
"""

import asyncio
import logging
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from jwt_middleware import Guard, JWTMiddleware, JWTWSGIMiddleware
from tests.routers.handlers import HANDLERS, TURNED_OVER, Handler, build_guard, served
from tests.routers.servers import (
    Headers,
    asgi_scope,
    bare_bytes,
    bare_text,
    gunicorn_path,
    h11_path,
    httptools_path,
    httptools_raw_path,
    raw_path,
    wsgi_environ,
)
from tests.routers.socket_apps import opens
from tests.routers.spellings import MOUNT, Spelling, spellings
from tests.routers.subjects import SUBJECTS, Subject


class Handed(NamedTuple):
    """A target as a server hands it over."""

    path: str
    raw: bytes
    root: str = ""
    """``root_path`` or ``SCRIPT_NAME``."""


_ASGI_WAYS: list[tuple[Callable[[bytes], str], Callable[[bytes], bytes]]] = [
    (h11_path, raw_path),
    (httptools_path, httptools_raw_path),
    (bare_text, raw_path),
]
_WSGI_WAYS: list[tuple[Callable[[bytes], str], Callable[[bytes], bytes]]] = [
    (gunicorn_path, lambda _: b""),
    (bare_bytes, lambda _: b""),
]

Outcome = tuple[list[str], int]
"""Which handlers ran, and the status."""


@dataclass
class Figures:
    """What came of one subject."""

    requests: int = 0
    """Spellings, times the ways in which servers hand them over."""
    reached: int = 0
    """Requests that some handler of the bare application served."""
    attacks: int = 0
    """Requests to the guarded application without what the handler's rule asks for."""
    refused: int = 0
    """Those that were answered 400; all others that were stopped got 401 or 403."""
    slashes: int = 0
    """Those that an earlier rule let pass, because rules know no empty segments."""
    holes: dict[str, list[str]] = field(default_factory=dict)
    """By handler, how it was reached under a weaker rule than its own."""

    def add_hole(self, handler: str, how: str) -> None:
        self.holes.setdefault(handler, []).append(how)


def guard_it(app: Any, subject: Subject, guard: Guard) -> Any:
    """Return the application behind the guard, where the subject has its guard."""
    if subject.face == "asgi":
        return mount(JWTMiddleware(app, guard=guard), subject)
    return mount(JWTWSGIMiddleware(app, guard=guard), subject)


def mount(app: Any, subject: Subject) -> Any:
    if not subject.mounted:
        return app
    if subject.face == "asgi":
        return Starlette(routes=[Mount(MOUNT, app=app)])
    return DispatcherMiddleware(_nothing, {MOUNT: app})


def _nothing(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return []


class Table:
    """The handlers under one set of rules, and an application guarded by it."""

    def __init__(self, subject: Subject, handlers: tuple[Handler, ...]) -> None:
        if subject.sockets:
            handlers = tuple(filter(opens, handlers))
        self.by_name = {handler.name: handler for handler in handlers}
        self.order = list(self.by_name)
        self.app = guard_it(
            subject.build(), subject, build_guard(handlers, case_sensitive=subject.case_sensitive)
        )


class Runner:
    """Asks one subject, bare and guarded."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._loop = asyncio.new_event_loop()
        self._bare = mount(subject.build(), subject)
        self._tables = [Table(subject, HANDLERS), Table(subject, TURNED_OVER)]
        self.handlers = set(self._tables[0].order)
        self.figures = Figures()

    def close(self) -> None:
        self._loop.run_until_complete(_cancel_what_waits())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def compare(self, spelling: Spelling) -> None:
        """Ask one spelling in every way in which a server may hand it over."""
        for path in self._paths(spelling.target):
            self.figures.requests += 1
            reached, _ = self._ask(self._bare, spelling, path, None)
            if not reached:
                continue
            self.figures.reached += 1
            for table in self._tables:
                for credentials in table.by_name[reached[0]].weak:
                    self._attack(table, spelling, path, credentials)

    def both(self, spelling: Spelling, credentials: str) -> Iterator[tuple[Outcome, Outcome]]:
        """Yield what the bare application makes of a spelling, and each guarded one."""
        for path in self._paths(spelling.target):
            bare = self._ask(self._bare, spelling, path, None)
            for table in self._tables:
                yield bare, self._ask(table.app, spelling, path, credentials)

    def _attack(
        self, table: Table, spelling: Spelling, path: Handed, credentials: str | None
    ) -> None:
        self.figures.attacks += 1
        reached, status = self._ask(table.app, spelling, path, credentials)
        self.figures.refused += status == 400
        for name in reached:
            if credentials not in table.by_name[name].weak:
                continue
            if self._is_slash_twin(table, name, spelling, path):
                self.figures.slashes += 1
                continue
            who = "nobody" if credentials is None else "somebody without its role"
            self.figures.add_hole(name, f"{who}, by {spelling} as {path.path!r} at {path.root!r}")
        if not reached and status not in {400, 401, 403}:
            self.figures.add_hole("", f"{spelling} as {path.path!r} was answered {status}")

    def _is_slash_twin(self, table: Table, name: str, spelling: Spelling, path: Handed) -> bool:
        """Return whether an earlier rule decides for the same path with other slashes.

        A route that takes a whole path is given ``/admin/users/`` where the page is
        ``/admin/users``. To the rules both are one, and the first rule that matches it decides.
        """
        if not table.by_name[name].path.endswith("/**"):
            return False
        root = path.root
        # A mount point comes off as it is written.
        head = root if path.path.startswith(root) else ""
        page = head + re.sub("/+", "/", path.path[len(head) :]).rstrip("/")
        raw = head.encode() + re.sub(b"/+", b"/", path.raw[len(head) :]).rstrip(b"/")
        for twin in (Handed(page, raw, root), Handed(f"{page}/", raw + b"/", root)):
            others, _ = self._ask(self._bare, spelling, twin, None)
            if others and table.order.index(others[0]) < table.order.index(name):
                return all(
                    not self._ask(table.app, spelling, path, credentials)[0]
                    for credentials in table.by_name[others[0]].weak
                )
        return False

    def _paths(self, target: bytes) -> Iterable["Handed"]:
        """Return how servers hand a target over: decoded as each does, and not at all."""
        ways = _WSGI_WAYS if self.subject.face == "wsgi" else _ASGI_WAYS
        if target.startswith(b"http://["):
            ways = [(way, raw) for way, raw in ways if way is not gunicorn_path]
        sent = self._mounted(target)
        root = self.subject.root if self.subject.joins else ""
        return dict.fromkeys(
            Handed(root + way(sent), root.encode() + raw(sent), chosen)
            for way, raw in ways
            for chosen in self._roots(target)
        )

    def _roots(self, target: bytes) -> tuple[str, ...]:
        """Return the mount point; where a client chooses it, two of many, by the target."""
        chosen = self.subject.chosen_roots
        start = zlib.crc32(target) % max(1, len(chosen))
        return (chosen + chosen)[start : start + 2] if chosen else (self.subject.root,)

    def _mounted(self, target: bytes) -> bytes:
        """Put a target below the outer application's mount, most of the time."""
        is_outside = not target.startswith(b"/") or target.startswith(MOUNT.encode())
        return target if not self.subject.mounted or is_outside else MOUNT.encode() + target

    def _ask(self, app: Any, spelling: Spelling, path: Handed, credentials: str | None) -> Outcome:
        """Return which handlers ran, and the status; 599 where the application raised."""
        served.clear()
        headers: Headers = () if spelling.header is None else (spelling.header,)
        if credentials is not None:
            headers = (*headers, ("Authorization", credentials))
        if not any(name == "Host" for name, _ in headers):
            headers = (*headers, ("Host", "testserver"))
        query = spelling.target.partition(b"?")[2]
        if self.subject.face == "wsgi":
            status = _through_wsgi(
                app, wsgi_environ(spelling.method, path.path, path.root, query, headers)
            )
        else:
            scope = asgi_scope(spelling.method, path.path, path.raw, path.root, query, headers)
            ask = _through_socket if self.subject.sockets else _through_asgi
            status = self._loop.run_until_complete(ask(app, scope))
        return list(served), status


async def _cancel_what_waits() -> None:
    """End the tasks that wait for a client that never leaves."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _through_asgi(app: Any, scope: Any) -> int:
    statuses: list[int] = []
    parts = [{"type": "http.request", "body": b"", "more_body": False}]
    is_answered = asyncio.Event()

    async def receive() -> Any:
        if parts:
            return parts.pop()
        # As a server has it: the client stays until it is answered.
        await is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        elif not message.get("more_body"):
            is_answered.set()

    try:
        await app(scope, receive, send)
    except Exception as problem:  # noqa: BLE001 - a router may choke on what a client may send
        _refuse_ours(problem)
    return statuses[0] if statuses else 599


async def _through_socket(app: Any, scope: Any) -> int:
    statuses: list[int] = []
    events = [{"type": "websocket.connect"}]
    del scope["method"]
    scope |= {"type": "websocket", "scheme": "ws", "subprotocols": []}
    scope["extensions"] = {"websocket.http.response": {}}

    async def receive() -> Any:
        return events.pop() if events else {"type": "websocket.disconnect", "code": 1001}

    async def send(message: dict[str, Any]) -> None:
        # A close before the handshake is answered with 403, as the specification has it.
        ends = {"websocket.accept": 101, "websocket.close": 403}
        kind = message["type"]
        statuses.append(ends[kind] if kind in ends else message.get("status", 0))

    try:
        await app(scope, receive, send)
    except Exception as problem:  # noqa: BLE001 - as above
        _refuse_ours(problem)
    return statuses[0] if statuses else 599


def _through_wsgi(app: Any, environ: dict[str, Any]) -> int:
    statuses: list[int] = []

    def start_response(status: str, *_: Any) -> Callable[[bytes], object]:
        statuses.append(int(status[:3]))
        return lambda _: None

    try:
        body = app(environ, start_response)
        b"".join(body)
        if hasattr(body, "close"):
            body.close()
    except Exception as problem:  # noqa: BLE001 - as above
        _refuse_ours(problem)
    return statuses[-1] if statuses else 599


def _refuse_ours(problem: Exception) -> None:
    """Raise what was raised in our own code: the guard never does."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None and "jwt_middleware" in trace.tb_frame.f_globals.get("__name__", ""):
        raise problem


def compare(subject: Subject, chosen: Iterable[Spelling]) -> Figures:
    """Return what comes of every spelling."""
    runner = Runner(subject)
    if subject.sockets:
        # A handshake is a GET, whatever the spelling says.
        chosen = dict.fromkeys(replace(spelling, method="GET") for spelling in chosen)
    logging.disable()
    try:
        for spelling in chosen:
            runner.compare(spelling)
    finally:
        logging.disable(logging.NOTSET)
        runner.close()
    return runner.figures


def rows(every: Iterable[tuple[Subject, Figures]]) -> Iterator[str]:
    """Yield the rows of the table in docs/security.md."""
    yield "| router | requests | served bare | attacks | answered 400 | slash twins | limits |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for subject, it in every:
        limits = sum(map(len, it.holes.values()))
        numbers = (it.requests, it.reached, it.attacks, it.refused, it.slashes, limits)
        yield f"| {subject.name} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


if __name__ == "__main__":
    chosen = spellings(int(sys.argv[1]))
    for row in rows((subject, compare(subject, chosen)) for subject in SUBJECTS):
        print(row, flush=True)  # noqa: T201 - a program prints
