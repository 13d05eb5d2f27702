"""An import with scripted results of its activities, which record the workflow's calls."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities import contract
from activities.contract import ChunkCall, ImportProgress, SteerCall
from tracks.runs import import_interface
from tracks.runs.import_interface import ImportInput, ImportResult, ImportState
from workflows.determinism_sandbox import runner
from workflows.import_contacts import ImportContacts


@dataclass
class Rows:
    """A replacement for the database: a number of chunks of ten rows, and the import's state."""

    chunks: int
    per_second: float = 1.0
    state: ImportState = "running"
    held: int = 0
    """How many attempts first have to give way."""
    done: int = 0
    calls: int = 0
    said: list[str] = field(default_factory=list)

    def _progress(self, **more: Any) -> ImportProgress:
        return ImportProgress(
            state=self.state,
            rows=self.chunks * 10,
            per_second=self.per_second,
            outcomes={"enrolled": self.done * 10},
            **more,
        )

    @activity.defn(name=contract.APPLY_CHUNK)
    async def apply_chunk(self, call: ChunkCall) -> ImportProgress:
        self.calls += 1
        if self.state != "running":
            return self._progress()
        if self.held:
            self.held -= 1
            return self._progress(held="outbox")
        self.done += 1
        self.state = "completed" if self.done >= self.chunks else "running"
        return self._progress(applied=10)

    @activity.defn(name=contract.STEER_IMPORT)
    async def steer_import(self, call: SteerCall) -> ImportProgress:
        self.said.append(call.word)
        states: dict[str, ImportState] = {"pause": "paused", "resume": "running", "cancel": "cancelled"}
        self.state = states.get(call.word, self.state)
        self.per_second = call.per_second or self.per_second
        return self._progress()


async def begun(
    stack: AsyncExitStack, client: Client, rows: Rows, **given: Any
) -> WorkflowHandle[ImportContacts, ImportResult]:
    """A worker for imports, and one import."""
    worker = Worker(
        client,
        task_queue=import_interface.TASK_QUEUE,
        build_id="test",
        workflows=[ImportContacts],
        workflow_runner=runner(strict=True),
        activities=[rows.apply_chunk, rows.steer_import],
    )
    await stack.enter_async_context(worker)
    return await client.start_workflow(
        ImportContacts.run,
        ImportInput(import_id="i-1", track="trial", **given),
        id="import/i-1",
        task_queue=import_interface.TASK_QUEUE,
    )
