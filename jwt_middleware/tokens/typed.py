"""Claims as a type of the application's own: checked once, and never shared where they can change.

Reading plain data into dataclasses, typed dictionaries, structs and models is the work of msgspec
and pydantic; either one will do, and neither is imported unless a type is asked for.
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
    """Reads claims into one type."""

    def __init__(self, claims_type: Any) -> None:
        """
        :param claims_type: a dataclass, TypedDict, msgspec Struct or pydantic model.
        :raises ConfigurationError: if it is none of these, or the library that reads it is missing.
        """
        if not isinstance(claims_type, type):
            raise ConfigurationError(
                f"claims_type={claims_type!r} must be a class: a dataclass, a TypedDict, a msgspec "
                "Struct or a pydantic model"
            )
        self.claims_type = claims_type
        self._read = _reader(claims_type)
        # A TypedDict is no class to ask of a value.
        self._makes = dict if is_typeddict(claims_type) else claims_type

    def read(self, claims: Claims) -> Any:
        """Return the claims as a value of the type, made from a copy.

        :raises ClaimsTypeMismatch: if they do not fit.
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
        # Both libraries quote what they were given; a refusal must not, nor what hangs on it.
        raise ClaimsTypeMismatch(why)

    def may_share(self, value: Any) -> bool:
        """Return whether several requests may see one value: it can not change at any depth."""
        try:
            return _cannot_change(value)
        except Exception:  # noqa: BLE001 - what cannot be looked at may change
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
            f"claims_type={claims_type.__name__} is no dataclass, TypedDict, msgspec Struct or "
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
            f"claims_type={claims_type.__name__} is read by msgspec or pydantic, and neither is "
            "installed: pip install 'asgi-wsgi-jwt[typed]'"
        ) from None
    # As JSON, since strict reading of Python data asks for an instance of the type itself.
    return lambda claims: adapter.validate_json(json.dumps(claims), strict=True)


def _cannot_change(value: Any) -> bool:
    # A hash would not tell: that of a dataclass may leave fields out, or all of them.
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


# One answer a type; a service has a few claims types, and what they hold is a few more.
@lru_cache(maxsize=64)
def _is_frozen(claims_type: Any) -> bool:
    # What such a property keeps is written past all freezing, and may be a list.
    if any(isinstance(each, cached_property) for each in _attributes(claims_type)):
        return False
    if hasattr(claims_type, "__struct_config__"):
        return bool(claims_type.__struct_config__.frozen)
    if hasattr(claims_type, "model_config"):
        # A frozen model's private attributes can be set all the same.
        frozen = bool(claims_type.model_config.get("frozen"))
        return frozen and not claims_type.__private_attributes__
    # A TypedDict is a dictionary, and has no such parameters; and what inherits from a frozen
    # dataclass without being one itself takes new attributes.
    return bool(getattr(vars(claims_type).get("__dataclass_params__"), "frozen", False))


def _attributes(claims_type: type) -> Iterable[Any]:
    return (each for base in claims_type.__mro__ for each in vars(base).values())
