"""What only the ASGI face has: lifespan, WebSockets, scopes of its own, meeting a guard twice."""

from typing import Any

import pytest

from jwt_middleware import (
    ConfigurationError,
    Guard,
    Issuer,
    JWTMiddleware,
    KeysUnavailable,
    Principal,
    current_principal,
    has_role,
    optional,
    protect,
    public,
)
from jwt_middleware.asgi.types import (
    Message,
    Receive,
    Scope,
    Send,
)
from jwt_middleware.events import RequestAllowed, RequestRefused
from jwt_middleware.guard.options import WarmUp
from jwt_middleware.testing import FakeIssuer, KeyPair
from jwt_middleware.testing.issuer import JWKS_PATH
from tests.faces.calls import asgi_app, http_scope, through_asgi

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
TOKEN = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, "scope": "a b"})
BEARER = [("Authorization", f"Bearer {TOKEN}")]


def guard(**options: Any) -> Guard:
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", **options)


class Recorder:
    """An application that notes what it was called with."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await asgi_app(scope, receive, send)


async def exchange(app: Any, scope: Scope, *received: Message) -> list[Message]:
    """Call ``app`` and return what it sent."""
    waiting = list(received)
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def websocket(**more: Any) -> Scope:
    scope = http_scope("GET", "/ws", **more)
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws"}


async def test_lifespan_passes_untouched() -> None:
    """The scope reaches the application as it is."""
    app = Recorder()
    scope = {"type": "lifespan"}

    await exchange(JWTMiddleware(app, guard=guard()), scope)

    assert app.scopes[0] is scope
    assert scope == {"type": "lifespan"}


async def test_a_protocol_that_is_not_understood_is_refused() -> None:
    """As the ASGI specification asks: fail closed, and say so."""
    with pytest.raises(ConfigurationError, match="'ftp'"):
        await exchange(JWTMiddleware(Recorder(), guard=guard()), {"type": "ftp"})


async def test_a_refused_websocket_closes_with_1008_before_it_is_accepted() -> None:
    """Where the server offers nothing better."""
    middleware = JWTMiddleware(Recorder(), guard=guard())

    sent = await exchange(middleware, websocket(), {"type": "websocket.connect"})

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "token_missing"}]


async def test_a_refused_websocket_gets_the_denial_response_where_offered() -> None:
    """A real 401 with its challenge."""
    scope = websocket(extensions={"websocket.http.response": {}})
    middleware = JWTMiddleware(Recorder(), guard=guard())

    start, body = await exchange(middleware, scope, {"type": "websocket.connect"})

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert dict(start["headers"])[b"www-authenticate"] == b'Bearer realm="api"'
    assert b"token_missing" in body["body"]


async def test_a_websocket_passes_with_its_principal() -> None:
    """It is judged as GET, unless a rule names WEBSOCKET."""
    rules = [public("/ws", methods=["GET"]), protect("/ws", methods=["WEBSOCKET"])]
    app = Recorder()
    middleware = JWTMiddleware(app, guard=guard(rules=rules))

    refused = await exchange(middleware, websocket(), {"type": "websocket.connect"})
    await exchange(middleware, websocket(headers=BEARER), {"type": "websocket.connect"})

    assert refused[0]["code"] == 1008
    assert app.scopes[0]["user"].subject == "alice"


async def test_a_wrong_option_inside_a_running_loop_fails_the_lifespan() -> None:
    """The sentence reaches the server; any other connection raises too."""
    middleware = JWTMiddleware(Recorder(), isuers=1)  # type: ignore[call-arg]
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(ConfigurationError, match="did you mean 'issuers'"):
        await middleware({"type": "lifespan"}, receive, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "did you mean 'issuers'" in sent[0]["message"]
    with pytest.raises(ConfigurationError):
        await exchange(middleware, http_scope("GET", "/"))


def test_a_wrong_option_without_a_loop_raises_at_once() -> None:
    """At import, where a module builds its application."""
    with pytest.raises(ConfigurationError, match="did you mean"):
        JWTMiddleware(Recorder(), isuers=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="must be a Guard"):
        JWTMiddleware(Recorder(), guard="guard")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="set it on the Guard"):
        JWTMiddleware(Recorder(), guard=guard(), realm="x")


async def test_the_same_guard_met_twice_decides_once() -> None:
    """An inner face takes the verdict over; with the path rewritten in between, it decides again."""
    told: list[object] = []
    same = guard(rules=[public("/open")], observers=[told.append])
    inner = JWTMiddleware(Recorder(), guard=same)

    async def rewriting(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "path": "/secret"}, receive, send)

    twice = await through_asgi(JWTMiddleware(inner, guard=same), http_scope("GET", "/open"))
    rewritten = await through_asgi(JWTMiddleware(rewriting, guard=same), http_scope("GET", "/open"))

    assert (twice.status, rewritten.status) == (200, 401)
    assert [type(event) for event in told] == [RequestAllowed, RequestAllowed, RequestRefused]


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [("http", "websocket"), ("websocket", "http"), ("http", "http")],
)
async def test_a_scope_that_was_made_one_of_another_type_is_decided_again(
    sent: str, passed_on: str
) -> None:
    """As by what opens a socket for a plain request; its method and its path may stay."""
    names = {"http": "GET", "websocket": "WEBSOCKET"}
    is_other = sent != passed_on
    closed = protect("/", requires=has_role("admin"), methods=[names[passed_on]])
    opened = public("/", methods=[names[sent]])
    same = guard(rules=[opened, closed] if is_other else [opened])
    inner = JWTMiddleware(app := Recorder(), guard=same)

    async def switching(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "type": passed_on}, receive, send)

    scope = http_scope("GET", "/", type=sent, subprotocols=[])
    outer = JWTMiddleware(switching, guard=same)
    answer = await exchange(outer, scope, {"type": "websocket.connect"})

    assert len(app.scopes) == (0 if is_other else 1)
    assert answer[0].get("status", answer[0].get("code")) in {200 if not is_other else 401, 1008}


async def test_a_scope_that_another_request_passes_on_is_decided_again() -> None:
    """So that its caller is the current one; ``asgi_app`` holds that against the scope."""
    bob = PAIR.sign({"iss": "https://a/", "sub": "bob", "exp": 4_000_000_000})
    told: list[object] = []
    inner = JWTMiddleware(app := Recorder(), guard=guard(observers=[told.append]))

    async def passing_on(scope: Scope, receive: Receive, send: Send) -> None:
        async def of_bob(*_: Any) -> None:
            await inner(scope, receive, send)

        between = JWTMiddleware(of_bob, guard=guard())
        await between(http_scope("GET", "/", [("Authorization", f"Bearer {bob}")]), receive, send)

    same = inner._guard
    answer = await through_asgi(
        JWTMiddleware(passing_on, guard=same), http_scope("GET", "/", BEARER)
    )

    assert answer.json()["subject"] == "alice"
    assert len(told) == 2
    assert app.scopes[0]["user"].subject == "alice"


async def test_a_request_that_passed_keeps_its_verdict_whatever_became_of_its_headers() -> None:
    """What stands between two faces of one guard may take the token away; another guard asks."""
    same = guard()

    def stripped(inner: Guard) -> Any:
        app = JWTMiddleware(Recorder(), guard=inner)

        async def stripping(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "headers": []}, receive, send)

        return JWTMiddleware(stripping, guard=same)

    kept = await through_asgi(stripped(same), http_scope("GET", "/", BEARER))
    asked = await through_asgi(stripped(guard()), http_scope("GET", "/", BEARER))

    assert (kept.status, asked.status) == (200, 401)


async def test_a_mount_point_further_in_is_decided_again() -> None:
    """The same path means another route below a mount, or before an application that strips it."""
    same = guard(rules=[public("/api/**")])
    bare, rooted = Recorder(), Recorder()
    rooted.root_path = "/api"  # type: ignore[attr-defined]

    def hidden(app: Recorder, **changes: Any) -> Any:
        inner = JWTMiddleware(app, guard=same)

        async def hiding(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, **changes}, receive, send)

        return JWTMiddleware(hiding, guard=same)

    apps = [hidden(bare), hidden(bare, root_path="/api"), hidden(rooted)]
    answers = [await through_asgi(app, http_scope("GET", "/api/x")) for app in apps]

    assert [answer.status for answer in answers] == [200, 401, 401]


async def test_what_a_header_opened_is_answered_through_the_servers_own_send() -> None:
    """Nothing stands between an application and its server where nothing has to be added."""
    seen: list[Send] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(send)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    wanted = guard(close_on_expiry=True, rules=[optional("/feed")])
    middleware = JWTMiddleware(app, guard=wanted)
    await middleware(http_scope("GET", "/", BEARER), receive, send)
    await middleware(http_scope("GET", "/feed", BEARER), receive, send)

    assert [each is send for each in seen] == [True, False]


async def test_another_guard_decides_again_and_replaces_every_key() -> None:
    """What stood in the scope is no proof of anything."""
    app = Recorder()
    strict = JWTMiddleware(app, guard=guard(rules=[protect("/x", requires=has_role("r"))]))
    outer = JWTMiddleware(strict, guard=guard(rules=[public("/**")]))
    forged = Principal(subject="mallory", roles=frozenset({"r"}))

    answer = await through_asgi(
        outer, http_scope("GET", "/x", BEARER, user=forged, **{"jwt_middleware.principal": forged})
    )
    passed = await through_asgi(outer, http_scope("GET", "/y", BEARER))

    assert answer.status == 403
    assert passed.json()["subject"] == "alice"


async def test_a_name_in_the_state_that_is_taken_stays() -> None:
    """``state.user`` is set where it is free."""
    app = Recorder()
    middleware = JWTMiddleware(app, guard=guard())

    with pytest.raises(AssertionError):
        await through_asgi(middleware, http_scope("GET", "/", BEARER, state={"user": "theirs"}))

    assert app.scopes[0]["state"]["user"] == "theirs"


async def test_what_one_request_changes_no_other_sees() -> None:
    """Scopes are a fresh list for each request; claims cannot be written."""
    app = Recorder()
    middleware = JWTMiddleware(app, guard=guard())
    await through_asgi(middleware, http_scope("GET", "/", BEARER))
    first = app.scopes[0]
    first["auth"].scopes.append("admin")
    first["user"].claims.to_dict()["sub"] = "mallory"
    with pytest.raises(TypeError):
        first["user"].claims["sub"] = "mallory"

    await through_asgi(middleware, http_scope("GET", "/", BEARER))

    assert sorted(app.scopes[1]["auth"].scopes) == ["a", "authenticated", "b"]
    assert app.scopes[1]["user"].claims["sub"] == "alice"


async def test_outside_a_request_nobody_is_current() -> None:
    """Also when the application raises."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        assert current_principal().subject == "alice"
        raise LookupError

    with pytest.raises(LookupError):
        await through_asgi(JWTMiddleware(failing, guard=guard()), http_scope("GET", "/", BEARER))

    assert not current_principal().is_authenticated


