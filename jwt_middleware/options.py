"""Describes the options of a public class, and checks their values.

Each fact about an option is written once: its name, type, default value and check in the signature
of the class, and its meaning in the docstring. ``leeway: Annotated[float, Seconds(300)] = 30`` is
an option of at most 300 seconds. Settings of frameworks, hints and documentation are made of this.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, cleandoc, signature
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin

from jwt_middleware.checks import check_count, check_flag, check_kind, check_text, is_number, shown
from jwt_middleware.errors import ConfigurationError

Check = Callable[[str, Any], Any]
"""Takes the name and the value of an option, and returns the value to use.

It raises a ConfigurationError that names the option, the value and the fix. A value of ``None`` is
not checked if it is the default."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a public class."""

    name: str
    type: Any
    """The type of its values, as annotated."""
    default: Any
    """The default value; ``REQUIRED`` if there is none."""
    check: Check | None
    """``None`` if the part of the library that the option configures checks the value."""
    meaning: str
    """Its description in the docstring; empty under ``python -OO``."""

    def read(self, value: Any) -> Any:
        """Return the value to use.

        :raises ConfigurationError: naming the option, the value and the fix.
        """
        if self.check is None or (value is None and self.default is None):
            return value
        return self.check(self.name, value)


REQUIRED = Parameter.empty
"""The default value of an option that must be set."""


@cache
def options_of(owner: type) -> Mapping[str, Option]:
    """Return the options of a class by name, in the order of its signature."""
    factories = {
        name: each.default_factory
        for name, each in getattr(owner, "__dataclass_fields__", {}).items()
        if each.default_factory is not MISSING
    }
    meanings = _meanings(f"{owner.__doc__ or ''}\n{owner.__init__.__doc__ or ''}")  # type: ignore[misc]
    return MappingProxyType(
        {
            name: _option(parameter, factories.get(name), meanings.get(name, ""))
            for name, parameter in signature(owner).parameters.items()
            if parameter.kind is not Parameter.VAR_KEYWORD
        }
    )


def _option(parameter: Parameter, factory: Callable[[], Any] | None, meaning: str) -> Option:
    default = parameter.default if factory is None else factory()
    annotation, check = parameter.annotation, None
    if get_origin(annotation) is Annotated:
        annotation, check = get_args(annotation)
    return Option(parameter.name, annotation, default, check, meaning)


def _meanings(docstring: str) -> dict[str, str]:
    """Return the text of each ``:param name:`` of a docstring."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in cleandoc(docstring).splitlines():
        text = line.strip()
        if text.startswith(":"):
            lines = []
            field, _, text = text[1:].partition(": ")
            if field.startswith("param "):
                found[field.removeprefix("param ")] = lines
        lines.append(text)
    return {name: " ".join(filter(None, each)) for name, each in found.items()}


def read_options(owner: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all options of a class, each checked.

    :param given: the values by name; others than options are left out.
    :raises ConfigurationError: for the first wrong value, in the order of the signature.
    """
    return {name: option.read(given[name]) for name, option in options_of(owner).items()}


def check_fields(value: Any, owner: Any) -> None:
    """Check the fields of a frozen dataclass, and replace them by the values to use.

    :param owner: the class that has the options; ``value`` may be of a class derived from it.
    :raises ConfigurationError: for the first wrong value, in the order of the signature.
    """
    for name, option in options_of(owner).items():
        object.__setattr__(value, name, option.read(getattr(value, name)))


def hint(name: object, known: Iterable[str], prefix: str = "", cutoff: float = 0.5) -> str:
    """Return what an error says about an unknown name: the nearest known one, or all.

    :param prefix: what the known names begin with. They are listed with it and compared without it,
        because a common beginning would make all names look similar.
    :param cutoff: how similar the nearest must be, from 0 to 1.
    """
    names = {each.removeprefix(prefix): each for each in known}
    text = name if isinstance(name, str) else shown(name)
    near = get_close_matches(text.removeprefix(prefix), names, n=1, cutoff=cutoff)
    return f"did you mean {names[near[0]]!r}?" if near else f"known are {', '.join(names.values())}"


@dataclass(frozen=True, slots=True)
class Flag:
    """Checks that a value is ``True`` or ``False``."""

    def __call__(self, name: str, value: Any) -> bool:
        check_flag(name, value)
        return value  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Count:
    """Checks that a value is a whole number."""

    at_least: int = 1

    def __call__(self, name: str, value: Any) -> int:
        check_count(name, value, self.at_least)
        return value  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Seconds:
    """Checks that a value is a length of time: seconds, or a ``timedelta``, which it converts."""

    at_most: float | None = None
    may_be_zero: bool = True

    def __call__(self, name: str, value: Any) -> float:
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if not is_number(seconds) or not self._is_in_range(seconds):
            raise ConfigurationError(f"{name}={shown(value)} must be {self._wanted()}")
        return seconds

    def _is_in_range(self, seconds: float) -> bool:
        if self.at_most is not None and seconds > self.at_most:
            return False
        return seconds > 0 or (seconds == 0 and self.may_be_zero)

    def _wanted(self) -> str:
        least = "not negative" if self.may_be_zero else "above 0"
        most = "" if self.at_most is None else f" and at most {self.at_most:g}"
        return f"seconds or a timedelta, {least}{most}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Checks that a value is one of a few texts."""

    values: tuple[str, ...]

    def __call__(self, name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.values:
            *others, last = (repr(each) for each in self.values)
            raise ConfigurationError(
                f"{name}={shown(value)} must be a known value: write {', '.join(others)} or {last}"
            )
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """Checks that a value is a non-empty str."""

    such_as: str

    def __call__(self, name: str, value: Any) -> str:
        check_text(name, value, self.such_as)
        return value  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Kind:
    """Checks that a value is an instance of a class."""

    kind: type
    such_as: str

    def __call__(self, name: str, value: Any) -> Any:
        check_kind(name, value, self.kind, self.such_as)
        return value
