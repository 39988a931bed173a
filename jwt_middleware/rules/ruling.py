"""The decision of the rule table on one request: the rules of all readings together."""

from dataclasses import dataclass

from jwt_middleware.rules.requirements import Authenticated, Match, Requirement
from jwt_middleware.rules.rule import NO_RULE, Rule


@dataclass(frozen=True, slots=True)
class Decider:
    """The rule that decides one reading of a path, and the match."""

    rule: Rule
    match: Match
    pattern: str = ""
    """The pattern that matched; empty if no pattern did."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """The decision of the rule table on one request: the rules of all readings together."""

    deciders: tuple[Decider, ...]
    rule: str
    """The rule of the path as sent, in words."""
    is_public: bool
    admits_anonymous: bool
    forgives_invalid: bool
    demands: tuple[tuple[Requirement, Match], ...]
    """The requirements that a principal must meet besides a valid token."""
    names_options: bool
    """Whether a deciding rule names the method OPTIONS."""

    @property
    def pattern(self) -> str:
        """The pattern that the path as sent matches; empty if no rule decides it."""
        return self.deciders[0].pattern

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rule of each reading of the path, the path as sent first."""
        return tuple(decider.rule for decider in self.deciders)

    @property
    def is_default(self) -> bool:
        """Whether no rule applies to the request, so that it requires a valid token."""
        return all(rule is NO_RULE for rule in self.rules)


def ruling_of(found: list[Decider]) -> Ruling:
    """Return the ruling of several deciders, all of which a request must satisfy."""
    deciders = tuple(_distinct(found))
    is_public = admits_anonymous = forgives_invalid = True
    names_options = False
    demands = []
    for decider in deciders:
        rule = decider.rule
        names_options |= rule.methods is not None and "OPTIONS" in rule.methods
        if rule.access == "public":
            continue
        is_public = False
        admits_anonymous &= rule.access == "optional"
        forgives_invalid &= rule.on_invalid == "anonymous"
        if type(rule.requires) is not Authenticated:
            demands.append((rule.requires, decider.match))
    return Ruling(
        deciders,
        str(deciders[0].rule),
        is_public,
        admits_anonymous,
        forgives_invalid,
        tuple(demands),
        names_options,
    )


def together(one: Ruling, other: Ruling) -> Ruling:
    """Combine two rulings: a request must satisfy both."""
    return ruling_of([*one.deciders, *other.deciders])


def _distinct(found: list[Decider]) -> list[Decider]:
    if len(found) == 1:
        return found
    return [one for place_, one in enumerate(found) if one not in found[:place_]]
