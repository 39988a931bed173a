"""Fewer scopes than a login has, for one access token (RFC 6749 §6)."""

import re
from typing import Any

from jwt_middleware.endpoint_errors import ScopeNotGranted

# RFC 6749 §3.3, Appendix A.4: scope tokens, with one space between them.
_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")


def narrowed(asked: Any, granted: Any) -> str:
    """Return the claim ``scope`` of a token that is to have fewer.

    :param asked: the parameter of the request.
    :param granted: the claim that the login has: text, or a list of texts.
    :raises ScopeNotGranted: for a scope that the login does not have.
    """
    if not isinstance(asked, str) or not _SCOPE.fullmatch(asked):
        raise ScopeNotGranted("scope must be names with one space between them")
    has = granted.split(" ") if isinstance(granted, str) else granted
    if not isinstance(has, list) or not set(asked.split(" ")) <= set(filter(_is_text, has)):
        raise ScopeNotGranted("more scopes were requested than the login has")
    # Each once, or a client could make a token too long to be minted.
    return " ".join(dict.fromkeys(asked.split(" ")))


def _is_text(value: object) -> bool:
    return isinstance(value, str)
