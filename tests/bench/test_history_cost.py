"""Law 9 and the budget: a track costs its sends and its timers."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from bench.history_cost import BUDGET, Cost, bare, five_step, report
from bench.stand import Servers, stand_on
from tests.conftest import DevServer
from tests.support.sandbox import Sandbox


async def test_the_five_step_track_keeps_its_budget_beside_a_bare_workflow(
    postgres_url: str, dev_server: DevServer, sandbox: Sandbox
) -> None:
    servers = Servers(postgres_url, dev_server.address, sandbox.url, sandbox.callback_port, sandbox.twilio_auth_token)
    async with stand_on(servers) as stand:
        track, by_hand = await five_step(stand), await bare(stand)
    assert all(asdict(track)[what] <= limit for what, limit in BUDGET.items())
    waits = 2
    assert track.events <= by_hand.events + waits + 1  # one per wait and one at the close
    assert track.activities == by_hand.activities == 2


def test_the_report_is_one_json_object_and_its_status_tells_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    cheap, dear = Cost(30, 5000, 2), Cost(33, 5000, 2)
    assert report({"five_step": cheap, "bare": cheap}, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "five_step": {"events": 30, "bytes": 5000, "activities": 2},
        "bare": {"events": 30, "bytes": 5000, "activities": 2},
    }
    assert report({"five_step": dear, "bare": cheap}, as_json=False) == 1
    assert "over the budget: events" in capsys.readouterr().err
