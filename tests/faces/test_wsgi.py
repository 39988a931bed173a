"""What only the WSGI face has: bodies, threads, ``REMOTE_USER``, bytes in the path."""

from collections.abc import Iterator
from typing import Any

import pytest

from jwt_middleware import (
    Guard,
    Issuer,
    JWTWSGIMiddleware,
    KeysUnavailable,
    current_principal,
    optional,
    public,
)
from jwt_middleware.events import RequestAllowed, RequestRefused
from jwt_middleware.guard.options import WarmUp
from jwt_middleware.testing import FakeIssuer, KeyPair
from jwt_middleware.testing.issuer import JWKS_PATH
from jwt_middleware.wsgi import Environ, StartResponse
from tests.faces.calls import through_wsgi, wsgi_app, wsgi_environ

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)


def bearer(subject: str = "alice") -> list[tuple[str, str]]:
    token = PAIR.sign({"iss": "https://a/", "sub": subject, "exp": 4_000_000_000})
    return [("Authorization", f"Bearer {token}")]


def guard(**options: Any) -> Guard:
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", **options)


class Streaming:
    """An application whose body comes piece by piece."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []
        self.is_closed = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> "Streaming":
        start_response("200 OK", [("Vary", "Accept"), ("Cache-Control", "no-cache")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        self.seen.append(current_principal().subject)
        yield b"x"

    def close(self) -> None:
        self.is_closed = True


def test_a_streamed_body_knows_who_asked_until_it_is_closed() -> None:
    """The principal is current while the body is made, and gone after ``close``."""
    app = Streaming()

    through_wsgi(JWTWSGIMiddleware(app, guard=guard()), wsgi_environ("GET", "/", bearer()))

    assert app.seen == ["alice"]
    assert app.is_closed
    assert not current_principal().is_authenticated


def test_a_body_without_close_is_as_good() -> None:
    """A generator has one, a plain iterable does not."""

    class Plain:
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"

    def app(environ: Environ, start_response: StartResponse) -> Plain:
        start_response("200 OK", [])
        return Plain()

    answer = through_wsgi(JWTWSGIMiddleware(app, guard=guard()), wsgi_environ("GET", "/", bearer()))

    assert answer.body == b"x"
    assert not current_principal().is_authenticated


def test_a_file_passes_unwrapped() -> None:
    """So that the server can send it in its own way."""

    class File:
        def __init__(self, wrapped: object) -> None:
            self.wrapped = wrapped

        def __iter__(self) -> Iterator[bytes]:
            yield b"x"

    file = File(None)

    def app(environ: Environ, start_response: StartResponse) -> File:
        start_response("200 OK", [])
        return file

    environ = wsgi_environ("GET", "/", bearer(), **{"wsgi.file_wrapper": File})
    body = JWTWSGIMiddleware(app, guard=guard())(environ, lambda *_: lambda _: None)

    assert body is file


def test_nobody_is_current_after_an_application_that_raises() -> None:
    """The exception passes, the principal does not stay."""

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        raise LookupError

    with pytest.raises(LookupError):
        through_wsgi(JWTWSGIMiddleware(app, guard=guard()), wsgi_environ("GET", "/", bearer()))

    assert not current_principal().is_authenticated


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("alice", "alice"), ("zo\u00eb", "zo\u00eb".encode().decode("latin-1")), ("a\nb", None)],
)
def test_remote_user_is_the_identity(subject: str, expected: str | None) -> None:
    """UTF-8 that looks like latin-1; unset where a control character would stand."""
    environ = wsgi_environ("GET", "/", bearer(subject), REMOTE_USER="mallory")

    through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard()), environ)

    assert environ.get("REMOTE_USER") == expected
    assert environ["AUTH_TYPE"] == "Bearer"


def test_inbound_identity_is_removed_on_public_paths_too() -> None:
    """Nobody is who the environment says."""
    forged = {"REMOTE_USER": "mallory", "AUTH_TYPE": "Basic", "jwt_middleware.principal": "m"}
    environ = {**wsgi_environ("GET", "/open"), **forged}

    through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard(rules=[public("/open")])), environ)

    assert "REMOTE_USER" not in environ
    assert "AUTH_TYPE" not in environ
    assert not environ["jwt_middleware.principal"].is_authenticated


@pytest.mark.parametrize("raw", ["/caf\xe9", "/\xff", "/\u20ac"])
def test_a_path_that_is_no_utf8_is_refused(raw: str) -> None:
    """Frameworks disagree about such bytes, so nobody gets to guess."""
    environ = {**wsgi_environ("GET", "/"), "PATH_INFO": raw}

    answer = through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard()), environ)

    assert answer.json()["code"] == "path_invalid"


def test_an_answer_under_optional_says_what_it_depends_on() -> None:
    """``Vary`` adds up; ``Cache-Control`` stays where the application set it."""
    middleware = JWTWSGIMiddleware(Streaming(), guard=guard(rules=[optional("/")]))

    answer = through_wsgi(middleware, wsgi_environ("GET", "/"))

    assert answer.header("vary") == "Accept, Authorization"
    assert answer.header("cache-control") == "no-cache"


def test_the_same_guard_met_twice_decides_once() -> None:
    """An inner face takes the verdict over; for another path it decides again."""
    told: list[object] = []
    same = guard(rules=[public("/open")], observers=[told.append])
    inner = JWTWSGIMiddleware(wsgi_app, guard=same)

    def rewriting(environ: Environ, start_response: StartResponse) -> Any:
        return inner({**environ, "PATH_INFO": "/secret"}, start_response)

    twice = through_wsgi(JWTWSGIMiddleware(inner, guard=same), wsgi_environ("GET", "/open"))
    other = through_wsgi(JWTWSGIMiddleware(rewriting, guard=same), wsgi_environ("GET", "/open"))

    assert (twice.status, other.status) == (200, 401)
    assert [type(event) for event in told] == [RequestAllowed, RequestAllowed, RequestRefused]


def test_a_request_that_passed_keeps_its_verdict_whatever_became_of_its_headers() -> None:
    """What stands between two faces of one guard may take the token away; another guard asks."""
    same = guard()

    def stripped(inner: Guard) -> Any:
        app = JWTWSGIMiddleware(wsgi_app, guard=inner)

        def stripping(environ: Environ, start_response: StartResponse) -> Any:
            del environ["HTTP_AUTHORIZATION"]
            return app(environ, start_response)

        return JWTWSGIMiddleware(stripping, guard=same)

    kept = through_wsgi(stripped(same), wsgi_environ("GET", "/", bearer()))
    asked = through_wsgi(stripped(guard()), wsgi_environ("GET", "/", bearer()))

    assert (kept.status, asked.status) == (200, 401)


def test_a_head_request_gets_no_body() -> None:
    """The headers are those of GET (RFC 9110 §9.3.2)."""
    answer = through_wsgi(JWTWSGIMiddleware(wsgi_app, guard=guard()), wsgi_environ("HEAD", "/"))

    assert (answer.status, answer.body) == (401, b"")
    assert answer.header("content-length") != "0"


@pytest.mark.parametrize(("warm_up", "fetches"), [("lazy", 0), ("try", 1), ("require", 1)])
def test_keys_are_fetched_when_the_application_is_built(warm_up: WarmUp, fetches: int) -> None:
    """Where the guard wants that: a WSGI server has no event for its start."""
    with FakeIssuer(["ES256"]) as issuer:
        guard = Guard(issuers=Issuer(issuer.url, audience="me"), warm_up=warm_up)
        JWTWSGIMiddleware(wsgi_app, guard=guard)

        assert issuer.requests[JWKS_PATH] == fetches


def test_an_outage_stops_only_what_requires_keys() -> None:
    """At construction, where a server ends with the sentence."""
    with FakeIssuer(["ES256"]) as issuer:
        issuer.outage()
        trusted = Issuer(issuer.url, audience="me")

        JWTWSGIMiddleware(wsgi_app, issuers=trusted, warm_up="try")
        with pytest.raises(KeysUnavailable, match=issuer.url):
            JWTWSGIMiddleware(wsgi_app, issuers=trusted, warm_up="require")


def test_a_method_that_changed_is_decided_again() -> None:
    """Something between two middlewares of one guard may rewrite it."""
    wanted = guard(rules=[public("/", methods=["GET"])])
    inner = JWTWSGIMiddleware(wsgi_app, guard=wanted)

    def overriding(environ: Environ, start_response: StartResponse) -> Any:
        return inner({**environ, "REQUEST_METHOD": "DELETE"}, start_response)

    answer = through_wsgi(JWTWSGIMiddleware(overriding, guard=wanted), wsgi_environ("GET", "/"))

    assert answer.status == 401


def test_an_error_page_hands_its_exception_to_the_server() -> None:
    """``exc_info`` lets a server replace headers that it holds back (PEP 3333)."""
    seen: list[Any] = []
    mistake = ValueError("late")

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("500 Internal Server Error", [], (ValueError, mistake, None))
        return []

    def start(status: str, headers: Any, *exc_info: Any) -> Any:
        seen.extend(exc_info)

    JWTWSGIMiddleware(app, guard=guard(rules=[optional("/")]))(wsgi_environ("GET", "/"), start)

    assert seen == [(ValueError, mistake, None)]


@pytest.mark.parametrize("body", [[b"x"], (b"x",)], ids=["list", "tuple"])
def test_a_body_that_is_whole_passes_unwrapped(body: Any) -> None:
    """Servers read its length; and nobody is current any more."""
    face = JWTWSGIMiddleware(lambda *_: body, guard=guard())

    assert face(wsgi_environ("GET", "/", bearer()), lambda *_: lambda _: None) is body
    assert not current_principal().is_authenticated


def test_a_token_without_a_subject_sets_no_remote_user() -> None:
    """Empty text would look like somebody."""
    seen: list[Environ] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        seen.append(environ)
        return []

    face = JWTWSGIMiddleware(app, guard=guard())
    face(wsgi_environ("GET", "/", bearer("")), lambda *_: lambda _: None)

    assert seen[0]["AUTH_TYPE"] == "Bearer"
    assert "REMOTE_USER" not in seen[0]
