"""Perennial's command line in a process whose clock may be wrong and whose patience is short.

`python -m bench.faults.clocked_process CLOCK COMMAND…`: CLOCK is a file that holds by how many seconds this machine's
clock is off, read anew all the time. What a run waits for on Temporal's side is shortened here and not by a setting: no
installation needs it.
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

OURS = ("activities", "api", "store", "worker")
ATTEMPT_LIMIT = timedelta(seconds=12)
RECONCILE_AFTER = tuple(timedelta(seconds=seconds) for seconds in (1, 1, 2, 4, 8, 14))
LATE = timedelta(seconds=1)
LOOK = 0.05
"""Seconds between looks at the file."""


class Clock:
    """How far this machine's clock is off."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_at = float("-inf")
        self._offset = timedelta()

    def offset(self) -> timedelta:
        """What the file says, or said last where it cannot be read."""
        if time.monotonic() - self._looked_at > LOOK:
            self._looked_at = time.monotonic()
            try:
                self._offset = timedelta(seconds=float(self._file.read_text()))
            except (OSError, ValueError):
                pass
        return self._offset


def put_wrong(clock: Clock) -> None:
    """Have all of Perennial's own code that asks for the time get this clock's."""

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
    """Notice a killed worker after seconds, an outage of seconds, and settle within a minute what nobody knows."""
    from workflows import retry_policies

    patient: Any = retry_policies
    patient.ATTEMPT_LIMIT, patient.RECONCILE_AFTER, patient.LATE = ATTEMPT_LIMIT, RECONCILE_AFTER, LATE


def _modules() -> list[ModuleType]:
    """Every module of the rooms that ask for the time, loaded: what is loaded later would have the right clock."""
    found = []
    for name in OURS:
        module = importlib.import_module(name)
        found.append(module)
        for each in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            if ".migrations" not in each.name and not each.name.endswith(".hubspot"):  # slow to import, and not used
                found.append(importlib.import_module(each.name))
    return found


def _source(module: ModuleType) -> str:
    return Path(module.__file__).read_text(encoding="utf-8") if module.__file__ else ""


def main() -> None:
    """Become the command."""
    file, *command = sys.argv[1:]
    put_wrong(Clock(Path(file)))
    hurry()
    from cli.main import main as command_line

    sys.argv = ["perennial", *command]
    command_line()


if __name__ == "__main__":
    main()
