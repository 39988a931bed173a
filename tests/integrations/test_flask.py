"""Flask: the extension, and views that ask for more than the rule of their path."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Flask, Request, request
from flask.views import MethodView
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from jwt_middleware import (
    ConfigurationError,
    Guard,
    HeaderToken,
    capture,
    has_claim,
    has_role,
    has_scope,
    optional,
    protect,
    public,
)
from jwt_middleware.integrations.flask import JWT, current_principal, requires
from jwt_middleware.principal import set_current
from jwt_middleware.testing import KeyPair

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
READS = has_scope("orders:read")
NAMED = {"JWT_KEY": PAIR.private, "JWT_ALGORITHMS": ["HS256"], "JWT_ISSUER": "https://a/"}
RULES = [protect("/ruled/**", requires=READS), optional("/**", on_invalid="anonymous")]


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """Flask's test client closes no response, which is what forgets the caller."""
    yield
    set_current(None)


def bearer(**claims: Any) -> dict[str, str]:
    text = PAIR.sign({"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, **claims})
    return {"Authorization": f"Bearer {text}"}


def who() -> dict[str, Any]:
    return {"subject": current_principal().subject}


class Orders(MethodView):
    decorators: ClassVar = [requires(READS)]

    def get(self) -> dict[str, Any]:
        return who()


def built() -> Flask:
    app = Flask(__name__)
    app.config.update(NAMED, JWT_RULES=RULES)
    staff = Blueprint("staff", __name__, url_prefix="/staff")
    staff.before_request(requires(has_role("staff"))(lambda: None))

    @staff.get("/desk")
    def desk() -> dict[str, Any]:
        return who()

    @app.get("/plain")
    @requires(READS)
    def plain() -> dict[str, Any]:
        return who()

    @app.get("/async")
    @requires(READS)
    async def asynchronous() -> dict[str, Any]:
        return who()

    @app.get("/any")
    @requires()
    def any_token() -> dict[str, Any]:
        return who()

    @app.get("/tenants/<int:tenant>")
    @requires(has_claim("tenant", capture("tenant")))
    def tenant(tenant: int) -> dict[str, Any]:
        return who()

    @app.get("/ruled")
    def ruled() -> dict[str, Any]:
        return who()

    app.add_url_rule("/class", view_func=Orders.as_view("orders"))
    app.register_blueprint(staff)
    JWT().init_app(app)
    return app


PATHS = ["/plain", "/async", "/class"]


@pytest.mark.parametrize("path", PATHS)
def test_who_meets_it_is_served(path: str) -> None:
    """In a plain view, an async view, a class view."""
    with built().test_client().get(path, headers=bearer(scope="orders:read")) as answer:
        assert answer.json == {"subject": "alice"}
    assert current_principal().subject is None


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, bearer(scope="x"), bearer(exp=1)])
def test_a_refusal_is_the_middlewares_own(path: str, headers: dict[str, str]) -> None:
    """Byte for byte what a rule of the table answers; to the forgiven, what was forgiven."""
    client = built().test_client()
    ours, rules = client.get(path, headers=headers), client.get("/ruled", headers=headers)

    assert ours.status_code in {401, 403}
    assert (ours.status_code, ours.data) == (rules.status_code, rules.data)
    assert dict(ours.headers) == dict(rules.headers)


def test_a_token_is_the_least_that_can_be_asked_for() -> None:
    """``@requires()``, and nothing between its parentheses."""
    client = built().test_client()

    assert client.get("/any").status_code == 401
    assert client.get("/any", headers=bearer()).json == {"subject": "alice"}


def test_a_blueprint_may_ask_as_a_whole() -> None:
    """Before each of its views."""
    client = built().test_client()

    assert client.get("/staff/desk").status_code == 401
    assert client.get("/staff/desk", headers=bearer()).status_code == 403
    assert client.get("/staff/desk", headers=bearer(roles=["staff"])).json == {"subject": "alice"}


def test_an_argument_of_the_route_is_a_capture() -> None:
    """Also one that a converter made a number."""
    client = built().test_client()

    assert client.get("/tenants/7", headers=bearer(tenant=7)).status_code == 200
    assert client.get("/tenants/8", headers=bearer(tenant=7)).status_code == 403


def test_a_guard_may_be_handed_over() -> None:
    """In the constructor, to ``init_app``, or in the configuration."""
    guard = Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/")
    apps = [Flask("a"), Flask("b"), Flask("c")]
    apps[2].config["JWT_GUARD"] = guard
    JWT(apps[0], guard)
    JWT().init_app(apps[1], guard)
    JWT(apps[2])
    for app in apps:
        assert app.extensions["jwt_middleware"].guard is guard
        assert app.test_client().get("/").status_code == 401
        assert app.test_client().get("/", headers=bearer()).status_code == 404


