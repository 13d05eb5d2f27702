"""A child process never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.launch.errors import LaunchError
from infra.launch.process import Child

ROOT = Path(__file__).parents[3]
SLEEPER = "import time; time.sleep(60)"


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def test_an_early_death_is_told_with_what_it_said(tmp_path: Path) -> None:
    child = Child("the server", [sys.executable, "-c", "raise SystemExit('no room left')"], tmp_path / "log")
    with pytest.raises(LaunchError, match=r"the server ended with status 1; its log .* ends: no room left"):
        child.wait_ready(lambda: False, 10)


def test_silence_is_told_too(tmp_path: Path) -> None:
    child = Child("the server", [sys.executable, "-c", SLEEPER], tmp_path / "log")
    with pytest.raises(LaunchError, match="the server did not come up within 0 s"):
        child.wait_ready(lambda: False, 0.2)
    child.stop()
    assert not child.running


def test_one_that_will_not_stop_is_made_to(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"print(subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]).pid, flush=True); time.sleep(60)"
    )
    child = Child("stubborn", [sys.executable, "-c", stubborn], tmp_path / "log")
    child.wait_ready(lambda: child.output() != "", 10)
    grandchild = int(child.output())
    began = time.monotonic()
    child.stop(grace=0.3)
    assert time.monotonic() - began < 2
    assert not child.running
    assert gone_within(grandchild, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_it_dies_with_a_killed_parent(tmp_path: Path) -> None:
    parent_code = (
        "import sys, time, pathlib; from infra.launch.process import Child;"
        f"c = Child('x', [sys.executable, '-c', {SLEEPER!r}], pathlib.Path({str(tmp_path / 'log')!r}));"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert alive(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert gone_within(pid, 2)
