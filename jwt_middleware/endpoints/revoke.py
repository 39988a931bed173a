"""The end of a login over HTTP: token revocation (RFC 7009), and a logout by cookie."""

from typing import Any, ClassVar

from jwt_middleware.checks import check_flag, check_kind, shown
from jwt_middleware.effects import Steps
from jwt_middleware.endpoint_errors import ParametersInvalid, TokenKindUnsupported
from jwt_middleware.endpoints.body import parameters
from jwt_middleware.endpoints.cookies import TokenCookies
from jwt_middleware.endpoints.endpoint import Endpoint, LimitHook
from jwt_middleware.endpoints.replies import reply
from jwt_middleware.errors import ConfigurationError, TokenError, TypeNotAllowed
from jwt_middleware.issuing.token_pairs import PATIENCE, TokenPairs
from jwt_middleware.request.view import RequestView
from jwt_middleware.verdict import Reply


class RevocationEndpoint(Endpoint):
    """Ends the login of a refresh token (RFC 7009)."""

    patience = PATIENCE
    operation: ClassVar[dict[str, Any]] = {
        "summary": "End the login of a refresh token",
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "token": {"type": "string"},
                            "token_type_hint": {"type": "string"},
                        },
                        "required": ["token"],
                    }
                }
            }
        },
        "responses": {
            "200": {"description": "The login has ended, or there was none"},
            "400": {"description": "The request has no token, or one of another kind"},
            "503": {"description": "A store cannot be reached: try again"},
        },
    }

    def __init__(self, pairs: TokenPairs, *, limit: LimitHook | None = None) -> None:
        """
        :param pairs: the logins.
        :param limit: as that of :class:`RefreshEndpoint`.
        :raises ConfigurationError: for a wrong option.
        """
        check_kind("pairs", pairs, TokenPairs, "RevocationEndpoint(TokenPairs(minter, store))")
        super().__init__(limit)
        self._pairs = pairs

    def answering(self, view: RequestView, body: bytes) -> Steps[Reply]:
        # The hint is not needed: each token says of which kind it is (RFC 7009 §2.1).
        token = parameters(view, body).get("token")
        if token is None:
            raise ParametersInvalid("the parameter token is required")
        try:
            yield from self._pairs.steps.revoking(token)
        except TypeNotAllowed:
            raise TokenKindUnsupported from None
        except TokenError as problem:
            # RFC 7009 §2.2: a token that is not good is what the client wanted.
            _check_verdict(problem)
        return reply(200, (("Cache-Control", "no-store"),), b"", "revoked")


class LogoutEndpoint(Endpoint):
    """Ends the login of a browser, and removes its cookies."""

    patience = PATIENCE
    operation: ClassVar[dict[str, Any]] = {
        "summary": "End the login of this browser",
        "responses": {
            "204": {"description": "The login has ended, and its cookies are removed"},
            "403": {"description": "A page of another origin may have sent the request"},
            "503": {"description": "A store cannot be reached: try again"},
        },
    }

    def __init__(
        self,
        pairs: TokenPairs,
        cookies: TokenCookies,
        *,
        redirect: str | None = None,
        clear_site_data: bool = False,
    ) -> None:
        """
        :param pairs: the logins.
        :param cookies: the cookies of a login.
        :param redirect: the path to which a form that logs out is led; by default the response is
            204, for scripts.
        :param clear_site_data: whether the browser is told to forget what pages have stored
            (``Clear-Site-Data``).
        :raises ConfigurationError: for a wrong option.
        """
        check_kind("pairs", pairs, TokenPairs, "LogoutEndpoint(TokenPairs(minter, store), cookies)")
        check_kind("cookies", cookies, TokenCookies, "LogoutEndpoint(pairs, TokenCookies(pairs))")
        check_flag("clear_site_data", clear_site_data)
        super().__init__()
        self._pairs = pairs
        self._cookies = cookies
        self._status, self._headers = (204, ()) if redirect is None else (303, _to(redirect))
        if clear_site_data:
            self._headers += (("Clear-Site-Data", '"cache", "storage"'),)

    def answering(self, view: RequestView, body: bytes) -> Steps[Reply]:
        # A neighbouring host may have set one more, and no login may survive by that.
        for token in self._cookies.refresh_tokens(view):
            try:
                yield from self._pairs.steps.revoking(token)
            except TokenError as problem:
                # It has ended already.
                _check_verdict(problem)
        headers = (("Cache-Control", "no-store"), *self._headers, *self._cookies.cleared())
        return reply(self._status, headers, b"", "logged_out")


def _check_verdict(problem: TokenError) -> None:
    """Raise a refusal that does not say whether the token is good."""
    if not problem.is_verdict:
        raise problem


def _to(redirect: str) -> tuple[tuple[str, str], ...]:
    is_path = isinstance(redirect, str) and redirect.startswith("/") and redirect.isascii()
    if not is_path or redirect[1:2] in {"/", "\\"} or not redirect.isprintable():
        raise ConfigurationError(
            f"redirect={shown(redirect)} must be a path of this host: write '/'"
        )
    return (("Location", redirect),)
