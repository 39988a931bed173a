"""What kind of value a setting takes. Each mistake is a sentence that names the setting."""

from collections.abc import Iterable, Mapping
from typing import Any

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
