"""`bulk`: import a file of very many rows while another track's contacts are active, then cancel the import.

Then import a file of contacts who are already on the track, to measure rows that start no run. There is no bare side.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.bare.worker import RATE
from bench.installation.contacts import asleep, clicked, enrol, make
from bench.installation.documents import publish, waiting_track
from bench.installation.idle import quiet
from bench.installation.mail_feed import MailFeed
from bench.installation.one_process import Installation
from bench.installation.processes import Processes
from bench.measuring.measured_runs import Taken, measured
from bench.measuring.paired_runs import MEGABYTE, Pair, Row
from bench.measuring.percentiles import percentile
from tracks.runs.import_interface import MAX_RATE

BAD = 1000
"""One row in so many is bad."""
LIVE = 40
"""Contacts of the other track. Half of them click before the import, half while it runs."""
GAP = 0.5
"""Seconds between two clicks."""
KNOWN = 10
"""The second file has one row for so many rows of the first."""
TRACK = """
track: bulk
steps:
  - {id: rest, wait: 30d}
"""
_SHOWN = ("api", "worker-1", "postgres")
_PIECE = 1000  # rows passed to the connection at once


@dataclass(frozen=True)
class Bulk:
    """The measured figures."""

    rows: int
    received: Taken
    worked: Taken
    outcomes: Mapping[str, int]
    """Rows of the first file by outcome, until it was cancelled."""
    before: Sequence[float]
    """Seconds from a click to its email, before the import."""
    meanwhile: Sequence[float]
    cancelled: float
    """Seconds until the waiting rows were deleted."""
    again: Taken
    again_rows: int


async def imported(rows: int, seconds: float, console: Console) -> Bulk:
    """Send the file, let the import run for `seconds`, cancel it. Then send the second file and wait for its end."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        processes = Processes(Path(name), queue_rates={"perennial-email": RATE})
        async with processes.open() as installation:
            feed = MailFeed(installation.sandbox)
            async with feed.follow():
                live = [f"live-{number}" for number in range(LIVE)]
                await publish(installation, bulk=TRACK, other=waiting_track("other"))
                await make(installation, live)
                await enrol(installation, "other", live)
                await asleep(installation.temporal, "State = 'waiting'", LIVE, 60)
                await quiet(processes.spent)
                before = await clicked(installation, feed, live[::2], GAP, 60)
                console.print(f"{rows:,} rows …")
                async with measured(processes.spent) as received:
                    job = await _send(installation, rows, range(rows))
                console.print(f"  received in {received.seconds:.0f} s; at work for {seconds:.0f} s …")
                async with measured(processes.spent) as worked:
                    until = asyncio.get_running_loop().time() + seconds
                    meanwhile = await clicked(installation, feed, live[1::2], GAP, 60)
                    await asyncio.sleep(until - asyncio.get_running_loop().time())
                began = time.monotonic()
                await installation.call("POST", f"/v1/imports/{job}/cancel")
                outcomes = (await _ended(installation, job))["outcomes"]
                cancelled = time.monotonic() - began
                await quiet(processes.spent)
                known = [n for n in range(sum(outcomes.values())) if n % BAD]  # rows are processed in order
                again_rows = rows // KNOWN
                console.print(f"  cancelled; {again_rows:,} rows of contacts who are on the track already …")
                async with measured(processes.spent) as again:
                    job = await _send(installation, again_rows, (known[n % len(known)] for n in range(again_rows)))
                    found = await _ended(installation, job)
                if found["outcomes"] != {"existing": again_rows}:
                    raise RuntimeError(f"{again_rows} rows of contacts on the track came to {found['outcomes']}")
        return Bulk(rows, received, worked, outcomes, before, meanwhile, cancelled, again, again_rows)


async def _send(installation: Installation, count: int, numbers: Iterable[int]) -> str:
    async def body() -> AsyncIterator[bytes]:
        piece = ["contact_id,email,phone,timezone,locale,first_name,properties.list"]
        for number in numbers:
            zone = "Europe/Zurich" if number % BAD else "Europe/Nowhere"
            piece.append(f"user_{number},u{number}@people.test,+4144668{number % 10000:04d},{zone},de-CH,Ada,march")
            if len(piece) >= _PIECE:
                yield ("\n".join(piece) + "\n").encode()
                piece = []
        yield ("\n".join(piece) + "\n").encode()

    answer = await installation.api.post(
        "/v1/imports",
        params={"track": "bulk", "per_second": MAX_RATE},
        content=body(),
        headers={"Content-Type": "text/csv"},
        timeout=3600,
    )
    answer.raise_for_status()
    job = answer.json()
    if job["rows"] != count:
        raise RuntimeError(f"{count} rows were sent and {job['rows']} received")
    return str(job["id"])


async def _ended(installation: Installation, job: str) -> dict[str, Any]:
    async with asyncio.timeout(3600):
        while True:
            found: dict[str, Any] = await installation.call("GET", f"/v1/imports/{job}")
            if found["ended_at"] is not None:
                return found
            await asyncio.sleep(0.2)


async def bench(console: Console, *, rows: int, seconds: float) -> tuple[list[Row], list[Pair]]:
    """The report. There is no other side, so there are no pairs."""
    return report(await imported(rows, seconds, console)), []


def report(bulk: Bulk) -> list[Row]:
    """The lines of the report."""
    done = sum(bulk.outcomes.values())
    return [
        Row("rows received per second", bulk.rows / bulk.received.seconds),
        Row("  CPU-s for 1,000", _cost(bulk.received, bulk.rows)),
        *_memory("  memory of", bulk.received),
        Row("rows worked off per second, each a start", done / bulk.worked.seconds),
        Row("  CPU-s for 1,000", _cost(bulk.worked, done)),
        *_memory("  memory of", bulk.worked),
        Row("  bad among them", bulk.outcomes.get("bad", 0)),
        Row("another track, before: click → mail p50, s", percentile(bulk.before, 0.5)),
        Row("another track, meanwhile: p50, s", percentile(bulk.meanwhile, 0.5)),
        Row("another track, meanwhile: p99, s", percentile(bulk.meanwhile, 0.99)),
        Row("cancelled after, s", bulk.cancelled),
        Row("rows per second, all on the track already", bulk.again_rows / bulk.again.seconds),
        Row("  CPU-s for 1,000", _cost(bulk.again, bulk.again_rows)),
    ]


def _cost(taken: Taken, rows: int) -> float:
    return taken.cpu_counted / rows * 1000


def _memory(what: str, taken: Taken) -> list[Row]:
    return [Row(f"{what} {part}, MB", held / MEGABYTE) for part, held in taken.memory.items() if part in _SHOWN]
