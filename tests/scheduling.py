"""Which test process runs what: the tests of the pages share one stack and one browser, so one process runs them all.
So do those that share a house of processes to be killed.

xdist's own groups are lost on the way with pytest 9.2, which no longer takes the node id that they are written into
(measured: three stacks and three browsers, 60 s of processes' time a run).
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/pages/", "tests/faults/test_house.py")


class PagesTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Tests one by one to whoever is free, those that share something costly as one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((scope for scope in TOGETHER if nodeid.startswith(scope)), nodeid)


def make(config: Any, log: Any) -> PagesTogether:
    """For xdist's hook."""
    return PagesTogether(config, log)
