"""Several issuers of one name: which of them a token is held against, and what people call them."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwt_middleware import (
    ANY_AUDIENCE,
    ANY_TENANT,
    AdmittedIssuers,
    ConfigurationError,
    Guard,
    Issuer,
    KeysUnavailable,
    Principal,
    Secret,
    TokenError,
    caller_key,
    presets,
)
from jwt_middleware.events import Event, KeyFetchFinished, RequestAllowed
from jwt_middleware.guard.explain import SampleRequest
from jwt_middleware.keys.remote.discovery import discovery_urls
from jwt_middleware.testing import Clock, KeyPair
from tests.keys.web import NAME, Web
from tests.support.short_form import SECRET

HMAC = KeyPair(SECRET, "HS256", None)
EC = KeyPair.generate("ES256", "k")
OTHER_EC = KeyPair.generate("ES256", "k")


def signed(key: KeyPair, clock: Clock, **claims: Any) -> str:
    good = {"iss": NAME, "aud": "api", "sub": "alice", "exp": int(clock.now()) + 300, **claims}
    return key.sign({name: value for name, value in good.items() if value is not None})


def outcome(guard: Guard, token: str) -> Principal | str:
    try:
        return guard.verify(token)
    except (TokenError, KeysUnavailable) as refused:
        return refused.code


def published(web: Web, place: str, *keys: KeyPair) -> str:
    """Put a key set on the web, and return its address."""
    url = f"https://{place}/keys"
    web.put(url, {"keys": [key.jwk for key in keys]})
    return url


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def migrating(web: Web, clock: Clock) -> Guard:
    """A provider that moves from a shared secret to a published key."""
    url = published(web, "id.example", EC)
    return Guard(
        issuers=[
            Issuer(NAME, audience="api", keys=Secret(SECRET), algorithms=["HS256"]),
            Issuer(NAME, audience="api", jwks_uri=url, algorithms=["ES256"], fetcher=web),
        ],
        clock=clock,
    )


def test_two_kinds_of_tokens_are_about_during_a_migration(migrating: Guard, clock: Clock) -> None:
    """Both are one person's, who is one caller."""
    old = migrating.verify(signed(HMAC, clock))
    new = migrating.verify(signed(EC, clock))

    assert (old.subject, old.issuer, old.identity) == (new.subject, new.issuer, new.identity)
    assert old.identity == f"{NAME}|alice"


def test_a_secret_meets_only_the_tokens_of_its_algorithm(
    migrating: Guard, web: Web, clock: Clock
) -> None:
    """No key set is asked for them, nor is a public key taken for a secret."""
    migrating.verify(signed(HMAC, clock))
    assert web.asked == []

    confused = KeyPair(EC.public_pem.encode(), "HS256", "k")
    assert outcome(migrating, signed(confused, clock)) == "signature_invalid"
    assert web.asked == []
    assert outcome(migrating, signed(OTHER_EC, clock)) == "signature_invalid"
    assert web.asked == ["https://id.example/keys"]


def test_an_algorithm_that_none_of_them_allows_is_refused(migrating: Guard, clock: Clock) -> None:
    """With those of both as what was expected."""
    other = KeyPair.generate("ES384", "k")
    with pytest.raises(TokenError) as refused:
        migrating.verify(signed(other, clock))
    assert refused.value.code == "algorithm_not_allowed"
    assert "HS256" in refused.value.expected
    assert "ES256" in refused.value.expected


def test_among_other_issuers_their_algorithms_stay_their_own(clock: Clock) -> None:
    """The guard knows ES384, of another name: the namesakes refuse it."""
    other = KeyPair.generate("ES384", "k")
    guard = Guard(
        issuers=[
            Issuer(NAME, audience="api", keys=HMAC.jwk, algorithms=["HS256"]),
            Issuer(NAME, audience="api", keys=EC.jwk, algorithms=["ES256"]),
            Issuer("https://b/", audience="api", keys=other.jwk, algorithms=["ES384"]),
        ],
        clock=clock,
    )

    assert outcome(guard, signed(other, clock)) == "algorithm_not_allowed"
    assert isinstance(outcome(guard, signed(other, clock, iss="https://b/")), Principal)


TENANT = "8a2e1b70-4c1d-4f7e-9a55-0d1f2c3b4a59"
B2C = f"https://acme.b2clogin.com/{TENANT}/v2.0/"