def test_without_a_guard_in_front_nobody_is_served() -> None:
    """The sentence names what is missing."""
    app = Flask(__name__)
    app.testing = True
    app.add_url_rule("/", view_func=requires(READS)(who))

    with pytest.raises(ConfigurationError, match=r"JWT\(app, guard=guard\)"):
        app.test_client().get("/")


class Rewriting:
    """Leads a request elsewhere, inside the guard: it was put around before."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_METHOD", environ["REQUEST_METHOD"])
        environ["PATH_INFO"] = environ.get("HTTP_X_PATH", environ["PATH_INFO"])
        environ["SCRIPT_NAME"] = environ.get("HTTP_X_ROOT", "")
        return self.app(environ, start_response)


def rewriting(**settings: Any) -> Flask:
    app = Flask(__name__)
    rules = [
        protect("/things", requires=has_role("admin"), methods=["DELETE"]),
        public("/things", "/moved/things", methods=["GET"]),
    ]
    app.config.update(NAMED, JWT_RULES=rules, **settings)
    app.wsgi_app = Rewriting(app.wsgi_app)  # type: ignore[method-assign]
    JWT(app)
    for path in ("/things", "/secret"):
        app.add_url_rule(path, path, who, methods=["GET", "POST", "DELETE"])
    return app


@pytest.mark.parametrize("elsewhere", [{"X-Method": "DELETE"}, {"X-Path": "/secret"}])
def test_what_flask_goes_by_is_what_was_judged(elsewhere: dict[str, str]) -> None:
    """A method that was overridden and a path that was rewritten are judged again."""
    client = rewriting().test_client()
    admin = bearer(roles=["admin"])

    assert client.get("/things").json == {"subject": None}
    assert client.get("/things", headers=elsewhere).status_code == 401
    if "X-Method" in elsewhere:
        assert client.get("/things", headers=bearer() | elsewhere).status_code == 403
    with client.get("/things", headers=admin | elsewhere) as served:
        assert served.json == {"subject": "alice"}
    assert current_principal().subject is None


class Overriding(Request):
    """Takes its method from a header, as some frameworks do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.method = self.headers.get("X-Method", self.method)


def set_before(app: Flask) -> None:
    def override() -> None:
        request.method = request.headers.get("X-Method", request.method)

    app.before_request(override)


def set_by_its_class(app: Flask) -> None:
    app.request_class = Overriding


def set_by_a_class_of_methods(app: Flask) -> None:
    """Which reads it each time."""

    class Reading(Request):
        @property
        def method(self) -> str:
            return self.headers.get("X-Method", self.environ["REQUEST_METHOD"])

        @method.setter
        def method(self, method: str) -> None:
            pass

    app.request_class = Reading


@pytest.mark.parametrize("override", [set_before, set_by_its_class, set_by_a_class_of_methods])
@pytest.mark.parametrize("place", ["around the guard", "behind it"])
def test_a_method_that_the_application_sets_is_judged(override: Any, place: str) -> None:
    """The view goes by it, and the route by the one that was sent."""

    class Things(MethodView):
        def get(self) -> Any:
            return {"did": "get", **who()}

        def delete(self) -> Any:
            return {"did": "delete", **who()}

    app = Flask(__name__)
    raw: Any = app.wsgi_app
    override(app)
    rules = [
        protect("/things", requires=has_role("admin"), methods=["DELETE"]),
        public("/things", methods=["GET"]),
    ]
    app.config.update(NAMED, JWT_RULES=rules)
    app.add_url_rule("/things", view_func=Things.as_view("things"), methods=["GET", "DELETE"])
    JWT(app)
    client: Any = Client(raw) if place == "around the guard" else app.test_client()

    def sent(headers: dict[str, str]) -> Any:
        with client.get("/things", headers=headers) as answer:
            return answer.json if answer.status_code == 200 else answer.status_code

    deletes = {"X-Method": "DELETE"}
    assert sent({}) == {"did": "get", "subject": None}
    assert sent(deletes) == 401
    assert sent(bearer() | deletes) == 403
    assert sent(bearer(roles=["admin"]) | deletes) == {"did": "delete", "subject": "alice"}
    assert current_principal().subject is None


