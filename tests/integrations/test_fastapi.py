"""Dependencies of FastAPI that give the caller and refuse whoever may not call."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security, WebSocket
from fastapi.responses import JSONResponse
from fastapi.security.base import SecurityBase
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from jwt_middleware import (
    ConfigurationError,
    Guard,
    Issuer,
    JWTMiddleware,
    Principal,
    Secret,
    capture,
    has_claim,
    has_role,
    has_scope,
    optional,
    protect,
)
from jwt_middleware.events import RequestRefused
from jwt_middleware.guard import authenticator
from jwt_middleware.integrations.fastapi import (
    AccessRefused,
    CurrentPrincipal,
    JWTBearer,
    OptionalPrincipal,
    authenticated_principal,
    optional_principal,
    requires,
    typed_claims,
)
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
READS = has_scope("orders:read")


@dataclass(frozen=True)
class Staff:
    sub: str
    desk: int


class Loose(TypedDict):
    sub: str
    desk: int


def token(**claims: Any) -> dict[str, str]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {text}"}


def guard(**options: Any) -> Guard:
    rules = [
        protect("/ruled/anyone"),
        protect("/ruled/reader", requires=READS),
        protect("/ruled/both", requires=has_role("clerk") & has_scope("a", "b")),
        optional("/**", on_invalid="anonymous"),
    ]
    claims_type = options.pop("claims_type", None)
    issuer = Issuer(
        "https://a/",
        audience=None,
        keys=Secret("0123456789abcdefghijklmnopqrstuv"),
        algorithms=["HS256"],
        claims_type=claims_type,
    )
    return Guard(issuers=issuer, rules=rules, **options)


router = APIRouter(dependencies=[requires(READS)])


@router.get("/routed")
async def routed(caller: CurrentPrincipal) -> dict[str, Any]:
    return {"subject": caller.subject}


api = FastAPI()
api.include_router(router)
inner = FastAPI()
api.mount("/mounted", inner)


@api.get("/current")
async def current(caller: CurrentPrincipal) -> dict[str, Any]:
    return {"subject": caller.subject}


@api.get("/in-a-thread")
def in_a_thread(caller: CurrentPrincipal) -> dict[str, Any]:
    return {"subject": caller.subject}


@api.get("/depends")
async def depends(
    caller: Annotated[Principal, Depends(authenticated_principal)],
) -> dict[str, Any]:
    return {"subject": caller.subject}


@inner.get("/current")
async def mounted(caller: CurrentPrincipal) -> dict[str, Any]:
    return {"subject": caller.subject}


@api.get("/maybe")
async def maybe(caller: OptionalPrincipal) -> dict[str, Any]:
    return {"subject": caller.subject, "refusal": caller.refusal}


@api.get("/required", dependencies=[requires(READS)])
async def required(request: Request) -> dict[str, Any]:
    return {"subject": request.user.subject}


@api.get("/as-parameter")
async def as_parameter(caller: Annotated[Principal, requires(READS)]) -> dict[str, Any]:
    return {"subject": caller.subject}


@api.get("/in-depends")
async def in_depends(caller: Annotated[Principal, Depends(requires(READS))]) -> dict[str, Any]:
    return {"subject": caller.subject}


@api.get("/with-scopes")
async def with_scopes(
    caller: Annotated[Principal, Security(authenticated_principal, scopes=["orders:read"])],
) -> dict[str, Any]:
    return {"subject": caller.subject}


def clerk(
    caller: Annotated[Principal, Security(JWTBearer(has_role("clerk")), scopes=["b"])],
) -> Principal:
    return caller


@api.get("/both")
async def both(caller: Annotated[Principal, Security(clerk, scopes=["a"])]) -> dict[str, Any]:
    return {"subject": caller.subject}


@api.get("/tenants/{tenant}", dependencies=[requires(has_claim("tenant", capture("tenant")))])
async def tenant(tenant: int) -> dict[str, Any]:
    return {"subject": tenant}


@api.websocket("/socket")
async def socket(websocket: WebSocket, caller: Annotated[Principal, requires(READS)]) -> None:
    await websocket.accept()
    await websocket.send_text(str(caller.subject))
    await websocket.close()


@api.get("/ruled/{whom}")
async def ruled(whom: str) -> dict[str, Any]:
    return {}


def client(app: FastAPI = api, **options: Any) -> TestClient:
    return TestClient(JWTMiddleware(app, guard=guard(**options)))


ANYONE = ["/current", "/in-a-thread", "/depends", "/mounted/current"]
READERS = ["/routed", "/required", "/as-parameter", "/in-depends", "/with-scopes"]


@pytest.mark.parametrize("path", [*ANYONE, *READERS])
def test_who_meets_it_is_served(path: str) -> None:
    """In a loop, in a thread, below a mount and an include, in each way to write it."""
    answer = client().get(path, headers=token(scope="orders:read"))

    assert answer.json() == {"subject": "alice"}


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        *((path, "/ruled/anyone") for path in ANYONE),
        *((path, "/ruled/reader") for path in READERS),
        ("/both", "/ruled/both"),
    ],
)
@pytest.mark.parametrize("headers", [{}, token(scope="x"), token(exp=1)])
@pytest.mark.parametrize("error_body", ["problem", "oauth"])
def test_a_refusal_is_the_middlewares_own(
    path: str, rule: str, headers: dict[str, str], error_body: str
) -> None:
    """Byte for byte what a rule that asks the same answers, in the shape that was chosen."""
    asked = client(error_body=error_body)
    ours, rules = asked.get(path, headers=headers), asked.get(rule, headers=headers)

    if path in ANYONE and headers == token(scope="x"):
        assert ours.status_code == rules.status_code == 200
        return
    assert ours.status_code in {401, 403}
    assert (ours.status_code, ours.content) == (rules.status_code, rules.content)
    assert ours.headers.items() == rules.headers.items()


def test_scopes_of_security_add_up() -> None:
    """Those of every level, and what the dependency itself asks for."""
    asked = client()

    assert asked.get("/both", headers=token(scope="a b", roles=["clerk"])).status_code == 200
    for claims in (
        {"scope": "a", "roles": ["clerk"]},
        {"scope": "b", "roles": ["clerk"]},
        {"scope": "a b"},
    ):
        assert asked.get("/both", headers=token(**claims)).status_code == 403


def test_a_path_parameter_is_a_capture() -> None:
    """Whatever type it has in the signature."""
    headers = token(tenant=7)

    assert client().get("/tenants/7", headers=headers).status_code == 200
    assert client().get("/tenants/8", headers=headers).status_code == 403


def test_the_anonymous_may_be_admitted() -> None:
    """With the code of a token that was forgiven."""
    assert client().get("/maybe").json() == {"subject": None, "refusal": None}
    assert client().get("/maybe", headers=token()).json()["subject"] == "alice"
    assert client().get("/maybe", headers=token(exp=1)).json() == {
        "subject": None,
        "refusal": "token_expired",
    }


def test_who_is_known_must_meet_it_even_where_the_anonymous_pass() -> None:
    """A requirement of the optional form, from itself or from ``Security``."""
    app = FastAPI()

    @app.get("/own", dependencies=[JWTBearer(READS, auto_error=False)])
    async def own() -> None: ...

    @app.get("/scopes", dependencies=[Security(optional_principal, scopes=["orders:read"])])
    async def scopes() -> None: ...

    for path in ("/own", "/scopes"):
        assert client(app).get(path).status_code == 200
        assert client(app).get(path, headers=token(scope="orders:read")).status_code == 200
        assert client(app).get(path, headers=token(scope="x")).status_code == 403


@pytest.mark.parametrize("claims_type", [Staff, Loose])
def test_typed_claims_are_a_parameter(claims_type: Any) -> None:
    """As the claims alone, and as those of the principal."""
    app = FastAPI()

    @app.get("/claims")
    async def claims(staff: Annotated[Any, typed_claims(claims_type)]) -> dict[str, Any]:
        return {"desk": staff["desk"] if isinstance(staff, dict) else staff.desk}

    @app.get("/principal")
    async def principal(caller: CurrentPrincipal[Staff]) -> dict[str, Any]:
        typed: Any = caller.typed
        return {"desk": typed["desk"] if isinstance(typed, dict) else typed.desk}

    asked = client(app, claims_type=claims_type)

    for path in ("/claims", "/principal"):
        assert asked.get(path, headers=token(desk=7)).json() == {"desk": 7}
    assert asked.get("/claims").status_code == 401


def test_typed_claims_may_ask_for_more() -> None:
    """A requirement beside the type."""
    app = FastAPI()

    @app.get("/", dependencies=[typed_claims(Staff, READS)])
    async def endpoint() -> None: ...

    asked = client(app, claims_type=Staff)

    assert asked.get("/", headers=token(desk=7)).status_code == 403
    assert asked.get("/", headers=token(desk=7, scope="orders:read")).status_code == 200


@pytest.mark.parametrize("given", [None, Loose])
def test_claims_of_another_type_are_a_mistake_of_the_settings(given: Any) -> None:
    """The sentence names the setting; no endpoint sees what it did not ask for."""
    app = FastAPI()

    @app.get("/")
    async def endpoint(staff: Annotated[Staff, typed_claims(Staff)]) -> None: ...

    with pytest.raises(ConfigurationError, match="claims_type=Staff"):
        client(app, claims_type=given).get("/", headers=token(desk=7))


def test_a_socket_is_refused_like_a_request() -> None:
    """With the denial response; who meets the requirement is let in."""
    with client().websocket_connect("/socket", headers=token(scope="orders:read")) as opened:
        assert opened.receive_text() == "alice"
    for headers in ({}, token(scope="x"), token(exp=1)):
        rules = client().get("/ruled/reader", headers=headers)
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client().websocket_connect("/socket", headers=headers),
        ):
            pass
        ours = denied.value
        assert (ours.status_code, ours.content) == (rules.status_code, rules.content)
        assert ours.headers.items() == rules.headers.items()


async def test_a_socket_of_an_older_server_is_closed_with_1008() -> None:
    """Where there is no extension to answer with."""
    sent: list[Any] = []
    scope = {
        "type": "websocket",
        "path": "/socket",
        "headers": [],
        "scheme": "ws",
        "query_string": b"",
        "subprotocols": [],
    }

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await JWTMiddleware(api, guard=guard())(scope, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "token_missing"}]


def test_no_dependency_verifies_anything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request with four dependencies looks its token up once, and checks no signature twice."""
    lookups = counted(monkeypatch, authenticator.Authenticator, "find")
    checks = counted(monkeypatch, authenticator, "check_signature")
    app = FastAPI(dependencies=[authenticated_principal])

    @app.get("/", dependencies=[requires(READS), JWTBearer(auto_error=False)])
    async def endpoint(caller: CurrentPrincipal) -> str:
        return str(caller.subject)

    asked = client(app)
    for _ in range(2):
        assert asked.get("/", headers=token(scope="orders:read")).json() == "alice"

    assert (len(lookups), len(checks)) == (2, 1)


