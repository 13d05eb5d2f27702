"""Measure CPU-seconds and memory of programs with their child processes, and the CPU of the rest of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True, slots=True)
class Reading:
    """CPU-seconds since the start and proportional memory now (bytes) by part; CPU-seconds of the whole machine."""

    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    machine: float

    def since(self, earlier: Reading) -> dict[str, float]:
        """CPU-seconds of each part between two readings."""
        return {part: spent - earlier.cpu.get(part, 0.0) for part, spent in self.cpu.items()}

    def others_since(self, earlier: Reading) -> float:
        """CPU-seconds of everything on the machine that is not a watched part, between two readings."""
        return max(0.0, self.machine - earlier.machine - sum(self.since(earlier).values()))


@dataclass
class Spent:
    """Measures the watched parts. The CPU of a part before it was killed and restarted still counts."""

    _watched: dict[str, psutil.Process] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)

    def watch(self, part: str, pid: int) -> None:
        """Count a process and its descendants as the part."""
        if part not in self._watched:
            self._watched[part] = psutil.Process(pid)

    def forget(self, part: str) -> None:
        """Store the CPU that the part has used: it is about to end."""
        if part in self._watched:
            self._before[part] = self._before.get(part, 0.0) + _cpu(self._watched.pop(part))

    def read(self, *, memory: bool = False) -> Reading:
        """Read all meters. Reading memory costs more."""
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
        # ended children count with their parent, such as the backends of closed database connections
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _memory(process: psutil.Process) -> int:
    """Proportional set size if the system provides it: a shared page is divided among the processes that share it."""
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
        """Add a reading."""
        for part, held in reading.memory.items():
            self.seen[part] = max(self.seen.get(part, 0), held)