def test_a_page_that_is_public_with_and_without_its_mount_point_stays_public() -> None:
    moved = {"X-Root": "/moved", "X-Path": "/things"}
    answer = rewriting().test_client().get("/moved/things", headers=moved)

    assert answer.json == {"subject": None}


def test_an_answer_that_became_a_callers_own_says_so() -> None:
    """Where a public request was led to a protected page."""
    app = rewriting(JWT_TOKEN_SOURCES=[HeaderToken("X-Token")])
    token = bearer()["Authorization"].removeprefix("Bearer ")
    headers = {"X-Path": "/secret", "X-Token": token}
    answer = app.test_client().get("/things", headers=headers)

    assert (answer.json, answer.headers["Cache-Control"]) == ({"subject": "alice"}, "private")
    assert answer.headers["Vary"] == "X-Token"


def configured(**settings: Any) -> None:
    app = Flask(__name__)
    app.config.update(settings)
    JWT(app)


def twice() -> None:
    app = Flask(__name__)
    app.config.update(NAMED)
    JWT(app)
    JWT(app)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "nothing": (configured, "issuers= is missing"),
    "a misspelt option": (lambda: configured(**NAMED, JWT_RULE=[]), "did you mean 'JWT_RULES'?"),
    "an option like none": (lambda: configured(**NAMED, JWT_QQ=1), "known are JWT_ISSUERS"),
    "another extension's option": (
        lambda: configured(JWT_SECRET_KEY="x"),
        "write JWT_KEY = Secret.from_env",
    ),
    "no application": (lambda: JWT("app"), "app='app' must be of type Flask"),  # type: ignore[arg-type]
    "twice": (twice, "has a guard already"),
    "no requirement": (lambda: requires("orders:read"), "must be given a Requirement"),  # type: ignore[arg-type]
    "parentheses forgotten": (lambda: requires(who), "or @requires()"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_a_sentence_at_start_up(kind: str) -> None:
    """With the way out."""
    build, sentence = MISTAKES[kind]
    with pytest.raises(ConfigurationError) as mistake:
        build()
    assert sentence in str(mistake.value)


class CutsOff:
    """Takes a mount point off the path, as the well-known snippets for proxies do."""

    def __init__(self, app: Any, mount_point: str) -> None:
        self.app = app
        self.mount_point = mount_point

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith(self.mount_point):
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(self.mount_point)
            environ["SCRIPT_NAME"] = self.mount_point
        return self.app(environ, start_response)


def dispatched(app: Any, mount_point: str) -> Any:
    return DispatcherMiddleware(lambda environ, start: [], {mount_point: app})


@pytest.mark.parametrize("mounted", [CutsOff, dispatched])
@pytest.mark.parametrize("rest", [[], [public("/**")]])
def test_a_path_is_decided_again_without_the_mount_point_that_was_cut_off(
    mounted: Callable[..., Any], rest: list[Any]
) -> None:
    app = Flask(__name__)
    app.add_url_rule("/admin/keys", view_func=who, endpoint="keys")
    app.add_url_rule("/inside", view_func=who, endpoint="inside")
    app.wsgi_app = mounted(app.wsgi_app, "/shop")  # type: ignore[method-assign]
    rules = [
        protect("/admin/**", requires=has_role("admin")),
        protect("/shop/inside", requires=READS),
        *rest,
    ]
    JWT(app, Guard(key=PAIR.private, algorithms=["HS256"], issuer="https://a/", rules=rules))
    client = app.test_client()

    assert client.get("/shop/admin/keys").status_code == 401
    assert client.get("/shop/admin/keys", headers=bearer()).status_code == 403
    assert client.get("/shop/admin/keys", headers=bearer(roles=["admin"])).status_code == 200
    # A rule for the whole path still counts.
    assert client.get("/shop/inside", headers=bearer()).status_code == 403
    assert client.get("/shop/inside", headers=bearer(scope="orders:read")).status_code == 200


def test_one_extension_for_two_applications_decides_again_by_the_guard_of_each() -> None:
    jwt, strict, open_ = JWT(), Flask("strict"), Flask("open")
    for app, rules in ((strict, [protect("/**")]), (open_, [public("/**")])):
        app.add_url_rule("/page", view_func=who, endpoint="page")
        app.wsgi_app = CutsOff(app.wsgi_app, "/shop")  # type: ignore[method-assign]
        app.config.update(NAMED, JWT_RULES=[public("/shop/page"), *rules])
        jwt.init_app(app)

    assert strict.test_client().get("/shop/page").status_code == 401
    assert open_.test_client().get("/shop/page").status_code == 200
