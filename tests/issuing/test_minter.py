"""Minting: every claim of RFC 9068, nothing that JSON cannot say, and nobody's claims twice."""

import enum
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from jwt_middleware import ConfigurationError, effects
from jwt_middleware.errors import StoreUnavailable
from jwt_middleware.issuing import KeyRing, Minter
from jwt_middleware.issuing.hooks import Call
from jwt_middleware.stores.memory import MemoryStore
from jwt_middleware.testing import Clock
from jwt_middleware.tokens.compact import KnownHeaders, parse
from tests.issuing.rings import AUDIENCE, ISSUER, World


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims, by the strict reader of the guard."""
    compact = parse(token, 20_000, KnownHeaders())
    return jwt.get_unverified_header(token), compact.claims()


def test_every_token_has_the_claims_of_an_access_token() -> None:
    """M1."""
    world = World()
    minter = world.minter()
    header, claims = read(minter.mint("alice", client_id="web"))
    now = int(world.clock.now())

    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": world.kid()}
    assert len(claims.pop("jti")) == 32
    assert claims == {
        "iss": ISSUER,
        "sub": "alice",
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "client_id": "web",
    }
    assert read(minter.mint("alice"))[1]["jti"] != read(minter.mint("alice"))[1]["jti"]
    assert "client_id" not in read(minter.mint("alice"))[1]
    assert read(world.minter(audience=["a", "b"]).mint("alice"))[1]["aud"] == ["a", "b"]


def test_further_claims_and_headers_stand_beside_them() -> None:
    """M3: an aware datetime becomes whole seconds."""
    world = World()
    born = datetime(2000, 1, 1, 12, 0, 0, 999_999, tzinfo=UTC)
    header, claims = read(
        world.minter().mint(
            "alice",
            claims={"scope": "a b", "roles": ("x",), "user": {"born": born, "rate": 0.5}},
            headers={"tenant": "acme"},
            lifetime=timedelta(minutes=1),
        )
    )

    assert header["tenant"] == "acme"
    assert (claims["scope"], claims["roles"]) == ("a b", ["x"])
    assert claims["user"] == {"born": 946_728_000, "rate": 0.5}
    assert claims["exp"] - claims["iat"] == 60


class Role(enum.StrEnum):
    ADMIN = "admin"


class Old(str, enum.Enum):  # noqa: UP042 - as people wrote it before Python 3.11
    ADMIN = "admin"


class Level(enum.IntEnum):
    HIGH = 3


def test_members_of_enumerations_are_their_text() -> None:
    """Alone and in a list."""
    said = {"role": Role.ADMIN, "old": Old.ADMIN, "roles": [Role.ADMIN, Old.ADMIN], "none": []}
    _, claims = read(World().minter().mint("alice", claims=said))

    assert (claims["role"], claims["old"]) == ("admin", "admin")
    assert (claims["roles"], claims["none"]) == (["admin", "admin"], [])


NAIVE = datetime(2000, 1, 1)  # noqa: DTZ001 - what is refused
DEEP: Any = "x"
for _ in range(20):
    DEEP = [DEEP]

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"claim {name}": ({"claims": {name: "x"}}, f"claims['{name}'] cannot be set")
        for name in ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "sid")
    },
    **{
        f"claim {name}": ({"claims": {name: value}}, f"for its claims {name}: choose")
        for name, value in {
            "at_hash": "x",
            "c_hash": "x",
            "cnf": {"jkt": "x"},
            "typ": "refresh",
            "token_use": "id",
            "events": {},
            "_sd": ["x"],
        }.items()
    },
    **{
        f"header {name}": ({"headers": {name: "x"}}, f"headers['{name}'] cannot be set")
        for name in ("alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "x5c", "cty", "zip")
    },
    "a naive datetime": ({"claims": {"user": {"born": NAIVE}}}, "claims.user.born is a datetime w"),
    "a set": ({"claims": {"roles": {"a"}}}, "claims.roles is set"),
    "bytes": ({"claims": {"a": [1, b"x"]}}, "claims.a[1] is bytes"),
    "a Decimal": ({"claims": {"a": Decimal(1)}}, "claims.a is Decimal"),
    "an enum of numbers": ({"claims": {"a": Level.HIGH}}, "claims.a is Level"),
    "not a number": ({"claims": {"a": float("nan")}}, "claims.a is nan"),
    "infinity": ({"claims": {"a": float("inf")}}, "write a finite number"),
    "a number that is not exact": ({"claims": {"id": 2**53 + 1}}, "claims.id is an integer above"),
    "a number with many digits": ({"claims": {"id": 10**5_000}}, "write text, as str(number)"),
    "half a character in a list": (
        {"claims": {"a": ["b", "\ud800"]}},
        "claims.a[1] is text with h",
    ),
    "half a character": ({"claims": {"a": "\ud800"}}, "half a character"),
    "a name of half a character": ({"claims": {"\ud800": 1}}, "names of text"),
    "a number for a name": ({"claims": {"a": {1: 2}}}, "claims.a is a name of type int"),
    "nested too deeply": ({"claims": {"a": DEEP}}, "nested too deeply"),
    "no claims, but a list": ({"claims": []}, "claims=list must be a mapping"),
    "a list of claims": ({"claims": ["scope"]}, "claims=list must be a mapping"),
    "a list of headers": ({"headers": ["x"]}, "headers=list must be a mapping"),
    "no lifetime": ({"lifetime": 0}, "lifetime=0 must be"),
    "half a second": ({"lifetime": 0.5}, "at least 1 second"),
    "a year": ({"lifetime": timedelta(days=365)}, "at most max_lifetime=86400"),
    "text for a lifetime": ({"lifetime": "1h"}, "lifetime='1h'"),
    "a client that is a number": ({"client_id": 7}, "client_id must be text"),
    "too large": ({"claims": {"a": "x" * 20_000}}, "no guard reads more than 16,384"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_a_token_cannot_say_is_a_sentence(kind: str) -> None:
    """M2, M3, M4, M5: it names the place."""
    options, said = MISTAKES[kind]
    with pytest.raises(ConfigurationError) as mistake:
        World().minter().mint("alice", **options)
    assert said in str(mistake.value)


@pytest.mark.parametrize("subject", ["", 7, None, b"alice", Role.ADMIN, "\ud800"])
def test_a_subject_is_text(subject: Any) -> None:
    """M1: RFC 7519 §4.1.2."""
    with pytest.raises(ConfigurationError, match=r"subject must be text .*write str\(user\.id\)"):
        World().minter().mint(subject)


class Lying(dict[str, Any]):
    """Has other names each time it is looked at."""

    def __init__(self) -> None:
        super().__init__(scope="x")
        self.looks = 0

    def items(self) -> Any:
        self.looks += 1
        return {"scope": "x"}.items() if self.looks == 1 else {"exp": 4_000_000_000}.items()

    def __iter__(self) -> Any:
        return iter(dict(self.items()))

    def __getitem__(self, name: str) -> Any:
        return dict(self.items())[name]


def test_a_mapping_that_changes_displaces_nothing() -> None:
    """M2: it is read once."""
    _, claims = read(World().minter().mint("alice", claims=Lying()))
    assert claims["exp"] < 4_000_000_000


def test_a_claim_that_only_names_its_kind_is_taken() -> None:
    """M9: the guard takes it too."""
    world = World()
    token = world.minter().mint("alice", claims={"type": "access", "htm": "x"})
    assert world.guard().verify(token).claims["type"] == "access"


def test_many_need_a_mapping() -> None:
    people: Any = ["alice"]
    with pytest.raises(ConfigurationError, match="must be given a mapping"):
        World().minter().mint_many(people)


def test_a_large_token_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """M5: for each set of claims."""
    minter = World().minter()
    for _ in range(3):
        minter.mint("alice", claims={"a": "x" * 4_000})
        minter.mint("alice", claims={"b": "x" * 4_000})

    assert [record.getMessage().count("was minted") for record in caplog.records] == [1, 1]


OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no ring": ({"ring": "keys"}, "ring='keys' must be of type KeyRing"),
    "no issuer": ({"issuer": None}, "issuer=None must be the name"),
    "no audience": ({"audience": []}, "audience=[] must have a name"),
    "an empty audience": ({"audience": ""}, "audience='' must be names"),
    "a long lifetime": ({"lifetime": 100_000}, "at most max_lifetime=86400"),
    "no lifetime": ({"lifetime": 0}, "lifetime=0 must be"),
    "no hook": ({"claims_of": "roles"}, "claims_of='roles' must be a function"),
    "no clock": ({"clock": 7}, "clock=7 must have now()"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_wrong_option_is_a_sentence(kind: str) -> None:
    options, said = OPTIONS[kind]
    known: dict[str, Any] = {"ring": KeyRing(MemoryStore()), "issuer": ISSUER, "audience": "a"}
    with pytest.raises(ConfigurationError) as mistake:
        Minter(**known | options)
    assert said in str(mistake.value)


def test_many_are_minted_as_one_is() -> None:
    """M7."""
    world = World()
    tokens = world.minter().mint_many({"alice": {"roles": ["a"]}, "bob": {}}, lifetime=60)

    assert {subject: read(token)[1]["sub"] for subject, token in tokens.items()} == {
        "alice": "alice",
        "bob": "bob",
    }
    assert read(tokens["alice"])[1]["roles"] == ["a"]


async def test_a_hook_says_what_a_token_says_of_a_subject() -> None:
    """M8: blocking or awaiting; what the caller says counts more."""
    world = World()

    def roles(subject: str) -> dict[str, Any]:
        return {"roles": [f"{subject}'s"], "scope": "read"}

    async def aroles(subject: str) -> dict[str, Any]:
        return roles(subject)

    plain, awaited = world.minter(claims_of=roles), world.minter(claims_of=aroles)
    for token in (plain.mint("alice"), await plain.amint("alice"), await awaited.amint("alice")):
        assert read(token)[1]["roles"] == ["alice's"]
    assert read(plain.mint("alice", claims={"scope": "write"}))[1]["scope"] == "write"
    with pytest.raises(ConfigurationError, match=r"aroles is async, .* such as amint\(\)"):
        awaited.mint("alice")
    with pytest.raises(ConfigurationError, match="Awaitable is async"):
        world.minter(claims_of=Awaitable).mint("alice")


class Awaitable:
    """What a hook may return that is no coroutine."""

    def __init__(self, subject: str) -> None: ...

    def __await__(self) -> Any:
        raise AssertionError


async def test_what_a_hook_raises_ends_the_call() -> None:
    """M8: as it was raised; and what it must not say is refused."""

    def failing(subject: str) -> dict[str, Any]:
        raise LookupError(subject)

    minter = World().minter(claims_of=failing)
    for _ in range(2):
        with pytest.raises(LookupError, match="alice"):
            minter.mint("alice")
        with pytest.raises(LookupError, match="alice"):
            await minter.amint("alice")
    with pytest.raises(ConfigurationError, match=r"claims\['exp'\] cannot be set"):
        World().minter(claims_of=lambda _: {"exp": 1}).mint("alice")
    stopping = World().minter(claims_of=lambda _: next(iter(())))
    with pytest.raises(ConfigurationError, match="raised StopIteration"):
        stopping.mint("alice")
    with pytest.raises(ConfigurationError, match="raised StopIteration"):
        await stopping.amint("alice")
    with pytest.raises(ConfigurationError, match="claims_of returned list"):
        World().minter(claims_of=lambda _: []).mint("alice")


def test_a_store_that_was_never_there_is_a_503() -> None:
    world = World()
    world.store.is_away = True
    with pytest.raises(StoreUnavailable) as refusal:
        world.minter().mint("alice")
    assert (refusal.value.code, refusal.value.status) == ("store_unavailable", 503)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)
CLAIMS = st.dictionaries(st.text("abcdefghijkl_", min_size=3, max_size=8), JSON, max_size=5)
RING = World()


@given(claims=CLAIMS, subject=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(max_examples=150, deadline=None)
def test_every_reader_reads_what_was_said(claims: dict[str, Any], subject: str) -> None:
    """M9: our guard with the ring, PyJWT and joserfc with the published set."""
    claims = {name: value for name, value in claims.items() if name != "at_hash"}
    token = RING.minter().mint(subject, claims=claims)
    published = RING.ring.jwks()

    principal = RING.guard().verify(token)
    assert principal.subject == subject
    assert {name: principal.claims.to_dict()[name] for name in claims} == claims
    key = jwt.PyJWKSet.from_dict(published)[RING.kid()]
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    theirs = jwt.decode(token, key, ["ES256"], audience=AUDIENCE, issuer=ISSUER, options=options)
    assert {name: theirs[name] for name in claims} == claims
    others = joserfc_jwt.decode(token, KeySet.import_key_set(published), ["ES256"]).claims  # type: ignore[arg-type]
    assert others == theirs


@pytest.mark.parametrize("leaf", ["x", "x" * 1_000, 7, ["x"], {"a": 1}, [], {}])
def test_a_list_that_is_there_many_times_does_not_fill_the_memory(leaf: Any) -> None:
    """M5: its size is counted while it is written, and not only after that."""
    shared: Any = leaf
    for _ in range(9):
        shared = [shared] * 10
    peak = 5_000_000
    for make in (lambda: {"a": shared}, lambda: {"a": {"b": shared}}):
        tracemalloc.start()
        with pytest.raises(ConfigurationError, match="longer than 16,384 characters"):
            World().minter().mint("alice", claims=make())
        assert tracemalloc.get_traced_memory()[1] < peak
        tracemalloc.stop()


async def test_a_slow_hook_leaves_the_store_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own limits are for the application to set."""
    clock = Clock()
    monkeypatch.setattr(effects, "time", clock)
    left: list[float] = []

    class Timed:
        def perform(self, deadline: float) -> object:
            left.append(deadline - clock.monotonic())
            clock.tick(4)
            return None

        async def aperform(self, deadline: float) -> object:
            return self.perform(deadline)

    def steps() -> effects.Steps[None]:
        yield Timed()
        yield Call(lambda: clock.tick(1_000), ())
        yield Timed()

    effects.run(steps(), 10.0)
    await effects.arun(steps(), 10.0)
    assert left == [10.0, 6.0, 10.0, 6.0]
