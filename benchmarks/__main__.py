"""Run every benchmark, or those whose names are given: ``make bench ARGS=known_token``."""

import sys

from benchmarks import coverage, dependencies, issuing, keys, memory, requests, revocation

EVERY = (
    *requests.ALL,
    *memory.ALL,
    *dependencies.ALL,
    *coverage.ALL,
    *keys.ALL,
    *issuing.ALL,
    *revocation.ALL,
)

for benchmark in EVERY:
    if not sys.argv[1:] or benchmark.__name__ in sys.argv[1:]:
        benchmark()
