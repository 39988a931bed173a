"""What kind of value a setting takes. Each mistake is a sentence that names the setting."""

from collections.abc import Iterable, Mapping
from typing import Any

from jwt_middleware.errors import ConfigurationError


def listed(name: str, value: Any, such_as: str) -> tuple[Any, ...]:
    """Return the elements of a list; text is none, though Python would take it apart.

    :param such_as: a right value, as it is written.
    :raises ConfigurationError: for anything else.
    """
    if isinstance(value, str):
        raise ConfigurationError(f"{name}={value!r} is a string: write [{value!r}], a list")
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name}={value!r} must be a list, such as {such_as}")
    return tuple(value)


def mapped(name: str, value: Any, such_as: str) -> Mapping[Any, Any]:
    """Return a mapping.

    :param such_as: a right value, as it is written.
    :raises ConfigurationError: for anything else.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name}={value!r} must be a mapping, such as {such_as}")
    return value


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither ``True`` nor ``False``: any text would count as true.

    :raises ConfigurationError: naming it.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}={value!r} must be True or False")
