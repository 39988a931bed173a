"""Daphne on a socket that was handed over: ``python -m tests.support.daphne_server FD APPLICATION``.

Its own ``--fd`` takes a socket that listens already, and a test that waits for an answer would then
be let in before there is one.
"""

import os
import socket
import sys

from daphne.cli import CommandLineInterface

if __name__ == "__main__":
    fd, application = sys.argv[1:]
    with socket.socket(fileno=os.dup(int(fd))) as listener:
        listener.listen(128)
    CommandLineInterface().run(["--fd", fd, application])
