"""`journey`: N contacts: enrol → email → wait for a click (half of them click) → email, with all laws in force.

The other side is a hand-written workflow of the same shape. Its activities send through the same client, and the load
starts and signals it directly. The CPU of the load and of the sandbox counts on neither side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from bench.bare.servers import bare_servers
from bench.bare.worker import RATE
from bench.installation.contacts import click, contact, enrol_one, for_each
from bench.installation.documents import click_track, publish
from bench.installation.mail_feed import MailFeed
from bench.installation.one_process import Installation
from bench.installation.processes import Processes
from bench.measuring.measured_runs import Taken, measured
from bench.measuring.paired_runs import MEGABYTE, Pair, Row, alone, compare, pairs

PATIENCE = 30.0
"""Seconds that a run waits for the click. A contact who clicks does it as soon as the email is there."""
AT_MOST = 900.0
"""Seconds after which an unfinished side counts as failed."""


@dataclass(frozen=True)
class Load:
    """How the load enrols a contact and makes a contact click, for either side."""

    enrol: Callable[[str], Coroutine[Any, Any, object]]
    click: Callable[[str], Coroutine[Any, Any, object]]


async def ours(folder: Path, contacts: int) -> Taken:
    """Run the journey through the API, in processes of its own."""
    processes = Processes(folder, queue_rates={"perennial-email": RATE})
    async with processes.open() as installation:
        people = [f"user-{number}" for number in range(contacts)]
        await prepare(installation, people)
        feed = MailFeed(installation.sandbox)
        async with feed.follow():
            await warm(installation, feed)
            async with measured(processes.spent) as taken:
                load = Load(lambda who: enrol_one(installation, "journey", who), lambda who: click(installation, who))
                await live(load, feed, people, taken)
                await _all_closed(installation)
        return taken


async def bare(folder: Path, contacts: int) -> Taken:
    """Run the journey with hand-written workflows."""
    people = [f"user-{number}" for number in range(contacts)]
    async with bare_servers(folder) as servers:
        feed = MailFeed(servers.sandbox)
        async with feed.follow():
            load = Load(lambda who: servers.start(who, PATIENCE), servers.click)
            await load.enrol("warm-up")
            await feed.until(1, 60)
            await load.click("warm-up")
            await feed.until(2, 60)
            async with measured(servers.spent) as taken:
                await live(load, feed, people, taken)
        return taken


async def live(load: Load, feed: MailFeed, people: Sequence[str], taken: Taken) -> None:
    """Enrol everybody, let half of them click, wait for all second emails. Adds the speeds to `taken`."""
    clicking = set(people[::2])
    already = len(feed.seen)
    while not feed.news.empty():
        feed.news.get_nowait()
    began = time.time()

    async def react() -> None:
        for _ in range(2 * len(people)):
            mail = await feed.news.get()
            if "(hello)" in mail.subject and mail.contact in clicking:
                clicks.add(asyncio.create_task(load.click(mail.contact)))

    clicks: set[asyncio.Task[object]] = set()
    reacting = asyncio.create_task(react())
    await for_each(people, load.enrol)
    taken.figures["enrolled_seconds"] = time.time() - began
    await feed.until(already + 2 * len(people), AT_MOST)
    await reacting
    await asyncio.gather(*clicks)
    mails = feed.seen[already:]
    last = max(mail.at for mail in mails)
    taken.figures["contacts_per_second"] = len(people) / (last - began - PATIENCE)
    taken.figures["clicked_share"] = sum("(thanks)" in mail.subject for mail in mails) / len(people)


async def prepare(installation: Installation, people: Sequence[str]) -> None:
    """Publish the policy, the template and the track, and create the contacts."""
    await publish(installation, journey=click_track("journey", PATIENCE))
    await for_each(["warm-up", *people], lambda who: contact(installation, who))


async def warm(installation: Installation, feed: MailFeed) -> None:
    """Run one contact through the journey, so that every process has loaded its code."""
    await enrol_one(installation, "journey", "warm-up")
    await feed.until(1, 60)
    await click(installation, "warm-up")
    await feed.until(2, 60)


async def _all_closed(installation: Installation) -> None:
    """Wait until the database has the end of every run: closing runs is part of the work."""
    async with asyncio.timeout(120):
        while await _living(installation):  # noqa: ASYNC110  # nothing here hears of it
            await asyncio.sleep(0.2)


async def _living(installation: Installation) -> bool:
    return bool((await installation.call("GET", "/v1/enrollments?status=active&limit=1"))["enrollments"])


async def bench(console: Console, *, count: int, contacts: int) -> tuple[list[Row], list[Pair]]:
    """The report on `count` pairs."""
    made = await pairs(lambda f: ours(f, contacts), lambda f: bare(f, contacts), count, console)
    per_thousand = 1000 / contacts
    rows = [
        compare(made, "CPU-s per 1,000 contacts", lambda t: t.cpu_counted * per_thousand, at_most=1.5),
        alone("CPU-s per 1,000 contacts, ours", [p.ours.cpu_counted * per_thousand for p in made], at_most=80),
        *_by_part(made, per_thousand),
        compare(made, "contacts per second", lambda t: t.figures["contacts_per_second"], at_least=0.8),
        alone("memory of API and worker, MB", [_memory(p.ours) / MEGABYTE for p in made], at_most=400),
        compare(made, "share that clicked in time", lambda t: t.figures["clicked_share"]),
    ]
    return rows, made


def _by_part(made: Sequence[Pair], per_thousand: float) -> Iterator[Row]:
    for part, theirs in (("worker-1", "worker"), ("temporal", "temporal"), ("api", None), ("postgres", None)):
        values = [pair.ours.cpu[part] * per_thousand for pair in made]
        name = f"  of which {part.removesuffix('-1')}"
        if theirs is None:
            yield alone(name, values)
        else:
            others = [pair.bare.cpu[theirs] * per_thousand for pair in made]
            ratio = median(one / other for one, other in zip(values, others, strict=True))
            yield Row(name, median(values), median(others), ratio)


def _memory(taken: Taken) -> float:
    return taken.memory["api"] + taken.memory["worker-1"]
