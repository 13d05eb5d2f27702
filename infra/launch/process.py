"""A child process that logs to a file and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from infra.launch.errors import LaunchError

GUARD = Path(__file__).with_name("parent_guard.py")


class Program(Protocol):
    """What is needed of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...


class Child:
    """A started program in a session of its own. A guard makes it get `stop_signal` when this process dies.

    Start children from the main thread: the kernel treats the end of the starting thread as the parent's death.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: int | None = None,
        reach: bool = False,
        cwd: Path | None = None,
    ) -> None:
        """Start `command` (its program an absolute path) with its output appended to `log`.

        `user` runs it with that user id instead of root; `reach` still lets it pass through closed folders.
        """
        self.name = name
        self.log = log
        self.stop_signal = stop_signal
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        options = ["--parent", str(os.getpid()), "--signal", str(int(stop_signal))]
        if user is not None:
            options += ["--user", str(user)]
        if reach:
            options.append("--reach")
        with open(log, "ab", opener=_private) as output:
            self.popen = self._begin(command, options, output.fileno(), env, cwd)

    def _begin(
        self,
        command: Sequence[str | Path],
        options: Sequence[str],
        output: int,
        env: Mapping[str, str] | None,
        cwd: Path | None,
    ) -> Program:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *options, "--", *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            umask=0o077,  # only the owner may read histories, logs and journals
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def output(self, lines: int = 3) -> str:
        """The last lines that the program has logged since this start, joined into one."""
        kept = [line.strip() for line in self._logged().splitlines() if line.strip()]
        return " / ".join(kept[-lines:])[-600:]

    def said(self, words: str) -> bool:
        """Whether the program has recently logged these words since this start."""
        return words in self._logged()

    def beginning(self, size: int = 200_000) -> str:
        """The first `size` bytes that the program has logged since this start: the whole log may be very large."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read(size).decode(errors="replace")
        except OSError:
            return ""

    def _logged(self) -> str:
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_start, self.log.stat().st_size - 100_000))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def wait_ready(self, ready: Callable[[], bool], timeout: float, pause: float = 0.03) -> None:
        """Wait until `ready()` is true.

        Raises LaunchError with the end of the log if the program dies or `timeout` seconds pass first.
        """
        deadline = time.monotonic() + timeout
        while True:
            if not self.running:
                raise LaunchError(self.epitaph())
            if ready():
                return
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"{self.name} did not come up within {timeout:.0f} s; its log {self.log} ends: {self.output()}"
                )
            time.sleep(pause)

    def epitaph(self) -> str:
        """One sentence about how the program ended."""
        code = self.popen.poll()
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with status {code}"
        said = self.output()
        return f"{self.name} {how}; its log {self.log} " + (f"ends: {said}" if said else "is empty.")

    def ask_to_stop(self) -> None:
        """Send the stop signal if the program still runs, and return at once."""
        if self.running:
            self.popen.send_signal(self.stop_signal)

    def stop(self, grace: float = 3.0) -> None:
        """End the program and its process group: by the stop signal, after `grace` seconds by force."""
        self.ask_to_stop()
        try:
            self.popen.wait(max(grace, 0.0))
        except subprocess.TimeoutExpired:
            pass
        end_group(self.pid)
        self.popen.wait()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def end_group(leader: int) -> None:
    """Kill the remaining processes of a child's process group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
