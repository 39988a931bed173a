"""What kind of value a setting takes. Each mistake is a sentence that names the setting."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from jwt_middleware.errors import ConfigurationError


def listed(name: str, value: Any, such_as: str) -> tuple[Any, ...]:
    """Return the elements of a list; text is none, though Python would take it apart.

    :param such_as: a right value, as it is written.
    :raises ConfigurationError: for anything else.
    """
    if isinstance(value, str) and such_as.startswith("['"):
        raise ConfigurationError(f"{name}={value!r} is a string: write [{value!r}], a list")
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name}={value!r} must be a list, such as {such_as}")
    try:
        return tuple(value)
    except Exception as mistake:
        raise ConfigurationError(f"{name}={value!r} cannot be read: {mistake!r}") from mistake


def mapped(name: str, value: Any, such_as: str) -> Mapping[Any, Any]:
    """Return a mapping.

    :param such_as: a right value, as it is written.
    :raises ConfigurationError: for anything else.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name}={value!r} must be a mapping, such as {such_as}")
    return value


def check_text(name: str, value: object, such_as: str) -> None:
    """Refuse what is no text, or an empty one.

    :param such_as: a right value.
    :raises ConfigurationError: naming it.
    """
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name}={value!r} must be text, such as {such_as!r}")


def check_kind(name: str, value: object, kind: type, such_as: str) -> None:
    """Refuse what is no value of a class.

    :param such_as: a right value, as it is written.
    :raises ConfigurationError: naming it.
    """
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name}={value!r} is no {kind.__name__}: write {such_as}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither ``True`` nor ``False``: any text would count as true.

    :raises ConfigurationError: naming it.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}={value!r} must be True or False")


def check_count(name: str, value: object, least: int = 1) -> None:
    """Refuse a bound that is no whole number of at least ``least``.

    :raises ConfigurationError: naming it.
    """
    if type(value) is not int or value < least:
        raise ConfigurationError(f"{name}={value!r} must be a whole number of at least {least}")


def check_seconds(name: str, value: object, at_most: float = math.inf) -> None:
    """Refuse what is no finite number of seconds, zero or more.

    :raises ConfigurationError: naming it.
    """
    if not is_number(value) or not 0 <= value <= at_most:
        limit = "" if at_most == math.inf else f" and at most {at_most:g}"
        raise ConfigurationError(f"{name}={value!r} must be seconds, not negative{limit}")


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number that arithmetic with floats can take.

    A boolean is an int to Python and never meant as a number; ``10**400`` fits no float.
    """
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False
