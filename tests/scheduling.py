"""Which test process runs what: the tests of the pages share one stack and one browser, so one process runs them all.
So do those that share a house of processes to be killed, or one outage.

xdist's own groups are lost on the way with pytest 9.2, which no longer takes the node id that they are written into
(measured: three stacks and three browsers, 60 s of processes' time a run).
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/pages/": "the stack and the browser",
    "tests/faults/test_house.py": "the house of processes",
    "tests/faults/test_outage.py": "the house of processes",
    "tests/workflows/test_outage.py": "the outage of the workers",
}
"""What tests share, by how their names begin."""


class PagesTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Tests one by one to whoever is free, those that share something costly as one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for names, shared in TOGETHER.items() if nodeid.startswith(names)), nodeid)


def make(config: Any, log: Any) -> PagesTogether:
    """For xdist's hook."""
    return PagesTogether(config, log)
