"""Ordinary traffic passes: the guard changes nothing for somebody who may do everything."""

import logging
from collections.abc import Iterator

import pytest

from tests.routers.comparison import Runner
from tests.routers.handlers import HANDLERS, WITH_EVERY_ROLE
from tests.routers.spellings import Spelling
from tests.routers.subjects import SUBJECTS, Subject

# What applications in documentation are sent, and what clients write into a path on a good day.
ORDINARY = [
    b"/",
    b"/?page=2&q=/../x",
    b"/about/",
    b"/index.html",
    b"/favicon.ico",
    b"/robots.txt",
    b"/.well-known/openid-configuration",
    b"/.well-known/acme-challenge/a-b_c",
    b"/admin/",
    b"/admin/users/",
    b"/admin/users/7/",
    b"/admin/users/zo%c3%ab",
    b"/admin/users/%E5%B1%B1%E7%94%B0",
    b"/admin/users/O%27Brien",
    b"/admin/users/alice@example.org",
    b"/admin/users/alice%40example.org",
    b"/admin/users/first%20last",
    b"/admin/users/first+last",
    b"/admin/users/~alice",
    b"/admin/users/urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
    b"/admin/users/a,b,c",
    b"/admin/users/a=1&b=2",
    b"/admin/users/(7)",
    b"/admin/users/7!",
    b"/admin/users/$me",
    b"/admin/users/*",
    b"/admin/users/'7'",
    b"/admin/users/100%25",
    b"/admin/users/%F0%9F%98%80",
    b"/admin/users/e%CC%81",
    b"/admin/users/-",
    b"/admin/users/...",
    b"/admin/users/.hidden",
    b"/admin/users/v1..v2",
    b"/admin/users/" + b"a" * 3_000,
    b"/admin/users/eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    b"/docs/",
    b"/docs/a/b/c/d/e/f.tar.gz",
    b"/docs/2026-01-31T12:00:00Z",
    b"/docs/https%3A%2F%2Fexample.org%2Fa%3Fb%3Dc%23d",
    b"/docs/a%2Fb",
    b"/docs/C%3A/Temp",
    b"/docs/what%3F",
    b"/docs/no%231",
    b"/docs/%5Btag%5D",
    b"/docs/a%7Cb",
    b"/docs/%22quoted%22",
    b"/docs/50%25%20off",
    b"/docs//a.html",
    b"/orgs/",
    b"/orgs/acme/",
    b"/orgs/ACME",
    b"/orgs/acme/members/",
    b"/files/",
    b"/files/My%20Documents/r%C3%A9sum%C3%A9.pdf",
    b"/files/@scope/package/-/package-1.0.0.tgz",
    b"/items/42/",
    b"/items/-1",
    b"/items/0042",
    b"/v1.0/report.pdf",
    b"/v2.0/report.pdf?v=1;2",
    b"/caf%c3%a9/",
    b"/sub/open/",
    b"/sub/",
    b"/sub",
    b"/nothing/here",
]
ORDINARY += [target.encode() for handler in HANDLERS for target in handler.targets]
# Function views of Django end in a slash; below FastAPI's root_path stands what is mounted.
ORDINARY += [target + b"/" for target in ORDINARY if target[-1:] != b"/" and b"?" not in target]
ORDINARY += [b"/api/sub/open", b"/api/sub/secret"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# The others have no ordinary traffic at the top: their paths begin with a mount point.
CHOSEN = [one for one in SUBJECTS if not (one.root or one.mounted or one.chosen_roots)]


@pytest.fixture(params=CHOSEN, ids=lambda subject: subject.name)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    subject: Subject = request.param
    runner = Runner(subject)
    logging.disable()
    yield runner
    logging.disable(logging.NOTSET)
    runner.close()


@pytest.mark.slow
def test_ordinary_traffic_is_served_as_if_there_were_no_guard(runner: Runner) -> None:
    """The same handler and the same status, for every method; nothing is a 400 of ours."""
    handlers = set()
    for target in ORDINARY:
        for method in METHODS[:1] if runner.subject.sockets else METHODS:
            for bare, guarded in runner.both(Spelling(method, target), WITH_EVERY_ROLE):
                assert guarded == bare, (method, target)
                handlers.update(bare[0])

    assert handlers == runner.handlers
