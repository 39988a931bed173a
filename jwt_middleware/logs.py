"""Loggers whose filters, handlers and record factory cannot fail a request."""

import logging
import sys
import traceback
from contextlib import suppress
from typing import Any


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger that prints the error of its configuration, and goes on.

    Handlers of the standard library do the same. Filters and record factories raise instead, and a
    refusal would become an internal error.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a message, as :meth:`logging.Logger.log` does."""
        try:
            # The second frame is the caller's, between them are those of the standard library.
            self.logger.log(level, msg, *args, stacklevel=2, **kwargs)
        except Exception:  # noqa: BLE001 - filters and factories may raise anything
            if logging.raiseExceptions:
                with suppress(Exception):
                    traceback.print_exc(file=sys.stderr)


def log_of(name: str) -> Log:
    """Return the logger of a name."""
    return Log(logging.getLogger(name))
