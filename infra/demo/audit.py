"""Check the laws after the demo: report each stuck contact, lost event and doubled message in one sentence."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.demo.behaviour import Act
from infra.demo.clients import DemoClients
from infra.demo.progress import SavedProgress
from infra.demo.sample_contacts import Person

Stuck = Callable[[], Awaitable[list[str]]]
"""Returns sentences about stuck runs: the check of `perennial doctor`."""
HANDED_OVER = ("sent", "assumed_sent")


@dataclass
class Line:
    """One row of the final table."""

    enrolled: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)


@dataclass
class Findings:
    """The audit's result: the table, and sentences about broken laws."""

    lines: dict[str, Line]
    broken: list[str]


async def settle(clients: DemoClients, patience: float = 10) -> None:
    """Wait, at most `patience` seconds, until all deliveries between API, Temporal and sandbox are done."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not await clients.outbox_depth() and not (await clients.callbacks())["waiting"]:
            return
        await asyncio.sleep(0.2)


async def audit(
    clients: DemoClients, progress: SavedProgress, people: Mapping[str, Person], acts: Mapping[str, Act], stuck: Stuck
) -> Findings:
    """Compare the contacts' actions with the records of the API, its database and the sandbox."""
    await settle(clients)
    summaries = [summary async for summary in clients.enrollments() if summary["contact_id"] in people]
    gate = asyncio.Semaphore(8)

    async def read(summary: dict[str, Any]) -> dict[str, Any]:
        async with gate:
            return await clients.enrollment(summary["id"])

    enrollments = await asyncio.gather(*(read(summary) for summary in summaries))
    sandbox = [message for message in await clients.messages(0, 0) if message["direction"] == "out"]
    broken = [
        *await stuck(),
        *doubled(enrollments, sandbox, people.values()),
        *missed_goals(enrollments, progress, acts.values()),
        *missed_entries(enrollments, acts.values()),
        *await wrong_audience(clients),
        *await unanswered(clients),
        *await lost(clients, progress, acts.values()),
    ]
    return Findings(table(enrollments), broken)


def table(enrollments: Iterable[Mapping[str, Any]]) -> dict[str, Line]:
    """Per track: enrolments, messages by channel, and outcomes."""
    lines: defaultdict[str, Line] = defaultdict(Line)
    for enrollment in enrollments:
        line = lines[enrollment["track"]]
        line.enrolled += 1
        line.statuses[enrollment["status"]] += 1
        line.messages.update(m["channel"] for m in enrollment["messages"] if m["status"] in HANDED_OVER)
    return dict(sorted(lines.items()))


def doubled(
    enrollments: Iterable[Mapping[str, Any]], sandbox: Iterable[Mapping[str, Any]], people: Iterable[Person]
) -> list[str]:
    """Messages that a provider got twice, or more often than the ledger says, or never."""
    found = []
    accepted = list(sandbox)
    tags = Counter(m["tags"]["perennial-message"] for m in accepted if m["tags"].get("perennial-message"))
    found += [f"Message {tag} was handed over {count} times." for tag, count in tags.items() if count > 1]
    arrived = Counter((m["to"].lower(), m["channel"]) for m in accepted)
    booked: Counter[tuple[str, str]] = Counter()
    for enrollment in enrollments:
        for message in enrollment["messages"]:
            if message["status"] in HANDED_OVER:
                booked[enrollment["contact_id"], message["channel"]] += 1
    for person in people:
        for channel, address in (("email", person.email), ("sms", person.phone)):
            if address is None:
                continue
            here, there = arrived[address.lower(), channel], booked[person.id, channel]
            if here > there:
                found.append(f"{person.id} got {here} {channel} messages where the ledger knows {there}.")
            elif here < there:
                found.append(f"{person.id} got {here} {channel} messages of the {there} that the ledger calls sent.")
    return found


def missed_goals(enrollments: Iterable[Mapping[str, Any]], progress: SavedProgress, acts: Iterable[Act]) -> list[str]:
    """Goal events that the API matched with a live run, but the run did not convert."""
    reached = {
        (enrollment["contact_id"], enrollment["track"], enrollment["key"])
        for enrollment in enrollments
        if enrollment["status"] == "converted" or enrollment["goal_reached_at"] is not None
    }
    return [
        f"The event {act.id} reached a live run of {act.goal[0]}, which did not convert: it was lost."
        for act in acts
        if act.goal
        and progress.data["done"].get(act.id, {}).get("matched")
        and (act.person.id, *act.goal) not in reached
    ]


def missed_entries(enrollments: Iterable[Mapping[str, Any]], acts: Iterable[Act]) -> list[str]:
    """Contacts who went quiet, which is the entry of their track, and were never enrolled."""
    entered = {(enrollment["contact_id"], enrollment["track"]) for enrollment in enrollments}
    return [
        f"{act.person.id} went quiet and was never enrolled in {act.person.track}."
        for act in acts
        if act.quiet_on is not None and (act.person.id, act.person.track) not in entered
    ]


async def wrong_audience(clients: DemoClients) -> list[str]:
    """Contacts whose stored memberships and scores are not what the stored facts say."""
    return [
        f"{one['contact_id']} is stored otherwise than the facts say: {path}/check."
        for path in await clients.audience()
        async for one in clients.differences(path)
    ]


async def unanswered(clients: DemoClients) -> list[str]:
    """Handoffs that still wait although all runs have ended."""
    return [
        f"The handoff {one['id']} of {one['contact_id']} still waits, and its run has ended."
        for one in await clients.waiting_handoffs()
    ]


async def lost(clients: DemoClients, progress: SavedProgress, acts: Iterable[Act]) -> list[str]:
    """Events that the API accepted but does not have, and deliveries that are still due."""
    found = []
    gate = asyncio.Semaphore(8)

    async def again(act: Act) -> None:
        async with gate:
            answer = await clients.call("POST", "/v1/events", json=act.body)
        if not (answer.status_code == 202 and answer.json()["duplicate"]):
            found.append(f"The event {act.id} was accepted and is not known any more: it was lost.")

    await asyncio.gather(*(again(act) for act in acts if act.kind == "event" and progress.done(act.id)))
    if depth := await clients.outbox_depth():
        found.append(f"{depth} deliveries to Temporal are still due.")
    callbacks = await clients.callbacks()
    if callbacks["waiting"] or callbacks["dropped"]:
        count = callbacks["waiting"] + callbacks["dropped"]
        found.append(f"{count} provider callbacks were not taken: {callbacks['last_error']}.")
    return found
