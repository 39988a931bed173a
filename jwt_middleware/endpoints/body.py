"""Bodies of requests: the most that is read, and the parameters in them (RFC 6749 §3.2)."""

from typing import Any
from urllib.parse import parse_qsl

from jwt_middleware.endpoint_errors import ParametersInvalid
from jwt_middleware.formats.strict_json import NotOneObject, read_object
from jwt_middleware.request.view import RequestView

LONGEST = 65_536
"""The most bytes of a body. Two tokens of the largest size have half of that."""
PATIENCE = 10.0
"""The seconds in which a body must have arrived."""

# RFC 6749 and RFC 7009 have six in one request.
_MOST = 32

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


def parameters(view: RequestView, body: bytes) -> dict[str, str]:
    """Return the parameters of a request, of a form or a JSON object.

    One without a value counts as left out.

    :raises ParametersInvalid: if one is repeated or not text, or the body has another media type.
    """
    media_type = _media_type(view)
    if not body and media_type in {"", _FORM, _JSON}:
        return {}
    if media_type == _JSON:
        return _of_json(body)
    if media_type == _FORM:
        return _of_form(body)
    raise ParametersInvalid(f"the media type must be {_FORM} or {_JSON}")


def _media_type(view: RequestView) -> str:
    values = view.headers("content-type")
    if len(values) > 1:
        raise ParametersInvalid("Content-Type is repeated")
    return values[0].partition(";")[0].strip().lower() if values else ""


def _of_json(body: bytes) -> dict[str, str]:
    try:
        members = read_object(body)
    except NotOneObject:
        members = None
    if members is None:
        # Outside of the handler, so that no text of the body is in the error's context.
        raise ParametersInvalid("the body must be one JSON object")
    given = {name: value for name, value in members.items() if value not in (None, "")}
    if not all(isinstance(value, str) for value in given.values()):
        raise ParametersInvalid("the members of the object must be text")
    return given


def _of_form(body: bytes) -> dict[str, str]:
    pairs = _pairs(body)
    if pairs is None:
        raise ParametersInvalid("the body must be a form in UTF-8")
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            # RFC 6749 §3.2: a parameter is not sent more than once.
            raise ParametersInvalid("a parameter is repeated")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _pairs(body: bytes) -> Any:
    try:
        text = body.decode()
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        return None