async def test_observers_outside_see_what_the_router_writes() -> None:
    """Identity is written into the very scope, not into a copy."""
    app = Recorder()
    scope = http_scope("GET", "/", BEARER)

    await through_asgi(JWTMiddleware(app, guard=guard()), scope)

    assert app.scopes[0] is scope


async def test_an_application_with_a_root_path_gives_another_reading() -> None:
    """As FastAPI serves one handler below its ``root_path`` and without it."""
    app = Recorder()
    app.root_path = "/api/"  # type: ignore[attr-defined]
    outer = Recorder()
    outer.app = app  # type: ignore[attr-defined]
    rules = [protect("/users", requires=has_role("r")), public("/api/**")]

    answer = await through_asgi(
        JWTMiddleware(outer, guard=guard(rules=rules)), http_scope("GET", "/api/users", BEARER)
    )

    assert answer.status == 403


async def test_a_head_request_gets_no_body() -> None:
    """The headers are those of GET (RFC 9110 §9.3.2)."""
    middleware = JWTMiddleware(Recorder(), guard=guard())

    answer = await through_asgi(middleware, http_scope("HEAD", "/"))

    assert (answer.status, answer.body) == (401, b"")
    assert answer.header("content-length") != "0"


async def test_two_authorization_headers_are_refused() -> None:
    """Even the same one twice, and in whatever case a server passes names on."""
    middleware = JWTMiddleware(Recorder(), guard=guard())
    scope = http_scope("GET", "/", [*BEARER, *BEARER])
    scope["headers"][0] = (b"Authorization", scope["headers"][0][1])

    answer = await through_asgi(middleware, scope)

    assert answer.json()["code"] == "token_repeated"