def counted(monkeypatch: pytest.MonkeyPatch, holder: Any, name: str) -> list[object]:
    """Return a list that grows with each call of a function."""
    real = getattr(holder, name)
    calls: list[object] = []

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(holder, name, counting)
    return calls


@pytest.mark.parametrize("path", ["/current", "/required", "/maybe", "/mounted/current"])
def test_without_a_guard_in_front_nobody_is_served(path: str) -> None:
    """Not even the anonymous where they may come: the sentence names what is missing."""
    with pytest.raises(ConfigurationError, match=r"add_middleware\(JWTMiddleware"):
        TestClient(api).get(path, headers=token(scope="orders:read"))


def test_without_a_guard_in_front_no_socket_opens() -> None:
    """As for a request."""
    with (
        pytest.raises(ConfigurationError, match=r"add_middleware\(JWTMiddleware"),
        TestClient(api).websocket_connect("/socket", headers=token(scope="orders:read")),
    ):
        pass


@pytest.mark.parametrize("make", [requires, JWTBearer, lambda what: typed_claims(Staff, what)])
def test_what_is_no_requirement_is_refused_at_once(make: Any) -> None:
    """When the module is imported."""
    with pytest.raises(ConfigurationError, match="must be given a Requirement"):
        make("orders:read")


def test_an_operation_has_its_lock() -> None:
    """A bearer scheme under a name of its own, with the scopes of ``Security``."""
    app = FastAPI()
    named = JWTBearer(scheme_name="Staff", description="of the staff")

    @app.get("/a")
    async def a(caller: CurrentPrincipal) -> None: ...

    @app.get("/b", dependencies=[Security(named, scopes=["x"])])
    async def b() -> None: ...

    @app.get("/c", dependencies=[requires(READS, scheme_name="Readers")])
    async def c() -> None: ...

    schema = app.openapi()

    assert schema["components"]["securitySchemes"] == {
        "JWT": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "Readers": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "Staff": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "of the staff",
        },
    }
    locks = {path: item["get"]["security"] for path, item in schema["paths"].items()}
    assert locks == {"/a": [{"JWT": []}], "/b": [{"Staff": ["x"]}], "/c": [{"Readers": []}]}
    assert "parameters" not in schema["paths"]["/a"]["get"]
    assert isinstance(named, SecurityBase)


