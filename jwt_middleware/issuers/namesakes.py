"""Several issuers of one name, told apart by what their tokens must be.

Providers use one ``iss`` for several applications, policies, clusters or algorithms. A token is
checked by the only issuer that may accept it, which its algorithm and its unverified claims
decide. So keys of one issuer never verify a token that only another may accept.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from jwt_middleware.errors import (
    AlgorithmNotAllowed,
    AudienceMismatch,
    ConfigurationError,
    TokenError,
)
from jwt_middleware.evidence import is_several
from jwt_middleware.issuers.issuer import Issuer
from jwt_middleware.issuers.options import Audience
from jwt_middleware.issuers.trusted import TrustedIssuer
from jwt_middleware.rules.requirements import json_equal
from jwt_middleware.tokens.claims import AnyAudience

# The most characters of a difference in a label, because a list of algorithms may be long.
_LONGEST_DIFFERENCE = 60


class Namesakes:
    """The issuers of one name, of which at most one may accept a token."""

    def __init__(self, members: tuple[TrustedIssuer, ...]) -> None:
        self.members = members

    def fitting(self, alg: str, claims: Mapping[str, Any]) -> TrustedIssuer:
        """Return the only issuer that may accept a token; the others' keys are not tried.

        :param claims: the claims, which are not verified yet.
        :raises TokenError: if none may, or if the token names the audiences of several.
        """
        left = [each for each in self.members if alg in each.algorithms]
        if not left:
            allowed = {name for each in self.members for name in each.algorithms}
            raise AlgorithmNotAllowed("alg", expected=allowed, found=alg)
        if len(left) > 1:
            left = _accepting(left, lambda each: each.check_values(claims))
        if len(left) > 1:
            left = _accepting(left, lambda each: each.policy.check_audience(claims))
        if len(left) > 1:
            # The names of both would let one token be two callers.
            raise AudienceMismatch(
                "the audiences of several issuers of one name", found=claims.get("aud")
            )
        return left[0]

    def labelled(self, label: str | None) -> TrustedIssuer:
        """Return the issuer with a label; any of them if the label is gone meanwhile."""
        return next((each for each in self.members if each.label == label), self.members[0])


def _accepting(
    issuers: list[TrustedIssuer], check: Callable[[TrustedIssuer], None]
) -> list[TrustedIssuer]:
    """Return the issuers whose check passes.

    :raises TokenError: of the first check that fails, if none passes.
    """
    found, problems = [], []
    for each in issuers:
        try:
            check(each)
        except TokenError as problem:
            problems.append(problem)
        else:
            found.append(each)
    if not found:
        raise _of_all(problems)
    return found


def _of_all(problems: list[TokenError]) -> TokenError:
    """Return the first problem, with what any of the issuers would have accepted."""
    first = problems[0]
    sides = [each.comparison.required for each in problems if each.detail == first.detail]
    accepted = [value for side in sides if is_several(side) for value in side]
    if accepted:
        first.comparison = replace(first.comparison, required=accepted)
    return first


def named(members: Sequence[TrustedIssuer]) -> TrustedIssuer | Namesakes:
    """Return the issuers of one name: the only one, or all."""
    return members[0] if len(members) == 1 else Namesakes(tuple(members))


def labels_of(issuers: Sequence[Issuer]) -> list[str | None]:
    """Return what tells the issuers of one name apart.

    An issuer has the label that it was given. An issuer that is the only one of its name needs
    none. Any other is called by what it alone accepts.

    :raises ConfigurationError: if two have one label.
    """
    given = [each.label for each in issuers]
    if len(issuers) == 1:
        return given
    labels = [label or text for label, text in zip(given, _differences(issuers), strict=True)]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigurationError(
                f"label={label!r} must name one issuer of {issuers[0].issuer!r}: write another for "
                "each"
            )
    return list(labels)


def _differences(issuers: Sequence[Issuer]) -> list[str]:
    paths = dict.fromkeys(path for each in issuers for path in each.required_values)
    ways: list[Callable[[Issuer], str]] = [
        *(lambda each, path=path: _value_text(each, path) for path in paths),
        lambda each: ", ".join(each.algorithms),
        lambda each: f"aud={_texts(each.audience)}",
    ]
    for way in ways:
        texts = [way(each)[:_LONGEST_DIFFERENCE] for each in issuers]
        if len(set(texts)) == len(texts):
            return texts
    return [f"{number}" for number, _ in enumerate(issuers, 1)]


def _value_text(issuer: Issuer, path: Any) -> str:
    return f"{'.'.join(path)}={_texts(issuer.required_values.get(path, ()))}"


def _texts(values: Any) -> str:
    return ", ".join(sorted(map(str, values))) if isinstance(values, Iterable) else f"{values}"


def check_apart(name: str | None, issuers: Sequence[Issuer]) -> None:
    """Check that a token can be accepted by at most one of several issuers of one name.

    :raises ConfigurationError: naming what two of them have in common, and the ways out.
    """
    for one, other in combinations(issuers, 2):
        if one == other:
            raise ConfigurationError(f"issuers: {name!r} is listed twice: remove one of the two")
        if _differ_in_algorithms(one, other) or _differ_in_a_claim(one, other):
            continue
        if not _differ_in_audience(one, other):
            raise ConfigurationError(
                f"issuers: {name!r} is the name of two issuers that could both accept one token, "
                f"with algorithm {_common(one.algorithms, other.algorithms)} and audience "
                f"{_common_audience(one, other)}: write for each of them another audience= (and "
                "label=), other algorithms=, or other values of one claim, as in "
                "required_values={'azp': 'web'}"
            )
        if one.key_settings != other.key_settings and None in (one.label, other.label):
            # Two clusters, for example: one subject is a caller in each of them.
            raise ConfigurationError(
                f"issuers: {name!r} is the name of two issuers with keys of their own, which only "
                "the audience tells apart, so that one subject may be two callers: write label= "
                "for each of them, as in label='blue', which keeps their callers apart"
            )


def _differ_in_algorithms(one: Issuer, other: Issuer) -> bool:
    return set(one.algorithms).isdisjoint(other.algorithms)


def _differ_in_a_claim(one: Issuer, other: Issuer) -> bool:
    ours: Any = one.required_values
    theirs: Any = other.required_values
    return any(
        not any(json_equal(mine, yours) for mine in ours[path] for yours in theirs[path])
        for path in ours.keys() & theirs.keys()
    )


def _differ_in_audience(one: Issuer, other: Issuer) -> bool:
    mine, yours = one.audience, other.audience
    if isinstance(mine, AnyAudience) or isinstance(yours, AnyAudience):
        return False
    if mine is None or yours is None:
        # A token without an audience is accepted only where none is configured.
        return mine is not yours
    return set(mine).isdisjoint(yours)


def _common(mine: Collection[str], yours: Collection[str]) -> str:
    return repr(next(each for each in mine if each in yours))


def _common_audience(one: Issuer, other: Issuer) -> str:
    if one.audience is None or isinstance(one.audience, AnyAudience):
        return f"{other.audience!r}" if one.audience is None else _first(other.audience)
    if isinstance(other.audience, AnyAudience):
        return _first(one.audience)
    return repr(min(set(one.audience) & set(other.audience or ())))


def _first(audience: Audience) -> str:
    if audience is None or isinstance(audience, AnyAudience):
        return repr(audience)
    return repr(min(audience))
