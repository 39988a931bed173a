"""Flask: what does not come through the guard is decided when Flask meets it."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule
from werkzeug.test import Client, create_environ

from jwt_middleware import (
    Guard,
    HeaderToken,
    JWTWSGIMiddleware,
    current_principal,
    protect,
    public,
)
from jwt_middleware.integrations.flask import JWT, requires
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
ISSUER = "https://a/"


def guard(**options: Any) -> Guard:
    return Guard(key=PAIR.private, algorithms=["HS256"], issuer=ISSUER, **options)


def bearer(subject: str = "alice", **claims: Any) -> dict[str, str]:
    token = PAIR.sign({"iss": ISSUER, "sub": subject, "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {token}"}


def test_a_request_that_a_test_prepares_without_a_server_is_decided_too() -> None:
    """As tests of ``before_request`` functions do, also with a function around ``wsgi_app``."""
    app: Any = Flask("shop", static_folder=None)
    JWT(app, guard=guard())
    inner = app.wsgi_app

    def around(environ: Any, start_response: Any) -> Any:
        return inner({**environ}, start_response)

    app.wsgi_app = around

    with app.test_request_context("/"):
        assert app.preprocess_request().status_code == 401
    with app.test_request_context("/", headers=bearer()):
        assert app.preprocess_request() is None
        assert current_principal().subject == "alice"
    assert current_principal().subject is None
    assert app.test_client().get("/").status_code == 401


def served_by_what_was_made_before(app: Any, made: Guard) -> Any:
    """The server is given a middleware around what ``app.wsgi_app`` was before the guard."""
    server = ProxyFix(app.wsgi_app)
    JWT(app, guard=made)
    return server


def served_behind_another_guard(app: Any, made: Guard) -> Any:
    """A guard that opens everything has let the request pass, and not the application's own."""
    server = JWTWSGIMiddleware(app.wsgi_app, guard=guard(rules=[public("/**")]))
    JWT(app, guard=made)
    return server


def served_with_a_new_environment(app: Any, made: Guard) -> Any:
    """A middleware behind the guard passes on what it knows, and no key of others."""
    inner = app.wsgi_app

    def renewing(environ: Any, start_response: Any) -> Any:
        kept = {name: environ[name] for name in environ if not name.startswith("jwt_middleware")}
        return inner(kept, start_response)

    app.wsgi_app = renewing
    JWT(app, guard=made)
    return app


@pytest.mark.parametrize(
    "build",
    [
        served_by_what_was_made_before,
        served_behind_another_guard,
        served_with_a_new_environment,
    ],
)
def test_flask_serves_nothing_that_its_own_guard_has_not_let_pass(build: Any) -> None:
    """A request that came around it is decided when Flask meets it."""
    app: Any = Flask("shop")
    app.add_url_rule("/", view_func=requires()(lambda: str(current_principal().subject)))
    app.add_url_rule("/open", view_func=lambda: "open", endpoint="open")
    made = guard(rules=[public("/open"), protect("/**")])
    client = Client(build(app, made))

    assert client.get("/").status_code == 401
    assert client.get("/", headers={"Authorization": "Bearer no-token"}).status_code == 401
    for _ in range(2):
        with client.get("/", headers=bearer()) as served:
            assert (served.status_code, served.get_data(as_text=True)) == (200, "alice")
        assert current_principal().subject is None
    assert client.get("/open").data == b"open"


def test_a_rule_of_flask_without_a_view_is_flasks_own_affair() -> None:
    """Werkzeug's rules may be answered by ``before_request`` alone."""
    app: Any = Flask("shop")
    app.url_map.add(Rule("/early", endpoint="early"))
    JWT(app, guard=guard(rules=[public("/**")]))
    app.before_request(lambda: "answered early")

    assert app.test_client().get("/early").text == "answered early"


def who() -> str:
    return str(current_principal().subject)


def around(**views: Any) -> tuple[Any, Client]:
    """Return an application with a guard, and a client that comes around it."""
    app: Any = Flask("shop", static_folder=None)
    raw = app.wsgi_app
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view)
    JWT(app, guard=guard(rules=[public("/open"), protect("/**")]))
    return app, Client(raw)


def test_an_environment_that_is_used_again_is_judged_again() -> None:
    """By a server that comes around the guard; what let the first pass lets no second one pass."""
    app: Any = Flask("shop", static_folder=None)
    raw = app.wsgi_app
    app.add_url_rule("/who", "who", requires()(who))
    JWT(app, guard=guard())
    environ = create_environ("/who", headers=bearer())

    def served() -> str:
        return b"".join(raw(environ, lambda *_: None)).decode()

    assert served() == "alice"
    del environ["HTTP_AUTHORIZATION"]
    assert "token_missing" in served()
    environ["HTTP_AUTHORIZATION"] = bearer(exp=1)["Authorization"]
    assert "token_expired" in served()
    environ["HTTP_AUTHORIZATION"] = bearer("bob")["Authorization"]
    assert served() == "bob"


def test_a_token_that_was_exchanged_behind_the_guard_is_judged() -> None:
    """As where one guard is met twice."""
    app: Any = Flask("shop", static_folder=None)
    app.add_url_rule("/", "who", who)
    inner = app.wsgi_app

    def exchanging(environ: Any, start_response: Any) -> Any:
        return inner({**environ, "HTTP_AUTHORIZATION": environ["HTTP_X_OTHER"]}, start_response)

    app.wsgi_app = exchanging
    JWT(app, guard=guard())

    def page(other: dict[str, str]) -> str:
        headers = bearer() | {"X-Other": other["Authorization"]}
        with app.test_client().get("/", headers=headers) as answer:
            return str(answer.text)

    assert page(bearer()) == "alice"
    assert page(bearer("bob")) == "bob"
    assert "token_expired" in page(bearer("bob", exp=1))


def test_a_request_within_a_request_has_its_own_caller() -> None:
    """And the outer one has it again afterwards, as in a view that answers several requests."""

    def several() -> str:
        found = [who()]
        for path, headers in (("/open", {}), ("/who", bearer("bob"))):
            with app.test_request_context(path, headers=headers):
                assert app.preprocess_request() is None
                found += [app.dispatch_request(), who()]
            found.append(who())
        return " ".join(found)

    app, client = around(who=who, open=who, several=several)
    expected = "alice None None alice bob bob alice"
    for each in (client, app.test_client()):
        with each.get("/several", headers=bearer()) as answer:
            assert answer.get_data(as_text=True) == expected
        assert who() == "None"


def test_no_caller_is_left_by_a_teardown_that_raises() -> None:
    """Flask calls no function for the teardown after one that raises."""
    app, client = around(who=who)

    @app.teardown_request
    def failing(_: Any) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        client.get("/who", headers=bearer())
    assert who() == "None"


def test_a_guard_further_in_names_the_caller() -> None:
    """The extension's own guard has let the request pass, and is not asked twice."""
    told: list[object] = []
    inner = guard(token_sources=[HeaderToken("X-User")])
    app: Any = Flask("shop", static_folder=None)
    app.wsgi_app = JWTWSGIMiddleware(app.wsgi_app, guard=inner)
    app.add_url_rule("/", "who", requires()(who))
    JWT(app, guard=guard(observers=[told.append]))
    user = bearer()["Authorization"].removeprefix("Bearer ")

    with app.test_client().get("/", headers=bearer("gateway") | {"X-User": user}) as answer:
        assert answer.text == "alice"
    assert len(told) == 1
