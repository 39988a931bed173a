"""Refresh families: what descends from one login, and which of its refresh tokens is still good.

A family has one newest refresh token. Presenting it gives a successor and makes it the predecessor.
A client with two tabs may present one token twice: within the grace, the second gets the successor
that the first got, so that a family never has two branches. Any other use of an old token means
that two parties hold the family's tokens. It is then burnt, because it cannot be told which of them
is the thief (RFC 6749 §10.4, RFC 9700 §4.14.2).

The functions are pure: from a family, what happened and the instant, they return the next family.
All instants are POSIX seconds of the store's clock, which all processes share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any, Literal, TypeAlias

from jwt_middleware.issuing.family import Family, FamilyTerms, Generation, Predecessor
from jwt_middleware.issuing.family_bytes import from_bytes, to_bytes

__all__ = [
    "UNKNOWN",
    "Again",
    "Family",
    "FamilyTerms",
    "Generation",
    "Outcome",
    "Predecessor",
    "Refused",
    "Successor",
    "begun",
    "burnt",
    "from_bytes",
    "presented",
    "to_bytes",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Successor:
    """The answer to the newest token: a new one takes its place."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Again:
    """The answer to a predecessor within its grace: the successor that it was exchanged for."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Refused:
    """The token is not good, and the client gets none."""

    code: Literal["refresh_reused", "refresh_burnt", "token_expired"]


Outcome: TypeAlias = Successor | Again | Refused


def begun(  # noqa: PLR0917 - all that a family begins with
    sid: str,
    subject: str,
    jti: str,
    now: float,
    terms: FamilyTerms,
    login: Mapping[str, Any],
    device: Mapping[str, str],
    used_at: float = 0.0,
) -> Family:
    """Return the family of a new login.

    :param sid: the id of the family, new and random.
    :param jti: the id of its first refresh token, new and random.
    :param now: POSIX seconds of the store's clock.
    :param login: what the login said: values of JSON.
    :param device: name, address and agent of the device: texts.
    :param used_at: POSIX seconds of the latest use of any login of the subject.
    """
    ends_at = float(floor(now + terms.family_lifetime))
    return Family(
        sid=sid,
        subject=subject,
        created_at=now,
        ends_at=ends_at,
        generation=0,
        newest=_generation(jti, now, terms, ends_at),
        # Where the store's clock was ahead and is set back, a new login would be the one that was
        # used least recently otherwise.
        last_used_at=max(now, used_at),
        login=dict(login),
        device=dict(device),
    )


def presented(  # noqa: PLR0917 - all that a decision depends on
    family: Family, jti: str, expires_at: float, now: float, terms: FamilyTerms, next_jti: str
) -> tuple[Family, Outcome]:
    """Decide about a refresh token of the family, whose signature has been verified.

    If there is nothing to write, the family that is returned is the very object that was given.

    :param jti: the id of the token.
    :param expires_at: the ``exp`` of the token, in POSIX seconds.
    :param now: POSIX seconds of the store's clock.
    :param next_jti: the id of the successor, if there is one: new and random.
    :raises ValueError: if ``next_jti`` is the id of the newest token or of its predecessor.
    """
    if family.burnt_at is not None:
        return family, Refused("refresh_burnt")
    # An old token that has expired is not good for a thief either, so that it burns nothing.
    # RFC 7519 §4.1.4: a token is not accepted on or after its ``exp``.
    if now >= min(expires_at, family.ends_at):
        return family, Refused("token_expired")
    is_newest = jti == family.newest.jti
    if not is_newest and not _has_grace(family, jti, now, terms.grace):
        # RFC 6749 §10.4, RFC 9700 §4.14.2: reuse ends the newest token too.
        return burnt(family, now, "refresh_reused"), Refused("refresh_reused")
    if now >= family.newest.expires_at:
        return family, Refused("token_expired")
    if not is_newest:
        return family, Again(family.newest)
    after = _exchanged(family, now, terms, next_jti)
    return after, Successor(after.newest)


def _has_grace(family: Family, jti: str, now: float, grace: float) -> bool:
    """Return whether a token that is not the newest may be that of a tab that came second."""
    previous = family.previous
    if previous is None or jti != previous.jti:
        return False
    # A store's clock may be set back a little, as after a failover. Set back a lot, it must not
    # make the grace any longer than it is.
    return abs(now - previous.exchanged_at) < grace


def _exchanged(family: Family, now: float, terms: FamilyTerms, next_jti: str) -> Family:
    # Two generations of one id could not be told apart, so that reuse would go unnoticed.
    if next_jti == family.newest.jti or (family.previous and next_jti == family.previous.jti):
        raise ValueError("next_jti is the id of the newest token or of its predecessor")
    return replace(
        family,
        generation=family.generation + 1,
        newest=_generation(next_jti, now, terms, family.ends_at),
        previous=Predecessor(family.newest.jti, now),
        last_used_at=max(now, family.last_used_at),
    )


def _generation(jti: str, now: float, terms: FamilyTerms, ends_at: float) -> Generation:
    # RFC 9700 §4.14.2: a refresh token that is not used expires. Its successors do not outlive the
    # family, however often it is used.
    expires_at = min(floor(now + terms.refresh_lifetime), ends_at)
    return Generation(jti, float(floor(now)), float(expires_at))


def burnt(family: Family, now: float, because: str) -> Family:
    """Return the family without any token that is good.

    A family that is burnt already is returned as it is, so that the first reason stays.

    :param now: POSIX seconds of the store's clock.
    :param because: a code, such as ``logout``.
    :raises ValueError: if there is no reason.
    """
    if not because:
        raise ValueError("because must be text, such as 'logout'")
    if family.burnt_at is not None:
        return family
    return replace(family, burnt_at=now, burnt_because=because)


UNKNOWN = "unknown"
"""The subject of a family of which only the id is known."""


def unknown(sid: str, now: float) -> Family:
    """Return a family of which only the id is known, so that it can be burnt."""
    ends_at = float(ceil(now))
    return Family(sid, UNKNOWN, now, ends_at, 0, Generation(UNKNOWN, ends_at, ends_at))
