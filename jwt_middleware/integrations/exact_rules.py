"""Finds rules for a path alone, such as ``/admin``, that leave routes below it to weaker rules."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from jwt_middleware.integrations.routes.route import Route
from jwt_middleware.rules.analysis import RouteAnalysis
from jwt_middleware.rules.patterns import Pattern
from jwt_middleware.rules.rule import Rule
from jwt_middleware.rules.table import asks_for_more
from jwt_middleware.rules.templates import REST, Template


def warnings_on_exact_rules(
    rules: Iterable[Rule], analysis: RouteAnalysis, routes: Iterable[Route]
) -> Iterator[str]:
    """Yield a warning for each rule that does not protect the routes below its path.

    :param rules: the rules of the table.
    """
    every = list(routes)
    for rule in rules:
        if rule.is_exact or not asks_for_more(rule):
            continue
        for pattern in rule.patterns:
            weaker = [] if pattern.is_open else list(_weaker_below(pattern, analysis, every))
            if weaker:
                yield (
                    f"{rule} covers only {pattern.text!r}, and the routes below it, "
                    f"{', '.join(weaker)}, require less: write "
                    f"'{pattern.text.rstrip('/')}/**' to cover them, or exact=True if that is meant"
                )


def _weaker_below(
    pattern: Pattern, analysis: RouteAnalysis, routes: Iterable[Route]
) -> Iterator[str]:
    opened = replace(pattern, is_open=True)
    for route in routes:
        template = route.template
        if len(template.parts) <= len(pattern.parts) or not lies_under(template, opened):
            continue
        rulings = [each for method in route.methods for each in analysis.rulings(method, template)]
        if not all(map(asks_for_more, analysis.rules(rulings))):
            yield template.text


def lies_under(template: Template, pattern: Pattern) -> bool:
    """Return whether a pattern matches every path of a route."""
    head = template.parts[: len(pattern.parts)]
    if REST in head or len(head) < len(pattern.parts):
        return False
    if len(template.parts) > len(head) and not pattern.is_open:
        return False
    return all(name is None or name == part for name, part in zip(pattern.parts, head, strict=True))