def test_each_policy_of_a_tenant_has_keys_of_its_own(web: Web, clock: Clock) -> None:
    """A token is verified with those of the policy that it names, and no other."""
    rsa = {policy: KeyPair.generate("RS256", policy) for policy in ("B2C_1_in", "B2C_1A_edit")}
    for policy, key in rsa.items():
        base = f"https://acme.b2clogin.com/acme.onmicrosoft.com/{policy}/v2.0/"
        keys = published(web, f"acme.b2clogin.com/{policy}", key)
        document = {"issuer": B2C, "jwks_uri": keys}
        web.put(f"{base}.well-known/openid-configuration", document)
    issuers = presets.entra_b2c(
        "acme", tenant_id=TENANT, policy=list(rsa), audience="api", fetcher=web
    )
    guard = Guard(issuers=issuers, clock=clock)

    for policy, key in rsa.items():
        token = signed(key, clock, iss=B2C, tfp=policy.lower())
        assert guard.verify(token).identity == f"{B2C}|alice"
    crossed = signed(rsa["B2C_1_in"], clock, iss=B2C, tfp="B2C_1A_edit")
    assert outcome(guard, crossed) in {"key_unknown", "signature_invalid"}
    assert outcome(guard, signed(rsa["B2C_1_in"], clock, iss=B2C, tfp="x")) == "claim_invalid"
    assert outcome(guard, signed(rsa["B2C_1_in"], clock, iss=B2C)) == "claim_missing"
    # An issuer is called by all spellings of its policy that it accepts.
    assert list(guard.health()) == [
        f"{B2C}#tfp=B2C_1_in, b2c_1_in",
        f"{B2C}#tfp=B2C_1A_edit, b2c_1a_edit",
    ]


@pytest.fixture
def clusters(web: Web, clock: Clock) -> Guard:
    """Two clusters with the default name, each with keys of its own and a key id in common."""
    blue = published(web, "blue.example", EC)
    green = published(web, "green.example", OTHER_EC)
    given: Any = {"algorithms": ["ES256"], "fetcher": web}
    return Guard(
        issuers=[
            Issuer(NAME, audience="blue-api", label="blue", jwks_uri=blue, **given),
            Issuer(NAME, audience="green-api", label="green", jwks_uri=green, **given),
        ],
        clock=clock,
    )


def test_two_clusters_are_told_apart_by_the_audience(clusters: Guard, clock: Clock) -> None:
    """Their service accounts of one name are two callers."""
    blue = clusters.verify(signed(EC, clock, aud="blue-api"))
    green = clusters.verify(signed(OTHER_EC, clock, aud=["green-api", "x"]))

    assert (blue.issuer, blue.issuer_label, blue.identity) == (NAME, "blue", f"{NAME}#blue|alice")
    assert (green.issuer, green.issuer_label, green.identity) == (
        NAME,
        "green",
        f"{NAME}#green|alice",
    )
    assert outcome(clusters, signed(EC, clock, aud="green-api")) == "signature_invalid"
    with pytest.raises(TokenError) as refused:
        clusters.verify(signed(EC, clock, aud="x"))
    assert (refused.value.code, refused.value.judged_by) == ("audience_mismatch", NAME)
    assert refused.value.reason == "expected 'blue-api', 'green-api', found 'x'"
    assert outcome(clusters, signed(EC, clock, aud=None)) == "claim_missing"
    assert outcome(clusters, signed(EC, clock, aud=7)) == "claim_invalid"


def test_caches_keep_the_callers_of_two_labels_apart(clusters: Guard, clock: Clock) -> None:
    """Also if their tokens say the same."""
    blue = clusters.verify(signed(EC, clock, aud="blue-api"))

    assert caller_key(blue) == caller_key(replace(blue, token_id="other"))
    assert caller_key(blue) != caller_key(replace(blue, issuer_label="green"))


def test_a_token_for_both_is_nobodys(clusters: Guard, web: Web, clock: Clock) -> None:
    """It could be two callers, so no key is tried."""
    both = signed(EC, clock, aud=["blue-api", "green-api"])

    assert outcome(clusters, both) == "audience_mismatch"
    assert web.asked == []


def test_two_presets_of_one_cluster_name_stand_side_by_side(web: Web, clock: Clock) -> None:
    """``kubernetes(label=...)``."""
    guard = Guard(
        issuers=[
            presets.kubernetes(
                audience=f"{label}-api",
                server=f"https://{label}.example",
                label=label,
                fetcher=web,
            )
            for label in ("blue", "green")
        ],
        clock=clock,
    )
    web.put("https://blue.example/openid/v1/jwks", {"keys": [EC.jwk]})

    name = "https://kubernetes.default.svc.cluster.local"
    token = signed(EC, clock, iss=name, aud="blue-api")
    assert guard.verify(token).identity == f"{name}#blue|alice"
    assert list(guard.health()) == [f"{name}#blue", f"{name}#green"]


