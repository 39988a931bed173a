"""WebSockets: tokens among subprotocols, cookies, and an end in time."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    Issuer,
    JWTMiddleware,
    QueryToken,
    SubprotocolToken,
    optional,
    public,
)
from jwt_middleware.asgi.types import (
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
)
from jwt_middleware.asgi.websocket import Deadline, SocketExpired
from jwt_middleware.request.view import ASGIView
from jwt_middleware.testing import Clock, KeyPair
from jwt_middleware.verdict import Allow
from tests.faces.calls import http_scope

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
SOURCES = [BearerHeader(), SubprotocolToken(), CookieToken("session"), QueryToken("token")]
RULES = [public("/open"), optional("/feed")]
CONNECT = {"type": "websocket.connect"}


def token(**claims: Any) -> str:
    return PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})


def guard(**options: Any) -> Guard:
    given = {"token_sources": SOURCES, "rules": RULES, **options}
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", **given)


class Socket:
    """An application that accepts and then does as it is told; and the server around it."""

    def __init__(self, *then: Message, accept: Message | None = None) -> None:
        self.accept: Message = accept or {"type": "websocket.accept"}
        self.then = then
        self.scope: Scope = {}
        self.sent: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await receive()
        await send(self.accept)
        for message in self.then:
            await send(message)

    async def opened(self, middleware: Any, scope: Scope) -> list[Message]:
        async def receive() -> Message:
            return CONNECT

        async def send(message: Message) -> None:
            self.sent.append(message)

        await middleware(scope, receive, send)
        return self.sent


def handshake(
    *offered: str, path: str = "/ws", headers: tuple[tuple[str, str], ...] = (), query: str = ""
) -> Scope:
    """Return the scope of an opening, with the header that servers leave in it."""
    more = (("Sec-WebSocket-Protocol", ", ".join(offered)),) if offered else ()
    scope = http_scope("GET", path, (*headers, *more), query_string=query.encode())
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": list(offered)}


async def test_a_token_among_subprotocols_opens_a_socket_and_is_hidden() -> None:
    """``bearer`` is answered where the application chooses none; the token is never seen again."""
    app = Socket()
    text = token()

    sent = await app.opened(
        JWTMiddleware(app, guard=guard()), handshake("chat", "bearer", text, "v2")
    )

    assert app.scope["user"].subject == "alice"
    assert app.scope["subprotocols"] == ["chat", "v2"]
    assert (b"sec-websocket-protocol", b"chat, v2") in app.scope["headers"]
    assert text not in str(app.scope["headers"])
    assert sent == [{"type": "websocket.accept", "subprotocol": "bearer"}]


async def test_a_guard_behind_another_one_judges_what_the_client_offered() -> None:
    """By a token of its own, or by the same one; the application sees neither."""
    app, text = Socket(), token()
    strict = guard(token_sources=[SubprotocolToken()])
    outer = JWTMiddleware(JWTMiddleware(app, guard=strict), guard=guard())
    sent = await app.opened(outer, handshake("chat", "bearer", text, "v2"))

    assert app.scope["user"].subject == "alice"
    assert app.scope["subprotocols"] == ["chat", "v2"]
    assert text not in repr(app.scope)
    assert sent == [{"type": "websocket.accept", "subprotocol": "bearer"}]


@pytest.mark.parametrize("is_same", [True, False])
async def test_what_is_offered_anew_between_two_guards_is_judged(is_same: bool) -> None:
    """And not what the client had offered; nor in a copy that some other code has changed."""
    app, first = Socket(), guard()
    inner = JWTMiddleware(app, guard=first if is_same else guard())
    bob = ["chat", "bearer", token(sub="bob")]

    async def offering(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "subprotocols": bob}, receive, send)
        await inner({**scope, "subprotocols": ["v3"]}, receive, send)

    outer = JWTMiddleware(offering, guard=first)
    sent = await app.opened(outer, handshake("chat", "bearer", token()))

    assert app.scope["user"].subject == ("alice" if is_same else "bob")
    assert app.scope["subprotocols"] == (["v3"] if is_same else ["chat"])
    assert len(sent) == 2
    assert sent[1] == (
        {"type": "websocket.accept", "subprotocol": "bearer"}
        if is_same
        else {"type": "websocket.close", "code": 1008, "reason": "token_missing"}
    )


async def test_nothing_of_an_earlier_socket_is_judged() -> None:
    """Where a server uses a scope again, or other code sets our key."""
    app, middleware = Socket(), JWTMiddleware(Socket(), guard=guard())
    scope = handshake("bearer", token())
    await app.opened(middleware, scope)
    scope["subprotocols"] = []
    assert (await app.opened(middleware, scope))[-1]["reason"] == "token_missing"

    forged = {**handshake(), "jwt_middleware.subprotocols": ["bearer", token()]}
    assert (await app.opened(middleware, forged))[-1]["reason"] == "token_missing"


async def test_a_token_is_hidden_however_the_server_splits_the_list() -> None:
    """What the guard reads as a list the application sees as that list."""
    app = Socket()
    scope = {**handshake(), "subprotocols": ["chat", " bearer", f" {token()}, v2"]}

    await app.opened(JWTMiddleware(app, guard=guard()), scope)

    assert app.scope["user"].subject == "alice"
    assert app.scope["subprotocols"] == ["chat", "v2"]


async def test_what_an_application_chooses_is_answered() -> None:
    """Of the others that were offered."""
    app = Socket(accept={"type": "websocket.accept", "subprotocol": "chat"})

    sent = await app.opened(JWTMiddleware(app, guard=guard()), handshake("chat", "bearer", token()))

    assert sent == [{"type": "websocket.accept", "subprotocol": "chat"}]


@pytest.mark.parametrize("path", ["/open", "/feed", "/ws"])
async def test_a_browser_that_offers_bearer_is_answered_on_every_path(path: str) -> None:
    """It would give up otherwise, also where nobody asked for the token."""
    app = Socket()

    sent = await app.opened(
        JWTMiddleware(app, guard=guard()), handshake("bearer", token(), path=path)
    )

    assert sent == [{"type": "websocket.accept", "subprotocol": "bearer"}]
    assert app.scope["subprotocols"] == []
    assert all(name != b"sec-websocket-protocol" for name, _ in app.scope["headers"])
    assert app.scope["user"].is_authenticated is (path != "/open")


async def test_without_bearer_nothing_is_changed() -> None:
    """What was offered stands, and nothing is answered for the application."""
    app = Socket()
    bearer = (("Authorization", f"Bearer {token()}"),)

    sent = await app.opened(JWTMiddleware(app, guard=guard()), handshake("chat", headers=bearer))

    assert sent == [{"type": "websocket.accept"}]
    assert app.scope["subprotocols"] == ["chat"]


@pytest.mark.parametrize(
    ("offered", "code"),
    [
        (("bearer",), "header_malformed"),
        (("bearer", "a.b"), "token_malformed"),
        (("bearer", "x", "bearer", "y"), "token_repeated"),
        (("chat",), "token_missing"),
        ((), "token_missing"),
    ],
)
async def test_a_bad_subprotocol_opens_nothing(offered: tuple[str, ...], code: str) -> None:
    """Closed with 1008 and the code, before it is open."""
    app = Socket()

    sent = await app.opened(JWTMiddleware(app, guard=guard()), handshake(*offered))

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": code}]


@pytest.mark.parametrize(
    ("origin", "opens"),
    [("https://api.example", True), ("https://evil.example", False), (None, False)],
)
async def test_a_cookie_opens_a_socket_only_to_our_own_pages(
    origin: str | None, opens: bool
) -> None:
    """Cross-site WebSocket hijacking: a foreign page can open one, and cookies go along."""
    app = Socket()
    headers = [("Host", "api.example"), ("Cookie", f"session={token()}")]
    if origin is not None:
        headers.append(("Origin", origin))

    sent = await app.opened(JWTMiddleware(app, guard=guard()), handshake(headers=tuple(headers)))

    assert sent[0]["type"] == ("websocket.accept" if opens else "websocket.close")
    if not opens:
        assert sent[0]["reason"] == "csrf_refused"


async def test_a_query_token_opens_a_socket() -> None:
    """Where a browser can set no header."""
    app = Socket()

    await app.opened(JWTMiddleware(app, guard=guard()), handshake(query=f"token={token()}"))

    assert app.scope["user"].subject == "alice"


class Lasting(Socket):
    """An application that listens until its client is gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self.refusal: OSError | None = None
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError as refusal:
            self.refusal = refusal
        await send({"type": "websocket.close"})

    async def opened(self, middleware: Any, scope: Scope) -> list[Message]:
        """Be a server that reports a socket as gone once it was closed."""
        closed = asyncio.Event()
        waiting = [CONNECT]

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await closed.wait()
            return {"type": "websocket.disconnect", "code": 1008}

        async def send(message: Message) -> None:
            self.sent.append(message)
            if message["type"] == "websocket.close":
                closed.set()

        await asyncio.wait_for(middleware(scope, receive, send), 10)
        return self.sent


