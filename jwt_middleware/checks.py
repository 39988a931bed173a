"""Checks of the values of settings. Each error message names the setting."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from jwt_middleware.errors import ConfigurationError

# Text of a private key, and an address with a password.
_SECRET = re.compile(
    r"-----BEGIN|://\S*@|[\"'](?:k|d|p|q|dp|dq|qi|oth)\\*[\"']\s*:\s*\\*[\"'\[]",
    re.IGNORECASE,
)


def shown(value: object) -> str:
    """Return a value as a message shows it: as Python code, or its type alone.

    The type where the value is a key or an address with a password, or where Python cannot write
    it, such as an integer of five thousand digits.
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = ""
    return text if text and not _SECRET.search(text) else f"<{type(value).__name__}>"


def listed(name: str, value: Any, such_as: str) -> tuple[Any, ...]:
    """Return the elements of a list. A str is refused, although Python can iterate over it.

    :param such_as: a valid value, as Python code.
    :raises ConfigurationError: if the value is not a list.
    """
    if isinstance(value, str) and such_as.startswith("['"):
        raise ConfigurationError(f"{name}={shown(value)} is text: write a list, such as {such_as}")
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name}={shown(value)} must be a list, such as {such_as}")
    try:
        return tuple(value)
    except Exception as mistake:
        raise ConfigurationError(
            f"{name}={shown(value)} must be a list, such as {such_as}: {mistake!r}"
        ) from mistake


def mapped(name: str, value: Any, such_as: str) -> Mapping[Any, Any]:
    """Return the value if it is a mapping.

    :param such_as: a valid value, as Python code.
    :raises ConfigurationError: if it is not.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name}={shown(value)} must be a mapping, such as {such_as}")
    return value


def check_text(name: str, value: object, such_as: str) -> None:
    """Check that a value is a non-empty str.

    :param such_as: a valid value.
    :raises ConfigurationError: if it is not.
    """
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name}={shown(value)} must be text, such as {such_as!r}")


def check_kind(name: str, value: object, kind: type, such_as: str) -> None:
    """Check that a value is an instance of a class.

    :param such_as: a valid value, as Python code.
    :raises ConfigurationError: if it is not.
    """
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"{name}={shown(value)} must be of type {kind.__name__}: write {such_as}"
        )


def check_flag(name: str, value: object) -> None:
    """Check that a value is a bool, because any non-empty str would count as true.

    :raises ConfigurationError: if it is not.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}={shown(value)} must be True or False")


def check_count(name: str, value: object, least: int = 1) -> None:
    """Check that a value is a whole number of at least ``least``.

    :raises ConfigurationError: if it is not.
    """
    if type(value) is not int or not is_number(value) or value < least:
        raise ConfigurationError(
            f"{name}={shown(value)} must be a whole number of at least {least}"
        )


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a finite number that fits in a float.

    A bool is refused, although it is an int in Python. ``10**400`` does not fit in a float.
    """
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False
