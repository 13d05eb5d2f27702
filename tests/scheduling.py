"""Distribute tests to processes. The tests of the pages share one stack and one browser, so one process runs them all.
The same holds for tests that share an installation to kill, a process to fork others from, or one outage.

xdist's own groups do not work with pytest 9.2, which does not accept the node id that contains them (measured: three
stacks and three browsers, 60 s of CPU a run).
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/pages/": "the stack and the browser",
    "tests/faults/test_killed_processes.py": "the processes to be killed",
    "tests/faults/test_outage.py": "the processes to be killed",
    "tests/api/health/test_operations.py::test_the_process_listens_on_both": "the process to fork others from",
    "tests/api/http/test_overload.py::test_a_burst": "the process to fork others from",
    "tests/end_to_end/test_sends.py::test_a_worker_killed": "the process to fork others from",
    "tests/faults/test_segments.py": "the process to fork others from",
    "tests/workflows/test_outage.py": "the outage of the workers",
}
"""What tests share, by the beginning of their names."""


class PagesTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Gives single tests to any free process, and tests that share something costly to the same process."""

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for names, shared in TOGETHER.items() if nodeid.startswith(names)), nodeid)


def make(config: Any, log: Any) -> PagesTogether:
    """The scheduler for xdist's hook."""
    return PagesTogether(config, log)
