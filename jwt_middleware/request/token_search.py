"""The token sources of a guard together: finds the token of a request in their order."""

from collections.abc import Iterable

from jwt_middleware.checks import listed
from jwt_middleware.errors import (
    ConfigurationError,
    HeaderMalformed,
    RequestError,
    TokenRepeated,
)
from jwt_middleware.request.sources import (
    BEARER_SUBPROTOCOL,
    BearerHeader,
    CookieToken,
    HeaderToken,
    QueryToken,
    SubprotocolToken,
    TokenSource,
    is_field_name,
    offered_subprotocols,
)
from jwt_middleware.request.view import RequestView


def _are_names(value: object) -> bool:
    return isinstance(value, str) and all(map(is_field_name, value.split(", ")))


_METHODS = (BearerHeader, QueryToken)


class Sources:
    """The token sources of a guard, in order."""

    def __init__(self, sources: Iterable[TokenSource]) -> None:
        """:raises ConfigurationError: for an empty list, a wrong type or an unsafe order."""
        self.every = listed("token_sources", sources, "[BearerHeader()]")
        if not self.every:
            raise ConfigurationError(
                "token_sources=() cannot be empty: write token_sources=[BearerHeader()]"
            )
        for source in self.every:
            if isinstance(source, type) or not hasattr(source, "read"):
                raise ConfigurationError(
                    f"token_sources: {source!r} must be a source: write BearerHeader()"
                )
            vary = getattr(source, "vary", None)
            if vary != "" and not _are_names(vary):
                raise ConfigurationError(
                    f"token_sources: {source!r} cannot have vary={vary!r}: write the name of the "
                    "header that it reads, several as 'A, B', or '' for none"
                )
        _check_order(self.every)
        # RFC 6750 §2: a client uses one of these methods and never two.
        self._methods = [each for each in self.every if isinstance(each, _METHODS)]
        self._has_subprotocol = any(isinstance(each, SubprotocolToken) for each in self.every)
        self._clears = any(
            isinstance(each, CookieToken) and each.clear_on_invalid for each in self.every
        )

    @property
    def vary(self) -> str:
        """The request headers that a response depends on, for ``Vary``."""
        names = dict.fromkeys(source.vary for source in self.every if source.vary)
        return ", ".join(names)

    @property
    def methods(self) -> list[str]:
        """The ways in which a plain request may carry a token, by the names of RFC 9728 §2."""
        names = [
            "header" if isinstance(each, BearerHeader) else "query"
            for each in self._methods
            if isinstance(each, BearerHeader) or (isinstance(each, QueryToken) and each.http)
        ]
        return list(dict.fromkeys(names))

    def find(self, view: RequestView) -> tuple[str, TokenSource] | None:
        """Return the token of the first source that is present, and that source.

        :raises RequestError: if the text is not one token.
        """
        for source in self.every:
            if (token := source.read(view)) is not None:
                if not isinstance(token, str):
                    # A custom source may return anything, so its type is checked.
                    raise HeaderMalformed("the source did not return text")
                if len(self._methods) > 1:
                    self._check_single(view, source)
                return token, source
        return None

    def _check_single(self, view: RequestView, chosen: TokenSource) -> None:
        others = [source for source in self._methods if source is not chosen]
        is_one_of_them = len(others) < len(self._methods)
        if is_one_of_them and any(_is_present(other, view) for other in others):
            raise TokenRepeated("a token was sent in two ways at once")

    def has_another(self, view: RequestView, credential: int | None) -> bool:
        """Return whether a request has another token than it had when it passed.

        A request whose token was taken away since has none, so the answer is ``False``.

        :param credential: what the verdict says of the token that it had.
        """
        if credential is None:
            return False
        try:
            found = self.find(view)
        except RequestError:
            return True
        return found is not None and hash(found[0]) != credential

    def expiry(self, view: RequestView) -> str | None:
        """Return the ``Set-Cookie`` that expires the cookie of a refused token, if configured."""
        if not self._clears:
            return None
        source = next((each for each in self.every if _is_present(each, view)), None)
        is_cleared = isinstance(source, CookieToken) and source.clear_on_invalid
        return source.expiry if isinstance(source, CookieToken) and is_cleared else None

    def subprotocol(self, view: RequestView) -> str | None:
        """Return the subprotocol to accept if the application does not choose one.

        A browser that offered subprotocols closes the connection if the server accepts none
        (RFC 6455 §4.2.2). That holds even if the rule did not require the token.
        """
        if not self._has_subprotocol or not view.is_websocket:
            return None
        return BEARER_SUBPROTOCOL if BEARER_SUBPROTOCOL in offered_subprotocols(view) else None


def _is_present(source: TokenSource, view: RequestView) -> bool:
    try:
        return source.read(view) is not None
    except RequestError:
        return True


def _check_order(sources: tuple[TokenSource, ...]) -> None:
    cookie: CookieToken | None = None
    for source in sources:
        if isinstance(source, CookieToken):
            cookie = cookie or source
        elif cookie is not None and isinstance(source, (BearerHeader, HeaderToken)):
            # A neighbouring host can set a cookie for this host ("cookie tossing"), but no header,
            # so a cookie must not come before a header.
            raise ConfigurationError(
                f"token_sources: {source!r} cannot be after {cookie!r}, because a cookie from a "
                "neighbouring host would replace the header's token: put the header first"
            )
