"""`flood`: enrol very many contacts at once through the API, and measure the effect on contacts of another track.

Once with the batch call and once with single calls, each in a fresh installation. The enrolled runs only wait.
There is no bare side.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.bare.worker import RATE
from bench.installation.contacts import asleep, clicked, enrol, enrol_one, for_each, make
from bench.installation.documents import publish, waiting_track
from bench.installation.idle import quiet
from bench.installation.mail_feed import MailFeed
from bench.installation.one_process import Installation
from bench.installation.processes import Processes
from bench.measuring.measured_runs import Taken, measured
from bench.measuring.paired_runs import Pair, Row
from bench.measuring.percentiles import percentile

LIVE = 60
"""Contacts of the other track. Half of them click before the flood, half during it."""
GAP = 0.3
"""Seconds between two clicks."""
AT_MOST = 1800.0

Pour = Callable[[Installation, Sequence[str]], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Flood:
    """The figures of one flood: the total, and seconds from a click to its email."""

    contacts: int
    taken: Taken
    before: Sequence[float]
    meanwhile: Sequence[float]


async def by_batch(installation: Installation, people: Sequence[str]) -> None:
    """Enrol with batch calls, one after another."""
    await enrol(installation, "flood", people)


async def by_single_calls(installation: Installation, people: Sequence[str]) -> None:
    """Enrol each contact with a call of its own, many at the same time."""
    await for_each(people, lambda who: enrol_one(installation, "flood", who))


WAYS: Mapping[str, Pour] = {"by batch": by_batch, "by single calls": by_single_calls}


async def poured(pour: Pour, contacts: int) -> Flood:
    """Enrol the contacts in a fresh installation, and wait until all runs sleep."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        processes = Processes(Path(name), queue_rates={"perennial-email": RATE})
        async with processes.open() as installation:
            feed = MailFeed(installation.sandbox)
            async with feed.follow():
                live = [f"live-{number}" for number in range(LIVE)]
                flood = [f"flood-{number}" for number in range(contacts)]
                await publish(installation, flood=waiting_track("flood"), other=waiting_track("other"))
                await make(installation, [*live, *flood])
                await enrol(installation, "other", live)
                await asleep(installation.temporal, "State = 'waiting'", LIVE, 60)
                await quiet(processes.spent)
                before = await clicked(installation, feed, live[::2], GAP, AT_MOST)
                async with measured(processes.spent, memory=False) as taken:
                    pouring = asyncio.create_task(pour(installation, flood))
                    meanwhile = await clicked(installation, feed, live[1::2], GAP, AT_MOST)
                    await pouring
                    await asleep(installation.temporal, "Track = 'flood' AND State = 'waiting'", contacts, AT_MOST)
        return Flood(contacts, taken, before, meanwhile)


async def bench(console: Console, *, contacts: int) -> tuple[list[Row], list[Pair]]:
    """The report. There is no other side, so there are no pairs."""
    rows: list[Row] = []
    for way, pour in WAYS.items():
        console.print(f"{contacts:,} enrolments {way} …")
        rows += report(way, await poured(pour, contacts))
    return rows, []


def report(way: str, flood: Flood) -> list[Row]:
    """The lines of the report on one flood."""
    return [
        Row(f"{way}: contacts asleep per second", flood.contacts / flood.taken.seconds),
        Row("  CPU-s for 1,000", flood.taken.cpu_counted / flood.contacts * 1000),
        Row("  another track, before: click → mail p50, s", percentile(flood.before, 0.5)),
        Row("  meanwhile: p50, s", percentile(flood.meanwhile, 0.5)),
        Row("  meanwhile: the slowest, s", max(flood.meanwhile)),
    ]
