"""Claims: what serialisers make of them, and that nothing changes them."""

import json
import pickle
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import asdict
from typing import Any

import msgspec
import orjson
import pydantic
import pytest
import ujson
from django.http import JsonResponse as DjangoResponse
from fastapi import FastAPI
from flask import Flask, jsonify
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from jwt_middleware import Claims, Guard, JWTMiddleware, Principal
from jwt_middleware.integrations.fastapi import CurrentPrincipal
from jwt_middleware.testing import KeyPair
from tests.support import django_project

NESTED = {"sub": "a", "deep": {"list": [{"x": 1.5}, [True, None]], "empty": {}}, "roles": ["r"]}
CLAIMS = Claims(NESTED)


def django_response(value: Any) -> bytes:
    django_project.ready()
    return bytes(DjangoResponse(value).content)


ENCODERS: dict[str, Callable[[Any], str | bytes]] = {
    "json": json.dumps,
    "json, indented by Python code": lambda value: json.dumps(value, indent=2, sort_keys=True),
    "json, piece by piece": lambda value: "".join(json.JSONEncoder().iterencode(value)),
    "orjson": orjson.dumps,
    "msgspec": msgspec.json.encode,
    "ujson": ujson.dumps,
    "pydantic": lambda value: pydantic.TypeAdapter(Any).dump_json(value),
    "pydantic, as a dictionary": lambda value: pydantic.TypeAdapter(dict[str, Any]).dump_json(
        {"whole": value}
    ),
    "Starlette": lambda value: bytes(JSONResponse(value).body),
    "Django": django_response,
}

members = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("encoder", ENCODERS)
@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), members, max_size=4))
def test_claims_are_written_as_they_were_signed(encoder: str, signed: dict[str, Any]) -> None:
    """Whole, or as a part of something else, at every depth."""
    encode = ENCODERS[encoder]
    for value, plain in ((Claims(signed), signed), ({"a": [Claims(signed)]}, {"a": [signed]})):
        written = json.loads(encode(value))
        assert written in (plain, {"whole": plain})


def test_flask_and_msgpack_take_claims_too() -> None:
    """Flask's ``jsonify`` goes by the application's provider, and sorts."""
    app = Flask(__name__)
    with app.app_context():
        assert jsonify(CLAIMS).json == NESTED
        assert jsonify(claims=CLAIMS).json == {"claims": NESTED}
        assert app.json.loads(app.json.dumps(CLAIMS)) == NESTED
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(CLAIMS)) == NESTED


class Account(pydantic.BaseModel):
    claims: Claims
    same: dict[str, Any]


def test_a_pydantic_model_may_have_claims() -> None:
    """As a field of their own type, which stays immutable, or as a dictionary."""
    account = Account(claims=CLAIMS, same=CLAIMS)
    read = Account.model_validate_json(json.dumps({"claims": NESTED, "same": NESTED}))

    assert account.model_dump(mode="json") == {"claims": NESTED, "same": NESTED}
    assert json.loads(account.model_dump_json()) == {"claims": NESTED, "same": NESTED}
    assert read.claims == CLAIMS
    assert type(read.claims["deep"]) is Claims
    with pytest.raises(pydantic.ValidationError):
        Account.model_validate({"claims": ["a"], "same": {}})


def test_the_first_endpoint_that_everybody_writes() -> None:
    """Who am I: with FastAPI's annotations, and without."""
    pair = KeyPair(b"0123456789abcdefghijklmnopqrstuv", "HS256", None)
    app = FastAPI()
    app.add_middleware(
        JWTMiddleware, guard=Guard(key=pair.private, algorithms=["HS256"], issuer="https://a/")
    )

    @app.get("/typed")
    def typed(caller: CurrentPrincipal) -> Claims:
        return caller.claims

    @app.get("/plain")
    def plain(caller: CurrentPrincipal) -> Any:
        return {"claims": caller.claims}

    signed = {"iss": "https://a/", "sub": "alice", "exp": 4_000_000_000, "a": {"b": [{"c": 1}]}}
    headers = {"Authorization": f"Bearer {pair.sign(signed)}"}
    client = TestClient(app)

    assert client.get("/typed", headers=headers).json() == signed
    assert client.get("/plain", headers=headers).json() == {"claims": signed}
    assert client.get("/openapi.json", headers=headers).status_code == 200


def inside(claims: Claims) -> Any:
    """Return an object that is nested in claims."""
    return claims["deep"]["list"][0]


def add(claims: Any) -> None:
    claims |= {"x": 2}


def add_to_roles(claims: Any) -> None:
    claims["roles"] += ("admin",)


