"""What a track costs in history beside a bare workflow of the same shape: `python -m bench.history_cost [--json]`.

Both run for real: the track through the API, PostgreSQL, the ledger and the sandbox; both on the same Temporal dev
server, timing out (the dearer way through the wait). Bytes are those of the events as the server hands them out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Worker

from bench.bare import QUEUE, QUEUE_EMAIL, BareInput, BareMails, BareTrack
from bench.bare_worker import ses_client
from bench.stand import Stand, fresh_servers, stand_on
from infra import logs

BUDGET = {"events": 32, "bytes": 8_000, "activities": 2}

MAIL = """---
kind: email
subject: Hello
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ contact.attributes.first_name | default: "there" }}.
<a href="https://acme.test/start">Start</a> <a href="{{ unsubscribe_url }}">No more of these</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
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
    """One run's history: its events, their size as protobuf in bytes, and its activities (not local ones)."""

    events: int
    bytes: int
    activities: int

    @classmethod
    def of(cls, history: WorkflowHistory) -> Cost:
        """Count a fetched history."""
        scheduled = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        return cls(
            events=len(history.events),
            bytes=sum(event.ByteSize() for event in history.events),
            activities=sum(event.event_type == scheduled for event in history.events),
        )


async def five_step(stand: Stand) -> Cost:
    """The five-step track, through the public API, a day per second."""
    await stand.publish("hello", MAIL, "templates")
    await stand.publish("five-step", TRACK)
    await stand.call("PUT", "/v1/contacts/user-1", {"email": "user-1@people.test", "attributes": {"first_name": "Ann"}})
    wish = {"track": "five-step", "contact_id": "user-1", "pace": 86_400}
    enrolled = await stand.call("POST", "/v1/enrollments", wish)
    await stand.until(enrolled["id"], "completed")
    run = stand.temporal.get_workflow_handle(enrolled["workflow_id"])
    await run.result()
    return Cost.of(await run.fetch_history())


async def bare(stand: Stand) -> Cost:
    """The same shape by hand, on the same server."""
    mails = BareMails(ses_client(stand.servers.sandbox_url))
    with ThreadPoolExecutor(4) as threads:
        runs = Worker(stand.temporal, task_queue=QUEUE, workflows=[BareTrack], build_id="bare")
        sends = Worker(
            stand.temporal,
            task_queue=QUEUE_EMAIL,
            activities=[mails.send_bare_mail],
            activity_executor=threads,
            build_id="bare",
        )
        async with runs, sends:
            given = BareInput("user-1", delay=0.5, patience=0.5)
            run = await stand.temporal.start_workflow(BareTrack.run, given, id="bare/user-1", task_queue=QUEUE)
            await run.result()
            return Cost.of(await run.fetch_history())


async def measure() -> dict[str, Cost]:
    """Both costs, from one run."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as folder:
        async with fresh_servers(Path(folder)) as servers, stand_on(servers) as stand:
            return {"five_step": await five_step(stand), "bare": await bare(stand)}


def report(measured: dict[str, Cost], *, as_json: bool) -> int:
    """Print the costs; answers 1 where the track is over its budget."""
    costs = {name: asdict(cost) for name, cost in measured.items()}
    if as_json:
        print(json.dumps(costs))
    else:
        print(f"{'':12}{'events':>8}{'bytes':>8}{'activities':>12}")
        for name, cost in (costs | {"budget": BUDGET}).items():
            print(f"{name:12}{cost['events']:>8}{cost['bytes']:>8}{cost['activities']:>12}")
    over = [what for what, limit in BUDGET.items() if costs["five_step"][what] > limit]
    if over:
        print(f"over the budget: {', '.join(over)}", file=sys.stderr)
    return 1 if over else 0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    logs.set_up(json=False)
    return report(asyncio.run(measure()), as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
