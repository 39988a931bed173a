"""The revocations in memory."""

import math

from jwt_middleware.revocation.entries import Entry
from jwt_middleware.revocation.replica import Replica


def test_the_version_changes_with_what_is_new_alone() -> None:
    """R3: so that a cached token is looked up again only then."""
    replica = Replica()
    versions = [replica.version]
    for entries in (
        [Entry("x", "token", "a", 10), Entry("x", "token", "b", 10)],
        [Entry("x", "token", "a", 10)],
        [Entry("x", "token", "a", 20)],
        [Entry("x", "subject", "s", 10, 5)],
        [Entry("x", "subject", "s", 10, 4)],
        [Entry("x", "subject", "s", 10, 6)],
        [],
    ):
        replica.add(entries)
        versions.append(replica.version)
    assert versions == [1, 2, 2, 2, 3, 3, 4, 4]
    assert len(replica) == 3


def test_every_kind_is_found_and_no_other() -> None:
    replica = Replica()
    replica.add(
        [
            Entry("x", "token", "j"),
            Entry("x", "session", "s"),
            Entry("x", "subject", "alice", before=10),
            Entry("x", "key", "k"),
            Entry("x", "digest", "d"),
        ]
    )
    later = {"iat": 11}
    assert replica.revokes("x", "bob", {"jti": "j"}, None) == "token"
    assert replica.revokes("x", "bob", {"jti": "s", "sid": "s"}, "s") == "session"
    assert replica.revokes("x", "alice", {"iat": 10}, None) == "subject"
    assert replica.revokes("x", "alice", later, "k") == "key"
    assert replica.revokes("x", "alice", later, "j") is None
    assert replica.revokes("y", "alice", {"jti": "j", "sid": "s"}, "k") is None
    assert replica.revokes("x", None, {"iat": 1}, None) is None
    assert (replica.needs_digest("x"), replica.needs_digest("y")) == (True, False)
    assert (replica.has_digest("x", "d"), replica.has_digest("y", "d")) == (True, False)


def test_what_has_expired_is_forgotten_unless_it_was_prolonged() -> None:
    replica = Replica()
    replica.add([Entry("x", "token", str(end), end) for end in range(10)])
    replica.add([Entry("x", "subject", "s", 3, 1), Entry("x", "key", "k")])
    replica.add([Entry("x", "token", "2", 100)])
    replica.forget_expired(5)
    left = sorted(each.value for each in replica.living(-math.inf))
    assert left == ["2", "6", "7", "8", "9", "k"]
    assert len(replica) == 6
    replica.forget_expired(5)
    assert len(replica) == 6


def test_a_forked_child_counts_anew() -> None:
    replica = Replica()
    replica.add([Entry("x", "token", "a", 10), Entry("y", "subject", "s", 10, 5)])
    replica._count = 99
    replica.after_fork()
    assert len(replica) == 2
    replica.add([Entry("x", "token", "b", 10)])
    assert len(replica) == 3
