"""S5 and S9: what is wrong with a file, in one sentence for each."""

import errno
import os
import resource
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.stores import SQLiteStore, StoreFailed
from jwt_middleware.stores.contract import Exchange, Exchanged, Read, ReadSome, ReadWritten
from jwt_middleware.stores.sqlite_failures import Problem, fault_of, may_be_done
from jwt_middleware.stores.sqlite_schema import VERSION, prepare
from tests.stores.asking import Asker, change
from tests.support.forking import in_a_child

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
ANYONE = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.db"


def write(store: SQLiteStore, body: bytes = b"s3cret", name: str = "a") -> Exchanged | StoreFailed:
    """Create a document."""
    answer = store.answer(Exchange((change(name, 0, body),)), monotonic() + 30)
    assert isinstance(answer, Exchanged | StoreFailed)
    return answer


def assert_refused(path: Path, what: str, fix: str) -> None:
    """Assert that both say what is wrong: each statement, and the check at start-up."""
    with closing(SQLiteStore(path, timeout=0.5)) as store:
        for failed in (write(store), store.answer(Read("k", "a"), monotonic() + 30)):
            assert isinstance(failed, StoreFailed)
            assert failed.reason == f"the SQLite file {str(path)!r} {what}"
            assert failed.may_be_done is False
        with pytest.raises(ConfigurationError) as refused:
            store.check()
    assert str(refused.value) == f"path={str(path)!r} {what}: {fix}"