CHANGES: dict[str, Callable[[Any], object]] = {
    "an item": lambda claims: claims.__setitem__("x", 2),
    "a deletion": lambda claims: claims.__delitem__("x"),
    "clear": lambda claims: claims.clear(),
    "pop": lambda claims: claims.pop("x"),
    "pop with a default": lambda claims: claims.pop("x", None),
    "popitem": lambda claims: claims.popitem(),
    "setdefault": lambda claims: claims.setdefault("y", 2),
    "setdefault of what is there": lambda claims: claims.setdefault("x", 2),
    "update": lambda claims: claims.update({"x": 2}),
    "update by names": lambda claims: claims.update(x=2),
    "in place": add,
    "once more": lambda claims: claims.__init__({"x": 2}),
    "once more, empty": lambda claims: claims.__init__(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("where", ["whole", "nested", "empty"])
def test_every_change_is_refused_in_words(change: str, where: str) -> None:
    """At every depth, and where there is nothing to change."""
    claims = Claims(NESTED)
    chosen = {"whole": claims, "nested": inside(claims), "empty": Claims({})}[where]
    before = chosen.to_dict()

    with pytest.raises(
        TypeError, match=r"^Claims cannot be changed: change a copy, claims.to_dict"
    ):
        CHANGES[change](chosen)
    assert chosen.to_dict() == before
    assert claims == Claims(NESTED)


_MUTATORS = ("append", "sort", "__iadd__", "__setitem__", "__delitem__")


def test_an_array_is_a_tuple_which_has_nothing_to_change_it_by() -> None:
    """No ``append``, no slice, no ``sort``; and ``+=`` would have to write it back."""
    claims: Any = CLAIMS
    roles = claims["roles"]

    assert type(roles) is type(CLAIMS["deep"]["list"][1]) is tuple
    assert not any(hasattr(roles, name) for name in _MUTATORS)
    with pytest.raises(TypeError, match="cannot be changed"):
        add_to_roles(CLAIMS)
    assert CLAIMS["roles"] == ("r",)


def test_claims_have_no_attributes_to_set() -> None:
    """Nor can they become another kind of dictionary."""
    claims: Any = Claims(NESTED)

    with pytest.raises(AttributeError):
        claims.note = 1
    with pytest.raises(TypeError):
        claims.__class__ = dict


def test_what_is_made_of_claims_is_a_dictionary_that_may_be_changed() -> None:
    """``dict``, ``copy``, ``|`` and ``**``; what is nested stays immutable."""
    made: list[Any] = [dict(CLAIMS), CLAIMS.copy(), CLAIMS | {}, {} | CLAIMS, {**CLAIMS}]
    for each in made:
        assert type(each) is dict
        each["x"] = 1
        assert type(each["deep"]) is Claims
    assert (CLAIMS | {"sub": "b"})["sub"] == "b"
    assert "x" not in CLAIMS


@pytest.mark.parametrize(
    "copied",
    [
        copy(CLAIMS),
        deepcopy(CLAIMS),
        *(pickle.loads(pickle.dumps(CLAIMS, protocol)) for protocol in range(6)),
        Claims(CLAIMS),
        Claims(CLAIMS.items()),
        asdict(Principal(claims=CLAIMS))["claims"],
    ],
)
def test_a_copy_is_the_same_and_immutable(copied: Any) -> None:
    """However it was made."""
    assert type(copied) is type(copied["deep"]) is Claims
    assert copied == CLAIMS
    assert hash(copied) == hash(CLAIMS)
    assert repr(copied) == repr(CLAIMS)
    with pytest.raises(TypeError, match="cannot be changed"):
        inside(copied)["x"] = 2


def test_claims_compare_as_dictionaries_do() -> None:
    """With others, with plain dictionaries, and as keys."""
    assert Claims({"a": 1}) == {"a": 1}
    assert Claims({"a": 1}) != Claims({"a": 2})
    assert {Claims({"a": 1}): "x"}[Claims({"a": 1})] == "x"
    assert Claims.fromkeys(["a", "b"], [1]) == {"a": (1,), "b": (1,)}
    assert {**Claims({"a": 1})} == {"a": 1}


def test_what_claims_were_made_of_may_change() -> None:
    """At no depth is the caller's own object kept."""
    made_of: dict[str, Any] = {"a": {"b": [1]}, "c": 1}
    claims = Claims(made_of)
    made_of["a"]["b"].append(2)
    made_of["c"] = 2
    plain = {"c": 1}
    shallow = Claims(plain)
    plain["c"] = 2

    assert claims == {"a": {"b": (1,)}, "c": 1}
    assert shallow == {"c": 1}


def test_their_text_shows_names_only() -> None:
    """Wherever it is printed."""
    for text in (repr(CLAIMS), str(CLAIMS), f"{CLAIMS}", f"{[CLAIMS]}"):
        assert "1.5" not in text
        assert "Claims(sub, deep, roles; " in text
