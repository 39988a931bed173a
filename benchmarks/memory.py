"""Measures the memory of ten thousand cached tokens."""

import tracemalloc

from benchmarks.requests import PAIR, token
from jwt_middleware import Guard, Issuer

COUNT = 10_000


def cached_tokens() -> None:
    guard = Guard(issuers=Issuer("https://id.example/", audience="orders", keys=PAIR.jwk))
    tracemalloc.start()
    for number in range(COUNT):
        guard.verify(token(number))
    weight, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\n{COUNT:,} cached tokens (promised: at most 60 MB)\n  {weight / 1e6:.1f} MB")


ALL = (cached_tokens,)
