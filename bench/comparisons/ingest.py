"""`ingest`: events a second through the API: events that match nothing, that match a waiting run, and in batches.

The other side is a hand-written service that inserts each event into PostgreSQL and does nothing else. It measures the
acceptance of events. Matching events are delivered to Temporal at the same time, on the same machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.installation.contacts import enrol_one, for_each
from bench.installation.http_load import Loaded, Plan, started
from bench.installation.idle import quiet
from bench.installation.one_process import PROJECT, PYTHON, Installation
from bench.installation.processes import Processes
from bench.measuring.http_wire import request
from bench.measuring.measured_runs import Taken, measured
from bench.measuring.paired_runs import Pair, Row, alone, compare, pairs
from bench.measuring.resource_use import Spent
from infra.launch.ports import HOST, any_free
from infra.launch.postgres import Postgres
from infra.launch.process import Child
from infra.launch.stack import answers
from infra.launch.temporal import without_temporal_environment

WARM_UP = 300
"""Warm-up events, which are not measured."""
PEOPLE = 500
"""Contacts without a waiting run."""
SEGMENTS, SCORES = 10, 3
PER_RUN = 10
"""Events for each waiting run."""
IN_A_BATCH = 100
BATCHES_AT_ONCE = 4
ACCEPTING = ("api", "postgres")
"""The parts that handle an event that matches nothing."""

TRACK = """
track: ingest
steps:
  - {id: click, wait_for: {event: site.clicked, within: 30d}}
  - {id: settle, wait: 30d}
"""


def event(number: int, kind: str, contact: str, name: str) -> dict[str, Any]:
    """One event of the load, with properties as a real product would send."""
    return {
        "event_id": f"{kind}-{number:08d}",
        "contact_id": contact,
        "name": name,
        "properties": {"page": "/pricing", "plan": "team", "seats": number % 50, "trial": True},
        "occurred_at": "2026-03-02T09:30:00+01:00",
    }


def segment(number: int) -> str:
    """A segment that reads the events `site.read`, and whose members such an event may change."""
    return f"""
segment: reads-{number}
members:
  all:
    - {{did: site.read, times: '>= {number + 1}', within: {7 + number}d}}
    - {{did_not: site.left, within: {20 + number}d}}
"""


def score(number: int) -> str:
    """A score that reads the events `site.read` too."""
    return f"""
score: counts-{number}
half_life: 14d
fit:
  - {{id: named, when: has(contact.attributes.first_name), points: 5}}
behaviour:
  - {{id: read, event: site.read, points: {number + 1}, cap: {{most: 3, per: 1d}}}}
  - {{id: pricing, event: site.read, where: event.properties.page == "/pricing", points: 2, within: 30d}}
  - {{id: left, while: {{did: site.left, within: 30d}}, points: -15}}
grades: {{cold: , warm: 20, hot: {{enter: 60, leave: 50}}}}
"""


def singles(port: int, key: str, kind: str, count: int, name: str = "page.viewed") -> list[str]:
    """Requests with one event each, which matches no run."""
    return [
        request(port, "/v1/events", key, event(number, kind, f"idle-{number % PEOPLE}", name))
        for number in range(count)
    ]


def matching(port: int, key: str, count: int) -> list[str]:
    """Requests with one event each, which matches one waiting run. Events of the same run are far apart."""
    runs = waiting(count)
    return [
        request(port, "/v1/events", key, event(number, "match", runs[number % len(runs)], "site.clicked"))
        for number in range(count)
    ]


def waiting(count: int) -> list[str]:
    """The contacts whose runs get `count` events in all."""
    return [f"waiting-{number}" for number in range(-(-count // PER_RUN))]


def batches(port: int, key: str, count: int) -> list[str]:
    """Requests with a hundred events each, in Segment's format; the last may hold fewer."""
    items = [_item(event(number, "batch", f"idle-{number % PEOPLE}", "page.viewed")) for number in range(count)]
    return [
        request(port, "/v1/batch", key, {"batch": items[first : first + IN_A_BATCH]})
        for first in range(0, count, IN_A_BATCH)
    ]


def _item(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "track",
        "userId": one["contact_id"],
        "messageId": one["event_id"],
        "event": one["name"],
        "properties": one["properties"],
        "timestamp": one["occurred_at"],
    }


async def ours(folder: Path, events: int) -> Taken:
    """Measure the API within a complete installation."""
    processes = Processes(folder)
    async with processes.open() as installation:
        port, key = installation.servers.callback_port, installation.key
        await _people(installation)
        await installation.publish("ingest", TRACK)
        await for_each(waiting(events), lambda who: _enrol(installation, who))
        await quiet(processes.spent)
        nothing = '"matched":0,"enrolled":0,"duplicate":false'
        await _load(folder, processes.spent, Plan(port, singles(port, key, "warm", WARM_UP), 202, nothing))
        await quiet(processes.spent)
        taken, told = await _load(folder, processes.spent, Plan(port, singles(port, key, "one", events), 202, nothing))
        taken.figures = dict(_figures(taken, told, events, ""))
        plan = Plan(port, batches(port, key, events), 200, '"problems":[]', BATCHES_AT_ONCE)
        batch, told = await _load(folder, processes.spent, plan)
        taken.figures |= dict(_figures(batch, told, events, "batch "))
        plan = Plan(port, matching(port, key, events), 202, '"matched":1,"enrolled":0,"duplicate":false')
        match, told = await _load(folder, processes.spent, plan)
        taken.figures |= dict(_figures(match, told, events, "match "))
        await _publish_segments(installation)
        await quiet(processes.spent)
        plan = Plan(port, singles(port, key, "read", events, "site.read"), 202, nothing)
        read, told = await _load(folder, processes.spent, plan)
        taken.figures |= dict(_figures(read, told, events, "read "))
        taken.figures["read or not"] = taken.figures["read cpu per 1,000"] / taken.figures["cpu per 1,000"]
        await _publish_scores(installation)
        await quiet(processes.spent)
        plan = Plan(port, singles(port, key, "scored", events, "site.read"), 202, nothing)
        scored, told = await _load(folder, processes.spent, plan)
        taken.figures |= dict(_figures(scored, told, events, "scored "))
        taken.figures["scored or not"] = taken.figures["scored cpu per 1,000"] / taken.figures["cpu per 1,000"]
        return taken


