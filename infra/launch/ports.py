"""Find free ports of the loopback interface."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import IO

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
    """Raise LaunchError if the port is taken. Otherwise the server that listens there could be mistaken for ours."""
    if not is_free(port):
        raise LaunchError(f"{who} cannot listen on {HOST}:{port}: the port is taken.")


class Claims:
    """The ports of one stack. Two stacks that start at the same moment do not choose the same ports.

    A claim is a locked file in the machine's temporary folder. The kernel releases the lock when the process ends for
    any reason.
    """

    def __init__(self) -> None:
        self._held: dict[int, IO[bytes]] = {}

    def first_free(self, usual: int, tries: int = 100) -> int:
        """Claim the usual port, or the first free one after it that no other stack has claimed. Returns the port.

        Raises LaunchError if none of the `tries` ports from the usual one on is free.
        """
        for port in range(usual, usual + tries):
            if self.claim(port):
                return port
        raise LaunchError(f"No free port between {usual} and {usual + tries - 1} on {HOST}.")

    def release(self) -> None:
        """Release every claim."""
        for file in self._held.values():
            file.close()
        self._held.clear()

    def claim(self, port: int) -> bool:
        """Claim a port. Returns whether it was free and not claimed by another stack."""
        if port in self._held:
            return False
        try:
            file = (Path(tempfile.gettempdir()) / f"perennial-{os.getuid()}-port-{port}.lock").open("ab")
        except OSError as problem:
            raise LaunchError(f"{tempfile.gettempdir()} cannot be written: {problem.strerror}.") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        if not is_free(port):
            file.close()
            return False
        self._held[port] = file
        return True


def any_free() -> int:
    """Any port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
