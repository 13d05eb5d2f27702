"""`latency`: from an event accepted by the API to the message at the provider, at several rates.

Every contact has got a first email and waits for a click. The click comes at a time that was fixed beforehand, however
long the earlier clicks take. The other side does the same by hand: a signal to a waiting workflow, then an activity. A
message has arrived when the sandbox accepts it, by the same clock as the load's (in whole milliseconds). On a busy
machine the load learns late that an event is accepted, which makes the measured time too short: then use the figures
since sending; `late` says how late the load itself was.

The API answers after it has stored the event and before it signals. The other side answers after it has signalled. So a
third figure counts from the beginning of the signal on both sides (`ONCE_STORED`): it is the least time of a
hand-written service that stores an event and answers before it signals.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.bare.servers import bare_servers
from bench.bare.worker import RATE
from bench.installation.contacts import click, contact, enrol_one, for_each
from bench.installation.documents import click_track, publish
from bench.installation.idle import quiet
from bench.installation.mail_feed import Mail, MailFeed
from bench.installation.processes import Processes
from bench.measuring.measured_runs import Taken, measured
from bench.measuring.paired_runs import Pair, Row, compare, pairs
from bench.measuring.percentiles import percentile
from bench.measuring.resource_use import Spent

RATES = (2, 5, 10, 15)
"""Events a second."""
WARM_UP = 10
"""Warm-up events, which are not measured, at `WARM_UP_RATE` a second."""
WARM_UP_RATE = 5
PATIENCE = 3600.0
"""Seconds that a run waits for its click: long enough that no run times out."""
AT_MOST = 60.0
"""Seconds after the last event of a rate within which all messages must arrive."""

ONCE_STORED = "p50 all once stored"
"""Milliseconds until the message: from the acceptance on our side, from the beginning of the signal on the other."""

Act = Callable[[str], Coroutine[Any, Any, object]]


@dataclass(frozen=True, slots=True)
class Told:
    """When the load began to send an event, and when it got the answer (epoch).

    `late` is the number of seconds by which it began after the planned moment, because the machine was busy.
    """

    sent: float
    accepted: float
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds until the provider accepted the message."""

    since_sent: float
    since_accepted: float
    late: float = 0.0


class NotArrivedError(RuntimeError):
    """Accepted events whose messages are missing, doubled or unexpected."""


def moments(rate: float, count: int) -> list[float]:
    """Seconds from the start at which events are sent: one at a random time in each slot, to avoid common rhythms."""
    scatter = random.Random(count)
    return [(slot + scatter.random()) / rate for slot in range(count)]


def delays(told: Mapping[str, Told], mails: Iterable[Mail]) -> list[Delay]:
    """The delay of each contact's message. Raises NotArrivedError unless each contact got exactly one."""
    came: dict[str, list[Mail]] = {who: [] for who in told}
    strange = 0
    for mail in mails:
        if mail.contact in came and "(thanks)" in mail.subject:
            came[mail.contact].append(mail)
        else:
            strange += 1
    missing = sum(not found for found in came.values())
    double = sum(len(found) > 1 for found in came.values())
    if missing or double or strange:
        raise NotArrivedError(f"of {len(told)} messages {missing} missing, {double} doubled; {strange} unexpected")
    at = {who: found[0].at for who, found in came.items()}
    return [Delay(at[who] - one.sent, at[who] - one.accepted, one.late) for who, one in told.items()]


async def ours(folder: Path, events: int) -> Taken:
    """Measure the API, in processes of its own."""
    processes = Processes(folder, queue_rates={"perennial-email": RATE})
    people = crowd(events)
    async with processes.open() as installation:
        await publish(installation, latency=click_track("latency", PATIENCE))
        await for_each(
            [*_warming(), *(who for group in people.values() for who in group)], lambda w: contact(installation, w)
        )
        feed = MailFeed(installation.sandbox)
        async with feed.follow():
            taken = await take(
                lambda w: enrol_one(installation, "latency", w),
                lambda w: click(installation, w),
                feed,
                people,
                processes.spent,
            )
    taken.figures[ONCE_STORED] = taken.figures["p50 all"]
    return taken


