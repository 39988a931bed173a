"""Issuers as values: what the configuration may say, each option at work, and what is refused."""

import json
import threading
import time
from inspect import signature
from typing import Any

import pytest

from jwt_middleware import (
    ANY_GRANTS,
    ANY_TENANT,
    AdmittedIssuers,
    ConfigurationError,
    Guard,
    HTTPFetcher,
    Issuer,
    KeyFile,
    KeysUnavailable,
    Secret,
    TokenError,
    has_claim,
    has_permission,
    has_role,
    has_scope,
    presets,
    protect,
)
from jwt_middleware.events import Event, KeyFetchFinished
from jwt_middleware.issuers.issuer import IssuerOptions
from jwt_middleware.keys.remote.http import FetchRequest, FetchResponse
from jwt_middleware.testing import Clock, FakeIssuer, KeyPair
from jwt_middleware.testing.issuer import JWKS_PATH
from tests.keys.publisher import Publisher, landed
from tests.keys.web import NAME, web_of
from tests.support.short_form import SECRET
from tests.support.short_form import token as signed

TENANT = "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59"


@pytest.fixture
def key() -> KeyPair:
    return KeyPair.generate("ES256", "k")


def token(key: KeyPair, clock: Clock, **claims: Any) -> str:
    good = {"iss": NAME, "aud": "api", "sub": "alice", "exp": int(clock.now()) + 300}
    return key.sign({name: v for name, v in (good | claims).items() if v is not None})


def code_of(guard: Guard, text: str) -> str:
    with pytest.raises(TokenError) as refused:
        guard.verify(text)
    return refused.value.code


def test_a_preset_may_pass_on_every_option() -> None:
    """``IssuerOptions`` is what ``Issuer`` takes besides its name and audience."""
    taken = set(signature(Issuer).parameters) - {"issuer", "audience"}

    assert set(IssuerOptions.__annotations__) == taken


def test_a_fetcher_of_ones_own_is_asked(clock: Clock, key: KeyPair) -> None:
    """``fetcher=`` stands between the guard and the network."""
    web = web_of(key)
    guard = Guard(issuers=Issuer(NAME, audience="api", fetcher=web), clock=clock)

    assert guard.verify(token(key, clock)).subject == "alice"
    assert web.asked == [f"{NAME}/.well-known/openid-configuration", f"{NAME}/keys"]


def test_headers_of_a_fetcher_go_out(clock: Clock) -> None:
    """``HTTPFetcher(headers=...)``, handed to an issuer, reaches the publisher."""
    with FakeIssuer(["ES256"], now=clock.now) as issuer:
        fetcher = HTTPFetcher(headers={"Authorization": "Bearer machine"})
        guard = Guard(issuers=Issuer(issuer.url, audience="api", fetcher=fetcher), clock=clock)

        assert guard.verify(issuer.token(aud="api")).subject == "alice"
        assert {asked.headers["authorization"] for asked in issuer.asked} == {"Bearer machine"}


def test_an_algorithm_that_must_be_named_serves_fetched_keys_too(clock: Clock) -> None:
    """ES256K is not among the defaults; an issuer that names it has its keys resolved for it."""
    key = KeyPair.generate("ES256K", "k")
    issuer = Issuer(NAME, audience="api", algorithms=["ES256K"], fetcher=web_of(key))

    assert Guard(issuers=issuer, clock=clock).verify(token(key, clock)).subject == "alice"


def test_a_fetcher_that_raises_anything_is_an_outage(clock: Clock, key: KeyPair) -> None:
    """No exception of foreign code escapes."""

    class Broken:
        def fetch(self, request: FetchRequest) -> FetchResponse:
            raise ZeroDivisionError(request.url)

    guard = Guard(issuers=Issuer(NAME, audience="api", fetcher=Broken()), clock=clock)

    with pytest.raises(KeysUnavailable) as refused:
        guard.verify(token(key, clock))
    assert "ZeroDivisionError" in str(refused.value)


def test_a_seed_serves_without_a_fetch(clock: Clock, key: KeyPair) -> None:
    """What one process exports, another starts from; JSON carries it."""
    web = web_of(key)
    first = Guard(issuers=Issuer(NAME, audience="api", fetcher=web), clock=clock)
    assert first.export_keys(NAME) is None
    first.warm(required=True)
    seed = json.loads(json.dumps(first.export_keys(NAME)))
    web.asked.clear()

    second = Guard(issuers=Issuer(NAME, audience="api", fetcher=web, seed=seed), clock=clock)

    assert second.verify(token(key, clock)).subject == "alice"
    assert web.asked == []
    fixed = Guard(issuers=Issuer(NAME, audience="api", keys=key.jwk), clock=clock)
    assert fixed.export_keys(NAME) is None
    with pytest.raises(ConfigurationError, match="export_keys"):
        first.export_keys("https://nobody.example")


