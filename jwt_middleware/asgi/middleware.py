"""The ASGI middleware: asks the guard for a verdict on each connection and carries it out."""

from inspect import isroutine
from typing import Any, Unpack

from jwt_middleware.asgi.identity import PRINCIPAL_KEY, attach
from jwt_middleware.asgi.types import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
)
from jwt_middleware.asgi.websocket import Deadline, answering
from jwt_middleware.effects import arun, loop_is_running
from jwt_middleware.errors import ConfigurationError, KeysUnavailable
from jwt_middleware.guard.guard import Guard, chosen_guard
from jwt_middleware.guard.options import GuardOptions
from jwt_middleware.logs import log_of
from jwt_middleware.principal import Caller, is_current, reset_current, set_current
from jwt_middleware.request.applications import described, reached, wrapped
from jwt_middleware.request.caches import warn_of_caches
from jwt_middleware.request.guarded_views import check_views
from jwt_middleware.request.interfaces import check_asgi
from jwt_middleware.request.overrides import said_besides
from jwt_middleware.request.view import CALLER_KEY, ASGIView
from jwt_middleware.responses.headers import as_raw, headers_to_add
from jwt_middleware.verdict import Allow, Headers, Reply

__all__ = ["PRINCIPAL_KEY", "JWTMiddleware", "guard_of"]

_VERDICT_KEY = "jwt_middleware.verdict"

_log = log_of("jwt_middleware")


def guard_of(scope: Scope) -> Guard | None:
    """Return the guard that let a connection pass; ``None`` if there is none in front."""
    met = scope.get(_VERDICT_KEY)
    return None if met is None else met[0]


def judged(scope: Scope) -> tuple[str, str, str]:
    """Return the method, path and mount point of a connection that a guard let pass."""
    _, _, kind, path, mount_point, _, method, *_ = scope[_VERDICT_KEY]
    return "WEBSOCKET" if kind == "websocket" else method, path, mount_point


