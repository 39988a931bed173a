"""Cookie mode: both tokens of a login in cookies that no script can read (RFC 6265bis).

The refresh token is in a cookie of its own, which browsers send to the endpoints alone.
"""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Protocol

from jwt_middleware.checks import check_kind
from jwt_middleware.errors import ConfigurationError, CSRFRefused
from jwt_middleware.issuing.token_pair import TokenPair
from jwt_middleware.issuing.token_pairs import TokenPairs
from jwt_middleware.options import Choice, Text, read_options
from jwt_middleware.principal import ANONYMOUS
from jwt_middleware.request.csrf import OriginCheck
from jwt_middleware.request.sources import CookieToken
from jwt_middleware.request.view import RequestView

# RFC 6265bis §5.6: browsers ignore a cookie whose name and value are longer.
_LONGEST = 4096

# The most cookies of one name that a logout looks at.
_MOST = 8


class SetsCookies(Protocol):
    """A response of Starlette, FastAPI, Flask, Django, Quart or Litestar."""

    @property
    def set_cookie(self) -> Callable[..., Any]:
        """Sets a cookie. The attributes have the same names in all of these."""
        ...


class TokenCookies:
    """The cookies of a login: how they are set, read and cleared."""

    def __init__(
        self,
        pairs: TokenPairs,
        *,
        path: Annotated[str, Text("'/auth'")] = "/auth",
        access_name: Annotated[str, Text("'__Host-token'")] = "__Host-token",
        refresh_name: Annotated[str, Text("'__Secure-refresh'")] = "__Secure-refresh",
        same_site: Annotated[str, Choice(("Lax", "Strict", "None"))] = "Lax",
        trusted_origins: Collection[str] = (),
    ) -> None:
        """
        :param pairs: the logins. From now on their access tokens have the claim ``csrf``.
        :param path: the path below which the endpoints are: refresh and logout. Browsers send the
            refresh token there alone.
        :param access_name: the name of the cookie with the access token.
        :param refresh_name: the name of the cookie with the refresh token.
        :param same_site: whether browsers send the cookies with requests that another site begins
            (RFC 6265bis §4.1.2.7).
        :param trusted_origins: the exact origins of other pages that may use the endpoints.
        :raises ConfigurationError: naming the option, the value and the fix.
        """
        given = {**locals()}
        read_options(TokenCookies, given)
        check_kind("pairs", pairs, TokenPairs, "TokenCookies(TokenPairs(minter, store))")
        # Browsers read the beginning of a name in any case.
        if refresh_name.lower().startswith("__host-"):
            raise ConfigurationError(
                f"refresh_name={refresh_name!r} cannot begin with __Host-, because such a cookie "
                "has no path: write '__Secure-refresh'"
            )
        if access_name == refresh_name:
            raise ConfigurationError(
                f"refresh_name={refresh_name!r} must be another name than access_name="
            )
        self.source = CookieToken(access_name)
        """The token source for the guard: ``Guard(token_sources=[cookies.source])``."""
        self._refresh = CookieToken(refresh_name, path=path)
        self._same_site = same_site
        self._origins = OriginCheck(trusted_origins)
        pairs.steps.has_csrf = True

    def set_on(self, response: SetsCookies, pair: TokenPair) -> None:
        """Set both cookies of a login on a response.

        :raises ConfigurationError: for a token that is too long for a cookie, so that claims must
            be left out.
        """
        for source, token, seconds in _of(self, pair):
            self._set(response, source, token, seconds)

    def clear_on(self, response: SetsCookies) -> None:
        """Remove both cookies of a login, on the response to a logout."""
        for source in (self.source, self._refresh):
            self._set(response, source, "", 0)

    def body(self, pair: TokenPair) -> dict[str, str | int | None]:
        """Return what the page may know: when to come again, and the value of ``X-CSRF-Token``."""
        return {
            "token_type": "Cookie",
            "expires_in": pair.expires_in,
            "refresh_expires_in": pair.refresh_expires_in,
            "csrf": pair.csrf,
        }

    def headers(self, pair: TokenPair) -> tuple[tuple[str, str], ...]:
        """Return the headers of a response that sets both cookies."""
        return tuple(
            self._header(source, token, seconds) for source, token, seconds in _of(self, pair)
        )

    def cleared(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of a response that removes both cookies."""
        return tuple(self._header(source, "", 0) for source in (self.source, self._refresh))

    def refresh_token(self, view: RequestView) -> str | None:
        """Return the refresh token of a request; ``None`` without the cookie.

        :raises CSRFRefused: if a page of another origin may have sent the request.
        :raises TokenRepeated: if there are several.
        """
        self._check_origin(view)
        return self._refresh.read(view)

    def refresh_tokens(self, view: RequestView) -> list[str]:
        """Return every refresh token of a request, of which browsers send one as a rule.

        :raises CSRFRefused: if a page of another origin may have sent the request.
        """
        self._check_origin(view)
        found = dict.fromkeys(filter(None, view.cookies(self._refresh.name)))
        return list(found)[:_MOST]

    def check_fit(self, pair: TokenPair) -> None:
        """Check that a browser would keep both cookies of a login.

        :raises ConfigurationError: if it would not.
        """
        for source, token, _ in _of(self, pair):
            _fitting(source, token)

    def _check_origin(self, view: RequestView) -> None:
        if not self._origins.passes(view, self._refresh, ANONYMOUS):
            expected, found = self._origins.sides(view)
            raise CSRFRefused("a foreign page may have sent it", expected=expected, found=found)

    def _set(self, response: SetsCookies, source: CookieToken, token: str, seconds: int) -> None:
        response.set_cookie(
            source.name,
            _fitting(source, token),
            max_age=seconds,
            path=source.path,
            secure=True,
            httponly=True,
            samesite=self._same_site.lower(),
        )

    def _header(self, source: CookieToken, token: str, seconds: int) -> tuple[str, str]:
        # Removing one needs the very attributes that set it (RFC 6265bis §5.6).
        cookie = f"{source.name}={_fitting(source, token)}; Path={source.path}; Max-Age={seconds}"
        return "Set-Cookie", f"{cookie}; Secure; HttpOnly; SameSite={self._same_site}"


def _of(cookies: TokenCookies, pair: TokenPair) -> tuple[tuple[CookieToken, str, int], ...]:
    return (
        (cookies.source, pair.access_token, pair.expires_in),
        (cookies._refresh, pair.refresh_token, pair.refresh_expires_in),  # noqa: SLF001
    )


def _fitting(source: CookieToken, token: str) -> str:
    if len(source.name) + len(token) > _LONGEST:
        raise ConfigurationError(
            f"the token for the cookie {source.name!r} has {len(token)} characters, and browsers "
            f"keep {_LONGEST} with the name: put less into its claims"
        )
    return token