def test_a_refusal_is_an_exception_of_the_framework() -> None:
    """A dependency that cleans up sees it, and the status is told for those who only read that."""
    app = FastAPI()
    seen: list[HTTPException] = []

    def session() -> Iterator[None]:
        try:
            yield
        except HTTPException as problem:
            seen.append(problem)
            raise

    @app.get("/", dependencies=[Depends(session), requires(READS)])
    async def endpoint() -> None: ...

    answer = client(app).get("/", headers=token(scope="x"))

    assert [problem.status_code for problem in seen] == [answer.status_code] == [403]
    assert isinstance(seen[0], AccessRefused)
    assert seen[0].headers == {"WWW-Authenticate": answer.headers["WWW-Authenticate"]}


def test_an_application_may_answer_refusals_itself() -> None:
    """With a handler for the class; one for all exceptions of the framework changes nothing."""
    own, general = FastAPI(), FastAPI()

    async def handler(request: Request, problem: Exception) -> JSONResponse:
        return JSONResponse({"mine": True}, 418)

    own.add_exception_handler(AccessRefused, handler)
    general.add_exception_handler(HTTPException, handler)
    for app in (own, general):

        @app.get("/")
        async def endpoint(caller: CurrentPrincipal) -> None: ...

    assert client(own).get("/").json() == {"mine": True}
    assert client(general).get("/").content == client().get("/ruled/anyone").content


