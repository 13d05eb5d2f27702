"""Processes that are forked from one that has imported Perennial: importing all of it takes seconds of CPU.

The server (`await_command`) has no threads, and nothing is open in it but its socket and its log. So a forked process
begins like one that has just imported everything: it has its own session, environment, folder and log, and it ends as
an interpreter usually does.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.launch.errors import LaunchError
from infra.launch.process import Child, Program

PR_SET_PDEATHSIG = 1
LONGEST_IMPORT = 60.0
"""Seconds that the server may take before its first fork."""


class ForkServer:
    """A client of a running server. Use it as a context manager: at its end the server kills what it has forked."""

    def __init__(self, command: Sequence[str | Path], log: Path, cwd: Path) -> None:
        """Start `command`, which gets the number of its socket as its last argument."""
        self._log = log
        self._socket, theirs = socket.socketpair()
        with theirs, log.open("ab") as output:
            self._server = subprocess.Popen(
                [*map(str, command), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()
        self._server.wait()

    def fork(self, words: Sequence[str], output: int, env: Mapping[str, str], cwd: Path) -> ForkedProcess:
        """Start a process that runs a command, with its output to the open file `output`.

        Raises LaunchError if the server has died.
        """
        channel, theirs = socket.socketpair()
        order = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd)}).encode() + b"\n"
        with theirs, suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(self._socket, [order], [output, theirs.fileno()])
            self._socket.sendall(order[sent:])
        channel.settimeout(LONGEST_IMPORT)
        try:
            pid = int(channel.makefile().readline())
        except (OSError, ValueError):
            raise LaunchError(f"the fork server does not answer; see {self._log}") from None
        return ForkedProcess(pid, channel)


class ForkedProcess:
    """A forked process, as `subprocess.Popen` shows one. The server tells how it has ended."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._channel = channel

    def poll(self) -> int | None:
        """The exit status, negative after a signal; None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._channel], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(self._channel.makefile().readline() or -signal.SIGKILL)  # the server died with it
            self._channel.close()
        return self.returncode

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, if the process still runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)


class ForkedChild(Child):
    """A child that the server forks. It gets SIGTERM when the server dies."""

    def __init__(
        self, server: ForkServer, name: str, words: Sequence[str], log: Path, *, env: Mapping[str, str], cwd: Path
    ) -> None:
        self._server = server
        super().__init__(name, words, log, env=env, cwd=cwd)

    def _begin(
        self,
        command: Sequence[str | Path],
        options: Sequence[str],
        output: int,
        env: Mapping[str, str] | None,
        cwd: Path | None,
    ) -> Program:
        return self._server.fork([str(word) for word in command], output, env or {}, cwd or Path.cwd())


def await_command(number: int) -> list[str]:
    """Serve forks on the socket with this number. Returns in each forked process, with the words of its command.

    In the server it ends the process when the client has closed its end.
    """
    control = socket.socket(fileno=number)
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    channels: dict[int, socket.socket] = {}
    gc.freeze()  # a collection would copy the shared memory
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _tell_ends(channels)
        if control not in ready:
            continue
        order, descriptors = _received(control)
        if order is None:
            for pid in channels:
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        output, channel = descriptors[0], socket.socket(fileno=descriptors[1])
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (control, woken, wake, channel, *channels.values()):
                each.close()
            _begin_anew(order, output)
            return list(order["words"])
        os.close(output)
        channels[pid] = channel
        channel.sendall(b"%d\n" % pid)


def _received(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next order and its open files; None at the end."""
    text = b""
    descriptors: list[int] = []
    while not text.endswith(b"\n"):
        part, found, _, _ = socket.recv_fds(control, 1 << 16, 2)
        if not part:
            return None, descriptors
        text += part
        descriptors += found
    return json.loads(text), descriptors


def _tell_ends(channels: dict[int, socket.socket]) -> None:
    for pid in list(channels):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with channels.pop(pid) as channel, suppress(OSError):
                channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _begin_anew(order: Mapping[str, Any], output: int) -> None:
    os.setsid()
    os.umask(0o077)
    os.chdir(order["cwd"])
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.environ.clear()
    os.environ.update(order["env"])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
