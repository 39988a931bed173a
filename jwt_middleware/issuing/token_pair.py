"""The values of token pairs: what a login gives, and what it says of itself."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jwt_middleware.checks import shown
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.issuing.minted_claims import checked_subject

SubjectCheck: TypeAlias = Callable[[str], bool] | Callable[[str], Awaitable[bool]]
"""Returns whether a subject may still log in and refresh, blocking or awaiting."""

# What an application tells of a device is shown in lists, and comes from clients.
_OF_DEVICES = frozenset({"name", "address", "agent"})
_LONGEST = 300

GREATEST = 2**53
"""No guard reads a number so great (RFC 7493 §2.2)."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token, and the refresh token for the next pair."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    token_type: str = field(default="Bearer", kw_only=True)
    expires_in: int = field(kw_only=True)
    """The seconds for which the access token is valid."""
    refresh_expires_in: int = field(kw_only=True)
    """The seconds for which the refresh token is good, if it is not used."""
    sid: str = field(kw_only=True)
    """The id of the login, which the access token has as ``sid``."""
    csrf: str | None = field(default=None, kw_only=True, repr=False)
    """What a page must send in ``X-CSRF-Token`` where a cookie carries the access token."""

    def as_json(self) -> dict[str, str | int]:
        """Return the body of a response (RFC 6749 §5.1), which no cache may store."""
        return {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
            "refresh_token": self.refresh_token,
            "refresh_expires_in": self.refresh_expires_in,
        }


@dataclass(frozen=True, slots=True)
class Login:
    """When and how a subject has logged in. A refresh does not change it (OIDC Core §12.2)."""

    auth_time: int | None = None
    """POSIX seconds; by default now."""
    acr: str | None = None
    """The class of the authentication (OIDC Core §2)."""
    amr: tuple[str, ...] = ()
    """Its methods, such as ``pwd`` and ``otp`` (RFC 8176)."""
    client_id: str | None = None
    """The client that asked for the tokens (RFC 9068 §2.2)."""

    def __post_init__(self) -> None:
        at = self.auth_time
        if at is not None and not (type(at) is int and 0 <= at < GREATEST):
            raise ConfigurationError(
                f"Login(auth_time={shown(self.auth_time)}) must be whole POSIX seconds: write "
                "int(time.time())"
            )
        for name in ("acr", "client_id"):
            if getattr(self, name) is not None:
                checked_subject(getattr(self, name), name)
        methods: Any = self.amr
        if not isinstance(methods, tuple | list):
            raise ConfigurationError(
                f"Login(amr={shown(self.amr)}) must be a list: write amr=['pwd']"
            )
        for each in self.amr:
            checked_subject(each, "amr")

    def as_json(self, now: float) -> dict[str, Any]:
        """Return it as members of a family.

        :param now: POSIX seconds of the store's clock.
        """
        said: dict[str, Any] = {
            "auth_time": int(now) if self.auth_time is None else self.auth_time,
            "acr": self.acr,
            "amr": list(self.amr) or None,
            "client_id": self.client_id,
        }
        return {name: value for name, value in said.items() if value is not None}


def checked_device(device: Any) -> dict[str, str]:
    """Return what is to be known of a device, cut to 300 characters each.

    :raises ConfigurationError: for anything else than texts under known names.
    """
    if not isinstance(device, Mapping) or not _OF_DEVICES.issuperset(device):
        raise ConfigurationError(
            f"device={type(device).__name__} must have name, address and agent alone: write "
            "device={'name': 'Firefox on Linux'}"
        )
    for name, text in device.items():
        if not isinstance(text, str):
            raise ConfigurationError(
                f"device[{shown(name)}] must be text, not {type(text).__name__}: write str(...)"
            )
    # From a header a client may have sent bytes that are no text.
    return {
        name: text.encode(errors="replace").decode()[:_LONGEST] for name, text in device.items()
    }
