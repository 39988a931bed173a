"""The names and parameters that users and examples rely on. They are added to, never renamed."""

from inspect import Parameter, signature
from typing import Any, get_args

import pytest

import jwt_middleware as front
from jwt_middleware import issuing, stores, testing, tokens

PARAMETERS: dict[Any, str] = {
    front.JWTMiddleware: "app guard **options",
    front.JWTWSGIMiddleware: "app guard **options",
    front.Guard: (
        "*issuers *rules *protected *token_sources *role_hierarchy *realm *error_body "
        "*trusted_origins *cors_preflight *prefixes *observers *max_token_size *token_cache_size "
        "*clock *issuer *audience *key *algorithms"
    ),
    front.Guard.verify: "self token",
    front.Guard.averify: "self token",
    front.Guard.explain: "self method path token",
    front.Guard.distrust: "self issuer kid",
    front.Issuer: (
        "issuer *audience *keys *jwks_uri *algorithms *leeway *required_claims *require_exp "
        "*token_types *accept_id_tokens *accept_bound_as_bearer *max_lifetime *scopes_claim "
        "*roles_claim *permissions_claim *claims_type *resolver"
    ),
    front.ResolverOptions: (
        "*refresh_after *max_age *stale_if_error *unknown_kid_burst *unknown_kid_interval *timeout "
        "*max_bytes *allow_http"
    ),
    front.public: "pattern more *methods",
    front.optional: "pattern more *methods *on_invalid",
    front.protect: "pattern more *requires *methods",
    front.has_scope: "names",
    front.has_role: "names",
    front.has_permission: "names",
    front.has_claim: "path value",
    front.HeaderToken: "name scheme",
    front.CookieToken: "name csrf clear_on_invalid",
    front.QueryToken: "name http",
    front.KeyFile: "path password",
    front.Secret.from_env: "name",
    front.Requirement.judge: "self principal match",
    tokens.verify_jws: "token jwks algorithms",
    issuing.KeyRing: "store *algorithm *rotate_every *announce",
    issuing.KeyRing.from_keys: "keys",
    issuing.Minter: "ring *issuer *audience *lifetime",
    issuing.Minter.mint: "self subject *claims *headers *lifetime",
    issuing.TokenPairs: "minter store *refresh_lifetime *family_lifetime *grace",
    issuing.TokenPairs.issue: "self subject",
    issuing.TokenPairs.refresh: "self token",
    issuing.TokenPairs.revoke_subject: "self subject",
    stores.connect: "url options",
}
FIELDS: dict[Any, str] = {
    front.Principal: (
        "subject issuer audience scopes roles permissions claims expires_at token_id "
        "is_authenticated display_name identity"
    ),
    front.RequestView: "method path scheme host client is_websocket headers cookies query",
    front.Allow: "principal rule response_headers subprotocol",
    front.Deny: "status headers body code",
    front.Guard: "decide verify averify explain health distrust warm awarm close aclose",
    issuing.KeyRing: "rotate revoke_key jwks",
    issuing.TokenPairs: "issue refresh revoke revoke_subject families aissue arefresh arevoke",
    issuing.TokenPair: "access_token refresh_token token_type expires_in as_json",
    testing: "Clock FakeIssuer KeyPair bad_token BAD_TOKENS",
}
DEFAULTS: dict[Any, dict[str, Any]] = {
    front.Guard: {"max_token_size": 16_384, "token_cache_size": 10_000, "cors_preflight": False},
    front.Issuer: {"leeway": 30, "require_exp": True, "token_types": ("at+jwt", "JWT", None)},
    front.CookieToken: {"name": "__Host-token", "csrf": True, "clear_on_invalid": False},
    front.QueryToken: {"http": False},
    front.ResolverOptions: {"refresh_after": 300, "max_age": 600, "stale_if_error": 3600},
}


@pytest.mark.parametrize("named", PARAMETERS, ids=lambda each: each.__qualname__)
def test_parameters_are_as_promised(named: Any) -> None:
    """A star marks those that go by keyword only."""
    there = signature(named).parameters
    for wanted in PARAMETERS[named].split():
        name = wanted.lstrip("*")
        assert name in there, wanted
        if wanted.startswith("*") and not wanted.startswith("**"):
            assert there[name].kind is Parameter.KEYWORD_ONLY, wanted


@pytest.mark.parametrize("named", FIELDS, ids=lambda each: each.__name__)
def test_fields_and_methods_are_as_promised(named: Any) -> None:
    """Whether they are fields, properties or methods."""
    there = {*dir(named), *getattr(named, "__annotations__", {})}

    assert set(FIELDS[named].split()) <= there


@pytest.mark.parametrize("named", DEFAULTS, ids=lambda each: each.__qualname__)
def test_defaults_are_as_promised(named: Any) -> None:
    """What happens where nothing is said."""
    there = signature(named).parameters

    assert {name: there[name].default for name in DEFAULTS[named]} == DEFAULTS[named]


def test_every_public_name_is_documented() -> None:
    """With a docstring, or for a constant with a type that has one."""
    for name in front.__all__:
        assert getattr(front, name).__doc__, name


def test_the_front_door_is_whole() -> None:
    """Every public name exists, is listed in order, and is documented."""
    names = front.__all__

    assert list(names) == sorted(names)
    assert all(hasattr(front, name) for name in names)


PROTOCOLS = [
    front.Clock,
    front.Fetcher,
    front.RequestView,
    front.Requirement,
    front.TokenSource,
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_what_users_implement_names_only_what_they_can_import(protocol: type) -> None:
    """Each type of the package in its signatures is a name of the front door."""
    names = set(front.__all__)
    for method in vars(protocol).values():
        function = method.fget if isinstance(method, property) else method
        for hint in getattr(function, "__annotations__", {}).values():
            ours = [kind for kind in flat(hint) if kind.__module__.startswith("jwt_middleware")]
            assert {kind.__name__ for kind in ours} <= names, (protocol, function)


def flat(hint: Any) -> list[Any]:
    """Return the classes in an annotation."""
    return [part for each in get_args(hint) for part in flat(each)] or (
        [hint] if isinstance(hint, type) else []
    )


def test_a_guard_has_a_dozen_public_members() -> None:
    """What faces and integrations need besides is behind one name."""
    guard = front.Guard(key="k" * 32, algorithms=["HS256"], issuer="https://id.example/")
    members = {name for name in dir(guard) if not name.startswith("_")}

    assert members == {
        "aclose",
        "averify",
        "awarm",
        "close",
        "decide",
        "distrust",
        "explain",
        "export_keys",
        "health",
        "integration",
        "verify",
        "warm",
    }
