"""What type checkers make of the public names. This is read by ``make check``, and never run.

A use that must be an error carries ``type: ignore`` with its code: the checker reports one that it
does not need.
"""

from dataclasses import dataclass
from typing import Any, assert_type

from jwt_middleware import (
    Claims,
    Guard,
    GuardOptions,
    Issuer,
    Principal,
    current_principal,
    has_scope,
    protect,
)


@dataclass(frozen=True)
class MyClaims:
    tenant: int


def principals_are_generic(typed: Principal[MyClaims], plain: Principal, guard: Guard) -> None:
    assert_type(typed.typed, MyClaims)
    assert_type(typed.typed.tenant, int)
    assert_type(typed.claims, Claims)
    assert_type(plain.typed, Any)
    assert_type(plain.subject, str | None)
    wanted: Principal[MyClaims] = current_principal()
    assert_type(wanted.typed.tenant, int)
    verified: Principal[MyClaims] = guard.verify("a.b.c")
    assert_type(verified.typed.tenant, int)


def a_wrong_use_is_an_error(typed: Principal[MyClaims]) -> str:
    protect("/a", requires="admin")  # type: ignore[arg-type]
    has_scope(7)  # type: ignore[arg-type]
    Issuer("https://a/")  # type: ignore[call-arg]
    GuardOptions(isuers=[])  # type: ignore[typeddict-unknown-key]
    return typed.typed  # type: ignore[return-value]
