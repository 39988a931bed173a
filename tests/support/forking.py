"""Work in a forked child."""

import os
import signal
from typing import Any


def in_a_child(work: Any) -> int:
    """Return the status of a forked child that does the work, or was ended by an alarm."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