class Lifespan:
    """An application that counts how often it is started."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.events = [(await receive())["type"] for _ in range(2)]


START, STOP = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


@pytest.mark.parametrize(("warm_up", "fetches"), [("lazy", 0), ("try", 1), ("require", 1)])
async def test_keys_are_fetched_before_the_application_starts(
    warm_up: WarmUp, fetches: int
) -> None:
    """Where the guard wants that; the application sees its own events all the same."""
    app = Lifespan()
    with FakeIssuer(["ES256"]) as issuer:
        wanted = Guard(issuers=Issuer(issuer.url, audience="me"), warm_up=warm_up)

        await exchange(JWTMiddleware(app, guard=wanted), {"type": "lifespan"}, START, STOP)

        assert app.events == [START["type"], STOP["type"]]
        assert issuer.requests[JWKS_PATH] == fetches
        assert (await wanted.averify(issuer.token(aud="me"))).subject == "alice"
        assert issuer.requests[JWKS_PATH] == 1


@pytest.mark.parametrize(("warm_up", "starts"), [("try", True), ("require", False)])
async def test_an_outage_at_the_start_stops_only_what_requires_keys(
    warm_up: WarmUp, starts: bool
) -> None:
    """The server is told why, with the issuer's name."""
    app = Lifespan()
    sent: list[Message] = []
    waiting = [STOP, START]
    with FakeIssuer(["ES256"]) as issuer:
        issuer.outage()
        wanted = Guard(issuers=Issuer(issuer.url, audience="me"), warm_up=warm_up)
        middleware = JWTMiddleware(app, guard=wanted)

        async def receive() -> Message:
            return waiting.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        if starts:
            await middleware({"type": "lifespan"}, receive, send)
        else:
            with pytest.raises(KeysUnavailable):
                await middleware({"type": "lifespan"}, receive, send)

    assert bool(app.events) is starts
    assert [message["type"] for message in sent] == ([] if starts else ["lifespan.startup.failed"])
    assert starts or issuer.url in sent[0]["message"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/docs/x", 200),
        ("/docs/x", 200),
        ("/docs/api/docs/x", 200),
        ("/docs/api/x", 401),
        ("/apiadmin", 401),
        ("/apidocs", 200),
        ("/docs/api../x", 400),
    ],
)
async def test_a_mount_point_inside_a_path_gives_another_reading(path: str, status: int) -> None:
    """Some routers serve what stands behind it, wherever it stands: that must be open as well."""
    wanted = guard(rules=[public("/docs/**", "/apidocs/**")])
    scope = http_scope("GET", path, root_path="/api")

    answer = await through_asgi(JWTMiddleware(asgi_app, guard=wanted), scope)

    assert answer.status == status