def expiring(seconds: float, **options: Any) -> tuple[Guard, Scope]:
    """Return a guard, and the opening with a token that lasts so long, leeway included."""
    clock = Clock(now=1_750_000_030 - seconds)
    text = token(exp=1_750_000_000)
    headers = (("Authorization", f"Bearer {text}"),)
    return guard(clock=clock, close_on_expiry=True, **options), handshake(headers=headers)


async def test_an_open_socket_closes_when_its_token_expires() -> None:
    """With 1008; the application is told, may send nothing more, and may close without harm."""
    app = Lasting()
    wanted, scope = expiring(0.01)

    sent = await app.opened(JWTMiddleware(app, guard=wanted), scope)

    assert sent == [
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 1008, "reason": "token_expired"},
    ]
    assert isinstance(app.refusal, SocketExpired)


class Listening:
    """An application that listens until it is told of an end, below a server that tells of none."""

    def __init__(self, patience: float | None = None) -> None:
        self.patience = patience
        self.events: list[Message] = []
        self.waited = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while not self.events or self.events[-1]["type"] != "websocket.disconnect":
            try:
                self.events.append(await asyncio.wait_for(receive(), self.patience))
            except TimeoutError:
                self.waited += 1
        # Once more, as a careless application does.
        self.events.append(await receive())

    async def heard(self, middleware: Any, scope: Scope, *, talks: bool) -> list[Message]:
        waiting = [CONNECT]
        forever = asyncio.Event()

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await (asyncio.sleep(0) if talks else forever.wait())
            return {"type": "websocket.receive", "text": "x"}

        async def send(message: Message) -> None:
            pass

        await asyncio.wait_for(middleware(scope, receive, send), 10)
        assert len(asyncio.all_tasks()) == 1
        return self.events