async def bare(folder: Path, events: int) -> Taken:
    """Measure the hand-written workflows."""
    async with bare_servers(folder) as servers:
        feed = MailFeed(servers.sandbox)
        async with feed.follow():
            taken = await take(lambda w: servers.start(w, PATIENCE), servers.click, feed, crowd(events), servers.spent)
    taken.figures[ONCE_STORED] = taken.figures["p50 all since sent"]
    return taken


def crowd(events: int) -> dict[int, list[str]]:
    """The contacts for each rate."""
    return {rate: [f"user-{rate}-{number}" for number in range(events)] for rate in RATES}


async def take(enrol: Act, tell: Act, feed: MailFeed, people: Mapping[int, Sequence[str]], spent: Spent) -> Taken:
    """Bring all contacts to the wait, then let them click rate by rate."""
    everybody = [*_warming(), *(who for group in people.values() for who in group)]
    await for_each(everybody, enrol)
    await feed.until(len(everybody), 60 + len(everybody))
    await quiet(spent)
    await _paced(tell, feed, _warming(), WARM_UP_RATE)
    taken_delays: dict[int, list[Delay]] = {}
    async with measured(spent, memory=False) as taken:
        for rate, group in people.items():
            await quiet(spent)
            taken_delays[rate] = await _paced(tell, feed, group, rate)
    taken.figures = dict(figures(taken_delays))
    return taken


def figures(found: Mapping[int, Sequence[Delay]]) -> Iterator[tuple[str, float]]:
    """Percentiles in milliseconds by rate, and of all rates together."""
    groups = {f"{rate}/s": group for rate, group in found.items()}
    groups["all"] = [delay for group in found.values() for delay in group]
    for name, group in groups.items():
        for share in (50, 99):
            yield f"p{share} {name}", 1000 * percentile([delay.since_accepted for delay in group], share / 100)
            yield f"p{share} {name} since sent", 1000 * percentile([delay.since_sent for delay in group], share / 100)
        yield f"p99 {name} late", 1000 * percentile([delay.late for delay in group], 0.99)


async def _paced(tell: Act, feed: MailFeed, group: Sequence[str], rate: float) -> list[Delay]:
    already = len(feed.seen)
    told: dict[str, Told] = {}
    clock = asyncio.get_running_loop().time
    began = clock()

    async def one(who: str, moment: float) -> None:
        await asyncio.sleep(began + moment - clock())
        sent, late = time.time(), clock() - began - moment
        await tell(who)
        told[who] = Told(sent, time.time(), late)

    async with asyncio.TaskGroup() as tasks:
        for who, moment in zip(group, moments(rate, len(group)), strict=True):
            tasks.create_task(one(who, moment))
    await feed.until(already + len(group), AT_MOST)
    return delays(told, feed.seen[already:])


def _warming() -> list[str]:
    return [f"warm-{number}" for number in range(WARM_UP)]


async def bench(console: Console, *, count: int, events: int) -> tuple[list[Row], list[Pair]]:
    """The report on `count` pairs, with `events` events at each rate."""
    made = await pairs(lambda f: ours(f, events), lambda f: bare(f, events), count, console)
    rows = []
    for name in (*(f"{rate}/s" for rate in RATES), "all"):
        rows.append(_row(made, f"p50 {name}", at_most=1.5))
        rows.append(_row(made, f"p99 {name}"))
    rows.append(_row(made, ONCE_STORED, at_most=1.3))
    rows += [_row(made, f"p{share} all since sent") for share in (50, 99)]
    rows.append(_row(made, "p99 all late"))
    return rows, made


def _row(made: Sequence[Pair], figure: str, *, at_most: float | None = None) -> Row:
    return compare(made, f"ms, {figure}", lambda taken: taken.figures[figure], at_most=at_most)