ONE: dict[str, Any] = {"audience": "api", "keys": EC.jwk, "algorithms": ["ES256"]}
OVERLAPPING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "other keys alone": (ONE, {**ONE, "keys": OTHER_EC.jwk}),
    "an algorithm in common": (ONE, {**ONE, "algorithms": ["ES384", "ES256"]}),
    "an audience in common": (ONE, {**ONE, "audience": ["b", "api"], "leeway": 1}),
    "any audience": (ONE, {**ONE, "audience": ANY_AUDIENCE}),
    "any and none": ({**ONE, "audience": ANY_AUDIENCE}, {**ONE, "audience": None}),
    "none twice": ({**ONE, "audience": None}, {**ONE, "audience": None, "leeway": 1}),
    "a value in common": (
        {**ONE, "required_values": {"azp": ["a", "b"]}},
        {**ONE, "required_values": {"azp": ["b", "c"]}},
    ),
    "values of two claims": (
        {**ONE, "required_values": {"azp": "a"}},
        {**ONE, "required_values": {"tfp": "b"}},
    ),
    "a value that only one wants": (ONE, {**ONE, "required_values": {"azp": "a"}}),
}


@pytest.mark.parametrize("kind", OVERLAPPING)
def test_issuers_that_could_both_accept_a_token_are_refused(kind: str) -> None:
    """In one sentence that says what they have in common, and what to write."""
    one, other = OVERLAPPING[kind]
    with pytest.raises(ConfigurationError) as mistake:
        Guard(issuers=[Issuer(NAME, **one), Issuer(NAME, **other)])

    said = str(mistake.value)
    assert "could both accept one token, with algorithm 'ES256' and audience " in said
    assert "required_values={'azp': 'web'}" in said


@pytest.mark.parametrize("kind", OVERLAPPING)
@pytest.mark.parametrize(
    "advice",
    [
        {"algorithms": ["ES384"], "keys": KeyPair.generate("ES384", "k").jwk},
        {"required_values": {"azp": "web"}},
    ],
    ids=["algorithms", "required_values"],
)
def test_what_the_sentence_advises_works(kind: str, advice: dict[str, Any]) -> None:
    """Another algorithm for one of them, or another value of one claim for each."""
    one, other = OVERLAPPING[kind]
    if "required_values" in advice:
        one = {**one, "required_values": {"azp": "other"}}

    Guard(issuers=[Issuer(NAME, **one), Issuer(NAME, **{**other, **advice})])


def test_one_issuer_listed_twice_is_one_too_many() -> None:
    """Here no difference is missing."""
    with pytest.raises(ConfigurationError, match="listed twice: remove one"):
        Guard(issuers=[Issuer(NAME, **ONE), Issuer(NAME, **ONE)])


@pytest.mark.parametrize("labels", [(None, None), ("blue", None), (None, "green")])
def test_keys_that_only_the_audience_tells_apart_need_labels(labels: Any) -> None:
    """One subject may be two callers; the sentence says what to write, and that works."""
    options: list[dict[str, Any]] = [
        {**ONE, "audience": "blue"},
        {**ONE, "audience": "green", "keys": OTHER_EC.jwk},
    ]
    labelled = [
        Issuer(NAME, **each, label=label) for each, label in zip(options, labels, strict=True)
    ]
    with pytest.raises(ConfigurationError, match=r"write label= for each of them, as in label="):
        Guard(issuers=labelled)

    Guard(issuers=[Issuer(NAME, **each, label=f"{at}") for at, each in enumerate(options)])


def test_two_audiences_of_one_key_set_need_none(clock: Clock) -> None:
    """It is one issuer with different demands."""
    guard = Guard(
        issuers=[
            Issuer(NAME, **{**ONE, "audience": "a"}),
            Issuer(NAME, **{**ONE, "audience": "b", "required_claims": ["mfa"]}),
        ],
        clock=clock,
    )

    assert guard.verify(signed(EC, clock, aud="a")).identity == f"{NAME}|alice"
    assert outcome(guard, signed(EC, clock, aud="b")) == "claim_missing"
    assert list(guard.health()) == [f"{NAME}#aud=a", f"{NAME}#aud=b"]


def test_issuers_that_no_single_difference_names_are_numbered(clock: Clock) -> None:
    """Each two differ, and no one option is another for all of them."""
    es384: dict[str, Any] = {"keys": KeyPair.generate("ES384", "k").jwk, "algorithms": ["ES384"]}
    guard = Guard(
        issuers=[
            Issuer(NAME, **{**ONE, "audience": "a"}),
            Issuer(NAME, **{**ONE, "audience": "b"}),
            Issuer(NAME, **{**ONE, **es384, "audience": "a"}),
        ],
        clock=clock,
    )

    assert list(guard.health()) == [f"{NAME}#{number}" for number in (1, 2, 3)]
    assert guard.verify(signed(EC, clock, aud="b")).issuer_label == "2"