def make(path: Path, *commands: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for command in commands:
            connection.execute(command)


def test_a_usable_file_passes_the_check(path: Path) -> None:
    """Also one that is there, any number of times."""
    with closing(SQLiteStore(path)) as store:
        store.check()
        store.check()
        write(store)
    with closing(SQLiteStore(path)) as again:
        again.check()
        assert Asker(again).version("a") == 1


def test_a_folder_that_is_missing(path: Path) -> None:
    missing = path / "no" / "s.db"
    assert_refused(missing, "lies in a folder that does not exist", "create the folder")


def test_a_path_that_is_a_folder(path: Path) -> None:
    path.mkdir()
    assert_refused(path, "is a folder", "name a file in it, such as 'tokens.db'")


def test_a_name_that_is_too_long(path: Path) -> None:
    long = path / ("x" * 5_000)
    assert_refused(long, "has a name that is too long", "name a file with a shorter one")


def test_a_file_of_another_kind(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to be taken for the first page of one" * 100)
    assert_refused(
        path,
        "is not a SQLite database, or is damaged",
        "restore it from a backup, or name another file",
    )


def test_a_file_that_is_damaged(path: Path) -> None:
    """In its pages of data; the header is whole."""
    with closing(SQLiteStore(path)) as store:
        for number in range(50):
            write(store, b"x" * 4_000, str(number))
    data = bytearray(path.read_bytes())
    data[4_096:] = b"\xa5" * (len(data) - 4_096)
    path.write_bytes(data)

    with closing(SQLiteStore(path)) as store:
        failed = store.answer(Read("k", "7"), monotonic() + 30)
        assert isinstance(failed, StoreFailed)
        assert "is damaged" in failed.reason
        assert isinstance(write(store), StoreFailed)


def test_a_file_of_a_newer_release(path: Path) -> None:
    """S5."""
    SQLiteStore(path).check()
    make(path, f"PRAGMA user_version = {VERSION + 1}")
    assert_refused(
        path,
        f"has documents of version {VERSION + 1}, and this release knows version {VERSION}",
        "install the release that wrote it, or a newer one",
    )


@pytest.mark.parametrize("version", [1, 7, -1])
def test_a_file_whose_version_is_that_of_another_application(path: Path, version: int) -> None:
    """S5. It is not overwritten."""
    make(path, "CREATE TABLE others (x)", f"PRAGMA user_version = {version}")
    assert_refused(
        path,
        f"belongs to another application, whose user_version is {version}",
        "name a file of its own",
    )


def test_a_file_of_an_older_release_is_brought_up_to_date(path: Path) -> None:
    """S5. Its documents stay, as if they had been written long ago."""
    make(
        path,
        "CREATE TABLE jwt_middleware_documents (kind TEXT NOT NULL, name TEXT NOT NULL,"
        " version INTEGER NOT NULL, body BLOB NOT NULL, group_name TEXT, expires_at REAL NOT NULL,"
        " PRIMARY KEY (kind, name))",
        "INSERT INTO jwt_middleware_documents VALUES ('k', 'a', 3, x'00', NULL, 9e999)",
        "PRAGMA user_version = 1",
    )
    with closing(SQLiteStore(path)) as store:
        store.check()
        assert Asker(store).version("a") == 3
        found = Asker(store).ask(ReadWritten("k", 0.0)).documents
        assert [each.name for each in found] == ["a"]
        assert Asker(store).exchange(change("a", 3))
    with closing(SQLiteStore(path)) as again:
        again.check()
        assert Asker(again).version("a") == 4


def test_the_database_of_another_application_may_hold_the_table(path: Path) -> None:
    """S5. Its own tables stay as they are."""
    make(path, "CREATE TABLE documents (x)", "INSERT INTO documents VALUES (7)")
    with closing(SQLiteStore(path)) as store:
        store.check()
        write(store)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT x FROM documents").fetchall() == [(7,)]
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        (count,) = connection.execute("SELECT count(*) FROM jwt_middleware_documents").fetchone()
    assert count == 1


def test_a_table_that_another_process_has_just_created_is_left_alone(path: Path) -> None:
    """S5. It is looked for once more when the file is locked."""
    said: list[str] = []

    class Late(sqlite3.Connection):
        def execute(self, *given: object) -> sqlite3.Cursor:
            said.append(str(given[0]))
            if given[0] == "BEGIN IMMEDIATE":
                with closing(SQLiteStore(path)) as other:
                    other.check()
            return super().execute(*given)  # type: ignore[arg-type]

    with closing(sqlite3.connect(path, isolation_level=None, factory=Late)) as connection:
        prepare(connection)

    assert [each for each in said if "CREATE" in each] == []
    assert said[-1] == "COMMIT"


def test_a_table_of_that_name_by_another_hand_is_refused(path: Path) -> None:
    """S5."""
    make(path, "CREATE TABLE jwt_middleware_documents (x)")
    assert_refused(
        path,
        "belongs to another application, whose user_version is 0",
        "name a file of its own",
    )


def test_a_disk_that_is_full(path: Path) -> None:
    """S9. Nothing is done, what was there is still read, and small changes are made later."""
    with closing(SQLiteStore(path)) as store:
        write(store, name="before")
        with store._connections.lend(monotonic() + 30) as connection:
            connection.execute("PRAGMA max_page_count = 10")
        failed = write(store, b"x" * 1_000_000)

        assert isinstance(failed, StoreFailed)
        assert failed.reason == f"the SQLite file {str(path)!r} cannot grow: the disk is full"
        assert failed.may_be_done is False
        assert [Asker(store).version(each) for each in ("before", "a")] == [1, 0]
        assert isinstance(write(store), Exchanged)


@forks
def test_a_file_that_may_not_grow(path: Path) -> None:
    """S9. Whether it was done is said to be unknown only if it may be."""
    with closing(SQLiteStore(path)) as store:
        write(store, name="before")

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        failed = write(store, b"x" * 1_000_000)
        assert isinstance(failed, StoreFailed)
        assert "operating system" in failed.reason
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        version = Asker(store).version("a")
        assert failed.may_be_done or version == 0
        assert Asker(store).version("before") == 1
        assert isinstance(write(store, name="after"), Exchanged)

    assert in_a_child(work) == 0
    assert Asker(store).version("after") == 1
    store.close()


@forks
def test_too_many_files_are_open(path: Path) -> None:
    """S9. The store works again when there are fewer."""
    with closing(SQLiteStore(path)) as store:
        write(store)

    def work() -> None:
        store.close()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        failed = write(store, name="b")
        assert isinstance(failed, StoreFailed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(write(store, name="b"), Exchanged)

    assert in_a_child(work) == 0


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder that every user may search, with a store's file in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with closing(SQLiteStore(folder / "s.db")) as store:
            write(store, name="before")
        yield folder


def as_anyone(work: Callable[[], None]) -> int:
    """Do some work in a child that has no privileges."""

    def unprivileged() -> None:
        if os.geteuid() == 0:
            os.setgid(ANYONE)
            os.setuid(ANYONE)
        work()

    return in_a_child(unprivileged)


@forks
def test_a_file_that_is_read_only(shared: Path) -> None:
    shared.chmod(0o777)
    (shared / "s.db").chmod(0o444)

    def work() -> None:
        with closing(SQLiteStore(shared / "s.db")) as store:
            failed = write(store)
            assert isinstance(failed, StoreFailed)
            assert failed.reason.endswith(" is read-only for this process")
            with pytest.raises(ConfigurationError, match=r"path=.*make the file and its folder"):
                store.check()

    assert as_anyone(work) == 0


@forks
def test_a_file_of_another_user(shared: Path) -> None:
    (shared / "s.db").chmod(0)
    assert (
        as_anyone(
            lambda: assert_refused(
                shared / "s.db",
                "may not be opened by this user",
                "give the user of this process access to it",
            )
        )
        == 0
    )


@forks
@pytest.mark.parametrize("name", ["s.db", "new.db"])
def test_a_folder_of_another_user(shared: Path, name: str) -> None:
    """Whether the file is there or has to be created."""
    (shared / "s.db").chmod(0o666)
    shared.chmod(0o555)

    def work() -> None:
        with closing(SQLiteStore(shared / name)) as store:
            failed = write(store)
            assert isinstance(failed, StoreFailed)
            assert "folder that this user may not write to" in failed.reason
            with pytest.raises(ConfigurationError, match="write access to the folder"):
                store.check()

    try:
        assert as_anyone(work) == 0
    finally:
        shared.chmod(0o755)


@pytest.mark.parametrize(
    ("made", "is_open", "words"),
    [(True, False, "by this user"), (True, True, "a folder that"), (False, True, "a folder that")],
)
def test_a_file_that_cannot_be_opened_or_created(
    path: Path, monkeypatch: pytest.MonkeyPatch, made: bool, is_open: bool, words: str
) -> None:
    """S9. SQLite itself tells no reason."""
    if made:
        path.touch()
    monkeypatch.setattr(os, "access", lambda *_: is_open)

    assert words in fault_of(str(path), failure(sqlite3.SQLITE_CANTOPEN)).what


def test_a_path_that_cannot_even_be_looked_at() -> None:
    """S9."""
    long = "/" + "x" * 5_000
    assert "by this user" in fault_of(long, failure(sqlite3.SQLITE_CANTOPEN)).what


def failure(code: int, name: str = "SQLITE_X") -> sqlite3.Error:
    problem = sqlite3.OperationalError("a s3cret")
    problem.sqlite_errorcode, problem.sqlite_errorname = code, name
    return problem


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (failure(sqlite3.SQLITE_BUSY_SNAPSHOT), "was locked"),
        (failure(sqlite3.SQLITE_IOERR_FSYNC), "operating system"),
        (failure(sqlite3.SQLITE_TOOBIG, "SQLITE_TOOBIG"), "was refused by SQLite (SQLITE_TOOBIG)"),
        (sqlite3.ProgrammingError("a s3cret"), "was refused by SQLite (ProgrammingError)"),
        (OSError(errno.ENOSPC, "s3cret"), "the disk is full"),
        (OSError(errno.EROFS, "s3cret"), "is read-only"),
        (OSError(errno.EMFILE, "s3cret"), "too many files"),
    ],
)
def test_a_failure_is_named_and_its_text_left_out(problem: Problem, words: str) -> None:
    """S8 and S9. Extended codes count as what they extend."""
    fault = fault_of("/no/s.db", problem)

    assert words in fault.what
    assert fault.fix
    assert "s3cret" not in f"{fault}"


@pytest.mark.parametrize(
    ("code", "unknown"),
    [
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_NOMEM, True),
    ],
)
def test_a_commit_that_fails_may_be_done_if_it_may(code: int, unknown: bool) -> None:
    """S9. It is not if SQLite knows that it was not."""
    assert may_be_done(failure(code)) is unknown


