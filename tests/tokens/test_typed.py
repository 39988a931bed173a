"""Claims as a type of the application's own."""

import subprocess
import sys
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from jwt_middleware import (
    ConfigurationError,
    Guard,
    Issuer,
    JWTMiddleware,
    JWTWSGIMiddleware,
    Principal,
    optional,
)
from jwt_middleware.errors import ClaimsTypeMismatch
from jwt_middleware.principal import Claims
from jwt_middleware.testing import KeyPair
from jwt_middleware.tokens.typed import TypedClaims
from tests.faces.calls import (
    asgi_app,
    http_scope,
    through_asgi,
    through_wsgi,
    wsgi_app,
    wsgi_environ,
)
from tests.support.short_form import bearer

PAIR = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)


@dataclass(frozen=True)
class Frozen:
    sub: str
    tenant: int


@dataclass
class Loose:
    sub: str
    tenant: int


@dataclass(frozen=True)
class Holding:
    sub: str
    tenant: int
    groups: list[str] = field(default_factory=list)


class Dictionary(TypedDict):
    sub: str
    tenant: int


class Struct(msgspec.Struct, frozen=True):
    sub: str
    tenant: int


class LooseStruct(msgspec.Struct):
    sub: str
    tenant: int


class Model(pydantic.BaseModel):
    model_config = {"frozen": True, "strict": True}
    sub: str
    tenant: int


class LooseModel(pydantic.BaseModel):
    model_config = {"strict": True}
    sub: str
    tenant: int


SHARED: list[Any] = [Frozen, Struct, Model]
FRESH: list[Any] = [Loose, Holding, Dictionary, LooseStruct, LooseModel]


def token(**claims: Any) -> str:
    return PAIR.sign({"iss": "https://a/", "exp": 4_000_000_000, "sub": "alice", **claims})


def guard(claims_type: Any, **options: Any) -> Guard:
    issuer = Issuer(
        "https://a/",
        audience=None,
        keys=PAIR.private,
        algorithms=["HS256"],
        claims_type=claims_type,
    )
    return Guard(issuers=issuer, **options)


def value(typed: Any, name: str) -> Any:
    return typed[name] if isinstance(typed, dict) else getattr(typed, name)


@pytest.mark.parametrize("claims_type", SHARED + FRESH, ids=lambda each: each.__name__)
def test_claims_are_read_into_the_type(claims_type: Any) -> None:
    """Further claims do not matter to it, and stand where they stood."""
    principal: Principal[Any] = guard(claims_type).verify(token(tenant=7, groups=["a"], more=1))

    assert value(principal.typed, "tenant") == 7
    assert principal.claims["more"] == 1
    assert isinstance(principal.typed, dict if claims_type is Dictionary else claims_type)


@pytest.mark.parametrize("claims_type", SHARED + FRESH, ids=lambda each: each.__name__)
@pytest.mark.parametrize("claims", [{}, {"tenant": "7"}, {"tenant": None}, {"tenant": [7]}])
def test_a_misfit_is_refused(claims_type: Any, claims: dict[str, Any]) -> None:
    """With a code, and without the claims in the detail; every time it comes."""
    wanted = guard(claims_type)
    text = token(note="s3cret", **claims)
    for _ in range(2):
        with pytest.raises(ClaimsTypeMismatch) as refusal:
            wanted.verify(text)
        assert (refusal.value.code, refusal.value.status) == ("claims_type_mismatch", 401)
        assert refusal.value.detail == f"not a {claims_type.__name__}"
        assert refusal.value.__cause__ is None


@pytest.mark.parametrize("claims_type", SHARED, ids=lambda each: each.__name__)
def test_what_can_not_change_is_shared(claims_type: Any) -> None:
    """The very principal comes back for a known token."""
    wanted = guard(claims_type)
    text = token(tenant=7)

    assert wanted.verify(text) is wanted.verify(text)


@pytest.mark.parametrize("claims_type", FRESH, ids=lambda each: each.__name__)
def test_what_can_change_is_made_anew_for_each_request(claims_type: Any) -> None:
    """What one request does to it no other sees; a frozen value that holds a list included."""
    wanted = guard(claims_type)
    text = token(tenant=7, groups=["a"])
    first = wanted.verify(text).typed
    if claims_type is Holding:
        first.groups.append("admin")
    elif isinstance(first, dict):
        first["tenant"] = 8
    else:
        first.tenant = 8

    again = wanted.verify(text).typed

    assert value(again, "tenant") == 7
    assert claims_type is not Holding or again.groups == ["a"]