def test_a_refusal_is_observed_as_that_of_a_view(caplog: pytest.LogCaptureFixture) -> None:
    """Like any other; nothing of it counts as a fault of the application."""
    events: list[Any] = []
    with caplog.at_level(logging.ERROR):
        client(observers=[events.append]).get("/required", headers=token(scope="x"))

    refused = [event for event in events if isinstance(event, RequestRefused)]
    assert [(event.code, event.rule) for event in refused] == [("requirement_not_met", "a view")]
    assert caplog.records == []


def test_a_test_may_put_another_caller_in_place() -> None:
    """With FastAPI's own means, and without the middleware."""
    app = FastAPI()

    @app.get("/")
    async def endpoint(caller: CurrentPrincipal) -> str:
        return str(caller.subject)

    app.dependency_overrides[authenticated_principal] = lambda: Principal(subject="bob")

    assert TestClient(app).get("/").json() == "bob"


def test_a_principal_is_that_of_the_guard_and_not_of_what_stands_behind_it() -> None:
    """Another middleware may put whom it likes into ``scope["user"]``."""
    app = FastAPI()

    @app.get("/", dependencies=[requires(READS)])
    async def endpoint(caller: CurrentPrincipal) -> str:
        return str(caller.subject)

    async def pretending(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = Principal(subject="root", scopes=frozenset({"orders:read"}))
        await app(scope, receive, send)

    asked = TestClient(JWTMiddleware(pretending, guard=guard()))

    assert asked.get("/").status_code == 401
    assert asked.get("/", headers=token(scope="x")).status_code == 403
    assert asked.get("/", headers=token(scope="orders:read")).json() == "alice"


def test_a_missing_framework_is_a_sentence_that_names_the_extra() -> None:
    """Not the name of some module that nobody asked for."""
    code = """
import sys
sys.modules["fastapi"] = sys.modules["starlette"] = None
import jwt_middleware.integrations.fastapi
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'asgi-wsgi-jwt[fastapi]'" in done.stderr.splitlines()[-1]