async def test_a_method_that_changed_is_decided_again() -> None:
    """Something between two middlewares of one guard may rewrite it."""
    wanted = guard(rules=[public("/", methods=["GET"])])
    inner = JWTMiddleware(asgi_app, guard=wanted)

    async def overriding(scope: Scope, receive: Receive, send: Send) -> None:
        await inner({**scope, "method": "DELETE"}, receive, send)

    answer = await through_asgi(JWTMiddleware(overriding, guard=wanted), http_scope("GET", "/"))

    assert answer.status == 401


@pytest.mark.parametrize("given", [{}, {"extensions": None}, {"extensions": {}}])
async def test_a_refused_socket_is_taken_first_and_then_closed(given: dict[str, Any]) -> None:
    """A server may wait until its handshake is read; it may also name no extensions at all."""
    told: list[str] = []

    async def receive() -> Message:
        told.append("received")
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        told.append(message["type"])

    scope = {**http_scope("GET", "/"), "type": "websocket", "scheme": "ws", **given}
    await JWTMiddleware(Recorder(), guard=guard())(scope, receive, send)

    assert told == ["received", "websocket.close"]


@pytest.mark.parametrize("headers", [None, [], [(b"x-own", b"1"), (b"x-own", b"2")]])
async def test_an_answer_keeps_its_own_headers_beside_ours(
    headers: list[tuple[bytes, bytes]] | None,
) -> None:
    """All of them, in their order, ours behind; a message may leave them out (ASGI)."""
    given = {} if headers is None else {"headers": headers}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, **given})
        await send({"type": "http.response.body", "body": b""})

    middleware = JWTMiddleware(app, guard=guard(rules=[optional("/")]))
    start, _ = await exchange(middleware, http_scope("GET", "/"))

    own = headers or []
    assert start["headers"][: len(own)] == own
    assert [name for name, _ in start["headers"][len(own) :]] == [b"vary", b"cache-control"]


def test_mount_points_are_read_from_every_application_inside_once() -> None:
    """What is no path counts for nothing, and applications that wrap each other end the search."""
    apps = [Recorder() for _ in range(4)]
    for app, inner, root in zip(
        apps, [*apps[1:], apps[0]], ["/api/", "v1", "/", "/api"], strict=True
    ):
        app.app, app.root_path = inner, root  # type: ignore[attr-defined]

    assert JWTMiddleware(apps[0], guard=guard())._application.mount_points == ("/api",)
