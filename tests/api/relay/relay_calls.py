"""What the tests of the relay wait for and look at."""

from __future__ import annotations

import asyncio

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from store.engine.database import Database
from store.runs import drop_counts
from store.runs.outbox import outbox
from tracks.runs.run_interface import EventSignal

PATIENT = """
track: patient
reentry: always
goal: {event: bought}
steps:
  - id: reply
    wait_for: {event: said, within: 30d, since: enrollment, then: [], else: []}
  - id: rest
    wait: 30d
"""


async def settled(database: Database, seconds: float = 30) -> None:
    """Wait until nothing waits in the outbox."""
    async with asyncio.timeout(seconds):
        while True:
            async with database.transaction() as tx:
                if (await outbox.backlog(tx)).waiting == 0:
                    return
            await asyncio.sleep(0.05)


async def signals(client: Client, workflow_id: str) -> list[EventSignal]:
    """The signals that the run got, in order."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    converter = pydantic_data_converter.payload_converter
    return [
        converter.from_payload(event.workflow_execution_signaled_event_attributes.input.payloads[0], EventSignal)
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]


async def drops(database: Database) -> dict[str, int]:
    async with database.transaction() as tx:
        return {drop.reason: drop.count for drop in await drop_counts.totals(tx)}
