"""A store on a SQL server: PostgreSQL, MySQL or MariaDB, by SQLAlchemy.

An exchange is one transaction. On PostgreSQL it takes a lock for each document, which belongs to
the transaction and also keeps a document away that does not exist; on MySQL and MariaDB the locks
of rows and of the gaps between them do the same.
"""

import asyncio
from functools import partial
from time import monotonic
from typing import Annotated, Any
from weakref import finalize

from jwt_middleware.clock import Clock, usable_clock
from jwt_middleware.errors import ConfigurationError
from jwt_middleware.forks import renew_after_fork
from jwt_middleware.options import Flag, Seconds, Text, read_options
from jwt_middleware.stores.contract import (
    AnyAnswer,
    AnyStatement,
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

try:
    from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, make_url, text
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.ext.asyncio import AsyncEngine
except ImportError:
    raise ImportError(
        "jwt_middleware.stores.sql needs SQLAlchemy: pip install 'asgi-wsgi-jwt[sql]' and a "
        "driver, such as psycopg or pymysql"
    ) from None

from jwt_middleware.stores.sql_exchange import Stale, delete_expired, exchange
from jwt_middleware.stores.sql_failures import PROBLEMS, Problem, fault_of, may_try_again
from jwt_middleware.stores.sql_reader import Reader
from jwt_middleware.stores.sql_schema import SCHEMA, prepare
from jwt_middleware.stores.sql_table import TABLE, documents_table

MOST_THREADS = 8
"""The most threads, and so the most connections, of a process."""

# Each write deletes at most so many expired documents, so that none takes long.
_MOST_DELETED = 20

_DIALECTS = {"postgresql", "mysql", "mariadb"}

# PostgreSQL and MySQL have a clock that all clients share.
# Of UTC, because an hour of local time comes twice a year.
_UNIX = text("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1000000")
_NOW = {
    "postgresql": text("SELECT extract(epoch from clock_timestamp())"),
    "mysql": _UNIX,
    "mariadb": _UNIX,
}
_LIMIT = text("SELECT set_config('statement_timeout', :left, true)")


class SQLStore:
    """Holds documents in a table of a SQL server, for all processes that reach it."""

    def __init__(
        self,
        engine: Engine | AsyncEngine | str,
        *,
        metadata: MetaData | None = None,
        table: Annotated[str, Text("'jwt_middleware_documents'")] = TABLE,
        create_table: Annotated[bool, Flag()] = True,
        timeout: Annotated[float, Seconds(60, may_be_zero=False)] = 5.0,
        clock: Clock | None = None,
    ) -> None:
        """
        :param engine: an ``Engine`` of the application, an ``AsyncEngine`` for awaiting callers of
            its own loop, or a URL.
        :param metadata: the ``MetaData`` of the application, which gets the table.
        :param table: the name of the table.
        :param create_table: whether the table is created where it is missing. ``False`` leaves that
            to migrations.
        :param timeout: the seconds after which a statement is given up.
        :param clock: the source of the time; by default the server's own clock.
        :raises ConfigurationError: for a wrong option. The server is not asked yet.
        """
        known = read_options(SQLStore, {**locals()})
        self._timeout: float = known["timeout"]
        self._clock = None if clock is None else usable_clock("clock", clock)
        self._engine = self._read_engine(engine)
        if isinstance(self._engine, Engine) and self._engine is not engine:
            # Of a store that is forgotten, no connection stays open.
            finalize(self, Engine.dispose, self._engine)
        self.needs_loop = isinstance(self._engine, AsyncEngine)
        """Whether it serves awaiting callers alone."""
        self._dialect = self._engine.dialect.name
        if self._dialect not in _DIALECTS:
            raise ConfigurationError(_instead(self._dialect))
        self._table = documents_table(metadata, table)
        self._creates = create_table
        self._is_ready = False
        self._workers = Workers("jwt_middleware.sql", MOST_THREADS)
        renew_after_fork(self)

    def _read_engine(self, engine: Any) -> Engine | AsyncEngine:
        if isinstance(engine, Engine | AsyncEngine):
            return engine
        if not isinstance(engine, str):
            raise ConfigurationError(
                f"engine={type(engine).__name__} must be a URL, an Engine or an AsyncEngine"
            )
        try:
            url = make_url(engine)
            return create_engine(
                url,
                pool_size=MOST_THREADS,
                max_overflow=0,
                pool_timeout=self._timeout,
                # A server that was restarted has closed the connections.
                pool_pre_ping=True,
                connect_args=_connecting(url, self._timeout),
                hide_parameters=True,
            )
        except NoSuchModuleError:
            problem = "names a database or a driver that SQLAlchemy does not know"
        except ImportError as missing:
            problem = f"needs the driver {missing.name}, which is not installed"
        except Exception:  # noqa: BLE001 - a driver raises its own, which may show the password
            problem = "is not a URL of SQLAlchemy, or has an option that its driver does not know"
        raise ConfigurationError(
            f"url= {problem}: write 'postgresql+psycopg://user:password@host/database' or "
            "'mysql+pymysql://...'"
        )

    def after_fork(self) -> None:
        """Leave the connections of the parent alone, and open others."""
        engine = self._engine
        sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        sync.dispose(close=False)

    def check(self) -> None:
        """Ask the server, and create the table where it is missing.

        Without it the first statement does this. At start-up it finds mistakes.

        :raises ConfigurationError: with what is wrong, and what to do.
        """
        answer = self.answer(Read(*SCHEMA), monotonic() + self._timeout)
        if isinstance(answer, StoreFailed):
            raise ConfigurationError(answer.reason)

    def answer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Perform a statement (see :class:`Store`)."""
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        if isinstance(self._engine, AsyncEngine):
            return StoreFailed(
                f"{self!r} has an AsyncEngine, which a blocking call cannot use: use the call that "
                "begins with 'a', or give it an Engine"
            )
        until = self._until(deadline)
        try:
            return self._workers.wait(partial(self._blocking, self._engine, statement), until)
        except Late as late:
            return self._late(statement, late)

    async def aanswer(self, statement: AnyStatement, deadline: float) -> AnyAnswer | StoreFailed:
        """Async version of :meth:`answer`.

        A caller that is cancelled leaves a statement that has begun to run to its end on its
        thread; with an ``AsyncEngine`` its transaction is undone.
        """
        refused = objection(statement, deadline)
        if refused is not None:
            return refused
        until = self._until(deadline)
        if isinstance(self._engine, AsyncEngine):
            return await self._awaiting(self._engine, statement, until)
        call = partial(self._blocking, self._engine, statement)
        try:
            return await self._workers.run(call, until)
        except Late as late:
            return self._late(statement, late)

    def close(self) -> None:
        """Close the connections of this process. The next statement opens others."""
        engine = self._engine
        if isinstance(engine, Engine):
            engine.dispose()

    async def aclose(self) -> None:
        """Async version of :meth:`close`."""
        if isinstance(self._engine, AsyncEngine):
            await self._engine.dispose()
        else:
            self.close()

    def __repr__(self) -> str:
        url = self._engine.url
        # Neither user nor password nor options, which may have secrets too.
        return f"SQLStore('{url.drivername}://{url.host or ''}/{url.database or ''}')"

    def _until(self, deadline: float) -> float:
        return min(deadline, monotonic() + self._timeout)

    def _late(self, statement: AnyStatement, late: Late) -> StoreFailed:
        is_unknown = late.has_begun and isinstance(statement, Exchange)
        return StoreFailed(f"{self!r} did not answer in time", may_be_done=is_unknown)

    def _failed(self, problem: Problem, *, may_be_done: bool = False) -> StoreFailed:
        fault = fault_of(problem)
        return StoreFailed(f"{self!r} {fault.what}: {fault.fix}", may_be_done=may_be_done)

    def _blocking(
        self, engine: Engine, statement: AnyStatement, deadline: float
    ) -> AnyAnswer | StoreFailed:
        while True:
            try:
                with engine.connect() as connection:
                    return self._transact(connection, statement, deadline)
            except _CommitFailed as failed:
                return self._failed(failed.problem, may_be_done=True)
            except PROBLEMS as problem:
                if not may_try_again(problem) or monotonic() >= deadline:
                    return self._failed(problem)
            except Exception as problem:  # noqa: BLE001 - a driver raises its own
                return self._raised(statement, problem)

    async def _awaiting(
        self, engine: AsyncEngine, statement: AnyStatement, deadline: float
    ) -> AnyAnswer | StoreFailed:
        while True:
            try:
                async with asyncio.timeout(deadline - monotonic()), engine.connect() as connection:
                    return await connection.run_sync(self._transact, statement, deadline)
            except TimeoutError:
                is_unknown = isinstance(statement, Exchange)
                return StoreFailed(f"{self!r} did not answer in time", may_be_done=is_unknown)
            except _CommitFailed as failed:
                return self._failed(failed.problem, may_be_done=True)
            except PROBLEMS as problem:
                if not may_try_again(problem) or monotonic() >= deadline:
                    return self._failed(problem)
            except Exception as problem:  # noqa: BLE001 - a driver raises its own
                return self._raised(statement, problem)

    def _raised(self, statement: AnyStatement, problem: Exception) -> StoreFailed:
        # Its text may show the password.
        said = f"{self!r}: its driver raised {type(problem).__name__}, as for an unknown option"
        return StoreFailed(said, may_be_done=isinstance(statement, Exchange))

    def _transact(
        self, connection: Connection, statement: AnyStatement, deadline: float
    ) -> AnyAnswer:
        # Each statement of an exchange must see what was committed before its locks were taken.
        level = "READ COMMITTED" if self._dialect == "postgresql" else "REPEATABLE READ"
        connection = connection.execution_options(isolation_level=level)
        if not self._is_ready:
            prepare(connection, self._table, creates=self._creates)
            self._is_ready = True
        transaction = connection.begin()
        try:
            self._limit(connection, deadline)
            answer = self._perform(connection, statement)
        except Stale as stale:
            transaction.rollback()
            return Exchanged(is_done=False, now=stale.now)
        try:
            transaction.commit()
        except PROBLEMS as problem:
            raise _CommitFailed(problem) from problem
        return answer

    def _limit(self, connection: Connection, deadline: float) -> None:
        """Let the server give a statement up that takes too long."""
        if self._dialect == "postgresql":
            left = max(1, int((deadline - monotonic()) * 1000))
            connection.execute(_LIMIT, {"left": str(left)})

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock.now()
        return float(connection.execute(_NOW[self._dialect]).scalar_one())

    def _perform(self, connection: Connection, statement: AnyStatement) -> AnyAnswer:
        if isinstance(statement, Exchange):
            now = exchange(connection, self._table, statement, self._now)
            delete_expired(connection, self._table, now, _MOST_DELETED)
            return Exchanged(is_done=True, now=now)
        now = self._now(connection)
        reader = Reader(connection, self._table, now)
        match statement:
            case Read():
                return Found(reader.one(statement.kind, statement.name), now)
            case ReadSome():
                return FoundSome(reader.some(statement.keys), now)
            case ReadGroup():
                return FoundGroup(reader.group(statement), now)
            case ReadWritten():
                return FoundGroup(reader.written(statement), now)


class _CommitFailed(Exception):
    """The commit of a transaction raised, so that it may or may not have been made."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


def _instead(dialect: str) -> ConfigurationError:
    if dialect == "sqlite":
        return ConfigurationError(
            "an Engine of SQLite cannot be used: write connect('sqlite:///tokens.db'), which opens "
            "the file by itself"
        )
    return ConfigurationError(
        f"an Engine of {dialect} cannot be used: use PostgreSQL, MySQL or MariaDB"
    )


def _connecting(url: URL, seconds: float) -> dict[str, Any]:
    """Return the arguments of a driver that limit how long it waits."""
    whole = max(1, int(seconds))
    driver = url.get_driver_name()
    if driver in {"pymysql", "mysqldb"}:
        wait = f"SET SESSION innodb_lock_wait_timeout = {whole}"
        limits = {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}
        return {**limits, "init_command": wait}
    return {"connect_timeout": whole} if driver.startswith("psycopg") else {}
