"""Stores out of URLs."""

import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jwt_middleware import ConfigurationError
from jwt_middleware.stores import MemoryStore, SQLiteStore, Store, StoreFailed, connect
from jwt_middleware.stores.contract import Found, Read
from jwt_middleware.testing import Clock
from tests.support.odd_values import odd_values

PASSWORD = "hunter2"


def test_memory_has_no_more_to_say(clock: Clock) -> None:
    assert isinstance(connect("memory:"), MemoryStore)
    assert isinstance(connect("MEMORY:", clock=clock), MemoryStore)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///a.db", "{here}/a.db"),
        ("sqlite:///x/a b%20c.db", "{here}/x/a b%20c.db"),
        ("sqlite:////var/a.db", "/var/a.db"),
        ("SQLite:////var/a.db", "/var/a.db"),
    ],
)
def test_the_path_of_a_file_is_taken_as_it_is_written(url: str, path: str) -> None:
    """Relative to the folder of the process at that moment."""
    store = connect(url)

    assert isinstance(store, SQLiteStore)
    assert repr(store) == f"SQLiteStore({path.format(here=Path.cwd())!r})"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u:hunter2@h/d", "write 'postgresql+psycopg://"),
        ("redis://:hunter2@h:x/0", "is not a URL of Redis"),
        ("mysql://u:hunter2@h/d", "needs the driver MySQLdb"),
        ("mariadb+asyncmy://u:hunter2@h/d", "needs the driver asyncmy"),
        ("oracle://u:hunter2@h/d", "no known store: write 'memory:', 'sqlite:///relative.db'"),
        ("hunter2:x", "no known store"),
        ("hunter2", "no known store"),
        ("", "no known store"),
        (" memory:", "no known store"),
        ("memory://hunter2", "write 'memory:'"),
        ("sqlite:", "write 'memory:'"),
        ("sqlite://", "write 'memory:'"),
        ("sqlite:///:memory:", "write 'memory:'"),
        ("sqlite:///", "three slashes"),
        ("sqlite:hunter2.db", "three slashes"),
        ("sqlite:/hunter2.db", "three slashes"),
        ("sqlite://u:hunter2@h/a.db", "three slashes"),
        ("sqlite:///a.db?key=hunter2", "write them as arguments"),
    ],
)
def test_another_url_is_refused_without_its_credentials(url: str, words: str) -> None:
    """S8. The message says what to write."""
    with pytest.raises(ConfigurationError, match=r"^url=") as refused:
        connect(url)

    assert words in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "name", "words"),
    [
        ("memory:", "timeout", "timeout= is not an option of MemoryStore: known are clock"),
        ("sqlite:///a.db", "timout", "did you mean 'timeout'?"),
        ("sqlite:///a.db", "path", "path= is not an option of SQLiteStore"),
        ("sqlite:///a.db", "self", "self= is not an option"),
    ],
)
def test_an_option_that_the_store_does_not_have_is_refused(url: str, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connect(url, **{name: 1})

    assert words in str(refused.value)


OPTIONS: list[tuple[str, Any]] = [
    ("url", connect),
    ("clock", lambda clock: connect("memory:", clock=clock)),
    ("clock", lambda clock: connect("sqlite:///a.db", clock=clock)),
    ("timeout", lambda timeout: connect("sqlite:///a.db", timeout=timeout)),
    ("path", SQLiteStore),
    ("clock", MemoryStore),
]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(("option", "build"), OPTIONS)
def test_a_value_of_any_kind_is_refused_in_words_or_works(
    option: str, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S9. And what is accepted answers, if only with a failure."""
    monkeypatch.chdir(tmp_path)
    for odd in odd_values():
        store = built_or_refused(build, odd)
        if isinstance(store, str):
            assert f"{option}=" in store
        else:
            answer = store.answer(Read("k", "a"), monotonic() + 9)
            assert isinstance(answer, Found | StoreFailed)
            store.close()


def built_or_refused(build: Any, value: Any) -> Store | str:
    """Return the store, or what a refusal says."""
    try:
        store: Store = build(value)
    except ConfigurationError as refused:
        return str(refused)
    return store


def test_sqlite_is_imported_with_its_first_use() -> None:
    """It is not part of every Python."""
    code = (
        "import sys; from jwt_middleware import stores; name = 'jwt_middleware.stores.sqlite';"
        "store = stores.connect('memory:'); print(name in sys.modules);"
        "print(stores.SQLiteStore.__name__, name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "SQLiteStore", "True"]


def test_another_name_is_not_there() -> None:
    from jwt_middleware import stores

    with pytest.raises(AttributeError, match="'other'"):
        _ = stores.other
