"""Requests of Flask in and around others: each has its own caller until its response is closed."""

from collections.abc import Iterator
from contextvars import copy_context
from threading import Thread
from typing import Any

import pytest
from flask import (
    Flask,
    Response,
    copy_current_request_context,
    request,
    send_file,
    stream_with_context,
)
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, create_environ

from jwt_middleware import Guard, HeaderToken, JWTWSGIMiddleware, current_principal
from jwt_middleware.integrations.flask import JWT, requires
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
ISSUER = "https://a/"


def guard(**options: Any) -> Guard:
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer=ISSUER, **options)


def token(subject: str) -> str:
    return PAIR.sign({"iss": ISSUER, "sub": subject, "exp": 4_000_000_000})


def bearer(subject: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(subject)}"}


def who() -> str:
    return str(current_principal().subject)


def named() -> str:
    """Return who the caller is, in each place that says so."""
    principal = request.environ["jwt_middleware.principal"]
    return f"{who()} {principal.subject} {request.environ['REMOTE_USER']}"


class Left:
    """What was seen while a request ran, and the contexts that it leaves."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.contexts: list[Any] = []

    def note(self, *_: Any) -> None:
        self.seen.append(who())
        self.contexts.append(copy_context())

    def pieces(self) -> Iterator[str]:
        self.note()
        yield "a"
        self.note()
        yield "b"


def around(**views: Any) -> tuple[Any, Client]:
    """Return an application with a guard, and a client that comes around it."""
    app: Any = Flask("shop", static_folder=None)
    raw = app.wsgi_app
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view)
    JWT(app, guard=guard())
    return app, Client(raw)


@pytest.fixture(params=["around the guard", "behind it"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def client_of(place: str, app: Any, raw: Client) -> Any:
    return raw if place == "around the guard" else app.test_client()


def assert_ended(left: Left, *, seen: list[str]) -> None:
    assert left.seen == seen
    assert [context.run(who) for context in left.contexts] == ["None"] * len(seen)
    assert who() == "None"


@pytest.mark.parametrize("wrap", [iter, stream_with_context], ids=["plain", "with context"])
def test_a_streaming_body_runs_for_its_caller_until_it_is_closed(place: str, wrap: Any) -> None:
    """So does what is called then, and nothing in between is left on the thread."""
    left = Left()

    def streaming() -> Response:
        response = Response(wrap(left.pieces()))
        response.call_on_close(left.note)
        return response

    client = client_of(place, *around(streaming=streaming))
    answer = client.get("/streaming", headers=bearer("alice"))
    assert who() == "None"
    assert left.contexts[0].run(who) == "alice"
    steps = answer.iter_encoded()
    assert [next(steps), who(), next(steps)] == [b"a", "None", b"b"]
    answer.close()

    assert_ended(left, seen=["alice"] * 3)


def test_what_flask_calls_at_the_end_runs_for_the_caller(place: str) -> None:
    """Also after an error, which the application answers or which it raises."""
    left = Left()

    def failing() -> str:
        left.note()
        raise LookupError

    app, raw = around(failing=failing, plain=who)
    app.teardown_request(left.note)

    @app.errorhandler(500)
    def failed(_: Any) -> tuple[str, int]:
        left.note()
        return "failed", 500

    client = client_of(place, app, raw)

    assert client.get("/plain", headers=bearer("alice"), buffered=True).data == b"alice"
    assert client.get("/failing", headers=bearer("alice"), buffered=True).data == b"failed"
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError):
        client.get("/failing", headers=bearer("alice"))

    assert_ended(left, seen=["alice"] * 6)


def test_what_no_application_answers_leaves_no_caller(place: str) -> None:
    """As when a server stops in the middle."""
    left = Left()

    def stopped() -> str:
        left.note()
        raise SystemExit

    client = client_of(place, *around(stopped=stopped))
    with pytest.raises(SystemExit):
        client.get("/stopped", headers=bearer("alice"))

    assert_ended(left, seen=["alice"])


def test_a_request_that_is_dispatched_in_a_view_keeps_its_caller_to_the_end(place: str) -> None:
    """Its body too, which the outer response passes on."""
    left = Left()

    def outer() -> Any:
        left.note()
        with app.test_request_context("/inner", headers=bearer("bob")):
            response = app.full_dispatch_request()
            left.note()
        left.note()
        return response

    def inner() -> Response:
        left.note()
        return Response(left.pieces())

    app, raw = around(outer=outer, inner=inner)
    client_of(place, app, raw).get("/outer", headers=bearer("alice"), buffered=True)

    assert_ended(left, seen=["alice", "bob", "bob", "alice", "bob", "bob"])


def test_a_client_in_a_view_has_the_callers_of_its_requests(place: str) -> None:
    def outer() -> str:
        found = [named()]
        for name in ("bob", "carol"):
            answer = client_of(place, app, raw).get("/inner", headers=bearer(name))
            found += [named(), answer.get_data(as_text=True), named()]
        return ", ".join(found)

    app, raw = around(outer=outer, inner=lambda: Response(iter([named()])))
    with client_of(place, app, raw).get("/outer", headers=bearer("alice")) as answer:
        found = answer.get_data(as_text=True).split(", ")

    alice, bob, carol = "alice alice alice", "bob bob bob", "carol carol carol"
    assert found == [alice, alice, bob, alice, alice, carol, alice]
    assert who() == "None"


def test_an_application_that_is_called_with_the_same_environment_has_its_own_caller(
    place: str,
) -> None:
    """The view that called it goes on for the caller that it had."""
    inner: Any = Flask("inner", static_folder=None)
    raw_inner = inner.wsgi_app
    inner.add_url_rule("/outer", "named", lambda: Response(iter([named()])))
    JWT(inner, guard=guard(token_sources=[HeaderToken("X-User")]))

    def outer() -> str:
        found = [named()]
        for each in (inner.wsgi_app, raw_inner):
            answer = Response.from_app(each, request.environ)
            found += [named(), answer.get_data(as_text=True), named()]
            answer.close()
        return ", ".join([*found, str(again())])

    again = requires()(named)
    app, raw = around(outer=outer)
    headers = bearer("alice") | {"X-User": token("bob")}
    with client_of(place, app, raw).get("/outer", headers=headers) as answer:
        found = answer.get_data(as_text=True).split(", ")

    alice, bob = "alice alice alice", "bob bob bob"
    assert found == [alice, alice, bob, alice, alice, bob, alice, alice]
    assert who() == "None"


def test_applications_behind_a_dispatcher_have_their_own_callers() -> None:
    """Each behind the guard of all, and one behind its own too."""
    inner: Any = Flask("inner", static_folder=None)
    inner.add_url_rule("/named", "named", lambda: Response(iter([named()])))
    JWT(inner, guard=guard(token_sources=[HeaderToken("X-User")]))
    outer, _ = around(named=named)
    dispatching = DispatcherMiddleware(outer, {"/inner": inner})
    client = Client(JWTWSGIMiddleware(dispatching, guard=guard()))
    headers = bearer("alice") | {"X-User": token("bob")}

    for path, expected in (("/inner/named", "bob"), ("/named", "alice")):
        with client.get(path, headers=headers) as answer:
            assert answer.get_data(as_text=True) == " ".join([expected] * 3)
        assert who() == "None"


def test_a_thread_with_a_copy_of_the_context_ends_no_request(place: str) -> None:
    """Flask calls the functions for the end of a request in each such thread."""

    def view() -> str:
        thread = Thread(target=copy_current_request_context(lambda: None))
        thread.start()
        thread.join()
        return who()

    client = client_of(place, *around(view=view))
    assert client.get("/view", headers=bearer("alice"), buffered=True).text == "alice"
    assert who() == "None"


def test_a_thread_that_serves_an_environment_has_its_caller() -> None:
    """And so has another request, whose view serves it."""
    app, raw = around(inner=named)
    found: list[str] = []

    def serve(served: Any, environ: Any) -> None:
        found.append(Response.from_app(served, environ).get_data(as_text=True))

    def outer() -> str:
        environ = {**request.environ, "PATH_INFO": "/inner"}
        serve(app.wsgi_app, environ)
        for each in (app.wsgi_app, raw.application):
            thread = Thread(target=serve, args=(each, environ))
            thread.start()
            thread.join()
            carol = create_environ(
                "/serve", headers=bearer("carol"), environ_overrides={"x": (each, environ)}
            )
            assert Response.from_app(app.wsgi_app, carol).get_data() == b"carol carol carol"
        return who()

    def serving() -> str:
        serve(*request.environ["x"])
        return named()

    app.add_url_rule("/outer", "outer", outer)
    app.add_url_rule("/serve", "serve", serving)
    assert app.test_client().get("/outer", headers=bearer("alice"), buffered=True).text == "alice"
    assert found == ["alice alice alice"] * 5


def test_a_body_that_stops_within_another_request_goes_on_there(place: str) -> None:
    def streaming() -> Response:
        return Response(pieces())

    def pieces() -> Iterator[str]:
        with app.test_request_context("/inner", headers=bearer("bob")):
            assert app.preprocess_request() is None
            yield who()
            yield who()
        yield who()

    app, raw = around(streaming=streaming)
    with client_of(place, app, raw).get("/streaming", headers=bearer("alice")) as answer:
        assert list(answer.iter_encoded()) == [b"bob", b"bob", b"alice"]
    assert who() == "None"


def test_a_request_that_is_left_in_another_context_is_left() -> None:
    """As by a test that enters it in a fixture."""
    app, _ = around(view=who)
    context = copy_context()
    entered = app.test_request_context("/view", headers=bearer("alice"))

    def enter() -> None:
        entered.push()
        assert app.preprocess_request() is None

    context.run(enter)
    copied = context.copy()
    assert copied.run(who) == "alice"
    with pytest.raises(ValueError, match="different Context"):
        copied.run(entered.pop)
    assert (copied.run(who), context.run(who)) == ("None", "None")


def test_a_response_that_is_returned_again_runs_for_each_caller() -> None:
    """A server closes it each time; also one that sends a file itself."""
    left = Left()
    response = Response("kept")
    response.call_on_close(left.note)
    _, raw = around(kept=lambda: response, file=lambda: send_file(__file__))
    for name in ("alice", "bob"):
        raw.get("/kept", headers=bearer(name), buffered=True)
        raw.get("/file", headers=bearer(name), buffered=True)
    response.close()

    assert_ended(left, seen=["alice", "bob", "None"])


def test_a_request_that_is_prepared_twice_has_one_caller() -> None:
    app, _ = around(view=who)
    with app.test_request_context("/view", headers=bearer("alice")):
        assert app.preprocess_request() is None
        request.environ.update(create_environ("/view", headers=bearer("bob")))
        assert app.preprocess_request() is None
        assert who() == "bob"
        del request.environ["jwt_middleware.passage"]
        assert app.preprocess_request() is None
        assert who() == "bob"
    assert who() == "None"
