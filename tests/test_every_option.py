"""Every option of every public name, set to values of every kind.

What a setting is not is refused at construction, in words; with what was taken, a good token is
served or refused and never an error of the server. The options are read from the signatures, so that
a new one is covered by itself.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import Parameter, signature
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask

import jwt_middleware as front
from jwt_middleware import (
    AdmittedIssuers,
    ConfigurationError,
    Guard,
    HTTPFetcher,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    KeyFile,
    ResolverOptions,
    Secret,
    presets,
    protect,
)
from jwt_middleware.integrations import fastapi, flask, starlette
from jwt_middleware.keys.remote.resolver import JWKSResolver
from jwt_middleware.testing import Clock, FakeIssuer, KeyPair
from tests.faces.calls import (
    asgi_app,
    http_scope,
    through_asgi,
    through_wsgi,
    wsgi_app,
    wsgi_environ,
)
from tests.keys.web import NAME, web_of
from tests.support.advice import advised, subject
from tests.support.odd_values import odd_values
from tests.support.short_form import SECRET

KEY = KeyPair.generate("ES256", "k")
HMAC = KeyPair(SECRET, "HS256", None)

Use = Callable[[Any], Any]


def claims(clock: Clock) -> dict[str, Any]:
    return {"iss": NAME, "aud": "a", "sub": "alice", "exp": int(clock.now()) + 60}


async def served(guard: Guard, token: str, *, asgi: Any = None, wsgi: Any = None) -> None:
    """Ask both faces with a good token, in a header, a cookie and the query."""
    headers = [("Authorization", f"Bearer {token}"), ("x", token), ("Cookie", f"x={token}")]
    asgi = asgi or JWTMiddleware(asgi_app, guard=guard)
    wsgi = wsgi or JWTWSGIMiddleware(wsgi_app, guard=guard)
    for method, path in (("GET", "/a"), ("POST", "/x/b"), ("GET", "/\u00e9")):
        scope = http_scope(method, path, headers, query_string=f"x={token}".encode())
        environ = wsgi_environ(method, path, headers, QUERY_STRING=f"x={token}")
        for answer in (await through_asgi(asgi, scope), through_wsgi(wsgi, environ)):
            assert answer.status < 500 or answer.status == 503, answer
    guard.explain("GET", "/a", token)


def options_of(named: Any) -> Iterator[str]:
    for name, each in signature(named).parameters.items():
        if each.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL) and name != "self":
            yield name


async def use_guard(guard: Guard) -> None:
    guard.integration.warm_up = "lazy"
    await served(guard, HMAC.sign(claims(CLOCK)))


CLOCK = Clock()
SHORT: dict[str, Any] = {"issuer": NAME, "audience": "a", "key": SECRET, "algorithms": ["HS256"]}
SHORT |= {"clock": CLOCK}


def guard_of(**options: Any) -> Guard:
    # What the short form says is said elsewhere where issuers are named.
    given = {} if options.get("issuers") is not None else SHORT
    return Guard(**{**given, **options})


async def use_issuer(issuer: Issuer) -> None:
    guard = Guard(issuers=issuer, clock=CLOCK)
    for key in (KEY, HMAC):
        await served(guard, key.sign(claims(CLOCK)))


def issuer_of(**options: Any) -> Issuer:
    """Return one with keys of its own, or a web in memory to fetch them from."""
    given: dict[str, Any] = {"issuer": NAME, "audience": "a", **options}
    if "keys" not in given:
        given.setdefault("fetcher", web_of(KEY))
    return Issuer(**given)


def held_issuer_of(**options: Any) -> Issuer:
    given = {"issuer": NAME, "audience": "a", "keys": HMAC.jwk, "algorithms": ["HS256"]}
    return Issuer(**{**given, **options})


async def use_rule(rule: Any) -> None:
    await use_guard(guard_of(rules=[rule]))


async def use_requirement(requirement: Any) -> None:
    await use_rule(protect("/**", requires=requirement))


async def use_source(source: Any) -> None:
    await use_guard(guard_of(token_sources=[source]))


async def use_key(key: Any) -> None:
    await use_issuer(Issuer(NAME, audience="a", keys=key, algorithms=["HS256"]))


async def use_admitted(rule: Any) -> None:
    await served(Guard(issuers=rule, clock=CLOCK), HMAC.sign(claims(CLOCK)))


async def use_resolver(options: Any) -> None:
    await use_issuer(issuer_of(resolver=options))


async def use_fetcher(fetcher: Any) -> None:
    # One that asks nobody in a test: a port of this machine that nothing listens on.
    issuer = Issuer(NAME, audience="a", jwks_uri="http://127.0.0.1:9/keys", fetcher=fetcher)
    await served(Guard(issuers=issuer, clock=CLOCK), KEY.sign(claims(CLOCK)))


async def use_capture(hole: Any) -> None:
    await use_rule(protect("/{x}", requires=front.has_claim("sub", hole)))


async def use_asgi(face: Any) -> None:
    guard = Guard(**SHORT)
    await served(guard, HMAC.sign(claims(CLOCK)), asgi=face)


async def use_wsgi(face: Any) -> None:
    guard = Guard(**SHORT)
    await served(guard, HMAC.sign(claims(CLOCK)), wsgi=face)


async def use_publisher(issuer: FakeIssuer) -> None:
    with issuer:
        assert issuer.jwks()["keys"]


async def use_nothing(_: Any) -> None:
    """What it builds is not asked."""


# What a message calls the option where it is not the option's own name.
ALSO = {
    "rules": "rule 1",
    "protected": "pattern",
    "methods": "method",
    "tenants": "tenant",
    "tenant_id": "tenant",
    "keys": "key",
    "value": "key",
    "algorithms": "key",
    "client_id": "audience",
    "name": "environment variable",
    "policy_claim": "required_values",
    "guard": "issuers= is missing",
}


def alone(call: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function of several values as one of a single value."""

    def call_with_one(value: Any) -> Any:
        return call(value)

    return call_with_one