def test_a_failure_of_the_commit_itself_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S9. The connection is given up, and the next one finds the file whole."""

    class Failing(sqlite3.Connection):
        def execute(self, *given: object) -> sqlite3.Cursor:
            if given[0] == "COMMIT" and self.in_transaction and self.total_changes:
                raise failure(sqlite3.SQLITE_IOERR)
            return super().execute(*given)  # type: ignore[arg-type]

    with closing(SQLiteStore(path)) as store:
        write(store, name="before")
        store.close()
        genuine = sqlite3.connect
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", lambda *a, **k: genuine(*a, factory=Failing, **k))
            failed = write(store)

        assert isinstance(failed, StoreFailed)
        assert failed.may_be_done
        assert [Asker(store).version(each) for each in ("before", "a")] == [1, 0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("body", value) for value in ("'x'", "5", "9e999")),
        *(("expires_at", value) for value in ("'x'", "x'ff'", "''")),
        *(("version", value) for value in ("'x'", "9e999", "x'ff'", "1.5")),
        *(("group_name", value) for value in ("x'ff'", "cast(x'ff' as text)")),
        *(("written_at", value) for value in ("'x'", "x'ff'")),
    ],
)
def test_a_column_of_another_type_is_a_failure(path: Path, column: str, value: str) -> None:
    """SQLite takes a value of any type for any column."""
    with closing(SQLiteStore(path)) as store:
        write(store)
        make(path, f"UPDATE jwt_middleware_documents SET {column} = {value}")
        for statement in (Read("k", "a"), ReadSome((("k", "a"),))):
            failed = store.answer(statement, monotonic() + 30)
            assert isinstance(failed, StoreFailed)
            assert "s3cret" not in failed.reason
        assert isinstance(write(store, name="b"), Exchanged)
