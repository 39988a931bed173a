"""Every module of the package has a test file: the one of its name, or those named here."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jwt_middleware"
TESTS = ROOT / "tests"

ELSEWHERE: dict[str, tuple[str, str]] = {
    # module: (its test file, why it is not the mirrored one)
    "asgi/identity.py": ("faces/test_identity.py", "both faces are tested beside each other"),
    "asgi/middleware.py": ("faces/test_asgi.py", "both faces are tested beside each other"),
    "asgi/types.py": ("faces/test_asgi.py", "names of types only"),
    "asgi/websocket.py": ("faces/test_websocket.py", "both faces are tested beside each other"),
    "wsgi.py": ("faces/test_wsgi.py", "both faces are tested beside each other"),
    "endpoint_errors.py": ("build/test_docs.py", "values; each has its row in the docs"),
    "endpoints/asgi_face.py": ("endpoints/test_body.py", "both faces are tested together"),
    "endpoints/jwks.py": ("endpoints/test_endpoint.py", "one table for all endpoints"),
    "endpoints/refresh.py": ("endpoints/test_endpoint.py", "one table for all endpoints"),
    "endpoints/replies.py": ("endpoints/test_endpoint.py", "one table for all endpoints"),
    "endpoints/revoke.py": ("endpoints/test_endpoint.py", "one table for all endpoints"),
    "endpoints/wsgi_face.py": ("endpoints/test_body.py", "both faces are tested together"),
    "integrations/django_endpoints.py": (
        "endpoints/test_endpoint.py",
        "one table for all frameworks",
    ),
    "integrations/fastapi_users.py": ("integrations/test_users.py", "one table for all frameworks"),
    "integrations/flask_users.py": ("integrations/test_users.py", "one table for all frameworks"),
    "integrations/starlette_users.py": (
        "integrations/test_users.py",
        "one table for all frameworks",
    ),
    "integrations/fastapi_endpoints.py": (
        "endpoints/test_endpoint.py",
        "one table for all frameworks",
    ),
    "integrations/flask_endpoints.py": (
        "endpoints/test_endpoint.py",
        "one table for all frameworks",
    ),
    "stores/redis_scripts.py": ("stores/test_redis.py", "a part of the store"),
    "stores/sql_exchange.py": ("stores/test_sql.py", "a part of the store"),
    "stores/sql_failures.py": ("stores/test_sql.py", "a part of the store"),
    "stores/sql_reader.py": ("stores/test_sql.py", "a part of the store"),
    "stores/sql_schema.py": ("stores/test_sql.py", "a part of the store"),
    "stores/sql_table.py": ("stores/test_sql.py", "a part of the store"),
    "revocation/loading.py": (
        "revocation/test_revocation_list.py",
        "each first request of a process waits by it",
    ),
    "issuing/hooks.py": ("issuing/test_minter.py", "hooks run through what asks them"),
    "issuing/minted_claims.py": ("issuing/test_minter.py", "claims run through the minter"),
    "issuing/token_size.py": ("issuing/test_minter.py", "sizes run through the minter"),
    "issuing/login_steps.py": ("issuing/test_token_pairs.py", "the pairs are asked"),
    "issuing/family_store.py": ("issuing/test_token_pairs.py", "a part of the pairs"),
    "issuing/refresh_tokens.py": ("issuing/test_token_pairs.py", "a part of the pairs"),
    "issuing/token_pair.py": ("issuing/test_token_pairs.py", "a part of the pairs"),
    "issuing/ring_document.py": ("issuing/test_key_ring.py", "a part of the ring"),
    "issuing/ring_keys.py": ("issuing/test_key_ring.py", "the ring in front of a guard"),
    "issuing/ring_status.py": ("issuing/test_key_ring.py", "values of the ring"),
    "issuing/sealing.py": ("issuing/test_key_ring.py", "a part of the ring"),
    "issuing/shared_ring.py": ("issuing/test_key_ring.py", "a part of the ring"),
    "checks.py": ("test_every_option.py", "every check runs through the options that use it"),
    "issuers/options.py": ("issuers/test_issuer.py", "the options run through the issuer"),
    "clock.py": ("testing/test_clock.py", "a protocol; the clock for tests is tested"),
    "events.py": ("keys/remote/test_operations.py", "values; tested where they are sent"),
    "formats/urls.py": ("keys/remote/test_http.py", "tested by the addresses that keys come from"),
    "guard/decision.py": ("guard/test_guard.py", "the guard is asked, not its part"),
    "rules/ruling.py": ("rules/test_table.py", "values; tested by the table that returns them"),
    "guard/integration.py": ("guard/test_guard.py", "the guard is asked, not its part"),
    "integrations/django_checks.py": (
        "integrations/test_unread_callers.py",
        "one table for all frameworks",
    ),
    "integrations/django_settings.py": ("integrations/test_django.py", "a part of the middleware"),
    "integrations/django_users.py": ("integrations/test_sessions.py", "a part of the middleware"),
    "integrations/django_streams.py": (
        "integrations/test_django_requests.py",
        "a part of the middleware",
    ),
    "integrations/openapi.py": (
        "integrations/test_fastapi_openapi.py",
        "tested by the documents of FastAPI",
    ),
    "integrations/routes/django.py": ("integrations/test_coverage.py", "one table for all routers"),
    "integrations/routes/flask.py": ("integrations/test_coverage.py", "one table for all routers"),
    "integrations/routes/litestar.py": (
        "integrations/test_coverage.py",
        "one table for all routers",
    ),
    "integrations/routes/route.py": ("integrations/test_coverage.py", "one table for all routers"),
    "integrations/routes/starlette.py": (
        "integrations/test_coverage.py",
        "one table for all routers",
    ),
    "issuers/admitted.py": ("issuers/test_admitted_pool.py", "configuration of that pool"),
    "issuers/registry.py": ("issuers/test_issuer.py", "tested by the issuers of a guard"),
    "issuers/trusted.py": ("issuers/test_issuer.py", "tested by the issuers of a guard"),
    "keys/remote/discovery.py": ("keys/remote/test_http.py", "tested by what is asked over HTTP"),
    "keys/remote/download.py": ("keys/remote/test_http.py", "tested by what is asked over HTTP"),
    "keys/remote/fetch_limits.py": (
        "keys/remote/test_unknown_kids.py",
        "themes: herd, outage, rotation, unknown key names",
    ),
    "keys/remote/fetches.py": ("keys/remote/test_herd.py", "themes, as above"),
    "keys/remote/held_keys.py": ("keys/remote/test_rotation.py", "themes, as above"),
    "keys/remote/pool_limits.py": ("issuers/test_pool_limits.py", "tested by the pool of issuers"),
    "keys/remote/freshness.py": ("keys/remote/test_operations.py", "themes, as above"),
    "keys/remote/options.py": ("keys/remote/test_operations.py", "themes, as above"),
    "keys/remote/public_hosts.py": ("keys/remote/test_issuers_apart.py", "themes, as above"),
    "keys/remote/rate_limits.py": ("keys/remote/test_unknown_kids.py", "themes, as above"),
    "keys/remote/resolver.py": ("keys/remote/test_outage.py", "themes, as above"),
    "keys/remote/shared_fetch.py": ("keys/remote/test_herd.py", "themes, as above"),
    "keys/remote/special_addresses.py": ("keys/remote/test_issuers_apart.py", "themes, as above"),
    "keys/remote/state.py": ("keys/remote/test_rotation.py", "themes, as above"),
    "keys/seed.py": ("keys/remote/test_operations.py", "a seed is written and read by a guard"),
    "keys/snapshot.py": ("keys/test_static.py", "the set of keys that every source gives"),
    "keys/source.py": ("keys/test_static.py", "a protocol; tested by what fulfils it"),
    "presets/adfs.py": ("presets/test_microsoft.py", "presets are tested by kind of provider"),
    "presets/apple.py": ("presets/test_accounts.py", "presets are tested by kind of provider"),
    "presets/auth0.py": ("presets/test_accounts.py", "presets are tested by kind of provider"),
    "presets/bitbucket_pipelines.py": (
        "presets/test_workloads.py",
        "presets are tested by kind of provider",
    ),
    "presets/build.py": ("presets/test_accounts.py", "checks that all presets share"),
    "presets/cloudflare_access.py": (
        "presets/test_accounts.py",
        "presets are tested by kind of provider",
    ),
    "presets/cognito.py": ("presets/test_workloads.py", "presets are tested by kind of provider"),
    "presets/entra.py": ("presets/test_microsoft.py", "presets are tested by kind of provider"),
    "presets/entra_b2c.py": ("presets/test_microsoft.py", "presets are tested by kind of provider"),
    "presets/entra_external_id.py": (
        "presets/test_microsoft.py",
        "presets are tested by kind of provider",
    ),
    "presets/firebase.py": ("presets/test_google.py", "presets are tested by kind of provider"),
    "presets/github_actions.py": (
        "presets/test_workloads.py",
        "presets are tested by kind of provider",
    ),
    "presets/gitlab_ci.py": ("presets/test_workloads.py", "presets are tested by kind of provider"),
    "presets/google_iap.py": ("presets/test_google.py", "presets are tested by kind of provider"),
    "presets/keycloak.py": ("presets/test_accounts.py", "presets are tested by kind of provider"),
    "presets/kubernetes.py": (
        "presets/test_workloads.py",
        "presets are tested by kind of provider",
    ),
    "presets/okta.py": ("presets/test_accounts.py", "presets are tested by kind of provider"),
    "presets/zitadel.py": ("presets/test_accounts.py", "presets are tested by kind of provider"),
    "request/caches.py": ("integrations/test_caches.py", "tested with real caches"),
    "request/preflight.py": ("faces/test_preflights.py", "tested through both faces"),
    "responses/headers.py": ("responses/test_render.py", "tested by whole answers"),
    "rules/methods.py": ("rules/test_table.py", "tested by what the table decides"),
    "rules/rule.py": ("rules/test_table.py", "tested by what the table decides"),
    "rules/tree.py": ("rules/test_templates.py", "tested by the patterns that match"),
    "stores/sqlite_schema.py": ("stores/test_sqlite_failures.py", "tested by what is refused"),
    "testing/misbehaviour.py": ("testing/test_issuer.py", "an issuer misbehaves"),
    "testing/tokens.py": ("faces/test_scenarios.py", "its bad tokens are rows of that table"),
    "tokens/grants.py": ("tokens/test_claims.py", "tested by the claims that grants are read from"),
    "verdict.py": ("responses/test_render.py", "values; tested as the answers they become"),
}


def unmapped(
    modules: list[str], files: set[str], elsewhere: dict[str, tuple[str, str]]
) -> set[str]:
    """Return the modules that neither a mirrored test file nor a row covers."""
    return {each for each in modules if mirror(each) not in files and each not in elsewhere}


def mirror(module: str) -> str:
    """Return the test file that has the place and the name of a module."""
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}" if folder else f"test_{name}"


MODULES = sorted(
    each.relative_to(PACKAGE).as_posix()
    for each in PACKAGE.rglob("*.py")
    if each.name != "__init__.py"
)
FILES = {each.relative_to(TESTS).as_posix() for each in TESTS.rglob("test_*.py")}


def test_every_module_has_a_test_file() -> None:
    """One of its own name in the mirrored folder, or a row of the table above."""
    assert unmapped(MODULES, FILES, ELSEWHERE) == set()


def test_a_module_without_one_is_noticed() -> None:
    """A new module has neither."""
    assert unmapped([*MODULES, "rules/new.py"], FILES, ELSEWHERE) == {"rules/new.py"}


@pytest.mark.parametrize("module", ELSEWHERE)
def test_a_row_is_true_and_needed(module: str) -> None:
    """The module and the test file are there, and no mirrored one has come since."""
    file, reason = ELSEWHERE[module]

    assert module in MODULES
    assert file in FILES
    assert reason
    assert mirror(module) not in FILES


def test_no_module_is_longer_than_a_reader_keeps_in_mind() -> None:
    """Four hundred lines."""
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }

    assert {name: length for name, length in lengths.items() if length > 400} == {}
