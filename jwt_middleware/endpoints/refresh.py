"""The token endpoint for refresh tokens (RFC 6749 §6), by parameter or by cookie."""

from collections.abc import Mapping
from typing import Any, ClassVar

from jwt_middleware.checks import check_kind
from jwt_middleware.effects import Steps
from jwt_middleware.endpoint_errors import GrantTypeUnsupported, ParametersInvalid
from jwt_middleware.endpoints.body import parameters
from jwt_middleware.endpoints.cookies import TokenCookies
from jwt_middleware.endpoints.endpoint import Endpoint, LimitHook
from jwt_middleware.endpoints.replies import json_reply
from jwt_middleware.errors import Refused, TokenMissing
from jwt_middleware.issuing.token_pairs import PATIENCE, TokenPairs
from jwt_middleware.request.view import RequestView
from jwt_middleware.verdict import Reply

_TEXT = {"type": "string"}

# E7: a request that only came second keeps its cookies, because they may be good.
_ENDED = frozenset({"refresh_burnt", "token_expired"})


class RefreshEndpoint(Endpoint):
    """Exchanges a refresh token for the next pair."""

    patience = PATIENCE
    operation: ClassVar[dict[str, Any]] = {
        "summary": "Exchange a refresh token for the next pair of tokens",
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "grant_type": {"type": "string", "enum": ["refresh_token"]},
                            "refresh_token": _TEXT,
                            "scope": _TEXT,
                        },
                    }
                }
            }
        },
        "responses": {
            "200": {
                "description": "The next pair (RFC 6749 §5.1)",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "400": {"description": "The refresh token is not good (RFC 6749 §5.2)"},
            "503": {"description": "A store cannot be reached: try the same token again"},
        },
    }

    def __init__(
        self,
        pairs: TokenPairs,
        *,
        cookies: TokenCookies | None = None,
        limit: LimitHook | None = None,
    ) -> None:
        """
        :param pairs: the logins.
        :param cookies: take the refresh token from its cookie, and set the next ones. A token in
            the body is not read then.
        :param limit: takes the request, and returns the seconds after which its client may ask
            again, or ``None``. A plain function, or an ``async`` one under ASGI.
        :raises ConfigurationError: for a wrong option.
        """
        check_kind("pairs", pairs, TokenPairs, "RefreshEndpoint(TokenPairs(minter, store))")
        if cookies is not None:
            check_kind("cookies", cookies, TokenCookies, "cookies=TokenCookies(pairs)")
        super().__init__(limit)
        self._pairs = pairs
        self._cookies = cookies

    def answering(self, view: RequestView, body: bytes) -> Steps[Reply]:
        said = parameters(view, body)
        if said.get("grant_type", "refresh_token") != "refresh_token":
            raise GrantTypeUnsupported
        token = self._token(view, said)
        fits = None if self._cookies is None else self._cookies.check_fit
        pair = yield from self._pairs.steps.refreshing(token, said.get("scope"), fits)
        if self._cookies is None:
            return json_reply(200, pair.as_json())
        return json_reply(200, self._cookies.body(pair), self._cookies.headers(pair))

    def _token(self, view: RequestView, said: Mapping[str, str]) -> str:
        if self._cookies is None:
            if "refresh_token" not in said:
                raise ParametersInvalid("the parameter refresh_token is required")
            return said["refresh_token"]
        token = self._cookies.refresh_token(view)
        if token is None:
            raise TokenMissing
        return token

    def headers_beside(self, problem: Refused) -> tuple[tuple[str, str], ...]:
        if self._cookies is None or problem.code not in _ENDED:
            return ()
        return self._cookies.cleared()
