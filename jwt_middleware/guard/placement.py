"""Options of a guard that have no effect where its middleware is mounted."""

from collections.abc import Iterator

from jwt_middleware.guard.decision import Judge
from jwt_middleware.logs import log_of
from jwt_middleware.request.sources import CookieToken, QueryToken, SubprotocolToken, TokenSource

_log = log_of("jwt_middleware")


class Placement:
    """Logs each option of one guard that has no effect where the guard stands, once."""

    def __init__(self, judge: Judge, metadata_path: str | None) -> None:
        """
        :param judge: the judge of the guard.
        :param metadata_path: where the metadata of ``resource=`` is served; ``None`` without it.
        """
        self._judge = judge
        self._metadata_path = metadata_path
        self._told: set[str] = set()
        self.sees_sockets = False
        """Whether an ASGI middleware has this guard, which WebSockets reach."""

    def stands(self) -> None:
        """Tell of an option that has no effect anywhere."""
        judge = self._judge
        checks_origin = any(isinstance(each, CookieToken) for each in judge.sources.every)
        if judge.origins.trusted and not checks_origin and judge.preflights is None:
            self._tell(
                "trusted_origins= has no effect without a token in a cookie or "
                "cors_preflight=True: leave it out, or add CookieToken() to token_sources="
            )

    def has_no_sockets(self, face: str) -> None:
        """Tell of the options for WebSockets, if none reaches the guard.

        :param face: what the guard is behind, such as ``WSGI``.
        """
        for option in () if self.sees_sockets else self._for_sockets():
            self._tell(
                f"{option} has no effect under {face}, where no WebSocket reaches the guard: leave "
                "it out, or put the guard around the ASGI application with JWTMiddleware"
            )

    def is_below(self, mount_point: str) -> None:
        """Tell that the metadata is out of reach for a middleware that is mounted below the root.

        :param mount_point: where it is mounted; empty at the root.
        """
        if mount_point and self._metadata_path is not None:
            self._tell(
                f"resource= has no effect below {mount_point!r}: its metadata is at "
                f"{self._metadata_path!r}, which does not reach this middleware: put the guard in "
                "front of the whole application"
            )

    def is_behind_a_route(self, *, gets_preflights: bool) -> None:
        """Tell of the options for requests that a router does not pass on to a route.

        :param gets_preflights: whether the router passes OPTIONS to every route.
        """
        if self._metadata_path is not None:
            self._tell(
                "resource= has no effect behind a route: its metadata is at "
                f"{self._metadata_path!r}, which does not reach this middleware: put the guard in "
                "front of the whole application"
            )
        if self._judge.preflights is not None and not gets_preflights:
            self._tell(
                "cors_preflight=True has no effect behind a route, to which the router passes no "
                "OPTIONS: put the guard in front of the whole application"
            )

    def _for_sockets(self) -> Iterator[str]:
        if self._judge.closes_on_expiry:
            yield "close_on_expiry=True"
        if self._judge.closes_on_revocation:
            yield "close_on_revocation=True"
        yield from filter(None, map(_only_of_sockets, self._judge.sources.every))

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning("%s", sentence)


def _only_of_sockets(source: TokenSource) -> str:
    """Return a token source in words if only WebSockets have it; empty for others."""
    if isinstance(source, SubprotocolToken):
        return "SubprotocolToken()"
    if isinstance(source, QueryToken) and not source.http:
        return f"QueryToken({source.name!r}) without http=True"
    return ""