def test_a_wrong_seed_stops_the_start() -> None:
    """Not the first request."""
    with pytest.raises(ConfigurationError, match="seed="):
        Guard(issuers=Issuer(NAME, audience="api", seed={"fetched_at": "now"}))


def test_a_discovery_document_may_be_elsewhere(clock: Clock, key: KeyPair) -> None:
    """``discovery=`` says where; nowhere else is asked, and the name in it must be right."""
    web = web_of(key)
    elsewhere = "https://login.example/t/.well-known/openid-configuration?appid=7"
    web.put(elsewhere, {"issuer": NAME, "jwks_uri": f"{NAME}/keys"})
    issuer = Issuer(NAME, audience="api", discovery=elsewhere, fetcher=web)
    assert Guard(issuers=issuer, clock=clock).verify(token(key, clock)).issuer == NAME
    assert web.asked == [elsewhere, f"{NAME}/keys"]

    web.put(elsewhere, {"issuer": "https://evil.example", "jwks_uri": f"{NAME}/keys"})
    with pytest.raises(KeysUnavailable):
        Guard(issuers=issuer, clock=clock).verify(token(key, clock))


def test_an_alias_is_another_spelling_of_one_issuer(clock: Clock, key: KeyPair) -> None:
    """One principal whichever the token spells; among several issuers the identity agrees too."""
    settings = Issuer(NAME, audience="api", keys=key.jwk, aliases=["id.example"])
    other = Issuer("https://b.example", audience="api", keys=KeyPair.generate("ES256").jwk)
    guard = Guard(issuers=[settings, other], clock=clock)

    plain, spelt = (guard.verify(token(key, clock, iss=iss)) for iss in (NAME, "id.example"))

    assert (plain.issuer, plain.identity) == (NAME, f"{NAME}|alice")
    assert (spelt.issuer, spelt.identity) == (NAME, f"{NAME}|alice")
    assert spelt.claims["iss"] == "id.example"
    assert code_of(guard, token(key, clock, iss="ID.example")) == "issuer_untrusted"
    assert set(guard.health()) == {NAME, "https://b.example"}


@pytest.mark.parametrize(
    ("wanted", "value", "code"),
    [
        ("access", "access", None),
        (["a", "b"], "b", None),
        ("access", "id", "claim_invalid"),
        ("access", None, "claim_missing"),
        ("access", ["access"], "claim_invalid"),
        (True, True, None),
        (True, 1, "claim_invalid"),
        (1, True, "claim_invalid"),
        (7, 7, None),
    ],
)
def test_a_claim_must_have_its_value(
    clock: Clock, key: KeyPair, wanted: Any, value: Any, code: str | None
) -> None:
    """``required_values`` compares as JSON does."""
    issuer = Issuer(NAME, audience="api", keys=key.jwk, required_values={"token_use": wanted})
    guard = Guard(issuers=issuer, clock=clock)
    text = token(key, clock, token_use=value)

    if code is None:
        assert guard.verify(text).subject == "alice"
    else:
        assert code_of(guard, text) == code


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keys": "", "jwks_uri": "https://a/"}, "not both"),
        ({"jwks_uri": "https://a/", "discovery": "https://b/"}, "jwks_uri or discovery"),
        ({"keys": KeyPair.generate("ES256").jwk, "fetcher": HTTPFetcher()}, "fetcher="),
        ({"keys": KeyPair.generate("ES256").jwk, "seed": {}}, "seed="),
        ({"keys": KeyPair.generate("ES256").jwk, "discovery": "https://b/"}, "discovery="),
        ({"fetcher": object()}, r"no fetch\(request\)"),
        ({"aliases": "id.example"}, "a list"),
        ({"aliases": [""]}, "list of names"),
        ({"required_values": {"token_use": []}}, "required_values"),
        ({"required_values": {"token_use": [None]}}, "required_values"),
        ({"resolver": {"timeout": 3}}, "resolver=.* write ResolverOptions"),
        ({"keys": KeyPair.generate("ES256").jwk, "resolver": None}, "resolver=None"),
        ({"leeway": None}, "leeway=None must be seconds"),
        ({"token_types": []}, "must not be empty"),
        ({"tenants": [TENANT]}, "one tenant"),
        ({"tenants": ANY_TENANT}, "one tenant"),
    ],
)
def test_a_setting_that_contradicts_is_refused(options: dict[str, Any], says: str) -> None:
    """With a sentence that names it."""
    with pytest.raises(ConfigurationError, match=says):
        Issuer(NAME, audience="api", **options)