GONE = {"type": "websocket.disconnect", "code": 1008, "reason": "token_expired"}


async def test_after_the_end_an_application_that_waits_is_told_at_once() -> None:
    """Also where the server never says so, and as often as it asks; no task is left behind."""
    wanted, scope = expiring(0.01)
    app = Listening()

    assert await app.heard(JWTMiddleware(app, guard=wanted), scope, talks=False) == [GONE, GONE]


async def test_after_the_end_nothing_of_a_client_that_goes_on_is_received() -> None:
    """What it said before was; the first event after the end is the end."""
    wanted, scope = expiring(0.05)
    app = Listening()

    events = await app.heard(JWTMiddleware(app, guard=wanted), scope, talks=True)

    assert events[0] == {"type": "websocket.receive", "text": "x"}
    assert [event["type"] for event in events].index("websocket.disconnect") == len(events) - 2
    assert events[-2:] == [GONE, GONE]


async def test_an_application_may_give_up_waiting_and_ask_again() -> None:
    """Its own time-out is no end."""
    wanted, scope = expiring(0.05)
    app = Listening(patience=0.001)

    events = await app.heard(JWTMiddleware(app, guard=wanted), scope, talks=False)

    assert app.waited > 0
    assert events == [GONE, GONE]


async def steps(number: int) -> None:
    """Let everything that is ready run, so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("before", range(8))
async def test_an_event_that_arrives_as_the_time_runs_out_is_not_received(before: int) -> None:
    """Whichever of the two comes first, an application that has been told hears nothing more."""
    sent: list[Message] = []

    async def receive() -> Message:
        await steps(4)
        return {"type": "websocket.receive", "text": "x"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def heard(deadline: Deadline) -> tuple[Message, bool]:
        return await deadline.receive(), bool(sent)

    deadline = Deadline(0, receive, send)
    application = asyncio.create_task(heard(deadline))
    await steps(before)
    async with deadline:
        message, was_over = await application

    assert (message == GONE) is was_over


@pytest.mark.parametrize("before", range(8))
async def test_a_message_is_not_lost_where_an_application_gives_up_waiting(before: int) -> None:
    """Not even one that has arrived at that very moment."""
    texts = [str(number) for number in range(3)]

    async def receive() -> Message:
        await steps(2)
        return {"type": "websocket.receive", "text": texts.pop(0)}

    heard: list[str] = []

    async def application(deadline: Deadline) -> None:
        heard.append((await deadline.receive())["text"])

    async with Deadline(60, receive, lambda _: asyncio.sleep(0)) as deadline:
        waiting = asyncio.create_task(application(deadline))
        await steps(before)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await application(deadline)

    assert heard == ["0", "1"][: len(heard)]
    assert len(asyncio.all_tasks()) == 1


async def test_a_server_that_does_not_take_the_code_is_given_another() -> None:
    """As daphne, which knows 1000 and 3000 to 4999."""
    wanted, scope = expiring(0.01)
    codes: list[int] = []
    waiting = [CONNECT]

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    async def send(message: Message) -> None:
        if message["type"] == "websocket.close":
            codes.append(message["code"])
            if message["code"] < 3000:
                raise ValueError("invalid close code")

    await asyncio.wait_for(JWTMiddleware(Listening(), guard=wanted)(scope, receive, send), 10)

    assert codes == [1008, 3000]


def lingering(app: ASGIApp) -> ASGIApp:
    """Return an application that stays until its socket's time is up."""

    async def stay(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, over.set)
        await over.wait()

    return stay


