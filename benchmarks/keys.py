"""Benchmarks of finding keys, in normal and failing conditions, beside four other libraries.

Each scenario and each peer has a process of its own, so that one that hangs or blocks spoils no
other; what is not over after ``PATIENCE`` seconds is ended.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.key_peers import PEERS, STALE, Peer
from benchmarks.key_server import KeyServer, serving

PATIENCE = 20.0
LATENCY = 0.2
LIFE = 0.5
LOOPS, TASKS, THREADS = 3, 300, 100


class Report(dict[str, Any]):
    """What a scenario measured, told line by line, so that an end by force leaves something."""

    def tell(self, name: str, value: Any) -> None:
        self[name] = value
        print(json.dumps({name: value}), flush=True)


def control(url: str, **state: float) -> int:
    """Change the publisher and return how often it was asked so far."""
    fetches: int = httpx.get(f"{url}/control", params=state, trust_env=False).json()
    return fetches


class Herd:
    """1,000 callers at once: 300 tasks on each of three event loops, and 100 threads."""

    def __init__(self, peer: Peer) -> None:
        self.answers: Counter[str] = Counter()
        self._peer = peer
        self._barrier = threading.Barrier(LOOPS + THREADS)

    def run(self) -> float:
        """Let them ask, and return the seconds until the last has an answer."""
        workers = [threading.Thread(target=self._loop) for _ in range(LOOPS)]
        workers += [threading.Thread(target=self._thread) for _ in range(THREADS)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.perf_counter() - start

    def _loop(self) -> None:
        self._barrier.wait()
        asyncio.run(self._tasks())

    async def _tasks(self) -> None:
        await asyncio.gather(*(self._task() for _ in range(TASKS)))

    async def _task(self) -> None:
        with self._counted():
            await self._peer.look("k0")

    def _thread(self) -> None:
        self._barrier.wait()
        with self._counted():
            self._peer.look_blocking("k0")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except Exception as problem:  # noqa: BLE001 - peers raise whatever they like
            self.answers[type(problem).__name__] += 1
        else:
            self.answers["found"] += 1


def cold(make: Callable[..., Peer], url: str, report: Report) -> None:
    """A cold start of 1,000 callers."""
    control(url, latency=LATENCY)
    callers = Herd(make(url, None))
    report.tell("seconds", round(callers.run(), 1))
    report.tell("found", callers.answers["found"])


def failing(make: Callable[..., Peer], url: str, report: Report) -> None:
    """The same while the publisher answers 503."""
    control(url, latency=LATENCY, status=503)
    callers = Herd(make(url, None))
    report.tell("seconds", round(callers.run(), 1))
    report.tell("answered", callers.answers.total())


def flood(make: Callable[..., Peer], url: str, report: Report) -> None:
    """10,000 kids that do not exist, and then one that does."""

    async def ask() -> None:
        peer = make(url, None)
        await peer.look("k0")
        before = control(url)
        for number in range(10_000):
            try:
                await peer.look(f"invented-{number}")
            except Exception:  # noqa: BLE001 - as above
                continue
        report.tell("fetches of the flood", control(url, count=3) - before)
        start = time.perf_counter()
        while time.perf_counter() - start < 12:
            try:
                await peer.look("k2")
            except Exception:  # noqa: BLE001 - as above
                await asyncio.sleep(0.1)
            else:
                report.tell("real key after", round(time.perf_counter() - start, 1))
                return

    asyncio.run(ask())


def hung(make: Callable[..., Peer], url: str, report: Report) -> None:
    """A known kid while a fetch for another hangs for two seconds."""

    async def ask() -> None:
        peer = make(url, None)
        await peer.look("k0")
        peer.lift_limits()
        before = control(url, latency=2)
        slowest = 0.0
        miss = threading.Thread(target=lambda: _try(peer.look_blocking, "invented"))
        miss.start()
        while miss.is_alive():
            start = time.perf_counter()
            await peer.look("k0")
            slowest = max(slowest, time.perf_counter() - start)
            await asyncio.sleep(0.001)
        report.tell("a fetch hung", control(url) > before)
        report.tell("slowest ms", round(slowest * 1000, 2))

    asyncio.run(ask())


def outage(make: Callable[..., Peer], url: str, report: Report) -> None:
    """Known keys when the publisher goes down and their time is over; then, beyond the bound."""

    async def ask() -> None:
        peer = make(url, LIFE)
        await peer.look("k0")
        before = control(url, status=503)
        await asyncio.to_thread(peer.expire)
        report.tell("served of 20", await served(peer))
        report.tell("fetches meanwhile", control(url) - before)
        await asyncio.sleep(LIFE + STALE)
        refused.clear()
        report.tell("served beyond the bound", await served(peer))
        report.tell("refused with", " ".join(refused))

    refused: set[str] = set()

    async def served(peer: Peer) -> int:
        count = 0
        for _ in range(10):
            for kid in ("k0", "k1"):
                try:
                    await peer.look(kid)
                except Exception as problem:  # noqa: BLE001 - as above
                    refused.add(type(problem).__name__)
                    continue
                count += 1
            await asyncio.sleep(0.01)
        return count

    asyncio.run(ask())


def stall(make: Callable[..., Peer], url: str, report: Report) -> None:
    """How long the event loop is blocked while a set of 100 keys is fetched within a second."""
    control(url, latency=1, count=100)

    async def ask() -> None:
        peer = make(url, None)
        # The first fetch of a process imports a client and reads the authorities: not counted.
        warm_up = make(url, None)
        await warm_up.look("k0")
        worst, is_over = 0.0, False

        async def tick() -> None:
            nonlocal worst
            while not is_over:
                start = time.perf_counter()
                await asyncio.sleep(0.001)
                worst = max(worst, time.perf_counter() - start - 0.001)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.05)
        worst = 0.0
        await peer.look("k99")
        is_over = True
        await ticking
        report.tell("stall ms", round(worst * 1000, 1))

    asyncio.run(ask())


def warm(make: Callable[..., Peer], url: str, report: Report) -> None:
    """A known key of a fresh set."""

    async def ask() -> None:
        peer = make(url, None)
        await peer.look("k0")
        look, best = peer.look, float("inf")
        for _ in range(25):
            start = time.perf_counter()
            for _ in range(5_000):
                await look("k0")
            best = min(best, (time.perf_counter() - start) / 5_000)
        report.tell("microseconds", round(best * 1e6, 2))

    asyncio.run(ask())


def _try(look: Callable[[str], object], kid: str) -> None:
    try:
        look(kid)
    except Exception:  # noqa: BLE001 - as above
        return


Scenario = Callable[[Callable[..., Peer], str, Report], None]
Cell = Callable[[dict[str, Any]], str]

SCENARIOS: dict[str, tuple[Scenario, str, Cell]] = {
    "cold": (
        cold,
        "1,000 callers, cold: fetches, found, time",
        lambda row: f"{row['fetches']}, {row['found']}, {row['seconds']} s",
    ),
    "failing": (
        failing,
        "1,000 callers, cold, publisher down: fetches, answered, time",
        lambda row: f"{row['fetches']}, {row['answered']}, {row['seconds']} s",
    ),
    "flood": (
        flood,
        "10,000 invented kids: fetches; a real new key passes after",
        lambda row: f"{row['fetches of the flood']}; {row.get('real key after', '> 12')} s",
    ),
    "hung": (
        hung,
        "a known kid while another's fetch hangs for 2 s, cool-downs lifted: slowest",
        lambda row: f"{row['slowest ms']} ms" + ("" if row["a fetch hung"] else " (no fetch)"),
    ),
    "outage": (
        outage,
        "publisher down, keys past their age: served of 20 (fetches); beyond the bound",
        lambda row: (
            f"{row['served of 20']} ({row['fetches meanwhile']}); "
            f"{row['served beyond the bound']}, {row['refused with']}"
        ),
    ),
    "stall": (
        stall,
        "event loop is blocked by a fetch of 100 keys",
        lambda row: f"{row['stall ms']} ms",
    ),
    "warm": (
        warm,
        "a known key of a fresh set",
        lambda row: f"{row['microseconds']} µs",
    ),
}


def cell(server: KeyServer, scenario: str, peer: str) -> str:
    """Run one scenario with one peer and return what the table says of it."""
    server.reset()
    command = [sys.executable, "-m", "benchmarks.keys", scenario, peer, server.url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            said, complaint = child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return f"not over in {PATIENCE:g} s ({server.fetches} fetches)"
    if child.returncode:
        reason = complaint.strip().rpartition("\n")[2]
        return "not installed" if "ModuleNotFoundError" in reason else reason[:40]
    row: dict[str, Any] = {"fetches": server.fetches}
    for line in said.splitlines():
        if line.startswith("{"):
            row |= json.loads(line)
    return SCENARIOS[scenario][2](row)


def keys() -> None:
    """Print the table, as Markdown."""
    print(f"\n| | {' | '.join(PEERS)} |\n| --- |{' --- |' * len(PEERS)}")
    with serving() as server:
        for name, (_, title, _) in SCENARIOS.items():
            cells = [cell(server, name, peer) for peer in PEERS]
            print(f"| {title} | {' | '.join(cells)} |", flush=True)


ALL = (keys,)

if __name__ == "__main__":
    _, wanted, subject, address = sys.argv
    SCENARIOS[wanted][0](PEERS[subject], address, Report())
