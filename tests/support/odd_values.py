"""Values of every kind, for settings that are meant to be something else."""

import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any


async def _coroutine_function(*_: Any) -> None:
    """Return nothing, when awaited."""


async def _async_generator() -> AsyncIterator[str]:
    yield "x"


def _generator() -> Iterator[Any]:
    yield "x"


def _failing_generator() -> Iterator[Any]:
    yield "x"
    raise RuntimeError


PLAIN: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 301, 2**70, 1.5, -0.5, math.nan, math.inf, -math.inf, 1e300),
    *("", "x", "a b", "/a", "https://a.example/", "http://a.example/", "\ud800", "a\0b", "\u00e9"),
    *("x" * 70_000, "\n", "*", "{a}", b"", b"x", b"\0" * 40, bytearray(b"x"), 1j),
    *([], [7], [None], ["x"], [""], [["x"]], ["\ud800"], [b"x"], [{}], [int], (), ("x",), (7,)),
    *(
        {},
        {"a": 7},
        {7: "a"},
        {"a": ["b"]},
        {"a": None},
        {"timeout": 3},
        {"keys": []},
        {None: None},
    ),
    *(set(), {"x"}, frozenset({"x"}), range(3), object(), int, dict, Exception),
    *(len, lambda: 1, lambda *_: None, lambda *_: 7, _coroutine_function),
)
FRESH: tuple[Callable[[], Any], ...] = (_generator, _failing_generator, _async_generator)


def odd_values() -> Iterator[Any]:
    """Yield one value of each kind."""
    yield from PLAIN
    yield from (make() for make in FRESH)