def test_aliases_need_a_name() -> None:
    """Of what would they be other spellings?"""
    with pytest.raises(ConfigurationError, match="must belong to an issuer"):
        Issuer(None, audience="api", jwks_uri=NAME, aliases=["x"])


def test_a_value_says_what_it_is() -> None:
    """And nothing secret."""
    assert repr(Issuer(NAME, audience="api", algorithms=["ES256"])) == (
        f"Issuer('{NAME}', algorithms=['ES256'])"
    )
    assert "most=20" in repr(AdmittedIssuers(lambda _: None, most=20))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "fits every tenant"),
        ({"tenants": []}, "must not be empty"),
        ({"tenants": ["contoso.onmicrosoft.com"]}, "must be a GUID"),
        ({"tenants": [TENANT], "discovery": None}, "cannot be discovered"),
        ({"tenants": [TENANT], "aliases": ["x"]}, "one name"),
        ({"tenants": TENANT}, "a list"),
    ],
)
def test_a_template_needs_its_tenants(options: dict[str, Any], says: str) -> None:
    """A name with a hole would stand for the tenants of everybody."""
    given = {"discovery": "https://login.example/", **options}
    with pytest.raises(ConfigurationError, match=says):
        Issuer("https://login.example/{tenantid}/", audience="api", **given)


async def _awaitable(name: str) -> Issuer | None:
    return None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"admit": "https://a/"}, "admit="),
        ({"admit": _awaitable}, "without await"),
        ({"most": 8}, "most=8"),
        ({"most": 0}, "at least 1"),
        ({"max_flights": 1.5}, "max_flights"),
        ({"readmit_after": -1}, "readmit_after"),
    ],
)
def test_a_rule_that_is_none_is_refused(options: dict[str, Any], says: str) -> None:
    """At construction, with a sentence that names the setting."""
    given: dict[str, Any] = {"admit": lambda name: None, **options}
    with pytest.raises(ConfigurationError, match=says):
        AdmittedIssuers(**given)


