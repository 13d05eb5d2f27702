"""`history`: a track's history and billable Temporal actions, compared with a bare workflow of the same shape.

Both run for real on the same Temporal dev server; the track uses the API, PostgreSQL, the ledger and the sandbox. Their
wait times out, which is the more expensive case. Bytes are those of the events as the server returns them. The tracks
of the library run for a contact who never reacts.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Worker

from bench.bare.worker import ses_client
from bench.bare.workflow import QUEUE, QUEUE_EMAIL, BareInput, BareMails, BareTrack
from bench.installation.documents import MAIL
from bench.installation.one_process import ENDED, PROJECT, Installation, fresh_servers, installation_on
from bench.measuring.paired_runs import Pair, Row
from infra.api_client.publishing import read_folder

BUDGET = {"events": 32, "bytes": 8_000, "activities": 2}
LIBRARY = PROJECT / "tracks" / "library"
DAY_A_SECOND = 86_400
"""Pace of the library's tracks. With a faster pace, the duration of a step changes the hour of the day."""
PROPERTIES: Mapping[str, dict[str, Any]] = {"abandoned-cart": {"cart_id": "cart-1"}}
"""Properties that the runs get at their start."""

TRACK = """
track: five-step
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - {id: hello, email: {template: hello}}
  - {id: pause, wait: 2d}
  - {id: click, wait_for: {event: email.clicked, within: 3d}}
  - id: which
    branch:
      - {when: 'enrollment.steps.click == "happened"', steps: [{id: thanks, email: {template: hello}}]}
    else: [{id: reminder, email: {template: hello}}]
"""


@dataclass(frozen=True)
class Cost:
    """The cost of one run: events, their protobuf size in bytes, activities (without local ones), billable actions."""

    events: int
    bytes: int
    activities: int
    actions: int

    @classmethod
    def of(cls, history: WorkflowHistory) -> Cost:
        """Count a fetched history."""
        scheduled = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        return cls(
            events=len(history.events),
            bytes=sum(event.ByteSize() for event in history.events),
            activities=sum(event.event_type == scheduled for event in history.events),
            actions=billable(history.events),
        )


BILLED = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,  # every run of a chain that continues as new has one
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
)
LOCAL_ACTIVITY = "core_local_activity"


def billable(events: Iterable[HistoryEvent]) -> int:
    """Actions that Temporal Cloud would bill, by https://docs.temporal.io/cloud/actions, without fairness.

    Each attempt of an activity counts, and local activities count once per workflow task. Actions that are not in the
    history are not counted: queries, rejected updates, heartbeats.
    """
    actions, tasks_with_local = 0, set()
    for event in events:
        if event.event_type in BILLED:
            actions += 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            actions += event.activity_task_started_event_attributes.attempt
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            marker = event.marker_recorded_event_attributes
            if marker.marker_name == LOCAL_ACTIVITY:
                tasks_with_local.add(marker.workflow_task_completed_event_id)
    return actions + len(tasks_with_local)


async def five_step(installation: Installation) -> Cost:
    """Run the five-step track through the public API, a day per second."""
    await installation.publish("hello", MAIL, "templates")
    await installation.publish("five-step", TRACK)
    await installation.call(
        "PUT", "/v1/contacts/user-1", {"email": "user-1@people.test", "attributes": {"first_name": "Ann"}}
    )
    wish = {"track": "five-step", "contact_id": "user-1", "pace": DAY_A_SECOND}
    enrolled = await installation.call("POST", "/v1/enrollments", wish)
    await installation.until(enrolled["id"], "completed")
    run = installation.temporal.get_workflow_handle(enrolled["workflow_id"])
    await run.result()
    return Cost.of(await run.fetch_history())


async def bare(installation: Installation) -> Cost:
    """Run the hand-written workflow of the same shape on the same server."""
    mails = BareMails(ses_client(installation.servers.sandbox_url))
    with ThreadPoolExecutor(4) as threads:
        runs = Worker(installation.temporal, task_queue=QUEUE, workflows=[BareTrack], build_id="bare")
        sends = Worker(
            installation.temporal,
            task_queue=QUEUE_EMAIL,
            activities=[mails.send_bare_mail],
            activity_executor=threads,
            build_id="bare",
        )
        async with runs, sends:
            given = BareInput("user-1", delay=0.5, patience=0.5)
            run = await installation.temporal.start_workflow(BareTrack.run, given, id="bare/user-1", task_queue=QUEUE)
            await run.result()
            return Cost.of(await run.fetch_history())


async def library(installation: Installation) -> dict[str, Cost]:
    """Run every track of the library, with its workspace and templates, for a contact who never reacts."""
    documents = read_folder(LIBRARY)
    for document in documents:
        if document.kind == "template":
            await installation.call("PUT", document.address, document.body())
        else:
            headers = {"Content-Type": "application/yaml"}
            answer = await installation.api.put(document.address, content=document.text.encode(), headers=headers)
            answer.raise_for_status()
    tracks = [document.name for document in documents if document.kind == "track"]
    return dict(zip(tracks, await asyncio.gather(*(_silent(installation, track) for track in tracks)), strict=True))


async def _silent(installation: Installation, track: str) -> Cost:
    who = f"silent-{track}"
    contact = {"email": f"{who}@people.test", "phone": "+15005550010", "timezone": "Europe/Berlin"}
    await installation.call("PUT", f"/v1/contacts/{who}", contact)
    wish = {"track": track, "contact_id": who, "pace": DAY_A_SECOND, "properties": PROPERTIES.get(track, {})}
    enrolled = await installation.call("POST", "/v1/enrollments", wish)
    await installation.until(enrolled["id"], *ENDED, seconds=120)
    run = installation.temporal.get_workflow_handle(enrolled["workflow_id"])
    await run.result()
    return Cost.of(await run.fetch_history())


@dataclass(frozen=True)
class Costs:
    """All costs of one run."""

    five_step: Cost
    bare: Cost
    library: Mapping[str, Cost]


async def measure() -> Costs:
    """Measure all costs on one fresh set of servers."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as folder:
        async with fresh_servers(Path(folder)) as servers, installation_on(servers) as installation:
            return Costs(await five_step(installation), await bare(installation), await library(installation))


def rows(costs: Costs) -> list[Row]:
    """The report: the five-step track compared with the bare workflow and its budget, then the library."""
    return [*_compared(costs), *_listed(costs.library)]


def _compared(costs: Costs) -> Iterator[Row]:
    ours, bare_cost = asdict(costs.five_step), asdict(costs.bare)
    for what, value in ours.items():
        limit = BUDGET.get(what)
        budget, kept = ("", None) if limit is None else (f"≤ {limit:,}", value <= limit)
        yield Row(f"five steps: {what}", value, bare_cost[what], value / bare_cost[what], budget, kept)


def _listed(library: Mapping[str, Cost]) -> Iterator[Row]:
    for track, cost in sorted(library.items()):
        for what, value in asdict(cost).items():
            yield Row(f"{track}: {what}", value)


async def bench(console: Console) -> tuple[list[Row], list[Pair]]:
    """The report. The figures do not vary, so one run is enough and there are no pairs."""
    logging.getLogger().setLevel(logging.WARNING)  # the installation runs in this process and logs much
    console.print("the five-step track, the bare workflow and the library, once each …")
    return rows(await measure()), []
