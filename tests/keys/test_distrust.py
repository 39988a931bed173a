"""Withdrawn keys: by name, for what they are, and by several threads at once."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jwt_middleware.crypto.jwk import VerificationKey, import_jwk
from jwt_middleware.keys.distrust import Distrusted
from jwt_middleware.keys.static import StaticKeys
from tests.keys.publisher import SOON, pair


def key_of(kid: str) -> VerificationKey:
    return import_jwk(pair(kid).jwk)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_key_withdrawn_by_name_is_known_for_what_it_is_once_it_is_seen() -> None:
    """Its publisher lists it a second time under another name, before or after the first."""
    leaked, good = key_of("k1"), key_of("good")
    again = replace(leaked, kid="k2")
    for keys in ((leaked, again, good), (again, leaked, good)):
        distrusted = Distrusted()
        distrusted.add("k1", ())

        assert distrusted.without(keys) == (good,)
        assert distrusted.without((again, good)) == (good,)


def test_what_was_withdrawn_can_be_told_while_more_is_withdrawn(eager_threads: None) -> None:
    """An export beside a withdrawal tells the one state or the other."""
    distrusted, key = Distrusted(), key_of("a")
    stop = threading.Event()

    def withdraw() -> None:
        for number in range(3_000):
            distrusted.take_over([f"k{number}"], [f"{number:064x}"])
        stop.set()

    distrusted.add(None, (key,))
    worker = threading.Thread(target=withdraw)
    worker.start()
    while not stop.is_set():
        told = distrusted.as_json()
        assert len(told["keys"]) >= 1
    worker.join(SOON)

    assert len(distrusted.as_json()["kids"]) == 3_000


def test_two_withdrawals_at_once_do_not_undo_each_other(eager_threads: None) -> None:
    """Of a set of many keys, so that one begins while the other is not over."""
    keys = tuple(key_of(f"k{number}") for number in range(60))
    for _ in range(10):
        source = StaticKeys(keys)
        start = threading.Barrier(4)

        def withdraw(
            kid: str, source: StaticKeys = source, start: threading.Barrier = start
        ) -> None:
            start.wait(SOON)
            source.distrust(kid)

        threads = [threading.Thread(target=withdraw, args=(f"k{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)

        assert not {"k0", "k1", "k2", "k3"} & source.snapshot.kids


@pytest.mark.parametrize("digest", ["00", "", "zz" * 32, "00" * 33])
def test_what_is_no_digest_is_not_taken_over(digest: str) -> None:
    """It would withdraw nothing, and say nothing."""
    with pytest.raises(ValueError, match=r"digest|hexadecimal"):
        Distrusted().take_over([], [digest])