@pytest.mark.parametrize(
    ("issuers", "says"),
    [
        ([], "at least one issuer"),
        ([object()], r"must be Issuer\("),
        ([Issuer(NAME, audience="a"), Issuer("https://b/", audience="a", aliases=[NAME])], NAME),
        ([AdmittedIssuers(lambda _: None), Issuer(None, audience="a", jwks_uri=NAME)], "only one"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(issuers: list[Any], says: str) -> None:
    """Nobody, anything else, one name twice, a nameless one among others."""
    with pytest.raises(ConfigurationError, match=says):
        Guard(issuers=issuers)


def test_all_issuers_are_warmed_at_once_within_one_timeout(clock: Clock) -> None:
    """One that hangs does not keep the others waiting, and all together take the time of one."""
    with FakeIssuer(["ES256"]) as slow, FakeIssuer(["ES256"]) as other, FakeIssuer(["ES256"]) as up:
        slow.gate.clear()
        other.gate.clear()
        finished = threading.Event()

        def watch(event: Event) -> None:
            if isinstance(event, KeyFetchFinished) and event.issuer == up.url:
                finished.set()

        issuers = [Issuer(each.url, audience="api") for each in (slow, other, up)]
        guard = Guard(issuers=issuers, clock=clock, observers=[watch])
        # Beyond what is left for it once the two before it have used up their time.
        guard.warm(timeout=0.3)
        assert finished.wait(10)
        assert slow.arrived.wait(10)
        assert other.arrived.wait(10)
        with pytest.raises(KeysUnavailable):
            guard.warm(timeout=0.1, required=True)
        assert [guard.health()[each.url].is_ready for each in (slow, other, up)] == [0, 0, 1]
        slow.gate.set()
        other.gate.set()
        guard.warm(required=True)
        assert all(health.is_ready for health in guard.health().values())
        assert [each.requests[JWKS_PATH] for each in (slow, other, up)] == [1, 1, 1]


def test_twenty_issuers_that_hang_cost_one_timeout(clock: Clock) -> None:
    """Not twenty: the bound is far from both."""
    publisher = Publisher("k")
    publisher.hold()
    names = [f"{NAME}/{number}" for number in range(20)]
    issuers = [Issuer(name, audience="api", jwks_uri=name, fetcher=publisher) for name in names]
    guard = Guard(issuers=issuers, clock=clock)
    start = time.monotonic()
    guard.warm(timeout=0.2)

    assert time.monotonic() - start < 2
    assert {request.url for request in publisher.requests} == set(names)
    publisher.gate.set()
    landed()


async def test_warming_beside_a_running_loop_names_its_twin(clock: Clock) -> None:
    """Unless there is nothing to wait for: fixed keys, or a set that is good."""
    publisher = Publisher("a")
    fetched = Issuer("https://a/", audience=None, jwks_uri="https://a.example/k", fetcher=publisher)
    held = Issuer("https://b/", audience=None, keys=publisher.pairs[0].jwk)
    guard = Guard(issuers=[fetched, held], clock=clock)
    with pytest.raises(ConfigurationError, match=r"await Guard\.awarm"):
        guard.warm()
    assert publisher.fetches == 0

    await guard.awarm(required=True)
    guard.warm(required=True)
    Guard(issuers=held, clock=clock).warm(required=True)


async def test_all_issuers_are_warmed_by_awaiting_too(clock: Clock) -> None:
    """The failure of one is told after the others were tried."""
    with FakeIssuer(["ES256"]) as down, FakeIssuer(["ES256"]) as up:
        down.outage()
        guard = Guard(
            issuers=[Issuer(each.url, audience="api") for each in (down, up)], clock=clock
        )
        with pytest.raises(KeysUnavailable):
            await guard.awarm(required=True)

        assert guard.health()[up.url].is_ready
        await guard.awarm()


ISSUER_MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"issuer": ""}, "must be a name"),
    "keys twice": ({"keys": SECRET, "jwks_uri": "https://a/"}, "not both"),
    "nothing to go by": ({"issuer": None}, "must have a source of keys"),
    "leeway below nought": ({"leeway": -1}, "leeway=-1"),
    "leeway too wide": ({"leeway": 301}, "at most 300"),
    "leeway as text": ({"leeway": "30"}, "leeway='30'"),
    "an endless lifetime": ({"max_lifetime": float("inf")}, "max_lifetime=inf"),
    "algorithms as text": ({"algorithms": "RS256"}, "is text: write a list"),
    "no algorithm": ({"algorithms": []}, "cannot be empty"),
    "none": ({"algorithms": ["none"]}, "unsigned"),
    "a mixture": ({"algorithms": ["HS256", "RS256"]}, "cannot mix"),
    "an unknown algorithm": ({"algorithms": ["RS265"]}, "did you mean 'RS256'"),
    "an algorithm like none": ({"algorithms": [1]}, "known are"),
    "types as text": ({"token_types": "JWT"}, "token_types='JWT'"),
    "an empty audience": ({"audience": []}, "audience=[]"),
    "a secret from the network": ({"algorithms": ["HS256"]}, "shared secret"),
    "a path with a slash": ({"roles_claim": "https://x/roles"}, "cannot contain a slash"),
    "a path with a gap": ({"scopes_claim": "a..b"}, "empty name"),
    "no key": ({"keys": []}, "must have a key"),
    "a key for nothing": (
        {"keys": KeyPair.generate("ES256").jwk, "algorithms": ["RS256"]},
        "cannot be used with",
    ),
    "a missing file": ({"keys": KeyFile("nowhere.pem")}, "cannot be read"),
    "a secret for public keys": ({"keys": Secret(SECRET)}, "shared secret"),
    "a short secret": ({"keys": "short", "algorithms": ["HS256"]}, "at least 32"),
    "an empty secret": ({"keys": "", "algorithms": ["HS256"]}, "is empty"),
    "PEM for a secret": (
        {"keys": KeyPair.generate("ES256").public_pem, "algorithms": ["HS256"]},
        "PEM",
    ),
    "rubbish for PEM": ({"keys": "rubbish"}, "pem unreadable"),
    "an object": ({"keys": object()}, "cannot verify"),
    "a mapping of nothing": ({"keys": {"a": "b"}}, "must be a JWK"),
}


@pytest.mark.parametrize("kind", ISSUER_MISTAKES)
def test_a_mistaken_issuer_is_a_sentence_at_construction(kind: str) -> None:
    """It names the setting."""
    options, sentence = ISSUER_MISTAKES[kind]
    given: dict[str, Any] = {"issuer": "https://a/", "audience": "x", **options}

    with pytest.raises(ConfigurationError) as mistake:
        Issuer(given.pop("issuer"), **given)

    assert sentence in str(mistake.value)


