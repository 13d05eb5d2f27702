"""Only the five-step track and the bare workflow: `python -m bench.comparisons.history_cost [--json]`.

`perennial bench history` shows more. This prints one JSON object of a fixed form, for a program that checks the budget.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.comparisons.history import BUDGET, Cost, bare, five_step
from bench.installation.one_process import fresh_servers, installation_on
from infra import logs


async def measure() -> dict[str, Cost]:
    """Measure both costs in one run."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as folder:
        async with fresh_servers(Path(folder)) as servers, installation_on(servers) as installation:
            return {"five_step": await five_step(installation), "bare": await bare(installation)}


def report(measured: Mapping[str, Cost], *, as_json: bool) -> int:
    """Print the costs. Returns 1 if the track is over its budget, else 0."""
    costs = {name: {what: getattr(cost, what) for what in BUDGET} for name, cost in measured.items()}
    if as_json:
        print(json.dumps(costs))
    else:
        print(f"{'':12}" + "".join(f"{what:>12}" for what in BUDGET))
        for name, cost in (costs | {"budget": BUDGET}).items():
            print(f"{name:12}" + "".join(f"{value:>12}" for value in cost.values()))
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