def test_one_label_names_one_of_them() -> None:
    """Two of one name cannot share it; issuers of other names can."""
    twins = [Issuer(NAME, **{**ONE, "audience": each}, label="x") for each in ("a", "b")]
    with pytest.raises(ConfigurationError, match="label='x' must name one issuer"):
        Guard(issuers=twins)

    Guard(issuers=[twins[0], Issuer("https://b/", **ONE, label="x")])


def test_a_name_with_a_label_is_no_other_name(clock: Clock) -> None:
    """Nor a name that looks so."""
    labelled = Issuer(NAME, **ONE, label="x")
    with pytest.raises(ConfigurationError, match="#x' must mean one issuer: write another label="):
        Guard(issuers=[labelled, Issuer(f"{NAME}#x", **ONE)])

    guard = Guard(issuers=[Issuer(f"{NAME}#y", **ONE), labelled], clock=clock)
    guard.distrust(f"{NAME}#y", "k")
    assert isinstance(outcome(guard, signed(EC, clock)), Principal)
    assert outcome(guard, signed(EC, clock, iss=f"{NAME}#y")) == "key_unknown"
    for unknown in ("x", f"{NAME}#z", "#x"):
        with pytest.raises(ConfigurationError):
            guard.distrust(unknown, "k")


def test_an_issuer_without_a_name_may_have_a_label(clock: Clock) -> None:
    """It is then called by that alone."""
    guard = Guard(issuers=Issuer(None, **ONE, label="x"), clock=clock)

    assert list(guard.health()) == ["#x"]
    guard.distrust("#x", "k")
    assert outcome(guard, signed(EC, clock)) == "key_unknown"


def test_a_label_serves_an_issuer_without_namesakes_too(clock: Clock) -> None:
    """In health, and in what callers are called."""
    issuers = [Issuer(NAME, **ONE, label="ours"), Issuer("https://b/", **ONE)]
    guard = Guard(issuers=issuers, clock=clock)

    assert guard.verify(signed(EC, clock)).identity == f"{NAME}#ours|alice"
    assert list(guard.health()) == [f"{NAME}#ours", "https://b/"]


def test_a_key_is_withdrawn_by_label(clusters: Guard, clock: Clock) -> None:
    """The other keeps the key of the same key id."""
    blue, green = signed(EC, clock, aud="blue-api"), signed(OTHER_EC, clock, aud="green-api")
    assert isinstance(outcome(clusters, blue), Principal)
    assert isinstance(outcome(clusters, green), Principal)
    clusters.distrust(f"{NAME}#blue", "k")

    assert outcome(clusters, blue) == "key_unknown"
    assert isinstance(outcome(clusters, green), Principal)


@pytest.mark.parametrize("kid", ["k", None])
def test_a_key_is_withdrawn_of_all_by_name(clusters: Guard, clock: Clock, kid: str | None) -> None:
    """Who does not say which of them means each."""
    blue, green = signed(EC, clock, aud="blue-api"), signed(OTHER_EC, clock, aud="green-api")
    clusters.verify(blue)
    clusters.verify(green)
    clusters.distrust(NAME, kid)

    assert [outcome(clusters, token) for token in (blue, green)] == ["key_unknown"] * 2


def test_keys_are_exported_by_label(clusters: Guard, clock: Clock) -> None:
    """A name that several have says which labels there are."""
    clusters.verify(signed(EC, clock, aud="blue-api"))

    exported = clusters.export_keys(f"{NAME}#blue")
    assert exported is not None
    assert EC.jwk["x"] in json.dumps(exported)
    assert clusters.export_keys(f"{NAME}#green") is None
    with pytest.raises(ConfigurationError, match=r"several issuers: write one of .*#blue"):
        clusters.export_keys(NAME)


def test_keys_of_a_namesake_that_was_not_fetched_are_not_passed_over(
    web: Web, clock: Clock
) -> None:
    """The operator hears of it; and a key that one of them has lost is lost for the other."""
    url = published(web, "id.example", EC)
    given: Any = {"jwks_uri": url, "algorithms": ["ES256"], "fetcher": web}
    guard = Guard(
        issuers=[Issuer(NAME, audience=each, label=each, **given) for each in ("web", "mobile")],
        clock=clock,
    )
    guard.verify(signed(EC, clock, aud="web"))

    with pytest.raises(ConfigurationError, match="distrust"):
        guard.distrust(NAME)
    assert outcome(guard, signed(EC, clock, aud="web")) == "key_unknown"
    assert outcome(guard, signed(EC, clock, aud="mobile")) == "key_unknown"


