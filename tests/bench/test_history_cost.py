"""Law 9 and the budget: a track costs its sends and its timers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.history_cost import BUDGET


@pytest.mark.timeout(120)
def test_the_five_step_track_keeps_its_budget_beside_a_bare_workflow() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.history_cost", "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    costs = json.loads(ran.stdout)
    track, bare = costs["five_step"], costs["bare"]
    assert all(track[what] <= limit for what, limit in BUDGET.items())
    waits = 2
    assert track["events"] <= bare["events"] + waits + 1  # one per wait and one at the close
    assert track["activities"] == bare["activities"] == 2
