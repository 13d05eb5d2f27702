"""Law 9 and the budget: a track costs only its sends and its timers."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.comparisons.history import BUDGET, Cost, Costs, bare, billable, five_step, rows
from bench.comparisons.history_cost import report
from bench.installation.one_process import installation_on
from bench.measuring.paired_runs import status
from tests.conftest import DevServer
from tests.support.sandbox import Sandbox
from tests.support.servers import servers_of


async def test_the_five_step_track_keeps_its_budget_beside_a_bare_workflow(
    postgres_url: str, dev_server: DevServer, sandbox: Sandbox
) -> None:
    servers = servers_of(postgres_url, dev_server, sandbox)
    async with installation_on(servers) as installation:
        track, by_hand = await five_step(installation), await bare(installation)
    assert all(asdict(track)[what] <= limit for what, limit in BUDGET.items())
    waits = 2
    assert track.activities == 0, "each message goes past its provider's queue, by the run's own worker"
    assert track.events < by_hand.events
    assert by_hand.activities == 2
    assert by_hand.actions == 1 + 2 + 2  # the start, the timers, the sends
    assert track.actions <= by_hand.actions + waits + 1


def test_the_report_tells_the_budget_and_the_library() -> None:
    cheap, dear = Cost(30, 5000, 2, 8), Cost(33, 5000, 2, 8)
    assert status(rows(Costs(cheap, cheap, {"win-back": dear}))) == 0
    told = {row.what: row for row in rows(Costs(dear, cheap, {"win-back": dear}))}
    assert [what for what, row in told.items() if row.kept is False] == ["five steps: events"]
    assert told["five steps: events"].ratio == 1.1
    assert told["win-back: actions"].ours == 8


def test_attempts_count_each_and_local_activities_once_per_workflow_task() -> None:
    def local(task: int) -> HistoryEvent:
        event = HistoryEvent(event_type=EventType.EVENT_TYPE_MARKER_RECORDED)
        event.marker_recorded_event_attributes.marker_name = "core_local_activity"
        event.marker_recorded_event_attributes.workflow_task_completed_event_id = task
        return event

    retried = HistoryEvent(event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED)
    retried.activity_task_started_event_attributes.attempt = 3
    free = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)
    assert billable([local(4), local(4), local(9), retried, free]) == 2 + 3


def test_the_machines_report_is_one_json_object_and_its_status_tells_the_budget(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cheap, dear = Cost(30, 5000, 2, 8), Cost(33, 5000, 2, 8)
    assert report({"five_step": cheap, "bare": cheap}, as_json=True) == 0
    figures = {"events": 30, "bytes": 5000, "activities": 2}
    assert json.loads(capsys.readouterr().out) == {"five_step": figures, "bare": figures}
    assert report({"five_step": dear, "bare": cheap}, as_json=False) == 1
    assert "over the budget: events" in capsys.readouterr().err