def test_a_key_that_is_withdrawn_by_label_is_withdrawn_under_any_key_id(
    web: Web, clock: Clock
) -> None:
    """A namesake that publishes the same key does not go on trusting it."""
    renamed = {**EC.jwk, "kid": "other"}
    guard = Guard(
        issuers=[
            Issuer(NAME, **{**ONE, "audience": "a"}, label="a"),
            Issuer(NAME, **{**ONE, "audience": "b", "keys": renamed}, label="b"),
        ],
        clock=clock,
    )
    guard.distrust(f"{NAME}#a", "k")

    assert outcome(guard, signed(EC, clock, aud="a")) == "key_unknown"
    assert outcome(guard, signed(KeyPair(EC.private, "ES256", "other"), clock, aud="b")) == (
        "key_unknown"
    )


def test_tenants_of_a_labelled_issuer_have_callers_of_their_own(clock: Clock) -> None:
    """The label stands beside the name that the token has, and does not replace it."""
    issuer = Issuer("https://id/{tenantid}/", **ONE, tenants=ANY_TENANT, label="mobile")
    guard = Guard(issuers=issuer, clock=clock)
    stranger = "11111111-2222-4333-8444-555555555555"

    assert [
        guard.verify(signed(EC, clock, iss=f"https://id/{tenant}/", tid=tenant)).identity
        for tenant in (TENANT, stranger)
    ] == [f"https://id/{tenant}/#mobile|alice" for tenant in (TENANT, stranger)]


def test_events_call_each_by_its_label(web: Web, clock: Clock) -> None:
    """Those of the keys, and those of the requests."""
    told: list[Event] = []
    given: Any = {"algorithms": ["ES256"], "fetcher": web}
    guard = Guard(
        issuers=[
            Issuer(NAME, audience=each, label=each, jwks_uri=published(web, each, EC), **given)
            for each in ("blue", "green")
        ],
        clock=clock,
        observers=[told.append],
        close_on_expiry=True,
    )
    token = signed(EC, clock, aud="green")
    guard.verify(token)
    verdict: Any = guard.decide(SampleRequest("WEBSOCKET", "/", token))

    assert [each.issuer for each in told if isinstance(each, KeyFetchFinished)] == [f"{NAME}#green"]
    assert [each.issuer for each in told if isinstance(each, RequestAllowed)] == [f"{NAME}#green"]
    assert verdict.closes_in == 330


def test_an_alias_may_be_a_name_of_several(clock: Clock) -> None:
    """Every name that a token may carry is looked at."""
    other: dict[str, Any] = {**ONE, "algorithms": ["ES384"]}
    other["keys"] = KeyPair.generate("ES384", "k").jwk
    guard = Guard(
        issuers=[Issuer("https://a/", **ONE, aliases=[NAME]), Issuer(NAME, **other)],
        clock=clock,
    )

    assert guard.verify(signed(EC, clock)).issuer == "https://a/"
    assert guard.verify(signed(EC, clock, iss="https://a/")).issuer == "https://a/"
    with pytest.raises(ConfigurationError, match="could both accept"):
        Guard(issuers=[Issuer("https://a/", **ONE, aliases=[NAME]), Issuer(NAME, **ONE, leeway=1)])


def test_all_tenants_of_two_applications(web: Web, clock: Clock) -> None:
    """A template is a name like any other."""
    key = KeyPair.generate("RS256", "k")
    place = "login.microsoftonline.com"
    document = f"https://{place}/common/v2.0/.well-known/openid-configuration"
    keys = published(web, place, key)
    web.put(document, {"issuer": f"https://{place}/{{tenantid}}/v2.0", "jwks_uri": keys})
    guard = Guard(
        issuers=[
            presets.entra(ANY_TENANT, audience="a", fetcher=web),
            presets.entra([TENANT], audience="b", fetcher=web),
        ],
        clock=clock,
    )
    stranger = "11111111-2222-4333-8444-555555555555"

    def said(tenant: str, audience: str) -> Principal | str:
        name = f"https://{place}/{tenant}/v2.0"
        return outcome(guard, signed(key, clock, iss=name, tid=tenant, aud=audience))

    assert isinstance(said(TENANT, "a"), Principal)
    assert isinstance(said(TENANT, "b"), Principal)
    assert isinstance(said(stranger, "a"), Principal)
    assert said(stranger, "b") == "claim_invalid"
    assert said(stranger, "c") == "audience_mismatch"