@dataclass(frozen=True, eq=False)
class Nameless:
    """Hashed by its place in memory, whatever it holds."""

    groups: list[str]


@dataclass(frozen=True)
class Overlooked:
    """Hashed without its list."""

    tenant: int
    groups: list[str] = field(compare=False)


@dataclass(eq=False)
class Street:
    name: str


@dataclass(frozen=True)
class Deep:
    """Frozen, and what it holds is not."""

    address: Street


@pytest.mark.parametrize("claims_type", [Nameless, Overlooked, Deep])
def test_a_hash_does_not_make_a_value_fit_to_share(claims_type: Any) -> None:
    """What counts is whether anything in it can change."""
    wanted = guard(claims_type)
    text = token(tenant=7, groups=["a"], address={"name": "a"})

    first, again = wanted.verify(text).typed, wanted.verify(text).typed

    assert first is not again
    held = vars(first).keys() & {"groups", "address"}
    assert held
    assert all(getattr(first, name) is not getattr(again, name) for name in held)


class Noting(pydantic.BaseModel):
    """Frozen but for what is private."""

    model_config = {"frozen": True, "strict": True}
    sub: str
    _notes: list[str] = pydantic.PrivateAttr(default_factory=list)

    def note(self, text: str) -> int:
        self._notes.append(text)
        return len(self._notes)


def test_a_frozen_model_with_a_private_attribute_is_made_anew() -> None:
    """What one request notes down in it no other finds."""
    wanted, text = guard(Noting), token()

    assert [wanted.verify(text).typed.note("once") for _ in range(2)] == [1, 1]


class Computing(pydantic.BaseModel):
    """Frozen, with a list that it works out once."""

    model_config = {"frozen": True, "strict": True}
    sub: str

    @cached_property
    def notes(self) -> list[str]:
        return [self.sub]


@dataclass(frozen=True)
class ComputingData:
    """The same in a dataclass."""

    sub: str

    @cached_property
    def notes(self) -> list[str]:
        return [self.sub]


class Heir(Frozen):
    """No dataclass itself, so that it takes any attribute but those of its parent."""

    notes: list[str]


@pytest.mark.parametrize("claims_type", [Computing, ComputingData, Heir])
def test_what_takes_notes_beside_its_fields_is_made_anew(claims_type: Any) -> None:
    """Freezing speaks of the fields alone."""
    wanted, text = guard(claims_type), token(tenant=7)
    first = wanted.verify(text).typed
    if claims_type is Heir:
        first.notes = []
    first.notes.append("admin")

    again = wanted.verify(text).typed

    assert getattr(again, "notes", None) != first.notes


def test_without_a_type_there_is_none() -> None:
    """``principal.claims`` is all there is."""
    assert guard(None).verify(token()).typed is None


class Undecided(pydantic.BaseModel):
    """A model whose own check fails by mistake."""

    sub: str

    @pydantic.field_validator("sub")
    @classmethod
    def check(cls, sub: str) -> str:
        raise ValueError(sub)


class Stumbling(pydantic.BaseModel):
    """A model whose own check meets a type that it did not expect."""

    sub: str

    @pydantic.field_validator("sub")
    @classmethod
    def check(cls, sub: str) -> str:
        raise TypeError(sub)


@dataclass(frozen=True)
class StumblingData:
    """The same in a dataclass."""

    sub: str

    def __post_init__(self) -> None:
        raise TypeError(self.sub)


@pytest.mark.parametrize("claims_type", [Undecided, Stumbling, StumblingData])
def test_what_a_types_own_check_says_is_not_told(claims_type: Any) -> None:
    """It may quote the claim; and a ``TypeError``, which pydantic lets through, is a misfit too."""
    with pytest.raises(ClaimsTypeMismatch) as refusal:
        guard(claims_type).verify(token())
    assert "alice" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("claims_type", [int, "Claims", dict[str, int], object])
def test_a_type_that_is_none_is_a_sentence(claims_type: Any) -> None:
    """At construction."""
    with pytest.raises(ConfigurationError, match="claims_type="):
        TypedClaims(claims_type)


