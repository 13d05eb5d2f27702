"""A server for all processes of a test session: the first that needs it starts it, and it ends after the last.

A process of its own keeps the server. The users hold a shared lock on FOLDER/users.lock. The kernel releases it when
they end for any reason. The keeper tries to get the exclusive lock, so it never outlives them, and no counter can be
wrong.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from infra.launch.errors import LaunchError

ROOT = Path(__file__).parents[2]


class SharedServer:
    """A user of the server that `python -m KEEPER FOLDER` keeps."""

    def __init__(self, folder: Path, keeper: str) -> None:
        """Start the server, or use the one that another process has started. Raises RuntimeError if it cannot start."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._use = (folder / "users.lock").open("a")
        fcntl.flock(self._use, fcntl.LOCK_SH)
        with self.alone():
            answer = folder / "server.json"
            if not answer.exists():
                with (folder / "keeper.log").open("ab") as log:
                    process = subprocess.Popen(
                        [sys.executable, "-m", keeper, str(folder)],
                        cwd=ROOT,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                    process.returncode = 0  # it outlives this process on purpose, so avoid a warning
                deadline = time.monotonic() + 60
                while not answer.exists():
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"no server for the tests: see {folder}/keeper.log")
                    time.sleep(0.05)
            self.told: dict[str, str] = json.loads(answer.read_text())
        if "problem" in self.told:
            raise RuntimeError(self.told["problem"])

    def close(self) -> None:
        """Release the server: this process does not need it any more."""
        self._use.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A lock: one process at a time."""
        with (self.folder / "setup.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def keep(folder: Path, server: AbstractContextManager[dict[str, str]]) -> None:
    """Run a server as long as it has users. What its context yields, or `problem`, is in FOLDER/server.json."""
    try:
        with server as told:
            _tell(folder, told)
            _wait_for_users(folder)
    except LaunchError as problem:
        _tell(folder, {"problem": str(problem)})


def _tell(folder: Path, told: dict[str, str]) -> None:
    draft = folder / "server.draft"
    draft.write_text(json.dumps(told))
    draft.rename(folder / "server.json")


def _wait_for_users(folder: Path) -> None:
    """Return when no process uses the server any more."""
    with (folder / "users.lock").open("a") as users:
        while True:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.3)