class TestAdmitted:
    """Issuers that a rule admits may have one name too."""

    @pytest.fixture
    def guard(self, web: Web, clock: Clock) -> Guard:
        self.audiences = ["blue", "green"]
        self.keys = {"blue": EC, "green": OTHER_EC, "red": KeyPair.generate("ES256", "k")}

        def admit(name: str) -> list[Issuer]:
            if name != NAME:
                return []
            return [
                Issuer(
                    name,
                    audience=each,
                    label=each,
                    jwks_uri=published(web, each, self.keys[each]),
                    algorithms=["ES256"],
                    fetcher=web,
                )
                for each in self.audiences
            ]

        return Guard(
            issuers=AdmittedIssuers(admit, most=2, max_flights=1, readmit_after=60), clock=clock
        )

    def test_a_token_is_held_against_the_one_that_fits(self, guard: Guard, clock: Clock) -> None:
        """Each has its own keys."""
        for each in ("blue", "green"):
            token = signed(self.keys[each], clock, aud=each)
            assert guard.verify(token).identity == f"{NAME}#{each}|alice"
            assert guard.verify(token).identity == f"{NAME}#{each}|alice"
        assert outcome(guard, signed(EC, clock, aud="green")) == "signature_invalid"
        assert outcome(guard, signed(EC, clock, aud=["blue", "green"])) == "audience_mismatch"
        assert sorted(map(str, guard.health())) == [f"{NAME}#blue", f"{NAME}#green"]

    def test_a_single_one_is_exported_by_its_name(self, guard: Guard, clock: Clock) -> None:
        """Without a label, since nothing has to be told apart; of several, with one."""
        with pytest.raises(ConfigurationError, match="several issuers: write one of"):
            guard.export_keys(NAME)
        self.audiences = ["blue"]
        clock.tick(61)
        guard.verify(signed(EC, clock, aud="blue"))

        assert guard.export_keys(NAME) is not None

    def test_an_empty_list_admits_nobody(self, guard: Guard, clock: Clock) -> None:
        """As ``None`` does."""
        assert outcome(guard, signed(EC, clock, iss="https://b/")) == "issuer_untrusted"

    def test_the_rule_may_name_others_later(self, guard: Guard, web: Web, clock: Clock) -> None:
        """Those that stay keep their keys, those that are gone are refused."""
        blue, green = signed(EC, clock, aud="blue"), signed(OTHER_EC, clock, aud="green")
        guard.verify(blue)
        guard.verify(green)
        self.audiences = ["green", "red"]
        web.asked.clear()
        clock.tick(61)
        fresh = {each: signed(self.keys[each], clock, aud=each) for each in self.keys}

        assert outcome(guard, fresh["blue"]) == "audience_mismatch"
        assert isinstance(outcome(guard, fresh["green"]), Principal)
        assert web.asked == []
        assert isinstance(outcome(guard, fresh["red"]), Principal)
        assert web.asked == ["https://red/keys"]

    def test_keys_are_withdrawn_by_name_or_label(self, guard: Guard, clock: Clock) -> None:
        """A label of an issuer in service is known without its name."""
        tokens = {each: signed(self.keys[each], clock, aud=each) for each in ("blue", "green")}
        for token in tokens.values():
            guard.verify(token)
        guard.distrust(f"{NAME}#blue")
        assert outcome(guard, tokens["blue"]) == "key_unknown"
        assert isinstance(outcome(guard, tokens["green"]), Principal)
        assert guard.export_keys(f"{NAME}#green") is not None
        guard.distrust(NAME, "k")
        assert outcome(guard, tokens["green"]) == "key_unknown"

    def test_a_label_belongs_to_a_name(self, clock: Clock) -> None:
        """Two tenants may each call an issuer the same; their callers are others."""
        keys = {f"https://{each}/": KeyPair.generate("ES256", "k") for each in ("good", "evil")}

        def admit(name: str) -> Issuer:
            return Issuer(name, **{**ONE, "keys": keys[name].jwk}, label="web")

        guard = Guard(issuers=AdmittedIssuers(admit), clock=clock)
        tokens = {name: signed(key, clock, iss=name) for name, key in keys.items()}

        assert [guard.verify(token).identity for token in tokens.values()] == [
            "https://good/#web|alice",
            "https://evil/#web|alice",
        ]
        assert list(guard.health()) == ["https://good/#web", "https://evil/#web"]
        guard.distrust("https://evil/#web", "k")
        assert outcome(guard, tokens["https://evil/"]) == "key_unknown"
        assert isinstance(outcome(guard, tokens["https://good/"]), Principal)

    def test_keys_of_an_admitted_namesake_are_not_passed_over(
        self, guard: Guard, clock: Clock
    ) -> None:
        """Nobody takes those for withdrawn that were not fetched yet."""
        guard.verify(signed(EC, clock, aud="blue"))

        with pytest.raises(ConfigurationError, match="no keys were fetched yet"):
            guard.distrust(NAME)
        assert outcome(guard, signed(EC, clock, aud="blue")) == "key_unknown"
        guard.distrust(NAME, "k")
        assert outcome(guard, signed(OTHER_EC, clock, aud="green")) == "key_unknown"

    def test_one_label_twice_in_a_list_is_a_failure(self, clock: Clock) -> None:
        """Their callers could not be told apart."""
        twins = [
            Issuer(NAME, **{**ONE, "audience": each, "keys": key.jwk}, label="l")
            for each, key in (("a", EC), ("b", OTHER_EC))
        ]
        guard = Guard(issuers=AdmittedIssuers(lambda _: twins), clock=clock)

        assert outcome(guard, signed(EC, clock, aud="a")) == "keys_unavailable"

    def test_a_label_that_is_gone_withdraws_nothing_in_silence(
        self, guard: Guard, clock: Clock
    ) -> None:
        """Nor one that never was, whatever else the rule admits."""
        guard.verify(signed(EC, clock, aud="blue"))
        for name in (f"{NAME}#red", f"{NAME}#", "blue", "https://b/#blue"):
            with pytest.raises(ConfigurationError):
                guard.distrust(name)

    def test_a_cached_token_is_judged_again_when_the_rule_names_more(
        self, guard: Guard, clock: Clock
    ) -> None:
        """It may be nobody's beside the new one."""
        self.audiences = ["blue"]
        both = signed(EC, clock, aud=["blue", "green"])
        assert isinstance(outcome(guard, both), Principal)
        self.audiences = ["blue", "green"]
        clock.tick(61)

        assert outcome(guard, both) == "audience_mismatch"

    def test_the_rule_is_asked_again_whatever_overlapped(self, web: Web, clock: Clock) -> None:
        """A list that another thread's was faster than is never in service, nor any of it."""
        answers: list[Any] = []

        def row(audience: str, **more: Any) -> Issuer:
            url = published(web, audience, EC)
            given: Any = {"jwks_uri": url, "algorithms": ["ES256"], "fetcher": web, **more}
            return Issuer(NAME, audience=audience, label=audience, **given)

        def admit(_: str) -> Any:
            answer = answers.pop(0) if answers else None
            if callable(answer):
                # Another request asks while this call is under way.
                answer()
                return [row("first", leeway=2), row("blue")]
            return answer

        guard = Guard(issuers=AdmittedIssuers(admit, readmit_after=60), clock=clock)
        answers.append([row("first"), row("blue")])
        assert isinstance(outcome(guard, signed(EC, clock, aud="blue")), Principal)
        clock.tick(61)
        blue = signed(EC, clock, aud="blue", jti="1")
        answers.append(lambda: outcome(guard, signed(EC, clock, aud="blue", jti="2")))
        answers.append([row("first", leeway=1), row("blue")])
        assert isinstance(outcome(guard, blue), Principal)
        (pool,) = guard._issuers._pools
        (group,) = pool._issuers.values()
        # A request that waits for keys would bring back what it points to.
        assert all(each.group is group for each in group.members)
        clock.tick(61)

        assert outcome(guard, blue) == "issuer_untrusted"
        assert outcome(guard, signed(EC, clock, aud="first")) == "issuer_untrusted"
        assert pool.in_service() == []

    def test_a_key_that_one_of_them_loses_is_lost_at_once_for_all(
        self, guard: Guard, clock: Clock
    ) -> None:
        """They publish the same key; nobody waits for the next renewal."""
        self.keys["green"] = EC
        tokens = {each: signed(EC, clock, aud=each) for each in ("blue", "green")}
        for token in tokens.values():
            assert isinstance(outcome(guard, token), Principal)
        guard.distrust(f"{NAME}#blue")

        assert [outcome(guard, token) for token in tokens.values()] == ["key_unknown"] * 2

    def test_a_name_with_the_sign_of_a_label_is_a_name(self, clock: Clock) -> None:
        """Where it may be both, the operator is asked."""
        labels: dict[str, str | None] = {"x": "a", "x#a": None, "x#b": None}

        def admit(name: str) -> Issuer | None:
            return Issuer(name, **ONE, label=labels[name]) if name in labels else None

        guard = Guard(issuers=AdmittedIssuers(admit), clock=clock)
        for name in labels:
            assert isinstance(outcome(guard, signed(EC, clock, iss=name)), Principal)
        guard.distrust("x#b", "k")
        assert outcome(guard, signed(EC, clock, iss="x#b")) == "key_unknown"
        with pytest.raises(ConfigurationError, match="both a name and an issuer"):
            guard.distrust("x#a", "k")

    def test_a_rule_that_names_two_alike_is_a_failure(self, clock: Clock) -> None:
        """Nobody could say which of them accepts a token."""
        alike = [Issuer(NAME, **ONE), Issuer(NAME, **ONE, leeway=1)]
        guard = Guard(issuers=AdmittedIssuers(lambda _: alike), clock=clock)

        assert outcome(guard, signed(EC, clock)) == "keys_unavailable"

    @pytest.mark.parametrize("answer", [[NAME], "x", {NAME}, [None], 7])
    def test_a_list_of_something_else_is_a_failure(self, clock: Clock, answer: Any) -> None:
        """As a single thing of another kind is."""
        guard = Guard(issuers=AdmittedIssuers(lambda _: answer), clock=clock)

        assert outcome(guard, signed(EC, clock)) == "keys_unavailable"


