"""What programs spend: CPU-seconds and memory of each with all that it started, and what else the machine did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU-seconds since the start and proportional memory now (bytes), by part; and the whole machine's CPU-seconds."""

    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    machine: float

    def since(self, earlier: Reading) -> dict[str, float]:
        """CPU-seconds of each part between two readings."""
        return {part: spent - earlier.cpu.get(part, 0.0) for part, spent in self.cpu.items()}

    def others_since(self, earlier: Reading) -> float:
        """CPU-seconds of everything on the machine that is not watched, between two readings."""
        return max(0.0, self.machine - earlier.machine - sum(self.since(earlier).values()))


@dataclass
class Spent:
    """Keeps account of the parts it watches; what a part used before it was killed and restarted still counts."""

    _watched: dict[str, psutil.Process] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)

    def watch(self, part: str, pid: int) -> None:
        """Count that process and its descendants as the part."""
        if part not in self._watched:
            self._watched[part] = psutil.Process(pid)

    def forget(self, part: str) -> None:
        """Keep what the part has spent so far; it is about to end."""
        if part in self._watched:
            self._before[part] = self._before.get(part, 0.0) + _cpu(self._watched.pop(part))

    def read(self, *, memory: bool = False) -> Reading:
        """Read the meters; memory costs more to read."""
        cpu = dict(self._before)
        for part, process in self._watched.items():
            cpu[part] = cpu.get(part, 0.0) + _cpu(process)
        held = {part: _memory(process) for part, process in self._watched.items()} if memory else {}
        return Reading(cpu, held, _machine())


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu(process: psutil.Process) -> float:
    total = 0.0
    for one in _family(process):
        try:
            times = one.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        # children that were waited for count with their parent: the backends of closed database connections
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _memory(process: psutil.Process) -> int:
    """Proportional set size where the system tells it: shared pages count once over all who share them."""
    total = 0
    for one in _family(process):
        try:
            told = one.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += int(getattr(told, "pss", 0) or told.uss)
    return total


def _machine() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


@dataclass
class Peak:
    """The largest memory seen, by part (bytes)."""

    seen: dict[str, int] = field(default_factory=dict)

    def look(self, reading: Reading) -> None:
        """Take a reading into account."""
        for part, held in reading.memory.items():
            self.seen[part] = max(self.seen.get(part, 0), held)
