"""Perennial's command line in a process whose clock may be wrong and whose timeouts are short.

`python -m bench.faults.clocked_process CLOCK SOCKET` forks such processes (see `bench.installation.fork_server`). The
file CLOCK holds the error of their clock in seconds, and is read repeatedly. Timeouts on Temporal's side are shortened
in this file, because no installation needs a setting for them.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.installation.fork_server import await_command

OURS = ("activities", "api", "store", "worker")
ATTEMPT_LIMIT = timedelta(seconds=12)
RECONCILE_AFTER = tuple(timedelta(seconds=seconds) for seconds in (1, 1, 2, 4, 8, 14))
LATE = timedelta(seconds=1)
LOOK = 0.05
"""Seconds between two reads of the file."""


class Clock:
    """The error of this process's clock."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_at = float("-inf")
        self._offset = timedelta()

    def offset(self) -> timedelta:
        """The error in the file, or the last value if the file cannot be read."""
        if time.monotonic() - self._looked_at > LOOK:
            self._looked_at = time.monotonic()
            try:
                self._offset = timedelta(seconds=float(self._file.read_text()))
            except (OSError, ValueError):
                pass
        return self._offset


def put_wrong(clock: Clock) -> None:
    """Make all of Perennial's own code use this clock."""

    class _Any(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Shifted(datetime, metaclass=_Any):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + clock.offset()

    for module in _modules():
        if getattr(module, "datetime", None) is datetime and "datetime.now(" in _source(module):
            vars(module)["datetime"] = Shifted


def hurry() -> None:
    """Shorten timeouts: notice a killed worker or an outage within seconds, settle unknown outcomes within a minute."""
    from workflows import retry_policies

    patient: Any = retry_policies
    patient.ATTEMPT_LIMIT, patient.RECONCILE_AFTER, patient.LATE = ATTEMPT_LIMIT, RECONCILE_AFTER, LATE


def _modules() -> list[ModuleType]:
    """Import all modules that read the time: a module imported later would use the real clock."""
    found = []
    for name in OURS:
        module = importlib.import_module(name)
        found.append(module)
        for each in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            if ".migrations" not in each.name and not each.name.endswith(".hubspot"):  # slow to import and not used
                found.append(importlib.import_module(each.name))
    return found


def _source(module: ModuleType) -> str:
    return Path(module.__file__).read_text(encoding="utf-8") if module.__file__ else ""


def main() -> None:
    """Import everything, and run a command in each forked process."""
    file, number = sys.argv[1:]
    put_wrong(Clock(Path(file)))
    hurry()
    from cli.main import main as command_line

    sys.argv = ["perennial", *await_command(int(number))]
    command_line()


if __name__ == "__main__":
    main()