KEYS = {alg: KeyPair.generate(alg, "k") for alg in ("ES256", "ES384")}
AUDIENCES: list[Any] = [None, "a", "b", ["a", "b"], ANY_AUDIENCE]
VALUES: list[Any] = [{}, {"t": "x"}, {"t": "y"}, {"t": ["x", "y"]}, {"u": 1}, {"u": True}]
ISSUERS = st.fixed_dictionaries(
    {
        "algorithms": st.sampled_from([["ES256"], ["ES384"], ["ES256", "ES384"]]),
        "audience": st.sampled_from(AUDIENCES),
        "required_values": st.sampled_from(VALUES),
    }
)
TOKENS = [
    (alg, {name: value for name, value in zip(("aud", "t", "u"), said, strict=True) if value})
    for alg in KEYS
    for said in product([None, "a", "b", ["a", "b"]], [None, "x", "y"], [None, 1, True])
]


@settings(max_examples=60, deadline=None)
@given(options=st.lists(ISSUERS, min_size=2, max_size=3))
def test_a_token_passes_if_exactly_one_of_them_alone_would_accept_it(
    options: list[dict[str, Any]],
) -> None:
    """And issuers are refused at start-up if and only if a token of one audience fits two."""
    clock = Clock()
    issuers = [
        Issuer(NAME, **each, keys=[KEYS[alg].jwk for alg in each["algorithms"]], label=f"{at}")
        for at, each in enumerate(options)
    ]
    alone = [Guard(issuers=issuer, clock=clock) for issuer in issuers]
    tokens = [
        (KEYS[alg].sign({"iss": NAME, "exp": int(clock.now()) + 60, **claims}), claims)
        for alg, claims in TOKENS
    ]
    accepted = [
        [isinstance(outcome(guard, token), Principal) for guard in alone] for token, _ in tokens
    ]
    overlap = any(
        sum(each) > 1 and not isinstance(claims.get("aud"), list)
        for each, (_, claims) in zip(accepted, tokens, strict=True)
    )

    try:
        guard = Guard(issuers=issuers, clock=clock)
    except ConfigurationError:
        assert overlap
        return
    assert not overlap
    for each, (token, _) in zip(accepted, tokens, strict=True):
        passed = outcome(guard, token)
        assert isinstance(passed, Principal) == (sum(each) == 1), passed
        if isinstance(passed, Principal):
            assert passed.issuer_label == f"{each.index(True)}"


def test_discovery_is_each_ones_own(web: Web, clock: Clock) -> None:
    """Both documents name the same issuer, at different places."""
    for place in ("one", "two"):
        keys = published(web, place, EC if place == "one" else OTHER_EC)
        web.put(discovery_urls(f"https://{place}/x")[0], {"issuer": NAME, "jwks_uri": keys})
    guard = Guard(
        issuers=[
            Issuer(
                NAME,
                audience="api",
                discovery=discovery_urls(f"https://{place}/x")[0],
                required_values={"azp": place},
                fetcher=web,
            )
            for place in ("one", "two")
        ],
        clock=clock,
    )

    assert isinstance(outcome(guard, signed(EC, clock, azp="one")), Principal)
    assert isinstance(outcome(guard, signed(OTHER_EC, clock, azp="two")), Principal)
    assert outcome(guard, signed(EC, clock, azp="two")) == "signature_invalid"
