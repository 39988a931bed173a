"""Waitress on a socket that was handed over: ``python -m tests.support.waitress_server FD APPLICATION``."""

import socket
import sys
from importlib import import_module

import waitress

if __name__ == "__main__":
    fd, application = sys.argv[1:]
    module, _, name = application.partition(":")
    app = getattr(import_module(module), name)
    waitress.serve(app, sockets=[socket.socket(fileno=int(fd))], threads=4)