@pytest.mark.parametrize(
    "end",
    [
        {"type": "websocket.close", "code": 1000},
        {"type": "websocket.http.response.start", "status": 404, "headers": []},
    ],
)
async def test_a_socket_that_has_ended_is_not_closed_again(end: Message) -> None:
    """Neither after the application's own end, nor after its own refusal."""
    app = Socket(end)
    wanted, scope = expiring(0.01)

    sent = await app.opened(JWTMiddleware(lingering(app), guard=wanted), scope)

    assert sent == [{"type": "websocket.accept"}, end]


@pytest.mark.parametrize("claims", [{}, {"exp": None}])
async def test_a_socket_stays_open_where_nothing_ends_it(claims: dict[str, Any]) -> None:
    """A token far from its end, or without one: no close, and no timer is left behind."""
    app = Socket()
    endless = {name: value for name, value in ({"exp": 4_000_000_000} | claims).items() if value}
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", **endless})
    headers = (("Authorization", f"Bearer {text}"),)
    issuer = Issuer(
        "https://a/", audience=None, keys=PAIR.private, algorithms=["HS256"], require_exp=False
    )
    wanted = Guard(issuers=issuer, close_on_expiry=True)

    sent = await app.opened(JWTMiddleware(app, guard=wanted), handshake(headers=headers))

    assert sent == [{"type": "websocket.accept"}]
    assert len(asyncio.all_tasks()) == 1


