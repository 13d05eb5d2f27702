"""Record the histories of new scenarios: `python -m tests.replay.record`.

It never overwrites: a recorded history that no longer replays needs a patch in the workflow, not a new recording.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowHistory

from bench.time_skipping import time_skipping
from tests.replay.handoffs import HANDOFFS
from tests.replay.imports import IMPORTS, ImportScenario
from tests.replay.scenarios import SCENARIOS, Scenario
from tests.workflows.scripted import started
from tests.workflows.scripted_imports import begun

HISTORIES = Path(__file__).parent / "histories"
IMPORT_HISTORIES = HISTORIES / "imports"


async def play(scenario: Scenario) -> list[WorkflowHistory]:
    """Play a scenario on a server of its own. Returns the history of each of its runs, in order."""
    async with time_skipping() as env, AsyncExitStack() as stack:
        run = await started(stack, env.client, scenario.script(), scenario.code, **scenario.given)
        await scenario.meanwhile(run)
        await run.result()
        return await _histories(env.client, run)


async def play_import(scenario: ImportScenario) -> list[WorkflowHistory]:
    """The same for an import."""
    async with time_skipping() as env, AsyncExitStack() as stack:
        rows = scenario.rows()
        run = await begun(stack, env.client, rows, **scenario.given)
        await scenario.meanwhile(rows, run)
        await run.result()
        return await _histories(env.client, run)


async def _histories(client: Client, run: WorkflowHandle[Any, Any]) -> list[WorkflowHistory]:
    histories = []
    run_id = run.first_execution_run_id
    while run_id:
        history = await client.get_workflow_handle(run.id, run_id=run_id).fetch_history()
        histories.append(history)
        last = history.events[-1].workflow_execution_continued_as_new_event_attributes
        run_id = last.new_execution_run_id or None
    return histories


async def main() -> None:
    """Record missing histories."""
    for name, scenario in (SCENARIOS | HANDOFFS).items():
        if not list(HISTORIES.glob(f"{name}.*.json")):
            _keep(HISTORIES, name, await play(scenario))
    for name, one in IMPORTS.items():
        if not list(IMPORT_HISTORIES.glob(f"{name}.*.json")):
            _keep(IMPORT_HISTORIES, name, await play_import(one))
    await asyncio.sleep(0.3)


def _keep(folder: Path, name: str, histories: list[WorkflowHistory]) -> None:
    folder.mkdir(exist_ok=True)
    for number, history in enumerate(histories, start=1):
        (folder / f"{name}.{number}.json").write_text(_without_traces(history.to_json()) + "\n")
        print(f"recorded {name}.{number}: {len(history.events)} events")


def _without_traces(recorded: str) -> str:
    """Remove stack traces: a replay does not use them, and they name the machine's folders."""
    return json.dumps(json.loads(recorded, object_hook=_without_trace), indent=2)


def _without_trace(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "stackTrace"}


if __name__ == "__main__":
    asyncio.run(main())
