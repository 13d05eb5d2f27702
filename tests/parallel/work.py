"""The order in which processes get tests, and the tests that one process must run.

The tests of the pages share one stack and one browser, so one process runs them all. The same holds for tests that
share an installation to kill, a process to fork others from, or one outage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

TOGETHER = {
    "tests/faults/test_killed_processes.py": "the processes to be killed",
    "tests/faults/test_outage.py": "the processes to be killed",
    "tests/faults/test_audience.py": "the processes to be killed",
    "tests/pages/": "the stack and the browser",
    "tests/api/health/test_operations.py::test_the_process_listens_on_both": "the process to fork others from",
    "tests/api/http/test_overload.py::test_a_burst": "the process to fork others from",
    "tests/end_to_end/test_sends.py::test_a_worker_killed": "the process to fork others from",
    "tests/faults/test_segments.py": "the process to fork others from",
    "tests/workflows/test_outage.py": "the outage of the workers",
}
"""What tests share, by the beginning of their names. The longest come first."""

LONG = ("tests/faults/", "tests/cli/processes/", "tests/docs/test_tutorial.py", "tests/bench/", "tests/end_to_end/")
"""Beginnings of the names of tests that take long: they start early, so that no process ends long after the others."""


class Work:
    """The tests that no process has got yet. A test is known by its place among the collected ones."""

    def __init__(self, nodeids: Sequence[str]) -> None:
        groups: dict[str, list[int]] = {shared: [] for shared in TOGETHER.values()}
        alone: list[list[int]] = []
        for place, nodeid in enumerate(nodeids):
            shared = next((shared for start, shared in TOGETHER.items() if nodeid.startswith(start)), None)
            if shared:
                groups[shared].append(place)
            else:
                alone.append([place])
        alone.sort(key=lambda group: not nodeids[group[0]].startswith(LONG))
        self._groups = deque([*filter(None, groups.values()), *alone])

    def next_group(self) -> list[int]:
        """Take the next tests that must run in one process; none if there are none left."""
        return self._groups.popleft() if self._groups else []

    def give_back(self, group: list[int]) -> None:
        """Give back tests that a process got and did not start."""
        if group:
            self._groups.appendleft(group)
