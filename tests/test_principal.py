"""Claims that cannot be changed, and who a principal says it is."""

import pickle
from collections.abc import Mapping
from contextvars import copy_context
from copy import copy, deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwt_middleware import (
    ANY_AUDIENCE,
    ANY_GRANTS,
    ANY_TENANT,
    Claims,
    ConfigurationError,
    Principal,
)
from jwt_middleware.principal import (
    ABSENT,
    ANONYMOUS,
    claim_at,
    claim_path,
    current_principal,
    identity_of,
    reset_current,
    set_current,
)
from jwt_middleware.rules.methods import SOCKET

CLAIMS = Claims({"sub": "a", "deep": {"list": [{"x": 1}]}})


def test_claims_are_read_only_at_every_depth() -> None:
    """Objects are claims again, arrays are tuples."""
    assert isinstance(CLAIMS["deep"], Mapping)
    assert CLAIMS["deep"]["list"][0]["x"] == 1
    with pytest.raises(TypeError):
        CLAIMS["deep"]["list"][0]["x"] = 2
    with pytest.raises(AttributeError):
        CLAIMS["deep"]["list"].append(1)


def test_a_copy_is_free_to_change() -> None:
    """At every depth, without touching the claims."""
    copy = CLAIMS.to_dict()
    copy["deep"]["list"].append(1)

    assert CLAIMS.to_dict() == {"sub": "a", "deep": {"list": [{"x": 1}]}}
    assert list(CLAIMS) == ["sub", "deep"]
    assert len(CLAIMS) == 2


def test_claims_travel_and_compare_and_hide() -> None:
    """They can be pickled and hashed, and their repr shows names only."""
    assert pickle.loads(pickle.dumps(CLAIMS)) == CLAIMS
    assert hash(CLAIMS) == hash(Claims({"sub": "b", "deep": None}))
    assert repr(CLAIMS).startswith("Claims(sub, deep; ")
    assert "Claims" not in repr(Principal(claims=CLAIMS, subject="a"))


def test_a_path_of_claims() -> None:
    """Dotted, or names in a tuple; what is not there is absent, not ``None``."""
    assert claim_at(CLAIMS, claim_path("deep.list"))[0]["x"] == 1
    assert claim_at(CLAIMS, ("sub", "x")) is ABSENT
    assert claim_at(CLAIMS, ("deep", "none")) is ABSENT
    assert claim_path(("https://x/roles",)) == ("https://x/roles",)
    for wrong in ("", (), "a.", "https://x/roles"):
        with pytest.raises(ConfigurationError, match="claim path"):
            claim_path(wrong)


def test_a_display_name_is_for_people() -> None:
    """``name``, then ``preferred_username``, then the identity."""
    named = Claims({"name": "", "preferred_username": "al"})

    assert Principal(identity="42", claims=Claims({"name": "Alice"})).display_name == "Alice"
    assert Principal(identity="42", claims=named).display_name == "al"
    assert Principal(identity="42", claims=Claims({"name": 1})).display_name == "42"


def test_the_current_principal_is_that_of_the_request() -> None:
    """Set and taken back; outside a request it is the anonymous one."""
    alice = Principal(subject="alice")
    assert current_principal() is ANONYMOUS
    before = set_current(alice)
    try:
        assert current_principal() is alice
    finally:
        reset_current(before)
    assert current_principal() is ANONYMOUS
    assert not ANONYMOUS.is_authenticated


MARKS = st.text(alphabet="a|#%")
NAMES = st.tuples(st.text() | MARKS, st.text() | MARKS, st.none() | st.text() | MARKS)


@given(NAMES, NAMES)
def test_no_two_subjects_have_one_identity(
    one: tuple[str, str, str | None], other: tuple[str, str, str | None]
) -> None:
    """Whatever stands in the names of issuer and subject, and in the label."""
    assert (identity_of(*one) == identity_of(*other)) is (one == other)


@pytest.mark.parametrize(
    ("issuer", "subject", "identity"),
    [
        ("https://a/", "42", "https://a/|42"),
        ("https://a/", "auth0|42", "https://a/|auth0|42"),
        ("https://a/|auth0", "42", "https://a/%7Cauth0|42"),
        ("https://a/%7Cauth0", "42", "https://a/%257Cauth0|42"),
        ("https://a/", None, "https://a/|"),
    ],
)
def test_the_first_bar_ends_the_issuer(issuer: str, subject: str | None, identity: str) -> None:
    """Ordinary names are written as they are."""
    assert identity_of(issuer, subject) == identity


@pytest.mark.parametrize("value", [ABSENT, ANY_AUDIENCE, ANY_GRANTS, ANY_TENANT, SOCKET])
def test_a_value_that_is_compared_by_identity_stays_itself(value: Any) -> None:
    """Copied, or sent to another process."""
    assert copy(value) is deepcopy(value) is pickle.loads(pickle.dumps(value)) is value


def test_what_stands_for_any_value_is_shown_by_its_name() -> None:
    """As it is written in a configuration."""
    assert f"{ANY_AUDIENCE!r} {ANY_GRANTS!r} {ANY_TENANT!r}" == "ANY_AUDIENCE ANY_GRANTS ANY_TENANT"


def test_a_principal_that_was_copied_says_the_same() -> None:
    """Its claims too, which stay read-only."""
    principal = Principal("alice", claims=Claims({"a": [1, {"b": None}]}), scopes=frozenset({"x"}))

    for copied in (deepcopy(principal), pickle.loads(pickle.dumps(principal))):
        assert copied == principal
        assert copied.claims["a"][1]["b"] is None
        with pytest.raises(TypeError):
            copied.claims["a"][0] = 2


def test_a_caller_that_leaves_another_context_leaves_no_other_caller() -> None:
    """A copy of its context may have gone on to another request."""
    caller = set_current(Principal("alice"))
    copied, gone_on = copy_context(), copy_context()
    copied.run(caller.leave)
    gone_on.run(set_current, Principal("bob"))
    gone_on.run(caller.leave)

    assert [each.run(current_principal).subject for each in (copied, gone_on)] == [None, "bob"]
    assert current_principal().subject == "alice"
    caller.leave()
