"""A store on Redis or Valkey: one server, behind Sentinel, or a cluster.

Each statement is one script, which the server runs in one step. All keys have one hash tag, so that
a cluster keeps them on one node: an exchange may be about any of them.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from secrets import token_hex
from time import monotonic
from typing import Annotated, Any
from urllib.parse import urlsplit

from jwt_middleware.clock import Clock, usable_clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.options import Seconds, Text, read_options
from jwt_middleware.stores.contract import (
    AnyAnswer,
    AnyStatement,
    Change,
    Document,
    Exchange,
    Exchanged,
    Found,
    FoundGroup,
    FoundSome,
    Read,
    ReadGroup,
    ReadSome,
    ReadWritten,
    StoreFailed,
)
from jwt_middleware.stores.limits import objection
from jwt_middleware.stores.pool import Late, Workers
from jwt_middleware.stores.redis_scripts import EXCHANGE, GROUP, SOME, WRITTEN

try:
    import redis
    import redis.asyncio
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisClusterException, RedisError
    from redis.retry import Retry
except ImportError:
    raise ImportError(
        "jwt_middleware.stores.redis needs redis-py: pip install 'asgi-wsgi-jwt[redis]'"
    ) from None

MOST_THREADS = 8
"""The most threads, and so the most connections, of a process."""

PREFIX = "jwt_middleware"

_SCRIPTS = {"some": SOME, "group": GROUP, "written": WRITTEN, "exchange": EXCHANGE}
_PROBLEMS = (RedisError, RedisClusterException, OSError)


class RedisStore:
    """Holds documents in Redis, for all processes that reach it.

    Redis writes to its disk as it is configured to. With ``appendfsync everysec`` a crash loses the
    last second, and a failover what the new primary had not received: a login, a rotation or a
    revocation of that time may be undone. Processes give back what they know.
    """

    def __init__(
        self,
        client: Any,
        *,
        prefix: Annotated[str, Text("'jwt_middleware'")] = PREFIX,
        timeout: Annotated[float, Seconds(60, may_be_zero=False)] = 5.0,
        clock: Clock | None = None,
    ) -> None:
        """
        :param client: a client of the application, for awaiting callers of its own loop also one of
            ``redis.asyncio``; or a URL: ``redis://``, ``rediss://``, ``redis+cluster://``, or
            ``redis+sentinel://host:port,host:port/service/database``.
        :param prefix: what its keys begin with.
        :param timeout: the seconds after which a statement is given up.
        :param clock: the source of the time; by default the server's own clock.
        :raises ConfigurationError: for a wrong option. Only the nodes of a cluster are asked yet.
        """
        known = read_options(RedisStore, {**locals()})
        if not prefix.isalnum() and not prefix.replace("_", "").replace("-", "").isalnum():
            raise ConfigurationError(
                f"prefix={prefix!r} must be letters, digits, '-' and '_': write 'jwt_middleware'"
            )
        self._timeout: float = known["timeout"]
        self._clock = None if clock is None else usable_clock("clock", clock)
        self._key = f"{{{prefix}}}:"
        self._is_own = isinstance(client, str)
        self._client: Any = _connected(client, self._timeout) if self._is_own else client
        if not hasattr(self._client, "register_script"):
            raise ConfigurationError(
                f"client={type(client).__name__} must be a URL or a client of redis-py: write "
                "'redis://host:6379/0'"
            )
        self.needs_loop = type(self._client).__module__.startswith("redis.asyncio")
        """Whether it serves awaiting callers alone."""
        self._scripts = {
            name: self._client.register_script(text) for name, text in _SCRIPTS.items()
        }
        self._workers = Workers("jwt_middleware.redis", MOST_THREADS)

    def check(self) -> None:
        """Ask the server, to find mistakes at start-up.

        :raises ConfigurationError: with what is wrong.
        """
        answer = self.answer(ReadSome(()), monotonic() + self._timeout)
        if isinstance(answer, StoreFailed):
            raise ConfigurationError(answer.reason)

    def answer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Perform a statement (see :class:`Store`)."""
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        if self.needs_loop:
            return StoreFailed(
                f"{self!r} has an asynchronous client, which a blocking call cannot use: use the "
                "call that begins with 'a', or give it a redis.Redis"
            )
        try:
            call = partial(self._blocking, statement)
            return self._workers.wait(call, min(deadline, monotonic() + self._timeout))
        except Late as late:
            return self._late(statement, has_begun=late.has_begun)

    async def aanswer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Async version of :meth:`answer`.

        A statement that has begun is done whether its caller is cancelled or not.
        """
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        until = min(deadline, monotonic() + self._timeout)
        if self.needs_loop:
            return await self._awaiting(statement, until)
        try:
            return await self._workers.run(partial(self._blocking, statement), until)
        except Late as late:
            return self._late(statement, has_begun=late.has_begun)

    def close(self) -> None:
        """Close the connections of this process. The next statement opens others."""
        if not self.needs_loop:
            with suppress(*_PROBLEMS):
                self._client.close()

    async def aclose(self) -> None:
        """Async version of :meth:`close`."""
        if self.needs_loop:
            await self._client.aclose()
        else:
            self.close()

    def __repr__(self) -> str:
        return f"RedisStore({self._key!r})"

    def _late(self, statement: AnyStatement, *, has_begun: bool) -> StoreFailed:
        is_unknown = has_begun and isinstance(statement, Exchange)
        return StoreFailed(f"{self!r} did not answer in time", may_be_done=is_unknown)

    def _failed(self, statement: AnyStatement, problem: BaseException) -> StoreFailed:
        # Once a script was sent, only its answer tells whether it ran.
        is_unknown = isinstance(statement, Exchange) and _refusal(problem) is None
        return StoreFailed(f"{self!r} {_said(problem)}", may_be_done=is_unknown)

    def _blocking(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        script, arguments = _call(statement)
        try:
            said = self._scripts[script](keys=[self._key], args=[self._now(), *arguments])
        except _PROBLEMS as problem:
            return self._failed(statement, problem)
        return _answer(statement, said)

    async def _awaiting(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        import asyncio

        script, arguments = _call(statement)
        try:
            async with asyncio.timeout(deadline - monotonic()):
                call = self._scripts[script](keys=[self._key], args=[self._now(), *arguments])
                said = await call
        except TimeoutError:
            return self._late(statement, has_begun=True)
        except _PROBLEMS as problem:
            return self._failed(statement, problem)
        return _answer(statement, said)

    def _now(self) -> str:
        return "" if self._clock is None else repr(self._clock.now())


def _call(statement: AnyStatement) -> tuple[str, list[Any]]:
    """Return the script of a statement, and its arguments."""
    match statement:
        case Read():
            return "some", [statement.kind, statement.name]
        case ReadSome():
            return "some", [text for key in statement.keys for text in key]
        case ReadGroup():
            return "group", [statement.kind, statement.group, statement.after, statement.most]
        case ReadWritten():
            since = repr(float(statement.since))
            return "written", [statement.kind, since, statement.after, statement.most]
        case Exchange():
            return "exchange", [token_hex(8), *_parts(statement)]


def _parts(statement: Exchange) -> Iterator[Any]:
    for each in statement.expected:
        yield from (each.kind, each.name, each.expected)
        if not isinstance(each, Change):
            yield from ("keep", "", "", "")
        elif each.body is None:
            yield from ("delete", "", "", "")
        else:
            # A group may be any text, also an empty one, so it stands behind a sign.
            group = "" if each.group is None else f"={each.group}"
            yield from ("write", each.body, group)
            yield "" if each.expires_at is None else repr(float(each.expires_at))


def _answer(statement: AnyStatement, said: Any) -> AnyAnswer:
    now, found = float(_text(said[0])), said[1]
    match statement:
        case Read():
            return Found(_document(statement.kind, found[0]), now)
        case ReadSome():
            each = zip(statement.keys, found, strict=True)
            return FoundSome(tuple(_document(key[0], row) for key, row in each), now)
        case Exchange():
            return Exchanged(is_done=int(found) == 1, now=now)
        case _:
            rows = (_document(statement.kind, row) for row in found)
            return FoundGroup(tuple(row for row in rows if row is not None), now)


def _document(kind: str, row: Any) -> Document | None:
    if not row:
        return None
    name, version, body, group, ends, written_at = row
    said, end = _text(group), _text(ends)
    return Document(
        kind,
        _text(name),
        int(version),
        body if isinstance(body, bytes) else body.encode("utf-8", "surrogateescape"),
        said[1:] if said else None,
        float(end) if end else None,
        float(_text(written_at)),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _connected(url: str, timeout: float) -> Any:
    """Return a client for a URL. It tries nothing twice, because the first try may be done."""
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    scheme, _, rest = url.partition("://")
    try:
        if scheme == "redis+cluster":
            return redis.RedisCluster.from_url(f"redis://{rest}", **options)
        if scheme == "redis+sentinel":
            return _behind_sentinel(url, options)
        most = {"max_connections": MOST_THREADS * 2}
        return redis.Redis.from_url(
            f"{scheme.replace('valkey', 'redis')}://{rest}", **options, **most
        )
    except (ValueError, *_PROBLEMS) as problem:
        words = "is not a URL of Redis" if isinstance(problem, ValueError) else _said(problem)
    raise ConfigurationError(f"url= {words}: write 'redis://:password@host:6379/0'")


def _behind_sentinel(url: str, options: dict[str, Any]) -> Any:
    parts = urlsplit(url)
    place, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    pairs = [each.rpartition(":") for each in hosts.split(",")]
    made: Any = redis.Sentinel
    sentinel = made([(host, int(port)) for host, _, port in pairs], **options)
    password = place.partition(":")[2] or None
    return sentinel.master_for(service, db=int(database or 0), password=password, **options)


_PASSWORD = "wants another user or password: look at both in the URL"  # noqa: S105 - a sentence
_READ_ONLY = "is read-only: name the primary server in the URL"
_FULL = "cannot grow: raise maxmemory, or free some"
_LOADING = "is loading its data: try again soon"
_DENIED = "does not let this user run scripts: grant it +@scripting and its keys"
_DOWN = "belongs to a cluster or a group of replicas that is down"

# What a server says, by the code that its words begin with or by the name of the client's error.
# It has surely not run a script then.
_REFUSALS = {
    "NOAUTH": _PASSWORD,
    "WRONGPASS": _PASSWORD,
    "AuthenticationError": _PASSWORD,
    "AuthenticationWrongNumberOfArgsError": _PASSWORD,
    "NOPERM": _DENIED,
    "NoPermissionError": _DENIED,
    "READONLY": _READ_ONLY,
    "ReadOnlyError": _READ_ONLY,
    "OOM": _FULL,
    "OutOfMemoryError": _FULL,
    "MISCONF": "cannot write to its disk: look into its log",
    "LOADING": _LOADING,
    "BusyLoadingError": _LOADING,
    "MASTERDOWN": _DOWN,
    "MasterDownError": _DOWN,
    "CLUSTERDOWN": _DOWN,
    "ClusterDownError": _DOWN,
    "MasterNotFoundError": _DOWN,
    "SlaveNotFoundError": _DOWN,
    "NOREPLICAS": "has fewer replicas than it needs to write",
}


def _refusal(problem: BaseException) -> str | None:
    """Return why a server has surely run nothing; ``None`` if it may have."""
    words = str(problem).split(maxsplit=1)
    code = words[0].rstrip(":") if words else ""
    return _REFUSALS.get(type(problem).__name__) or _REFUSALS.get(code)


def _said(problem: BaseException) -> str:
    """Return what is wrong, without the words of the server, which may show a password."""
    known = _refusal(problem)
    if known is not None:
        return known
    name = type(problem).__name__
    if name == "TimeoutError":
        return "did not answer in time"
    if isinstance(problem, OSError) or name in {"ConnectionError", "RedisClusterException"}:
        return "cannot be reached: start it, and look at host and port of the URL"
    return f"refused the statement ({name})"
