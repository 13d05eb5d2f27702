"""The injected faults: killed parts, alone and together, failing providers, clocks that jump."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from bench.faults.restarting_processes import RestartingProcesses

ORDERS: Sequence[tuple[str, str, dict[str, float]]] = (
    # provider, kind of fault, options; each for a few calls
    ("ses", "latency", {"seconds": 0.8}),
    ("ses", "latency", {"seconds": 3}),  # longer than the timeout: accepted with unknown outcome
    ("ses", "429", {"retry_after": 1}),
    ("ses", "500", {}),
    ("ses", "500_after", {}),
    ("ses", "drop_before", {}),
    ("ses", "drop_after", {}),
    ("twilio", "latency", {"seconds": 0.8}),
    ("twilio", "429", {"retry_after": 1}),
    ("twilio", "500", {}),
    ("twilio", "500_after", {}),
    ("twilio", "drop_before", {}),
    ("twilio", "drop_after", {}),
    ("webhook", "500", {}),
    ("webhook", "drop_after", {}),
    ("callback", "duplicate", {}),
    ("callback", "latency", {"seconds": 2}),
)
JUMPS = (-7200.0, -90.0, 90.0, 7200.0)
"""In seconds. Certificates and links allow an error of a day."""
LONGEST_DOWN = 2.0
"""Longest time until a killed part is started again, in seconds."""


@dataclass
class Chaos:
    """The faults of one seed. `say` gets a line for each."""

    processes: RestartingProcesses
    rng: random.Random
    say: Callable[[str], None]
    clocks: bool = True
    kills: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)

    @property
    def killed(self) -> int:
        """Processes killed so far."""
        return sum(self.kills.values())

    def inject(self, kills: int, pause: float) -> None:
        """Inject faults until `kills` processes are killed. The mean time between two faults is `pause` seconds."""
        until = self.killed + kills
        while self.killed < until:
            if self.rng.random() < 0.5:
                self._misbehave()
            if self.clocks and self.rng.random() < 0.1:
                self._jump()
            self._wait(self.rng.uniform(0.2, 1.8) * pause)
            victims = self._victims(until - self.killed)
            for part in victims:
                self.processes.kill_for(part, self.rng.uniform(0, LONGEST_DOWN))
                self.kills[part.partition("-")[0]] += 1
            if victims:
                self._tell("kill " + " ".join(victims))

    def end(self) -> None:
        """End the faults of providers and clocks, and start every part."""
        self.processes.set_clock(0)
        self.processes.all_up()
        with suppress(httpx.HTTPError):
            httpx.delete(f"{self.processes.servers.sandbox_url}/_control/faults", timeout=5)
        self._tell("everything is up")

    def _victims(self, most: int) -> list[str]:
        parts = [part for part in self.processes.parts if self.processes.running(part)]
        count = min(most, len(parts), self.rng.choices((1, 2, 3), (6, 3, 1))[0])
        return self.rng.sample(parts, count)

    def _misbehave(self) -> None:
        provider, kind, more = self.rng.choice(ORDERS)
        order = {"provider": provider, "kind": kind, "times": self.rng.randint(1, 5), **more}
        with suppress(httpx.HTTPError):  # the sandbox may be down just now
            httpx.post(f"{self.processes.servers.sandbox_url}/_control/faults", json=order, timeout=2)
            self.others[f"{provider} {kind}"] += 1
            self._tell(f"{provider} {kind} x{order['times']}")

    def _jump(self) -> None:
        offset = self.rng.choice((0.0, *JUMPS))
        self.processes.set_clock(offset)
        self.others["clock jump"] += 1
        self._tell(f"clock {offset:+.0f} s")

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self.processes.tend()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def _tell(self, what: str) -> None:
        self.say(f"{time.monotonic() - self._began:8.2f} {what}")
