import dataclasses
import uuid

from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from tests.tracks.condition_workflow import Decide
from tracks.conditions.conditions import evaluate

PASSED = SandboxedWorkflowRunner(
    restrictions=dataclasses.replace(
        SandboxRestrictions.default,
        passthrough_modules=SandboxRestrictions.default.passthrough_modules | {"cel", "tracks"},
    )
)
CONDITION = 'event.properties.plan == "team" && now > timestamp("2020-01-01T00:00:00Z")'


async def test_conditions_are_decided_in_the_sandbox_run_after_run(temporal_env: WorkflowEnvironment) -> None:
    # A native module that is not passed through can work in the first run and fail from the second on.
    assert evaluate("true", {})
    client, queue = temporal_env.client, str(uuid.uuid4())
    async with Worker(client, task_queue=queue, workflows=[Decide], workflow_runner=PASSED, max_cached_workflows=0):
        handles = [
            await client.start_workflow(Decide.run, condition, id=str(uuid.uuid4()), task_queue=queue)
            for condition in (CONDITION, f"!({CONDITION})", CONDITION)
        ]
        assert [await handle.result() for handle in handles] == [True, False, True]
    histories: list[WorkflowHistory] = [await handle.fetch_history() for handle in handles]
    replayer = Replayer(workflows=[Decide], workflow_runner=PASSED)
    for history in histories:
        await replayer.replay_workflow(history)
