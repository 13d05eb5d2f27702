"""`wake`: many timers that fire in the same second, and their effect on contacts of another track.

The other side are hand-written workflows that sleep until the same moment, and hand-written tracks that wait for a
click. Latencies of the other track are from the accepted click to the email.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.bare.servers import BareServers, bare_servers
from bench.bare.worker import RATE
from bench.bare.workflow import QUEUE, BareSleeper, SleeperInput
from bench.comparisons.journey import AT_MOST
from bench.installation.contacts import asleep, click, enrol, for_each, latencies, make, poke
from bench.installation.documents import publish, waiting_track
from bench.installation.mail_feed import Mail, MailFeed
from bench.installation.processes import Processes
from bench.measuring.measured_runs import Taken, measured
from bench.measuring.paired_runs import Pair, Row, alone, compare, pairs
from bench.measuring.percentiles import percentile

OTHERS = 20
"""How many contacts of the other track click before the moment. As many click after it."""
GAP = 0.2
"""Seconds between two clicks."""
STARTS = 15
"""Rate of enrolling, in runs a second, from which the time before the moment is computed."""
FOREVER = 30 * 86_400.0
"""Seconds that the other track waits for its click."""
MOMENT_TRACK = """
track: moment
defaults: {sending: {topic: tips}, email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: moment, wait_date: {attribute: moment, missing: exit, past: exit}}
  - {id: hello, email: {template: hello, subject: Hello (moment)}}
"""


async def ours(folder: Path, contacts: int) -> Taken:
    """Measure the API, in processes of its own."""
    processes = Processes(folder, queue_rates={"perennial-email": RATE})
    async with processes.open() as installation:
        await publish(installation, moment=MOMENT_TRACK, other=waiting_track("other"))
        sleepers, others = _people(contacts)
        moment = _moment(contacts)
        await make(installation, sleepers, {"moment": datetime.fromtimestamp(moment, UTC).isoformat()})
        await make(installation, others)
        feed = MailFeed(installation.sandbox)
        async with feed.follow():
            await enrol(installation, "other", others)
            await enrol(installation, "moment", sleepers)
            everybody = len(sleepers) + len(others)
            await asleep(installation.temporal, "State = 'waiting'", everybody, moment - time.time() - _lead())
            await asyncio.sleep(max(0.0, moment - time.time() - _lead()))  # idling is not what is measured
            async with measured(processes.spent) as taken:
                await burst(feed, others, lambda who: click(installation, who), moment, contacts, taken)
        return taken


async def bare(folder: Path, contacts: int) -> Taken:
    """Measure the hand-written workflows."""
    async with bare_servers(folder) as servers:
        sleepers, others = _people(contacts)
        moment = _moment(contacts)
        feed = MailFeed(servers.sandbox)
        async with feed.follow():
            await for_each(others, lambda who: servers.start(who, FOREVER))
            await feed.until(len(others), 60)  # their track begins with an email
            await for_each(sleepers, lambda who: _start_sleeper(servers, who, moment))
            everybody = len(sleepers) + len(others)
            query = "ExecutionStatus = 'Running'"
            await asleep(servers.temporal, query, everybody, moment - time.time() - _lead())
            await asyncio.sleep(max(0.0, moment - time.time() - _lead()))  # idling is not what is measured
            async with measured(servers.spent) as taken:
                await burst(feed, others, servers.click, moment, contacts, taken)
        return taken


async def burst(
    feed: MailFeed,
    others: Sequence[str],
    tell: Callable[[str], Coroutine[Any, Any, object]],
    moment: float,
    contacts: int,
    taken: Taken,
) -> None:
    """Click before the moment, while nothing else happens, and as often during the burst. Adds figures to `taken`."""
    already = len(feed.seen)
    half = len(others) // 2
    quiet = await poke(others[:half], tell, GAP)
    await feed.until(already + half, 60)
    if time.time() > moment:
        raise RuntimeError("the moment came before all was ready")
    await asyncio.sleep(moment - time.time())
    meanwhile = await poke(others[half:], tell, GAP)
    await feed.until(already + len(others) + contacts, AT_MOST)
    taken.figures |= figures(feed.seen[already:], quiet, meanwhile, moment)


def figures(
    mails: Sequence[Mail], quiet: dict[str, float], meanwhile: dict[str, float], moment: float
) -> dict[str, float]:
    """The figures of one side. Raises RuntimeError if an email went out before the moment."""
    late = [mail.at - moment for mail in mails if mail.contact not in quiet and mail.contact not in meanwhile]
    if min(late) < 0:
        raise RuntimeError(f"{sum(one < 0 for one in late)} mails went out before the moment")
    idle, busy = latencies(quiet, mails), latencies(meanwhile, mails)
    return {
        "until_all": max(late),
        "per_second": len(late) / max(late),
        "late_p50": percentile(late, 0.5),
        "late_p99": percentile(late, 0.99),
        "idle_p50": percentile(idle, 0.5),
        "busy_p50": percentile(busy, 0.5),
        "busy_p99": percentile(busy, 0.99),
        "after_burst": sum(at > moment + max(late) for at in meanwhile.values()),
    }


def _people(contacts: int) -> tuple[list[str], list[str]]:
    return [f"sleeper-{n}" for n in range(contacts)], [f"other-{n}" for n in range(2 * OTHERS)]


def _moment(contacts: int) -> float:
    return time.time() + 10 + _lead() + (contacts + 2 * OTHERS) / STARTS


def _lead() -> float:
    return OTHERS * GAP + 4


async def _start_sleeper(servers: BareServers, who: str, moment: float) -> None:
    given = SleeperInput(who, moment)
    await servers.temporal.start_workflow(BareSleeper.run, given, id=f"bare/{who}", task_queue=QUEUE)


async def bench(console: Console, *, count: int, contacts: int) -> tuple[list[Row], list[Pair]]:
    """The report on `count` pairs."""
    made = await pairs(lambda f: ours(f, contacts), lambda f: bare(f, contacts), count, console)
    rows = [
        _row(made, "seconds until all are mailed", "until_all"),
        _row(made, "mails per second", "per_second"),
        _row(made, "lateness p50, s", "late_p50"),
        _row(made, "lateness p99, s", "late_p99"),
        compare(made, "CPU-s, the other track's included", lambda taken: taken.cpu_counted),
        _row(made, "another track, idle: click → mail p50, s", "idle_p50"),
        _row(made, "another track, meanwhile: p50, s", "busy_p50"),
        _row(made, "another track, meanwhile: p99, s", "busy_p99"),
        compare(made, "meanwhile : idle, p50", lambda t: t.figures["busy_p50"] / t.figures["idle_p50"]),
        alone(f"of {OTHERS} clicks, after the burst was over", [pair.ours.figures["after_burst"] for pair in made]),
    ]
    return rows, made


def _row(made: Sequence[Pair], what: str, figure: str) -> Row:
    return compare(made, what, lambda taken: taken.figures[figure])
