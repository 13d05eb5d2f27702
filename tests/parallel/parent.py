"""Run tests in several processes: collect once, fork, hand out tests, report in this process as if they ran here.

pytest-xdist collects in each process. With this project's tests that costs more than 10 CPU-seconds for each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from types import SimpleNamespace
from typing import Any

import pytest

from tests.parallel.child import Child
from tests.parallel.work import Work

PATIENCE = 15
"""Seconds that processes may take to stop their servers after an interruption."""


@dataclass(eq=False)
class Process:
    """A forked process: the tests that it has got, the running one first, and those of the same group to come."""

    name: str
    pid: int
    connection: Connection
    sent: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    running: bool = False

    @property
    def gateway(self) -> SimpleNamespace:
        """How pytest's terminal reporter asks for the name, with -v."""
        return SimpleNamespace(id=self.name)

    @property
    def workerinfo(self) -> dict[str, object]:
        """What pytest writes above a failure."""
        return {"id": self.name, "sysplatform": sys.platform, "version_info": sys.version_info, "executable": ""}


class Parallel:
    """The plugin of the process that collects."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.forked = 0
        self.processes: list[Process] = []

    def pytest_report_header(self) -> str:
        return f"processes: {self.wanted}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run all tests, in place of pytest's own loop."""
        wanted = min(self.wanted, len(session.items))
        if session.testsfailed or session.config.option.collectonly or session.config.option.usepdb or wanted < 2:
            return None
        if reporter := session.config.pluginmanager.getplugin("terminalreporter"):
            reporter.showfspath = False  # several files at a time
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self.work = Work([item.nodeid for item in session.items])
        complete = False
        try:
            for _ in range(wanted):
                self._fork(session)
            for process in list(self.processes):
                self._give(process)
            while self.processes:
                for connection in wait([process.connection for process in self.processes]):
                    self._hear(session, next(p for p in self.processes if p.connection is connection))
                if session.shouldfail:
                    raise session.Failed(session.shouldfail)
                if session.shouldstop:
                    raise session.Interrupted(session.shouldstop)
            complete = True
        finally:
            if not complete:
                self._interrupt()
        return True

    def _fork(self, session: pytest.Session) -> Process:
        """Make one more process and give it its first test."""
        if threads := threading.enumerate()[1:]:
            raise RuntimeError(f"a process with threads cannot fork: what started {threads} in the collection?")
        ours, its = Pipe()
        name = f"process{self.forked}"
        self.forked += 1
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            for other in self.processes:  # or else no process would see the parent's end
                other.connection.close()
            child = Child(session, name, its)
            session.config.pluginmanager.unregister(self)
            session.config.pluginmanager.register(child)
            child.run()
        its.close()
        process = Process(name, pid, ours)
        self.processes.append(process)
        self._give(process)
        return process

    def _give(self, process: Process) -> None:
        """Send one more test, or None at the end. Each process has one test in advance, to know what both share."""
        process.group = process.group or self.work.next_group()
        place = process.group.pop(0) if process.group else None
        if place is not None:
            process.sent.append(place)
        try:
            process.connection.send(place)
        except OSError:
            pass  # it has ended: what it said before is still to be heard, and then its end

    def _hear(self, session: pytest.Session, process: Process) -> None:
        """Take in what one process says."""
        hook = session.config.hook
        try:
            event, details = process.connection.recv()
        except (EOFError, OSError):
            self._ended(session, process)
            return
        match event:
            case "report":
                report = hook.pytest_report_from_serializable(config=session.config, data=details["data"])
                self._report(session, process, report)
            case "warning":
                hook.pytest_warning_recorded.call_historic(kwargs=_warning(**details))
            case "done":
                process.running = False
                process.sent.pop(0)
                self._give(process)
            case "stop":
                session.shouldstop = details["reason"]
            case "broken":
                raise RuntimeError(f"{process.name}: {details['reason']}")
            case _:
                process.running = True
                getattr(hook, event)(**details)

    def _report(self, session: pytest.Session, process: Process, report: pytest.TestReport) -> None:
        """Report as if the test ran here. pytest's reporters know from `node` that a process of many ran it."""
        vars(report)["node"] = process
        session.config.hook.pytest_runtest_logreport(report=report)

    def _ended(self, session: pytest.Session, process: Process) -> None:
        """Take leave of a process: all is done, or the running test made it crash and another takes its place."""
        self.processes.remove(process)
        process.connection.close()
        status = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        if process.running:
            item = session.items[process.sent.pop(0)]
            end = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            said = f"{process.name} crashed while it ran {item.nodeid}: {end}"
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", said, "call")
            self._report(session, process, report)
            session.config.hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        left = process.sent + process.group
        if left and not process.running:
            raise RuntimeError(f"{process.name} ended with {status} before it ran {session.items[left[0]].nodeid}")
        self.work.give_back(left)
        if left and not (session.shouldfail or session.shouldstop):
            self._give(self._fork(session))

    def _interrupt(self) -> None:
        """Interrupt what runs, give it time to stop its servers, and kill what does not end."""
        for process in self.processes:
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        left = list(self.processes)
        while left and time.monotonic() < deadline:
            for process in left:
                try:
                    while process.connection.poll():
                        process.connection.recv()
                except (EOFError, OSError):
                    os.waitpid(process.pid, 0)
                    left.remove(process)
                    break
            else:
                time.sleep(0.02)
        for process in left:
            _signal(process, signal.SIGKILL)
            os.waitpid(process.pid, 0)


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        pass


def _warning(kind: str, text: str, file: tuple[str, int], told: dict[str, Any]) -> dict[str, Any]:
    """The arguments of pytest's hook for a warning of another process."""
    category = type(kind, (Warning,), {})
    return {"warning_message": warnings.WarningMessage(category(text), category, *file), **told}
