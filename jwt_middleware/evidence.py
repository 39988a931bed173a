"""Shows the two sides of a comparison that failed, for the operator's log.

One side often comes from a token, so any client may have written it. It is quoted, its control
characters are escaped and it is cut short, so that it can neither forge a line nor fill the log.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import TypeGuard

# In characters. A longer value is recognised by its beginning.
MAX_LENGTH = 100

# Of a longer list only the first are looked at, because any client can cause a refusal.
MAX_VALUES = 200

# A reason may hold both sides of a comparison and some words.
MAX_REASON_LENGTH = 400


class Nothing:
    """The type of :data:`NOT_COMPARED`."""

    def __repr__(self) -> str:
        return "NOT_COMPARED"


NOT_COMPARED = Nothing()
"""In place of a side, if a refusal compares nothing. ``None`` means that a value was absent."""

Side = object
"""A text, a number, ``None``, or a collection of these."""


class Phrase(str):
    """Words in place of a value that must not be told. They are not quoted."""

    __slots__ = ()


_KINDS = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def kind_of(value: object, allowed: Collection[Side] = ()) -> Phrase:
    """Return the JSON type of a claim whose value must not be told.

    :param allowed: the required values. A small difference from one of them is told.
    """
    kind = _KINDS.get(type(value), "a value")
    hint = Comparison(allowed, value).hint
    return Phrase(f"{kind}, {hint}" if hint else kind)


def plain(text: str, most: int = MAX_LENGTH) -> str:
    """Return words as printable ASCII of at most ``most`` characters."""
    # A homoglyph is escaped too, because it looks like the letter that was expected.
    shown = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def quoted(value: Side, most: int = MAX_LENGTH) -> str:
    """Return one value in quotes, escaped and cut; a number as it is, and ``none`` for ``None``."""
    if value is None:
        return "none"
    if not isinstance(value, str) or isinstance(value, Phrase):
        return plain(str(value), most)
    # Cut first, because the value may be as long as a token.
    shown = ascii(value[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 4]}...{shown[0]}"


def listed(values: Collection[Side], first: Collection[Side] = ()) -> str:
    """Return values in quotes, as many as fit, and how many more there are.

    :param first: those of the values to begin with, so that they are not cut off.
    """
    some = sorted(
        islice(values, MAX_VALUES), key=lambda each: (each not in first, each is None, str(each))
    )
    room = MAX_LENGTH - (len(f" and {len(values):,} more") if len(values) > 1 else 0)
    shown = quoted(some[0], room) if some else "none"
    for number, value in enumerate(some[1:], 1):
        longer = f"{shown}, {quoted(value, room)}"
        if len(longer) > room:
            return f"{shown} and {len(values) - number:,} more"
        shown = longer
    return shown


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was required, and what was there instead."""

    required: Side = NOT_COMPARED
    """The required value, or a collection of these. A text is a phrase, and is not quoted."""
    actual: Side = NOT_COMPARED
    """The value that was found, or a collection of these."""

    @property
    def expected(self) -> str:
        """The required side as text, or an empty text."""
        if self.required is NOT_COMPARED:
            return ""
        if isinstance(self.required, str):
            return plain(self.required)
        if is_several(self.required):
            return listed(self.required, [each for each, _ in self._near_misses])
        return quoted(self.required)

    @property
    def found(self) -> str:
        """The side that was found as text, or an empty text."""
        if self.actual is NOT_COMPARED:
            return ""
        return listed(self.actual) if is_several(self.actual) else quoted(self.actual)

    @property
    def hint(self) -> str:
        """The small difference that alone keeps both sides apart, or an empty text."""
        return next((difference for _, difference in self._near_misses), "")

    @property
    def _near_misses(self) -> list[tuple[str, str]]:
        return near_misses(self.required, self.actual) if is_several(self.required) else []


def reason_of(detail: str, expected: str, found: str, hint: str = "") -> str:
    """Return a reason with both sides, as one line; empty if all parts are.

    :param detail: words for the operator, which the application may have written.
    """
    sides = (("expected", expected), ("found", found))
    named = (f"{name} {value}" for name, value in sides if value and value != detail)
    return ", ".join(filter(None, (plain(detail, MAX_REASON_LENGTH), *named, hint)))


def near_misses(expected: Collection[Side], found: Side) -> list[tuple[str, str]]:
    """Return the expected values that almost were found, each with the difference."""
    values = found if is_several(found) else (found,)
    texts = {_folded(value): value for value in values if isinstance(value, str)}
    named = (each for each in islice(expected, MAX_VALUES) if isinstance(each, str))
    twins = ((each, texts.get(_folded(each))) for each in named)
    return [(each, _difference(each, twin)) for each, twin in twins if twin not in (None, each)]


def _folded(text: str) -> str:
    return text.rstrip("/").casefold()


def _difference(expected: str, found: str | None) -> str:
    found = found or ""
    if expected.rstrip("/") == found.rstrip("/"):
        return "they differ only by a slash at the end"
    if expected.casefold() == found.casefold():
        return "they differ only in upper and lower case"
    return "they differ only in upper and lower case and by a slash at the end"


def is_several(value: Side) -> TypeGuard[Collection[Side]]:
    """Return whether a side is a collection of values and not one text."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes)


class Compared:
    """Something with a detail that may also say what was expected and what was found."""

    detail: str
    comparison: Comparison

    @property
    def expected(self) -> str:
        """The required value, or an empty text."""
        return self.comparison.expected

    @property
    def found(self) -> str:
        """The value in the token, quoted, escaped and cut, or an empty text."""
        return self.comparison.found

    def note(self, *, expected: object = NOT_COMPARED, found: object = NOT_COMPARED) -> None:
        """Record both sides of a comparison, for an error that was raised without them."""
        if self.comparison.actual is NOT_COMPARED:
            self.comparison = Comparison(expected, found)

    @property
    def reason(self) -> str:
        """The detail and both sides, as one line; empty if the code says it all."""
        return reason_of(self.detail, self.expected, self.found, self.comparison.hint)
