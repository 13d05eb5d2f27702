"""Free ports of the loopback interface."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from infra.launch.errors import LaunchError

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            if problem.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def require_free(who: str, port: int) -> None:
    """Raise LaunchError if the port is taken: the server there would otherwise be mistaken for ours."""
    if not is_free(port):
        raise LaunchError(f"{who} cannot listen on {HOST}:{port}: the port is taken.")


def first_free(usual: int, taken: Iterable[int] = (), tries: int = 100) -> int:
    """The usual port, or the first free one after it that is not among `taken`.

    Raises LaunchError if none of the `tries` ports from the usual one on is free.
    """
    spoken_for = set(taken)
    for port in range(usual, usual + tries):
        if port not in spoken_for and is_free(port):
            return port
    raise LaunchError(f"No free port between {usual} and {usual + tries - 1} on {HOST}.")


def any_free() -> int:
    """A port that is free now, whichever."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