GRANTING: dict[str, tuple[Any, str]] = {
    "text": ("admin", "must be a mapping, such as {'roles': ['editor']"),
    "a list": (["admin"], "or ANY_GRANTS"),
    "a kind that is none": ({"role": ["a"]}, "'scopes' or 'permissions' as names"),
    "a kind that is no text": ({7: ["a"]}, "7 cannot be granted"),
    "names as text": ({"roles": "admin"}, "is text: write a list"),
    "no names": ({"roles": None}, "grants['roles']=None must be a list"),
    "a name that is none": ({"permissions": [7]}, "grants['permissions']: 7 must be a name"),
    "an empty name": ({"roles": [""]}, "must be a name"),
    "two scopes as one": ({"scopes": ["a b"]}, "write ['a', 'b']"),
}


@pytest.mark.parametrize("kind", GRANTING)
def test_grants_that_are_none_are_a_sentence(kind: str) -> None:
    """For an issuer, for a rule and for the issuer of a preset."""
    value, sentence = GRANTING[kind]
    for build in (
        lambda: Issuer(NAME, audience="a", grants=value),
        lambda: AdmittedIssuers(lambda _: None, grants=value),
        lambda: presets.auth0("a.example", audience="a", grants=value),
    ):
        with pytest.raises(ConfigurationError) as mistake:
            build()
        assert sentence in str(mistake.value)


def test_a_configured_issuer_grants_what_it_writes_unless_told_otherwise() -> None:
    """``grants=`` names what counts."""
    pair = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
    claims = {"iss": NAME, "exp": 4e9, "roles": ["admin"], "scope": "a b"}

    def roles_and_scopes(**options: Any) -> Any:
        issuer = Issuer(NAME, audience=None, keys=pair.jwk, algorithms=["HS256"], **options)
        principal = Guard(
            issuers=issuer, role_hierarchy={"admin": ["editor"], "editor": ["reader"]}
        ).verify(pair.sign(claims))
        return principal.roles, principal.scopes

    everything = ({"admin", "editor", "reader"}, {"a", "b"})
    assert roles_and_scopes() == roles_and_scopes(grants=ANY_GRANTS) == everything
    assert roles_and_scopes(grants={"scopes": ["a"]}) == (set(), {"a"})
    # A role is granted by its own name, not by one that would bring it.
    assert roles_and_scopes(grants={"roles": ["editor"]}) == (set(), set())
    assert roles_and_scopes(grants={"roles": ["admin"]}) == (everything[0], set())


SILENT = AdmittedIssuers(lambda _: None)


@pytest.mark.parametrize(
    ("issuers", "asked", "words"),
    [
        (SILENT, has_role("a"), "the rules require roles"),
        ([Issuer(NAME, audience="a"), SILENT], has_scope("a"), "the rules require scopes"),
        (SILENT, ~has_permission("a") | has_role("b"), "require permissions and roles"),
        (SILENT, has_claim("tenant"), None),
        (Issuer(NAME, audience="a"), has_role("a"), None),
        (AdmittedIssuers(lambda _: None, grants=ANY_GRANTS), has_role("a"), None),
        (AdmittedIssuers(lambda _: None, grants={}), has_role("a"), None),
    ],
)
def test_rules_that_no_admitted_issuer_can_meet_are_a_warning(
    issuers: Any, asked: Any, words: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """One, and it names the option."""
    Guard(issuers=issuers, rules=[protect("/a/**", requires=asked)])
    found = [each.getMessage() for each in caplog.records if "admitted issuer" in each.getMessage()]

    assert len(found) == (0 if words is None else 1)
    assert words is None or (words in found[0] and "grants=" in found[0])


@pytest.mark.parametrize(
    ("wanted", "said", "is_met"),
    [(1, 1, True), (1, 1.0, True), (1, True, False), (True, 1, False), ("1", 1, False)],
)
def test_a_required_value_is_compared_as_json(wanted: Any, said: Any, is_met: bool) -> None:
    """As ``has_claim`` does: one is 1.0, and neither is true."""
    issuer = Issuer(
        "https://a/",
        audience=None,
        keys=SECRET,
        algorithms=["HS256"],
        required_values={"tier": wanted},
    )
    guard = Guard(issuers=issuer, clock=Clock())
    text = signed(Clock(), tier=said)

    if is_met:
        assert guard.verify(text).claims["tier"] == said
    else:
        with pytest.raises(TokenError):
            guard.verify(text)
