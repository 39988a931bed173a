"""The effect of waiting until a replica was read for the first time in this process."""

import asyncio
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from dataclasses import dataclass
from time import monotonic

# What a request waits for at most, and then it is refused. A million revocations are read in
# several seconds, and a server that has just started may answer 503 meanwhile.
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Load:
    """Waits for the first reading."""

    first: "Future[None]"

    def perform(self, deadline: float) -> bool:
        """Wait by blocking; return whether it was over in time."""
        wait_for_futures((self.first,), timeout=_left(deadline))
        return self.first.done()

    async def aperform(self, deadline: float) -> bool:
        """Async version of :meth:`perform`."""
        try:
            # A waiter that is cancelled does not affect the others (see ``Follower.follow``).
            async with asyncio.timeout(_left(deadline)):
                await asyncio.wrap_future(self.first)
        except TimeoutError:
            pass
        return self.first.done()


def _left(deadline: float) -> float:
    return max(0.0, min(_PATIENCE, deadline - monotonic()))