async def test_without_the_option_an_open_socket_outlives_its_token() -> None:
    """As it does everywhere else; nobody is surprised by a new close."""
    app = Socket()
    clock = Clock(now=1_750_000_030)
    text = token(exp=1_750_000_001)
    headers = (("Authorization", f"Bearer {text}"),)

    sent = await app.opened(
        JWTMiddleware(app, guard=guard(clock=clock)), handshake(headers=headers)
    )

    assert sent == [{"type": "websocket.accept"}]


def verdict(wanted: Guard, scope: Scope) -> Allow:
    step = wanted.decide(ASGIView(scope))
    assert isinstance(step, Allow)
    return step


def test_only_a_socket_whose_token_ends_has_an_end_and_only_if_asked_for() -> None:
    """Nobody is timed without the option, nor the anonymous, nor a token without an end."""
    wanted, scope = expiring(90)
    careless = guard(clock=Clock(now=1_749_999_940))
    bearer = (("Authorization", f"Bearer {token(exp=1_750_000_000)}"),)
    request = http_scope("GET", "/ws", bearer)

    assert verdict(wanted, scope).closes_in == 90
    assert verdict(wanted, request).closes_in is None
    assert verdict(careless, scope).closes_in is None
    assert verdict(wanted, handshake(path="/feed")).closes_in is None


def test_a_token_without_an_end_sets_no_end() -> None:
    """No timer runs for a socket that may stay open for good."""
    issuer = Issuer(
        "https://a/", audience=None, keys=PAIR.private, algorithms=["HS256"], require_exp=False
    )
    endless = PAIR.sign({"iss": "https://a/", "sub": "alice"})
    scope = handshake(headers=(("Authorization", f"Bearer {endless}"),))

    assert verdict(Guard(issuers=issuer, close_on_expiry=True), scope).closes_in is None


def test_the_verdict_of_a_socket_names_its_rule_and_its_subprotocol() -> None:
    """As that of a request does; a request has no subprotocol, whatever its headers offer."""
    wanted = guard(token_sources=[SubprotocolToken(), CookieToken("session")], rules=RULES)
    socket = verdict(wanted, handshake("bearer", token(), path="/feed"))
    offered = (("Sec-WebSocket-Protocol", f"bearer, {token()}"),)

    assert (socket.rule, socket.subprotocol) == ("optional('/feed')", "bearer")
    assert ("Cache-Control", "private") in socket.response_headers
    assert verdict(wanted, http_scope("GET", "/feed", offered)).subprotocol is None


async def test_a_refusal_in_place_of_an_opening_is_not_closed_while_its_body_is_sent() -> None:
    """The body comes after the start that was the end; the time then runs out for nothing."""
    app = Socket({"type": "websocket.http.response.body", "body": b"no"})
    app.accept = {"type": "websocket.http.response.start", "status": 404, "headers": []}
    wanted, scope = expiring(0.01)

    sent = await app.opened(JWTMiddleware(lingering(app), guard=wanted), scope)

    assert [message["type"] for message in sent] == [app.accept["type"], app.then[0]["type"]]


async def test_a_token_is_hidden_however_the_server_spells_the_header() -> None:
    """ASGI asks for lower case, and not every server gives it."""
    app = Socket()
    secret = token()
    scope = handshake("bearer", secret)
    spelt = [(b"Sec-WebSocket-Protocol", f"bearer, {secret}, chat".encode())]
    scope["headers"] = [pair for pair in scope["headers"] if b"protocol" not in pair[0]] + spelt

    await app.opened(JWTMiddleware(app, guard=guard()), scope)

    assert (b"sec-websocket-protocol", b"chat") in app.scope["headers"]
    assert secret not in str(app.scope["headers"])
