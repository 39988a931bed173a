"""Lists the rulings of a route: every ruling that some request to the route gets.

A route has many paths. The analysis samples these paths so that each rule that decides any path
decides a sampled path. The rule table then rules on the samples as on any request, so there is no
second implementation of the decision.
"""

from collections.abc import Iterable, Iterator
from itertools import count

from jwt_middleware.errors import PathInvalid
from jwt_middleware.rules.applications import UNKNOWN, Application
from jwt_middleware.rules.methods import SOCKET, Method, named_method
from jwt_middleware.rules.paths import segments
from jwt_middleware.rules.rule import NO_RULE, Rule
from jwt_middleware.rules.ruling import Ruling
from jwt_middleware.rules.table import RuleTable
from jwt_middleware.rules.templates import Part, Template, abstract, narrow

_Abstract = tuple[str | None, ...]
_Request = tuple[str, str]
"""A path as the server passes it on, and its mount point."""


class RouteAnalysis:
    """Finds the rulings for the routes of one application behind one rule table."""

    def __init__(self, table: RuleTable, application: Application = UNKNOWN) -> None:
        """
        :param table: the rules.
        :param application: what is known of the application, including its mount points.
        """
        self._table = table
        self._application = application
        self._order = {rule: place for place, rule in enumerate((*table.rules, NO_RULE))}
        points = (*table.prefixes, *application.mount_points)
        self._mounts = tuple(dict.fromkeys([(), *map(segments, points)]))
        self._depth = table.depth + max(map(len, self._mounts))
        self._filler = _unnamed(table, self._mounts)

    def rulings(self, method: str, template: Template) -> tuple[Ruling, ...]:
        """Return one ruling for each combination of rules that decides some path of a route.

        :param method: in upper case, or ``WEBSOCKET``.
        """
        meant = named_method(method)
        found: dict[tuple[int, ...], Ruling] = {}
        for path, mount_point in self._requests(meant, template):
            try:
                ruling = self._table.ruling(meant, path, mount_point, application=self._application)
            except PathInvalid:
                # The guard refuses this path, so no request reaches the route by it.
                continue
            found.setdefault(tuple(sorted(self._order[rule] for rule in ruling.rules)), ruling)
        return tuple(found[order] for order in sorted(found))

    def rules(self, rulings: Iterable[Ruling]) -> tuple[Rule, ...]:
        """Return the rules of some rulings in the order of the table; "no rule" is last."""
        every = {rule for ruling in rulings for rule in ruling.rules}
        return tuple(sorted(every, key=self._order.__getitem__))

    def _requests(self, method: Method, template: Template) -> Iterator[_Request]:
        """Yield the requests that a server may pass on for the sampled paths of a route."""
        for parts in template.expanded(self._depth):
            for chosen in self._chosen(method, parts):
                path = "/" + "/".join(self._filler if part is None else part for part in chosen)
                yield path, ""
                for mount in filter(None, self._mounts):
                    root = "/" + "/".join(mount)
                    whole = f"{root}{path}"
                    yield whole, ""
                    yield (whole if self._application.paths_are_whole else path), root

    def _chosen(self, method: Method, parts: tuple[Part, ...]) -> set[_Abstract]:
        """Return sample paths: each rule that decides any path of the route decides a sample.

        A rule that decides a path also decides its sample, in which no pattern names the segments
        that the rule's pattern leaves open. Fewer other rules match the sample. WebSockets need
        more samples, because the rules for GET do not apply where another rule names WEBSOCKET.
        Mount points need more samples, because two rules may decide together: one for the whole
        path and one for the path below the mount point.
        """
        found = {parts, *self._narrowed(parts)}
        if method is SOCKET:
            naming = self._table.patterns_naming(method)
            found |= {one for other in tuple(found) for one in self._narrowed_by(other, naming)}
        if any(self._mounts):
            found |= {one for other in tuple(found) for one in self._narrowed(other)}
        return {abstract(one) for one in found}

    def _narrowed(self, parts: tuple[Part, ...]) -> Iterator[tuple[Part, ...]]:
        for mount in self._mounts:
            whole = self._table.patterns_meeting((*mount, *parts))
            yield from self._narrowed_by(parts, whole, mount)
            # A path of the route may itself begin with the mount point, and lose it too.
            below = self._table.patterns_meeting(parts[len(mount) :])
            yield from self._narrowed_by(parts, [mount, *((*mount, *one) for one in below)])

    def _narrowed_by(
        self, parts: tuple[Part, ...], patterns: Iterable[_Abstract], mount: tuple[str, ...] = ()
    ) -> Iterator[tuple[Part, ...]]:
        for pattern in patterns:
            found = narrow((*mount, *parts), pattern, self._table.fold)
            if found is not None:
                yield found[len(mount) :]


def _unnamed(table: RuleTable, mounts: Iterable[tuple[str, ...]]) -> str:
    """Return a segment that no pattern or mount point names, for the open segments of a route."""
    named = {part for rule in table.rules for pattern in rule.patterns for part in pattern.parts}
    named.update(part for mount in mounts for part in mount)
    return next(text for text in map(str, count()) if text not in named)
