"""The installation for fault tests: the clock of its processes can be set wrong, and killed processes restart."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.installation.fork_server import ForkedChild, ForkServer
from bench.installation.one_process import PROJECT, PYTHON, Installation
from bench.installation.processes import SERVERS, Processes
from infra.launch.errors import LaunchError
from infra.launch.process import Child

COME_BACK = 90.0
"""Seconds within which a killed part must be up again."""


class RestartingProcesses(Processes):
    """An installation with two workers and a separate relay. Killed parts are started again when they are due."""

    def __init__(self, folder: Path, *, workers: int = 2, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = folder / "clock"
        self.clock.write_text("0")
        super().__init__(folder, workers=workers, relay_apart=True, **({"provider_timeout": 2, "drain": 10} | more))
        self._due: dict[str, float] = {}

    def set_clock(self, seconds: float) -> None:
        """Set the error of the clock of Perennial's processes, in seconds."""
        draft = self.clock.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.replace(self.clock)

    def kill_for(self, part: str, pause: float) -> None:
        """Kill a part now. It may be started again after `pause` seconds."""
        self.kill(part)
        self._due[part] = time.monotonic() + pause

    def asked_to_end(self, *parts: str, grace: float) -> list[int]:
        """Ask parts to stop, all at once, and wait. Returns their exit statuses, negative for parts that had to be
        killed.
        """
        children = [self._children[part] for part in parts]
        for child in children:
            child.ask_to_stop()
        for part in parts:
            self.stop(part, grace)
        return [child.popen.wait() for child in children]

    def tend(self) -> None:
        """Start the parts that are down and due, as an orchestrator does."""
        for part in self.parts:
            if self.running(part):
                continue
            if time.monotonic() < self._due.setdefault(part, time.monotonic()):
                continue
            self.kill(part)  # if the part ended by itself, remove its entry
            try:
                if part in SERVERS:
                    self.start(part)
                else:
                    self.launch(part)
            except LaunchError:
                self._due[part] = time.monotonic() + 0.5  # for example, a server's last connections are still closing

    def all_up(self) -> None:
        """Wait until every part answers. Raises LaunchError if one does not within `COME_BACK`."""
        deadline = time.monotonic() + COME_BACK
        self._due.clear()
        while True:
            self.tend()
            down = [part for part in self.parts if not self._well(part)]
            if not down:
                return
            if time.monotonic() > deadline:
                raise LaunchError(f"{', '.join(down)} did not come back; see {self.folder}")
            time.sleep(0.05)

    def _well(self, part: str) -> bool:
        child = self._children.get(part)
        if child is None or not child.running:
            return False
        if part in ("postgres", "temporal"):
            return True  # `start` has waited for it
        if part in ("api", "sandbox"):
            return self._ready(part, child)()
        return " started " in child.beginning()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Installation]:
        """Start every part; the parts with Perennial's own code are forked from one process that has imported it."""
        command = [PYTHON, "-u", "-m", "bench.faults.clocked_process", str(self.clock)]
        with ForkServer(command, self.log("fork-server"), PROJECT) as self._forks:
            async with super().open() as installation:
                yield installation

    def launch(self, part: str) -> Child:
        """Start one of the Python parts without waiting for it."""
        if part == "sandbox":
            return super().launch(part)
        command = self._command(part)
        words = command[command.index("cli") + 1 :]
        child = ForkedChild(self._forks, part, words, self.log(part), env=self._environment(), cwd=PROJECT)
        return self._watched(part, child)
