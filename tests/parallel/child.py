"""One process that runs tests: forked after the collection, it gets tests by their places and tells what happens."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

import pytest

PROCESS = "TEST_PROCESS"  # not PERENNIAL_…, which would be a setting
"""The environment variable that tells a test which of the processes runs it. It is not set if there is only one."""


class Child:
    """Forwards pytest's hooks to the parent, where the reporters and the cache are."""

    def __init__(self, session: pytest.Session, name: str, connection: Connection) -> None:
        self.session = session
        self.name = name
        self.connection = connection

    def run(self) -> None:
        """Run tests until the parent sends None, then end this process without the parent's ways to exit."""
        signal.signal(signal.SIGINT, _interrupted)
        try:
            self._prepare()
            item = self._next_item()
            while item is not None:
                following = self._next_item()  # what both tests share is not torn down between them
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                self.send("done")
                item = following
        except pytest.exit.Exception as stop:
            self.send("stop", reason=str(stop))
        except (KeyboardInterrupt, EOFError, BrokenPipeError):
            pass  # the parent says so, or is no more
        except BaseException:
            self.send("broken", reason=traceback.format_exc())
        finally:
            self._end()

    def send(self, event: str, **details: Any) -> None:
        self.connection.send((event, details))

    def _prepare(self) -> None:
        """Give this process its own of what the parent and the other processes must not share."""
        config = self.session.config
        os.environ[PROCESS] = self.name
        # Reports go to the parent. What pytest-timeout writes about a test that hangs is written at once.
        writer = config.get_terminal_writer()
        config.pluginmanager.unregister(name="terminalreporter")
        vars(config)["get_terminal_writer"] = lambda: writer
        # The files of captured output have one position for all processes that inherit them.
        capture = config.pluginmanager.getplugin("capturemanager")
        assert capture
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
        # Making a numbered folder reads the names of all others, so each process numbers in a folder of its own.
        folders: pytest.TempPathFactory = vars(config)["_tmp_path_factory"]
        own = folders.getbasetemp() / self.name
        own.mkdir()
        vars(folders)["_basetemp"] = own

    def _next_item(self) -> pytest.Item | None:
        place = self.connection.recv()
        return None if place is None else self.session.items[place]

    def _end(self) -> None:
        """Tear down what an interruption left, and end."""
        try:
            self.session._setupstate.teardown_exact(None)
        except BaseException:
            pass  # an interrupted setup leaves its fixtures half made
        finally:
            os._exit(0)

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self.send("pytest_runtest_logstart", nodeid=nodeid, location=location)

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self.send("pytest_runtest_logfinish", nodeid=nodeid, location=location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        config = self.session.config
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self.send("report", data=data)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        if when != "collect":  # the parent has collected, and knows
            self.send(
                "warning",
                kind=warning_message.category.__name__,
                text=str(warning_message.message),
                file=(warning_message.filename, warning_message.lineno),
                told={"when": when, "nodeid": nodeid, "location": location},
            )


def _interrupted(number: int, frame: object) -> None:
    """Interrupt the test once. Further signals must not interrupt how it is torn down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
