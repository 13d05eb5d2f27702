"""`perennial bench faults`: kill random parts of an installation under load, then compare the records of all parts.

Kills come in rounds. After each round every part starts again, the work settles, and the records are compared. The next
round has other contacts and the same servers. The exit status is 1 if anything was lost, doubled or stuck.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.faults.chaos import Chaos
from bench.faults.load import Load, prepare
from bench.faults.records import Findings, Received, caught_up, compare
from bench.faults.restarting_processes import RestartingProcesses
from bench.installation.one_process import Installation

ROUND = 50
"""Kills between two comparisons."""
PATIENCE = 240.0
"""Seconds after a round within which everything must settle."""

Say = Callable[[str], None]


@dataclass
class Result:
    """The result of all rounds."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    settled: list[float] = field(default_factory=list)
    """For each round, the seconds from the start of the last part until all work was done. It does not wait for runs
    that wait for a message's outcome from its provider."""
    seconds: float = 0.0

    @property
    def killed(self) -> int:
        """Number of killed processes."""
        return sum(self.kills.values())

    def figures(self) -> dict[str, Any]:
        """The figures for JSON and for the table."""
        found = self.findings
        return {
            "seed": self.seed,
            "kills": self.killed,
            "kills_by_part": dict(sorted(self.kills.items())),
            "other_faults": dict(sorted(self.others.items())),
            "contacts": found.counts["contacts"],
            "events_accepted": found.counts["events"],
            "messages_received": found.counts["messages"],
            "api_answers": dict(sorted(self.answers.items())),
            "events_lost": len(found.events_lost),
            "messages_doubled": len(found.messages_doubled),
            "messages_lost": len(found.messages_lost),
            "contacts_stuck": len(found.contacts_stuck),
            "wrong_answers": len(found.wrong),
            "assumed_sent": found.counts["assumed sent"],
            "assumed_sent_never_received": found.counts["assumed sent, never received"],
            "webhooks_repeated": found.counts["webhooks repeated"],
            "caught_up_seconds": {
                "median": round(median(self.settled), 1) if self.settled else None,
                "longest": round(max(self.settled), 1) if self.settled else None,
            },
            "seconds": round(self.seconds, 1),
            "broken": found.broken[:100],
        }


async def one_round(
    processes: RestartingProcesses,
    installation: Installation,
    received: Received,
    result: Result,
    *,
    name: str,
    kills: int,
    rate: float,
    pause: float,
    say: Say,
    patience: float = PATIENCE,
    clocks: bool = True,
) -> Findings:
    """Run the load with kills, wait until all work is done, compare. Returns the findings; adds them to `result`."""
    began = time.monotonic()
    rng = random.Random(name)
    load = Load(installation, name, rate, rng)
    chaos = Chaos(processes, random.Random(f"{name} chaos"), say, clocks)
    load.start()
    try:
        chaos.inject(kills, pause)
        load.stop()
        chaos.end()
        up = time.monotonic()
    finally:
        load.finish()
    await caught_up(installation, load.taken.people, patience, reconciled=False)
    settled = time.monotonic() - up
    await caught_up(installation, load.taken.people, patience)
    found = await compare(installation, load.taken, received)
    result.settled.append(settled)
    result.kills += chaos.kills
    result.others += chaos.others
    result.answers += load.taken.answers
    result.findings.add(found)
    result.seconds += time.monotonic() - began
    return found


async def kill_many(folder: Path, *, kills: int, seed: int, rate: float, pause: float, say: Say) -> Result:
    """Run rounds until `kills` processes have been killed."""
    result = Result(seed)
    processes = RestartingProcesses(folder / "installation")
    received = Received()
    log = folder / "faults.log"
    with log.open("a", encoding="utf-8") as file:
        async with processes.open() as installation:
            await prepare(installation)
            while result.killed < kills:
                number = len(result.settled) + 1
                name = f"s{seed}r{number}"

                def write(line: str, name: str = name) -> None:
                    file.write(f"{name} {line}\n")
                    file.flush()

                wanted = min(ROUND, kills - result.killed)
                found = await one_round(
                    processes,
                    installation,
                    received,
                    result,
                    name=name,
                    kills=wanted,
                    rate=rate,
                    pause=pause,
                    say=write,
                )
                for sentence in found.broken:
                    say(sentence)
                say(
                    f"round {number}: {result.killed}/{kills} kills, {found.counts['contacts']} contacts, "
                    f"caught up in {result.settled[-1]:.1f} s, {len(found.broken)} broken"
                )
    return result


def run(*, kills: int, seed: int, rate: float, pause: float, folder: Path | None, as_json: bool) -> int:
    """Run the command. Returns the exit status."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    folder = folder or Path(tempfile.mkdtemp(prefix="perennial-faults-"))
    say(f"seed {seed}; logs in {folder}")
    result = asyncio.run(kill_many(folder, kills=kills, seed=seed, rate=rate, pause=pause, say=say))
    figures = result.figures()
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(_table(figures)))
    return 1 if result.findings.broken else 0


def _table(figures: dict[str, Any]) -> list[str]:
    per = 1000 / max(1, figures["kills"])
    lines = [f"{'':24}{'total':>10}{'per 1,000 kills':>18}"]
    for name in ("events_lost", "messages_doubled", "messages_lost", "contacts_stuck"):
        lines.append(f"{name.replace('_', ' '):24}{figures[name]:>10}{figures[name] * per:>18.1f}")
    lines.append("")
    for name in (
        *("kills", "contacts", "events_accepted", "messages_received"),
        *("assumed_sent", "assumed_sent_never_received", "webhooks_repeated", "wrong_answers", "seconds"),
    ):
        lines.append(f"{name.replace('_', ' '):32}{figures[name]:>10}")
    for name in ("kills_by_part", "other_faults", "api_answers", "caught_up_seconds"):
        shown = ", ".join(f"{key} {value}" for key, value in figures[name].items())
        lines.append(f"{name.replace('_', ' ')}: {shown}")
    return lines