PUBLIC: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "Guard": (guard_of, {}, use_guard),
    "JWTMiddleware": (JWTMiddleware, {"app": asgi_app, **SHORT}, use_asgi),
    "JWTWSGIMiddleware": (JWTWSGIMiddleware, {"app": wsgi_app, **SHORT}, use_wsgi),
    "Issuer": (issuer_of, {}, use_issuer),
    "Issuer with keys": (held_issuer_of, {}, use_issuer),
    "AdmittedIssuers": (AdmittedIssuers, {"admit": lambda _: held_issuer_of()}, use_admitted),
    "ResolverOptions": (ResolverOptions, {}, use_resolver),
    "HTTPFetcher": (HTTPFetcher, {}, use_fetcher),
    "JWKSResolver": (JWKSResolver, {"issuer": NAME}, use_nothing),
    "BearerHeader": (front.BearerHeader, {}, use_source),
    "HeaderToken": (front.HeaderToken, {"name": "X"}, use_source),
    "CookieToken": (front.CookieToken, {"name": "x"}, use_source),
    "SubprotocolToken": (front.SubprotocolToken, {}, use_source),
    "QueryToken": (front.QueryToken, {"name": "x", "http": True}, use_source),
    "Secret": (Secret, {"value": SECRET}, use_key),
    "Secret.from_env": (Secret.from_env, {}, use_key),
    "KeyFile": (KeyFile, {"path": "/nowhere"}, use_key),
    "public": (front.public, {"pattern": "/a"}, use_rule),
    "optional": (front.optional, {"pattern": "/a"}, use_rule),
    "protect": (front.protect, {"pattern": "/a"}, use_rule),
    "has_claim": (front.has_claim, {"path": "sub"}, use_requirement),
    **{
        each.__name__: (alone(each), {}, use_requirement)
        for each in (
            *(front.has_scope, front.has_role, front.has_permission),
            *(front.any_of, front.all_of),
        )
    },
    "capture": (front.capture, {}, use_capture),
    "KeyPair.generate": (KeyPair.generate, {}, use_nothing),
    "FakeIssuer": (FakeIssuer, {"algorithms": ["ES256"]}, use_publisher),
    "starlette.requires": (starlette.requires, {}, use_nothing),
    "flask.requires": (flask.requires, {}, use_nothing),
    "fastapi.requires": (fastapi.requires, {"requirement": front.authenticated()}, use_nothing),
    "JWTBearer": (fastapi.JWTBearer, {}, use_nothing),
    "typed_claims": (fastapi.typed_claims, {"claims_type": dict}, use_nothing),
}
SIGNATURES: dict[str, Any] = {"Guard": Guard, "Issuer": Issuer, "Issuer with keys": Issuer}
SIGNATURES |= {"JWTMiddleware": Guard, "JWTWSGIMiddleware": Guard}
PRESETS: dict[str, dict[str, Any]] = {
    "auth0": {"domain": "a.example", "audience": "a"},
    "okta": {"domain": "a.example", "audience": "a"},
    "keycloak": {"base_url": NAME, "realm": "a", "audience": "a"},
    "zitadel": {"domain": "a.example", "audience": "a"},
    "apple": {"client_id": "a"},
    "google": {"client_id": "a"},
    "google_iap": {"audience": "a"},
    "firebase": {"project": "a"},
    "entra": {"tenant": "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59", "audience": "a"},
    "entra_b2c": {
        "tenant": "a",
        "tenant_id": "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59",
        "policy": "a",
        "audience": "a",
    },
    "cognito": {"region": "a", "pool": "a", "client_id": "a"},
    "github_actions": {"audience": "a", "owner": "a"},
    "gitlab_ci": {"audience": "a", "namespace": "a"},
    "bitbucket_pipelines": {"workspace": "a", "audience": "a"},
    "cloudflare_access": {"team": "a", "audience": "a"},
    "aws_alb": {
        "issuer": NAME,
        "signer": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"
        "loadbalancer/app/a/50dc6c495c0c9188",
        "client_id": "a",
    },
    "adfs": {"server": "a.example", "audience": "a"},
    "entra_external_id": {
        "tenant": "a",
        "tenant_id": "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59",
        "audience": "a",
    },
    "kubernetes": {"audience": "a"},
}


