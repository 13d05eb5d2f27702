"""Which test process runs what: the tests of the pages share one stack and one browser, so one process runs them all.

xdist's own groups are lost on the way with pytest 9.2, which no longer takes the node id that they are written into
(measured: three stacks and three browsers, 60 s of processes' time a run).
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

PAGES = "tests/pages/"


class PagesTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Tests one by one to whoever is free, those of the pages as one."""

    def _split_scope(self, nodeid: str) -> str:
        return PAGES if nodeid.startswith(PAGES) else nodeid


def make(config: Any, log: Any) -> PagesTogether:
    """For xdist's hook."""
    return PagesTogether(config, log)