def test_pydantic_reads_a_dataclass_where_msgspec_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As strictly; and with neither, a sentence says what to install."""
    monkeypatch.setitem(sys.modules, "msgspec", None)
    typed = TypedClaims(Frozen)

    assert typed.read(Claims({"sub": "alice", "tenant": 7})) == Frozen("alice", 7)
    with pytest.raises(ClaimsTypeMismatch):
        typed.read(Claims({"sub": "alice", "tenant": "7"}))
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ConfigurationError, match=r"asgi-wsgi-jwt\[typed\]"):
        TypedClaims(Frozen)


def test_neither_library_is_imported_for_nothing() -> None:
    """Importing the package imports none of them."""
    code = "import sys, jwt_middleware; print({'msgspec', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@dataclass(frozen=True)
class Several:
    sub: str
    tenant: int
    groups: tuple[str, ...]
    owners: tuple[Frozen, ...] = ()


@dataclass(frozen=True)
class SeveralLoose:
    sub: str
    tenant: int
    owners: tuple[Loose, ...]


def test_a_tuple_is_shared_if_all_in_it_may_be() -> None:
    """Names and frozen values may; what can change may not, however deep it lies."""
    owner = {"sub": "bob", "tenant": 8}
    text = token(tenant=7, groups=["a", "b"], owners=[owner])
    closed, loose = guard(Several), guard(SeveralLoose)

    assert closed.verify(text).typed.owners == (Frozen("bob", 8),)
    assert closed.verify(text) is closed.verify(text)
    assert loose.verify(text).typed == loose.verify(text).typed
    assert loose.verify(text).typed is not loose.verify(text).typed


class Trap(Exception):
    """An error of the application's own, which holds what it stumbled over."""


FAILURES = [AttributeError, KeyError, IndexError, ZeroDivisionError, RecursionError, OSError, Trap]
KINDS = ["dataclass", "struct", "model"]


def failing(kind: str, failure: type[Exception]) -> Any:
    """Return a type whose own check fails."""

    def check(self: Any) -> None:
        raise failure(self.sub)

    if kind == "dataclass":
        return dataclass(
            type("Failing", (), {"__annotations__": {"sub": str}, "__post_init__": check})
        )
    if kind == "struct":
        return msgspec.defstruct("Failing", [("sub", str)], namespace={"__post_init__": check})
    after = pydantic.model_validator(mode="after")(check)
    return type("Failing", (pydantic.BaseModel,), {"__annotations__": {"sub": str}, "check": after})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_whatever_a_type_raises_is_a_refusal_on_both_faces(
    kind: str, failure: type[Exception]
) -> None:
    """With the code of a misfit; the log learns what failed, and nobody what it was given."""
    wanted = guard(failing(kind, failure), rules=[optional("/feed")])
    events: list[Any] = []
    told = guard(failing(kind, failure), observers=[events.append])
    text = token(sub="s3cret")

    for path in ("/x", "/feed"):
        sent = bearer(text)
        wsgi = through_wsgi(JWTWSGIMiddleware(wsgi_app, wanted), wsgi_environ("GET", path, sent))
        asgi = await through_asgi(JWTMiddleware(asgi_app, wanted), http_scope("GET", path, sent))
        assert (wsgi.status, wsgi.json()["code"]) == (401, "claims_type_mismatch")
        assert (asgi.status, asgi.json()["code"]) == (401, "claims_type_mismatch")
    with pytest.raises(ClaimsTypeMismatch) as refusal:
        told.verify(text)
    assert "Failing failed with" in refusal.value.detail
    assert failure.__name__ in refusal.value.detail
    assert "s3cret" not in repr(refusal.value) + "".join(traceback.format_exception(refusal.value))
    assert refusal.value.__context__ is None


class Changing(pydantic.BaseModel):
    sub: str

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def check(cls, given: Any, handler: Any) -> Any:
        handler(given)
        return None


def test_what_is_not_of_the_type_is_no_value_of_it() -> None:
    """``None`` would look like a principal whose issuer asks for no type."""
    with pytest.raises(ClaimsTypeMismatch, match="a NoneType and not a Changing"):
        guard(Changing).verify(token())


class Unlookable(msgspec.Struct, frozen=True):
    sub: str

    def __getattribute__(self, name: str) -> Any:
        raise Trap(name)


def test_a_value_that_cannot_be_looked_at_is_not_shared() -> None:
    """To look whether it may be must end no request."""
    wanted = guard(Unlookable)
    text = token()

    first, again = wanted.verify(text), wanted.verify(text)
    assert type(first.typed) is type(again.typed) is Unlookable
    assert first.typed is not again.typed