async def use_preset(issuer: Issuer) -> None:
    Guard(issuers=issuer)


def every_case() -> Iterator[tuple[str, str]]:
    for name, (build, _, _) in PUBLIC.items():
        for option in options_of(SIGNATURES.get(name, build)):
            yield name, option
        if name.startswith("JWT") and name in SIGNATURES:
            yield from ((name, extra) for extra in ("app", "guard"))
    for name in presets.__all__:
        for option in options_of(getattr(presets, name)):
            yield f"presets.{name}", option
    for option in front.GuardOptions.__annotations__:
        yield "flask.JWT", option
    yield "flask.JWT", "guard"
    for option in ("app", "guard", "scheme_name", "mounted_at"):
        yield "secure_openapi", option


def built(name: str, option: str, odd: Any) -> tuple[Any, Any]:
    """Return what is built with one odd option, and how it is used."""
    if name.startswith("presets."):
        preset = name.removeprefix("presets.")
        return getattr(presets, preset)(**{**PRESETS[preset], option: odd}), use_preset
    if name == "flask.JWT":
        app = Flask("x")
        given = {"guard": odd} if option == "guard" else {**SHORT, option: odd}
        if option == "issuers" and odd is not None:
            given = {option: odd}
        app.config.update({f"JWT_{key.upper()}": value for key, value in given.items()})
        return flask.JWT(app).guard, use_guard
    if name == "secure_openapi":
        app_ = FastAPI()
        given = {"app": app_, "guard": Guard(**SHORT), option: odd}
        fastapi.secure_openapi(given.pop("app"), given.pop("guard"), **given)
        return app_, use_openapi
    build, given, use = PUBLIC[name]
    if name.startswith("JWT") and name in SIGNATURES and option in ("issuers", "guard"):
        given = {"app": given["app"]} if odd is not None else given
    return build(**{**given, option: odd}), use


async def use_openapi(app: Any) -> None:
    app.openapi()


async def outcome(name: str, option: str, odd: Any) -> str | None:
    """Return what a refusal at construction says; ``None`` where the value was taken and works."""
    try:
        thing, use = built(name, option, odd)
    except ConfigurationError as refused:
        return str(refused)
    if name in {"Guard", "flask.JWT"}:
        await use(thing)
        return None
    # An issuer, a source or a rule is looked at once more by the guard that it is given to.
    with suppress(ConfigurationError):
        await use(thing)
    return None


async def is_accepted(name: str, option: str, value: Any, complaint: str) -> bool:
    """Tell whether advice helps: as the value, as a part of it, or as the thing itself."""
    if type(value).__name__ == name:
        return True
    names = [{value: "x"}] if isinstance(value, str) else []
    for each in (value, [value], {"x": value}, *names):
        said = await outcome(name, option, each)
        # Another option may be wrong beside it, which is another complaint.
        if said is None or subject(said) != subject(complaint):
            return True
    return False


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(("name", "option"), list(every_case()), ids=lambda each: each)
async def test_a_setting_is_refused_in_words_or_works(
    name: str, option: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good token is then served or refused; and what the words advise to write is accepted."""
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setenv("x", SECRET.decode())
    words = {option, name, ALSO.get(option, option)}
    followed: set[str] = set()
    for odd in odd_values():
        if option == "app" and callable(odd):
            # What an application does when it is called is its own affair.
            continue
        said = await outcome(name, option, odd)
        if said is None:
            continue
        assert any(each.lower() in said.lower() for each in words), (odd, said)
        for advice in advised(said, option):
            if repr(advice) not in followed:
                followed.add(repr(advice))
                assert await is_accepted(name, option, advice, said), (advice, said)
