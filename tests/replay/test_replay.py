"""No running enrolment breaks on a deploy (law 10): recorded histories replay with the present code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from tests.replay.handoffs import HANDOFFS
from tests.replay.imports import IMPORTS
from tests.replay.record import HISTORIES, IMPORT_HISTORIES
from tests.replay.scenarios import SCENARIOS
from tracks.runs.run_interface import WORKFLOW_TYPE, RunInput, RunResult
from workflows.determinism_sandbox import runner
from workflows.import_contacts import ImportContacts
from workflows.nurture import NurtureTrack

RECORDED = sorted(HISTORIES.glob("*.json"))
RECORDED_IMPORTS = sorted(IMPORT_HISTORIES.glob("*.json"))


def load(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"nurture/trial/{path.stem}", path.read_text())


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    replayer = Replayer(
        workflows=[NurtureTrack], workflow_runner=runner(strict=True), data_converter=pydantic_data_converter
    )
    await replayer.replay_workflow(load(path))


@pytest.mark.parametrize("path", RECORDED_IMPORTS, ids=lambda path: path.stem)
async def test_a_recorded_import_replays(path: Path) -> None:
    replayer = Replayer(
        workflows=[ImportContacts], workflow_runner=runner(strict=True), data_converter=pydantic_data_converter
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(f"import/{path.stem}", path.read_text()))


def test_every_scenario_is_recorded() -> None:
    assert {path.name.split(".")[0] for path in RECORDED_IMPORTS} == set(IMPORTS)
    assert {path.name.split(".")[0] for path in RECORDED} == set(SCENARIOS | HANDOFFS)


def test_no_recording_names_a_folder_of_the_machine_it_was_made_on() -> None:
    assert not any("stackTrace" in path.read_text() for path in [*RECORDED, *RECORDED_IMPORTS])


def test_the_recordings_pass_through_every_instruction() -> None:
    text = "".join(path.read_text() for path in RECORDED)
    inputs = [event for path in RECORDED for event in json.loads(path.read_text())["events"][:1]]
    assert len(inputs) == len(RECORDED)
    kinds = {instruction.op for scenario in (SCENARIOS | HANDOFFS).values() for instruction in scenario.code}
    assert kinds == {
        "effect",
        "wait",
        "wait_until",
        "wait_date",
        "wait_moment",
        "wait_for",
        "handoff",
        "wait_condition",
        "branch",
        "split",
        "repeat",
        "break",
        "jump",
        "exit",
    }
    assert "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW" in text


@workflow.defn(name=WORKFLOW_TYPE)
class ForgetfulTrack:
    """The workflow after a careless edit: it ends without its steps."""

    @workflow.run
    async def run(self, given: RunInput) -> RunResult:
        return RunResult(status="completed", reason="nothing done")


async def test_the_gate_notices_a_workflow_that_would_break_runs_in_flight() -> None:
    replayer = Replayer(
        workflows=[ForgetfulTrack],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=pydantic_data_converter,
    )
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(load(HISTORIES / "five-steps-silent.1.json"))