class JWTMiddleware:
    """Puts a guard in front of an ASGI application."""

    def __init__(
        self, app: ASGIApp, guard: Guard | None = None, **options: Unpack[GuardOptions]
    ) -> None:
        """
        :param app: the application to guard.
        :param guard: the guard. Without it, pass the options of the guard as keyword arguments.
        :raises ConfigurationError: if an option is wrong. If an event loop is running, the lifespan
            fails with this error instead, because frameworks hide what a constructor raises there.
        """
        check_asgi(app)
        self._app = app
        self._application = described(app, paths_are_whole=True)
        _warn_of_cors(app)
        warn_of_caches(app)
        self._has_served = False
        self._has_looked = False
        self._is_warm = False
        self._shared_state: object = None
        self._mistake: ConfigurationError | None = None
        try:
            self._guard = chosen_guard(guard, options)
            self._guard.integration.stand_before(app, self._application)
        except ConfigurationError as mistake:
            if not loop_is_running():
                raise
            self._mistake = mistake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3.0)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._start(scope, receive, send)
            return
        if kind not in {"http", "websocket"}:
            # ASGI 3.0: an application must raise for a scope type that it does not know.
            raise ConfigurationError(
                f"JWTMiddleware cannot guard the scope type {kind!r}: put it around the "
                "applications for 'http' and 'websocket' alone, as inside of ProtocolTypeRouter"
            )
        if not self._has_served:
            refusal = await self._prepare(scope)
            if refusal is not None:
                await _reply(refusal, scope, receive, send)
                return
        if CALLER_KEY in scope and self._has_passed(scope):
            # The same guard already let the same request pass in an outer middleware.
            await self._app(scope, receive, send)
            return

        view = ASGIView(scope)
        step = self._guard.decide(view, self._application)
        verdict = step if isinstance(step, (Allow, Reply)) else await arun(step)

        if isinstance(verdict, Reply):
            await _reply(verdict, scope, receive, send)
            return

        attach(scope, verdict.principal, self._shared_state, self._application.fills_user)
        scope[_VERDICT_KEY] = self._mark(scope, view, verdict.credential)
        if kind == "websocket":
            send = answering(verdict.subprotocol, scope, send)
        elif verdict.response_headers:
            send = _adding(verdict.response_headers, send)
        scope[CALLER_KEY] = caller = set_current(verdict.principal)
        try:
            if verdict.closes_in is None and verdict.watch is None:
                await self._app(scope, receive, send)
            else:
                async with Deadline(verdict.closes_in, receive, send, verdict.watch) as deadline:
                    await self._app(scope, deadline.receive, deadline.send)
        finally:
            reset_current(caller)

    def _look_inside(self) -> None:
        """Search the application once more, whose routes may have been added after construction."""
        every = reached(self._app)
        self._application = described(self._app, paths_are_whole=True, every=every)
        if self._mistake is None:
            try:
                check_views(every)
            except ConfigurationError as mistake:
                # Nothing is served, because a view would be served without its requirement.
                self._mistake = mistake

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan, which starts the application behind the guard."""
        self._look_inside()
        if self._mistake is not None:
            await _fail_to_start(self._mistake, receive, send)
        self._shared_state = scope.get("state")
        self._guard.integration.stand_before(self._app, self._application)
        receive = await _warmed_up(self._guard, receive, send)
        self._is_warm = True
        await self._app(scope, receive, send)

    async def _prepare(self, scope: Scope) -> Reply | None:
        """Do before the first request what is left to do; return the refusal if that fails.

        :raises ConfigurationError: if the application shows a mistake only now.
        """
        if not self._has_looked:
            # Daphne sends no lifespan, so the routes and mounts are read at the first request.
            self._look_inside()
            self._has_looked = True
            if self._mistake is None:
                self._warn_of_place(scope)
        if self._mistake is not None:
            raise self._mistake
        if not self._is_warm:
            # Nor does a router send a lifespan to what is mounted.
            refusal = await _fetched(self._guard)
            if refusal is not None:
                return refusal
            self._is_warm = True
        self._has_served = True
        return None

    def _warn_of_place(self, scope: Scope) -> None:
        placement = self._guard.integration.placement
        mount_point = scope.get("root_path", "")
        # Starlette keeps the mount point of the server. What the server removes may come to it
        # nevertheless.
        if mount_point != scope.get("app_root_path", mount_point):
            placement.is_below(mount_point)
        if "litestar_app" in scope:
            placement.is_behind_a_route(gets_preflights=True)
        # Below Starlette's mount it is an application.
        elif isroutine(scope.get("endpoint")):
            placement.is_behind_a_route(gets_preflights=False)

    def _has_passed(self, scope: Scope) -> bool:
        """Return whether this guard has let this very request pass already.

        A request that is over does not count, because a server may use its scope again.
        """
        caller: Caller = scope[CALLER_KEY]
        mark, view = scope[_VERDICT_KEY], ASGIView(scope)
        credential: int | None = mark[-1]
        return (
            caller.principal is not None
            and is_current(caller)
            and mark == self._mark(scope, view, credential)
            and self._guard.integration.still_passes(view, credential)
        )

    def _mark(self, scope: Scope, view: ASGIView, credential: int | None) -> tuple[object, ...]:
        """Return the guard and the request that it let pass, for the same guard further in."""
        return (
            self._guard,
            self._application.facts,
            scope["type"],
            scope.get("path"),
            scope.get("root_path", ""),
            scope.get("raw_path"),
            scope.get("method"),
            said_besides(view, self._application),
            credential,
        )


async def _reply(verdict: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        # The first event is always the handshake, and a server may wait until it is received.
        await receive()
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # RFC 6455 §7.4.1: 1008 means a policy violation, 1000 a normal end.
            await send({"type": "websocket.close", "code": 1008, "reason": verdict.code})
            return
        kind = "websocket.http.response"
    body = b"" if scope.get("method") == "HEAD" else verdict.body
    headers = list(verdict.raw_headers)
    await send({"type": f"{kind}.start", "status": verdict.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _adding(wanted: Headers, send: Send) -> Send:
    """Return a ``send`` that adds headers to the response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = [(bytes(k), bytes(v)) for k, v in message.get("headers", ())]
            texts = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in present]
            added = as_raw(headers_to_add(texts, wanted))
            message = {**message, "headers": [*present, *added]}
        await send(message)

    return send_with_headers


async def _fail_to_start(mistake: ConfigurationError, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": str(mistake)})
    raise mistake


async def _warmed_up(guard: Guard, receive: Receive, send: Send) -> Receive:
    """Fetch keys at start-up if ``warm_up`` is set, and return the ``receive`` to pass on."""
    if guard.integration.warm_up == "lazy":
        return receive
    events = [await receive()]
    try:
        await guard.awarm(required=guard.integration.warm_up == "require")
    except KeysUnavailable as problem:
        # The event is sent first, because on a bare exception a server assumes that the
        # application does not support lifespan, and starts.
        await send({"type": "lifespan.startup.failed", "message": str(problem)})
        raise

    async def receive_again() -> Message:
        return events.pop() if events else await receive()

    return receive_again


async def _fetched(guard: Guard) -> Reply | None:
    """Fetch keys with the first request if ``warm_up`` is set; return the refusal without them."""
    if guard.integration.warm_up == "try":
        guard.integration.start_warming()
    if guard.integration.warm_up != "require":
        return None
    try:
        await guard.awarm(required=True)
    except KeysUnavailable as problem:
        return guard.integration.missing_keys(problem)
    return None


def _warn_of_cors(app: Any) -> None:
    """Warn if CORSMiddleware is behind the guard, because browsers then hide every refusal."""
    if any(type(each).__name__ == "CORSMiddleware" for each in wrapped(app)):
        _log.warning(
            "CORSMiddleware is behind JWTMiddleware, so refusals carry no CORS headers and "
            "preflights need a token: add it after JWTMiddleware, so that it is in front"
        )
