"""The documents of refresh families: what is written is read again, and nothing else is."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware.issuing.families import (
    Family,
    FamilyTerms,
    begun,
    burnt,
    from_bytes,
    presented,
    to_bytes,
)

NOW = 1_800_000_000.25
TERMS = FamilyTerms(refresh_lifetime=3_600.0, family_lifetime=36_000.0, grace=5.0)
NEW = begun(
    "s",
    "ada@example.org/ümlaut 🙂",
    "t0",
    NOW,
    TERMS,
    {"auth_time": 1_800_000_000, "acr": None, "amr": ["pwd", "otp"], "claims": {"a": [1.5, True]}},
    {"name": "Ada's laptop", "address": "2001:db8::1", "agent": "Browser/1.0"},
)
USED = presented(NEW, "t0", NOW + 3_600, NOW + 60.5, TERMS, "t1")[0]
FAMILIES = {
    "new": NEW,
    "used": USED,
    "burnt": burnt(USED, NOW + 61, "refresh_reused"),
    "without anything": begun("s", "u", "t", 0.0, FamilyTerms(1, 1, 0), {}, {}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_read_as_it_was_written(name: str) -> None:
    """F10: every field, with its type; and the bytes of equal families are equal."""
    family = FAMILIES[name]
    read = from_bytes(to_bytes(family))

    assert read == family
    for each in fields(Family):
        assert type(getattr(read, each.name)) is type(getattr(family, each.name))
    assert to_bytes(read) == to_bytes(family)


def test_every_member_is_in_the_document_under_its_name() -> None:
    """F10: with a number for the format, so that a later version can tell."""
    members = json.loads(to_bytes(USED))

    assert members["format"] == 1
    assert members.keys() - {"format"} == {each.name for each in fields(Family)}


def test_any_mapping_is_written() -> None:
    """F10: the application may give a mapping that is not a dictionary."""
    login, device = MappingProxyType({"acr": "1"}), MappingProxyType({"name": "Laptop"})

    assert from_bytes(to_bytes(replace(NEW, login=login, device=device))).login == {"acr": "1"}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    subject=st.text(min_size=1),
    login=st.dictionaries(st.text(), values, max_size=3),
    device=st.dictionaries(st.text(), st.text(), max_size=3),
    now=st.floats(-1e9, 1e11),
)
def test_any_login_is_read_as_it_was_written(
    subject: str, login: dict[str, Any], device: dict[str, str], now: float
) -> None:
    """F10, F12: values of JSON are opaque and unchanged."""
    family = begun("s", subject, "t0", now, TERMS, login, device)

    assert from_bytes(to_bytes(family)) == family


circular: dict[str, Any] = {}
circular["self"] = circular
deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]


@pytest.mark.parametrize(
    "login",
    [
        {"at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"amr": ("pwd",)},
        {"secret-value": {1: "a"}},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"half": "\ud800"},
        {"bytes": b"secret-value"},
        {"set": {"secret-value"}},
        {"long": 10**5_000},
        circular,
        {"deep": deep},
        {"nested": MappingProxyType({"a": 1})},
    ],
    ids=lambda login: next(iter(login)),
)
def test_what_json_cannot_say_exactly_is_not_written(login: dict[str, Any]) -> None:
    """F10: it would be another value at the next refresh. The error does not carry the value."""
    with pytest.raises(ValueError) as caught:
        to_bytes(replace(NEW, login=login))

    assert "secret-value" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "change",
    [
        {"sid": ""},
        {"subject": ""},
        {"device": {"name": 5}},
        {"device": {"name": None}},
        {"generation": -1},
        {"generation": 1.5},
        {"burnt_at": NOW},
        {"burnt_because": "logout"},
        {"ends_at": NOW},
        {"ends_at": 1.0},
        {"created_at": float("nan")},
        {"newest": replace(USED.newest, jti="t0")},
        {"newest": replace(USED.newest, issued_at=0.5)},
        {"newest": replace(USED.newest, expires_at=USED.ends_at + 1)},
    ],
    ids=repr,
)
def test_a_family_that_makes_no_sense_is_not_written(change: dict[str, Any]) -> None:
    """F5 and the shape of each field: what could not be read is noticed when it is written."""
    with pytest.raises(ValueError):
        to_bytes(replace(USED, **change))


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    members = json.loads(to_bytes(FAMILIES["burnt"]))
    change(members)
    return json.dumps(members).encode()


WRONG: dict[str, list[Any]] = {
    "format": [0, 2, 1.0, True, "1", None, [1]],
    "sid": ["", 1, None, ["s"]],
    "subject": ["", 1, None],
    "created_at": ["1", None, True, []],
    "ends_at": ["1", None, True, 1_900_000_000.5],
    "generation": [-1, 1.0, "1", True, None, 10**400],
    "newest": [None, [], "t1", {}],
    "previous": [[], "t0", {}, False, {"jti": "t0"}, {"jti": "t0", "exchanged_at": "1"}],
    "burnt_at": [None, "1", True],
    "burnt_because": [None, "", 1],
    "last_used_at": [None, "1", True],
    "login": [None, [], "{}"],
    "device": [None, [], {"name": 1}, {"name": None}, {"name": {}}],
}
WRONG_NEWEST: dict[str, list[Any]] = {
    "jti": ["", 1, None, "t0"],
    "issued_at": [None, "1", 1.5, True],
    "expires_at": [None, "1", 1.5, True, 1_900_000_000],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, each) for name, all_of in WRONG.items() for each in all_of]
)
def test_a_member_of_another_type_is_refused(name: str, value: Any) -> None:
    """F10: a family is read whole, or it is not read."""
    with pytest.raises(ValueError):
        from_bytes(altered(lambda members: members.update({name: value})))


@pytest.mark.parametrize(
    ("name", "value"), [(name, each) for name, all_of in WRONG_NEWEST.items() for each in all_of]
)
def test_a_member_of_the_newest_of_another_type_is_refused(name: str, value: Any) -> None:
    """F3, F5: such as one that says less than a flag, and one that outlives the family."""
    with pytest.raises(ValueError):
        from_bytes(altered(lambda members: members["newest"].update({name: value})))


@pytest.mark.parametrize("name", WRONG)
def test_a_member_that_is_missing_is_refused(name: str) -> None:
    """F3: a default could turn a burnt family into a good one."""
    with pytest.raises(ValueError):
        from_bytes(altered(lambda members: members.pop(name)))


@pytest.mark.parametrize("place", ["", "newest", "previous"])
def test_a_member_that_is_unknown_is_refused(place: str) -> None:
    """F3: a rule that this version does not know must not be passed over."""

    def change(members: dict[str, Any]) -> None:
        (members[place] if place else members)["more"] = 1

    with pytest.raises(ValueError, match="exactly the members"):
        from_bytes(altered(change))


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b"{", b"\xff", b'{"format":1}'])
def test_what_is_not_a_family_is_refused(body: bytes) -> None:
    """F10: other JSON, and what is not JSON at all."""
    with pytest.raises(ValueError):
        from_bytes(body)


def test_a_later_format_is_named() -> None:
    """F10: the operator learns which version wrote it."""
    with pytest.raises(ValueError, match="in format 2, and this version reads 1"):
        from_bytes(altered(lambda members: members.update(format=2)))


def test_every_cut_is_refused() -> None:
    """F10: a document that was cut off is not a shorter family."""
    body = to_bytes(FAMILIES["burnt"])

    for length in range(len(body)):
        with pytest.raises(ValueError):
            from_bytes(body[:length])
    with pytest.raises(ValueError):
        from_bytes(body + body)
