"""Tests in several forked processes are reported as tests in one are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
OF_EACH_KIND = """
import os, signal, time, warnings
from pathlib import Path
import pytest

with open("collected", "a") as file:
    file.write("once ")

@pytest.mark.parametrize("me", [0, 1])
def test_meets_the_other(me):
    Path(f"met{me}").touch()
    deadline = time.monotonic() + 60
    while not Path(f"met{1 - me}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def test_fails():
    os.system("echo said by a command")
    assert "this" == "that"

def test_kills_its_process():
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.skip(reason="no time")
def test_is_skipped(): ...

def test_warns(): warnings.warn("look out", UserWarning)

def test_passes(tmp_path): ...
"""
SHARED = """
import pytest

@pytest.fixture(scope="module")
def shared():
    with open("made", "a") as file:
        file.write("once ")

@pytest.mark.parametrize("n", range(20))
def test_uses_it(shared, n): ...
"""
HANGS = """
import time
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def server():
    yield
    with open("stopped", "a") as file:
        file.write("one ")

@pytest.mark.parametrize("n", range(4))
def test_hangs(server, n):
    Path(f"began{n}").touch()
    time.sleep(60)
"""


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Run the tests of a folder in two processes, without the plugins that take time to import."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-p", "tests.parallel.plugin", "-n", "2", *arguments],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status and the output of a run."""
    with run:
        output, _ = run.communicate()
    return run.returncode, output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra --import-mode=importlib\n")
    return tmp_path


def test_each_result_is_reported_and_what_crashed_by_name(folder: Path) -> None:
    (folder / "test_kinds.py").write_text(OF_EACH_KIND)
    status, output = ended(begin(folder, "--junitxml=junit.xml"))

    assert status == 1
    assert "2 failed, 4 passed, 1 skipped, 1 warning" in output
    assert "test_kinds.py::test_kills_its_process - process" in output and "SIGKILL" in output
    assert "assert 'this' == 'that'" in output and "said by a command" in output
    assert "no time" in output and "UserWarning: look out" in output
    assert (folder / "collected").read_text() == "once "
    (suite,) = ElementTree.parse(folder / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("7", "2", "1")

    status, output = ended(begin(folder, "--lf", "-v", "-x"))
    assert status == 1
    assert "rerun previous 2 failures" in output and "stopping after 1 failures" in output


def test_tests_that_share_something_costly_run_in_one_process(folder: Path) -> None:
    for name in ("tests/pages/test_one.py", "tests/pages/test_other.py", "tests/workflows/test_outage.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(SHARED)
    status, output = ended(begin(folder, "tests"))
    assert status == 0 and "60 passed" in output
    assert (folder / "made").read_text() == "once " * 3  # for each of the three files


def test_an_interruption_stops_every_process_and_what_it_has_started(folder: Path) -> None:
    (folder / "test_hanging.py").write_text(HANGS)
    run = begin(folder)
    while not ((folder / "began0").exists() and (folder / "began1").exists()):
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    status, output = ended(run)
    assert status == 2 and "KeyboardInterrupt" in output
    assert (folder / "stopped").read_text() == "one one "
