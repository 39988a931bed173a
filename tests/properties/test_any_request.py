"""Whatever is sent, in whatever order: a pass or one of four refusals, the same on both faces."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jwt_middleware import (
    BearerHeader,
    CookieToken,
    Guard,
    HeaderToken,
    JWTMiddleware,
    JWTWSGIMiddleware,
    QueryToken,
    SubprotocolToken,
    capture,
    has_claim,
    has_role,
    optional,
    protect,
    public,
)
from jwt_middleware.rules.table import MEMO_ENTRIES
from jwt_middleware.testing import Clock, KeyPair
from tests.faces.calls import Answer, through_asgi, through_wsgi

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
RULES = [
    public("/open/**"),
    optional("/feed"),
    optional("/lenient", on_invalid="anonymous"),
    protect("/admin/**", requires=has_role("admin")),
    protect("/orgs/{org}/**", requires=has_claim("org", capture("org"))),
    protect("/post", methods=["POST"], requires=has_role("writer")),
]
CACHED = 8
REFUSALS = {400, 401, 403, 503}

raw = st.binary(max_size=40)
words = st.sampled_from(
    [b"Bearer", b"bearer ", b"Basic", b",", b";", b"=", b" ", b"t", b"a.b.c", b"__Host-t", b"\xff"]
)
values = st.lists(words | raw, max_size=5).map(b"".join)
pieces = [b"/", b"//", b"open", b"admin", b"orgs", b"a", b"post", b"feed", b"lenient", b".", b".."]
pieces += [
    b";",
    b"%2e",
    b"%25",
    b"%",
    b"\\",
    b"\x00",
    b"\n",
    b"\xc3\xa9",
    b"\xff",
    b"*",
    b"?",
    b" ",
]
places = [b"/open/", b"/admin/", b"/orgs/a/", b"/post", b"/feed", b"/lenient", b"/", b""]
ends = st.lists(st.sampled_from(pieces) | raw, max_size=4).map(b"".join)
paths = st.builds(bytes.__add__, st.sampled_from(places), ends)
methods = st.sampled_from(["GET", "HEAD", "POST", "post", "OPTIONS", "BREW", "DELETE", "", "G T"])
methods |= st.text(max_size=6)
roots = st.sampled_from(["", "/", "/m", "/open", "/m/"])


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


def build_guard(clock: Clock) -> Guard:
    return Guard(
        key=PAIR.private,
        algorithms=["HS256"],
        issuer="https://a/",
        audience="b",
        rules=RULES,
        token_sources=[
            BearerHeader(),
            HeaderToken("X-Token"),
            CookieToken("__Host-t", clear_on_invalid=True),
            SubprotocolToken(),
            QueryToken("t", http=True),
        ],
        trusted_origins=["https://page.example"],
        token_cache_size=CACHED,
        clock=clock,
    )


class AnyRequests(RuleBasedStateMachine):
    """One guard behind both faces, and everything that a client may send it, while time passes."""

    @initialize()
    def start(self) -> None:
        self.clock = Clock()
        self.guard = build_guard(self.clock)
        self.asgi = JWTMiddleware(asgi_app, guard=self.guard)
        self.wsgi = JWTWSGIMiddleware(wsgi_app, guard=self.guard)
        self.tokens = [b"a.b.c"]
        self.loop = asyncio.new_event_loop()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    @rule(lasts=st.integers(-100, 400), admin=st.booleans(), org=st.sampled_from(["a", "", 1]))
    def issue_a_token(self, lasts: int, admin: bool, org: object) -> None:
        claims = {"iss": "https://a/", "aud": "b", "sub": "alice", "org": org}
        claims |= {"exp": self.clock.now() + lasts, "roles": ["admin"] if admin else []}
        self.tokens.append(PAIR.sign(claims).encode())

    @rule(seconds=st.integers(0, 300))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.tick(seconds)

    @rule(
        method=methods,
        path=paths,
        query=values,
        headers=st.dictionaries(
            st.sampled_from(
                ["authorization", "x-token", "cookie", "origin", "sec-fetch-site", "host"]
            ),
            values,
            max_size=4,
        ),
        place=st.sampled_from(["", "authorization", "x-token", "cookie", "query"]),
        which=st.integers(0, 9),
    )
    def ask_both(  # noqa: PLR0917 - as the rule draws them
        self,
        method: str,
        path: bytes,
        query: bytes,
        headers: dict[str, bytes],
        place: str,
        which: int,
    ) -> None:
        """One request, as a server of each kind hands it over: same status and same code."""
        token = self.tokens[which % len(self.tokens)]
        query, headers = put(token, place, query, headers)
        scope = {
            "type": "http",
            "method": method,
            "path": path.decode("utf-8", "replace"),
            "query_string": query,
            "headers": [(name.encode(), value) for name, value in headers.items()],
            "scheme": "http",
            "client": ("127.0.0.1", 1),
        }
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.decode("latin-1"),
            "SCRIPT_NAME": "",
            "QUERY_STRING": query.decode("latin-1"),
            "wsgi.url_scheme": "http",
        }
        for name, value in headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value.decode("latin-1")

        asgi = self.loop.run_until_complete(through_asgi(self.asgi, scope))
        wsgi = through_wsgi(self.wsgi, environ)

        assert (asgi.status, code_of(asgi)) == (wsgi.status, code_of(wsgi))
        assert asgi.status in {200, *REFUSALS}

    @rule(
        path=paths,
        root=roots,
        pairs=st.lists(st.tuples(raw, values), max_size=6),
        subprotocols=st.lists(st.text(max_size=20) | st.just("bearer"), max_size=4),
        which=st.integers(0, 9),
    )
    def open_a_socket(
        self,
        path: bytes,
        root: str,
        pairs: list[tuple[bytes, bytes]],
        subprotocols: list[str],
        which: int,
    ) -> None:
        """Accepted, or closed for policy before it opens; headers of any name, any number of times."""
        token = self.tokens[which % len(self.tokens)].decode()
        scope = {
            "type": "websocket",
            "path": root.rstrip("/") + path.decode("utf-8", "replace"),
            "root_path": root,
            "query_string": b"",
            "headers": [*pairs, *pairs],
            "subprotocols": [token if name == "t" else name for name in subprotocols],
            "scheme": "ws",
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        self.loop.run_until_complete(self.asgi(scope, receive, send))

        assert len(sent) == 1
        assert sent[0]["type"] == "websocket.accept" or sent[0]["code"] == 1008

    @precondition(lambda self: hasattr(self, "guard"))
    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.guard._authenticator._tokens) <= CACHED
        assert len(self.guard.integration.rule_table._memo) <= MEMO_ENTRIES


def put(
    token: bytes, place: str, query: bytes, headers: dict[str, bytes]
) -> tuple[bytes, dict[str, bytes]]:
    """Return query and headers with a token where the guard looks for one."""
    match place:
        case "authorization":
            return query, {**headers, place: b"Bearer " + token}
        case "x-token":
            return query, {**headers, place: token}
        case "cookie":
            return query, {**headers, place: headers.get(place, b"") + b"; __Host-t=" + token}
        case "query":
            return query + b"&t=" + token, headers
        case _:
            return query, headers


def code_of(answer: Answer) -> str | None:
    if answer.status == 200 or not answer.body:
        return None
    code: str = answer.json()["code"]
    return code


TestAnyRequests = AnyRequests.TestCase
TestAnyRequests.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyRequests = pytest.mark.slow(TestAnyRequests)
