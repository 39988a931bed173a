"""Typed claims: converts claims into a type that the application defines.

msgspec or pydantic converts the claims into dataclasses, typed dictionaries, structs or models. One
of the two is enough, and neither is imported unless a type is configured. A value that can change
is never shared between requests.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any, is_typeddict
from uuid import UUID

from jwt_middleware.errors import ClaimsTypeMismatch, ConfigurationError
from jwt_middleware.principal import Claims

Reader = Callable[[dict[str, Any]], Any]


class TypedClaims:
    """Converts claims into one type."""

    def __init__(self, claims_type: Any) -> None:
        """
        :param claims_type: a dataclass, TypedDict, msgspec Struct or pydantic model.
        :raises ConfigurationError: for another type, or if msgspec and pydantic are both missing.
        """
        if not isinstance(claims_type, type):
            raise ConfigurationError(
                f"claims_type={claims_type!r} must be a class: a dataclass, a TypedDict, a msgspec "
                "Struct or a pydantic model"
            )
        self.claims_type = claims_type
        self._read = _reader(claims_type)
        # isinstance() does not accept a TypedDict, so its values are checked as dictionaries.
        self._makes = dict if is_typeddict(claims_type) else claims_type

    def read(self, claims: Claims) -> Any:
        """Return the claims as a value of the type, created from a copy.

        :raises ClaimsTypeMismatch: if the claims do not fit the type.
        """
        name = self.claims_type.__name__
        try:
            value = self._read(claims.to_dict())
            if isinstance(value, self._makes):
                return value
            why = f"a {type(value).__name__} and not a {name}"
        except (ValueError, TypeError):
            why = f"not a {name}"
        except Exception as problem:  # noqa: BLE001 - a type's own code may raise anything
            why = f"{name} failed with {type(problem).__name__}"
        # Raised outside the except block, because the errors of both libraries quote the claims. A
        # refusal and its context must not contain them.
        raise ClaimsTypeMismatch(why)

    def may_share(self, value: Any) -> bool:
        """Return whether requests may share a value, because it cannot change at any depth."""
        try:
            return _cannot_change(value)
        except Exception:  # noqa: BLE001 - a value that cannot be inspected may change
            return False


def _reader(claims_type: type) -> Reader:
    if hasattr(claims_type, "model_validate"):
        return claims_type.model_validate  # type: ignore[no-any-return]
    if not (
        is_dataclass(claims_type)
        or is_typeddict(claims_type)
        or hasattr(claims_type, "__struct_fields__")
    ):
        raise ConfigurationError(
            f"claims_type={claims_type.__name__} must be a dataclass, TypedDict, msgspec Struct or "
            "pydantic model: make it one, as with @dataclass(frozen=True)"
        )
    return _read_by_msgspec(claims_type) or _read_by_pydantic(claims_type)


def _read_by_msgspec(claims_type: type) -> Reader | None:
    try:
        convert = import_module("msgspec").convert
    except ImportError:
        return None
    return lambda claims: convert(claims, claims_type)


def _read_by_pydantic(claims_type: type) -> Reader:
    try:
        adapter = import_module("pydantic").TypeAdapter(claims_type)
    except ImportError:
        raise ConfigurationError(
            f"claims_type={claims_type.__name__} needs msgspec or pydantic, and neither is "
            "installed: pip install 'asgi-wsgi-jwt[typed]'"
        ) from None
    # The claims pass as JSON, because strict validation of Python data accepts only instances.
    return lambda claims: adapter.validate_json(json.dumps(claims), strict=True)


def _cannot_change(value: Any) -> bool:
    # hash() is not a test of this, because the hash of a dataclass may leave out fields.
    if isinstance(value, _UNCHANGING):
        return True
    if isinstance(value, tuple | frozenset):
        return all(map(_cannot_change, value))
    kind: Any = type(value)
    return _is_frozen(kind) and all(map(_cannot_change, _fields_of(value)))


_UNCHANGING = (str, int, float, bytes, date, time, timedelta, Decimal, UUID, Enum, type(None))


def _fields_of(value: Any) -> Iterable[Any]:
    if is_dataclass(value):
        return [getattr(value, each.name) for each in fields(value)]
    if hasattr(value, "__struct_fields__"):
        return [getattr(value, name) for name in value.__struct_fields__]
    return [*vars(value).values(), *(value.__pydantic_extra__ or {}).values()]


# One entry for each type: a service has a few claims types, which contain a few more.
@lru_cache(maxsize=64)
def _is_frozen(claims_type: Any) -> bool:
    # A cached_property stores its value even in a frozen object, and the value may be a list.
    if any(isinstance(each, cached_property) for each in _attributes(claims_type)):
        return False
    if hasattr(claims_type, "__struct_config__"):
        return bool(claims_type.__struct_config__.frozen)
    if hasattr(claims_type, "model_config"):
        # The private attributes of a frozen model can still be set.
        frozen = bool(claims_type.model_config.get("frozen"))
        return frozen and not claims_type.__private_attributes__
    # A TypedDict is a dictionary without these parameters, so it can change. Only the parameters of
    # the class itself count, because a plain subclass of a frozen dataclass takes new attributes.
    return bool(getattr(vars(claims_type).get("__dataclass_params__"), "frozen", False))


def _attributes(claims_type: type) -> Iterable[Any]:
    return (each for base in claims_type.__mro__ for each in vars(base).values())