async def bare(folder: Path, events: int) -> Taken:
    """Measure the hand-written service with PostgreSQL alone."""
    postgres = Postgres(folder / "postgres", any_free(), "bare", log=folder / "postgres.log")
    port, key, spent = any_free(), "bare-key", Spent()
    api: Child | None = None
    try:
        url = postgres.start()
        assert postgres.child is not None
        spent.watch("postgres", postgres.child.pid)
        environment = without_temporal_environment() | {"DATABASE_URL": url, "PERENNIAL_API_KEY": key}
        command = [PYTHON, "-m", "bench.bare.api", str(port)]
        api = Child("api", command, folder / "api.log", env=environment, cwd=PROJECT)
        spent.watch("api", api.pid)
        api.wait_ready(lambda: answers(f"http://{HOST}:{port}/healthz"), 30)
        new = '"duplicate":false'
        await _load(folder, spent, Plan(port, singles(port, key, "warm", WARM_UP), 202, new))
        await quiet(spent)
        taken, told = await _load(folder, spent, Plan(port, singles(port, key, "one", events), 202, new))
        taken.figures = dict(_figures(taken, told, events, ""))
        return taken
    finally:
        if api is not None:
            api.stop(1.0)
        postgres.stop()


async def _load(folder: Path, spent: Spent, plan: Plan) -> tuple[Taken, Loaded]:
    async with started(folder, plan) as load, measured(spent) as taken:
        told = await load.go()
    return taken, told


def _figures(taken: Taken, told: Loaded, events: int, kind: str) -> Iterator[tuple[str, float]]:
    yield f"{kind}per second", events / told.seconds
    yield f"{kind}cpu per 1,000", sum(taken.cpu[part] for part in ACCEPTING) * 1000 / events
    yield f"{kind}p50", told.p50 * 1000
    yield f"{kind}p99", told.p99 * 1000
    yield f"{kind}load cores", told.cpu / told.seconds


async def _people(installation: Installation) -> None:
    items = [{"type": "identify", "userId": f"idle-{n}", "traits": {"first_name": "Ann"}} for n in range(PEOPLE)]
    await installation.call("POST", "/v1/batch", {"batch": items})


async def _publish_segments(installation: Installation) -> None:
    """Publish ten segments, and wait until they are live."""
    for number in range(SEGMENTS):
        await installation.publish(f"reads-{number}", segment(number), "segments")
    await _until_live(installation, "segments")


async def _publish_scores(installation: Installation) -> None:
    """Publish three scores, and wait until they are live."""
    for number in range(SCORES):
        await installation.publish(f"counts-{number}", score(number), "scores")
    await _until_live(installation, "scores")


async def _until_live(installation: Installation, kind: str) -> None:
    for _ in range(600):
        known = (await installation.call("GET", f"/v1/{kind}"))[kind]
        if all(one["live"] for one in known):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the {kind} are not live within a minute")


async def _enrol(installation: Installation, who: str) -> None:
    await installation.call("PUT", f"/v1/contacts/{who}", {"attributes": {"first_name": "Ann"}})
    await enrol_one(installation, "ingest", who)


async def bench(console: Console, *, count: int, events: int) -> tuple[list[Row], list[Pair]]:
    """The report on `count` pairs, with `events` events of each kind."""
    made = await pairs(lambda f: ours(f, events), lambda f: bare(f, events), count, console)
    rows = [
        _both(made, "events per second, matching nothing", "per second", at_least=0.7),
        _both(made, "  CPU-s of API and Postgres per 1,000", "cpu per 1,000"),
        _both(made, "  ms until the answer, p50", "p50"),
        _both(made, "  ms until the answer, p99", "p99"),
        _both(made, "  cores that made the load", "load cores"),
    ]
    more = [pair.ours.figures["read or not"] for pair in made]
    rows.append(alone(f"CPU of an event that {SEGMENTS} segments read, beside one that none reads", more, at_most=2.0))
    more = [pair.ours.figures["scored or not"] for pair in made]
    what = f"CPU of an event that {SEGMENTS} segments and {SCORES} scores read, beside one that none reads"
    rows.append(alone(what, more, at_most=2.0))
    for what, kind in (
        ("matching one run", "match"),
        (f"in batches of {IN_A_BATCH}", "batch"),
        (f"read by {SEGMENTS} segments", "read"),
        (f"read by {SEGMENTS} segments and {SCORES} scores", "scored"),
    ):
        rows.append(_alone(made, f"events per second, {what}", f"{kind} per second"))
        rows.append(_alone(made, "  CPU-s of API and Postgres per 1,000", f"{kind} cpu per 1,000"))
        rows.append(_alone(made, "  ms until the answer, p99", f"{kind} p99"))
    return rows, made


def _both(made: Sequence[Pair], what: str, figure: str, *, at_least: float | None = None) -> Row:
    return compare(made, what, lambda taken: taken.figures[figure], at_least=at_least)


def _alone(made: Sequence[Pair], what: str, figure: str) -> Row:
    return alone(what, [pair.ours.figures[figure] for pair in made])
