"""One folder has one stack. Its secrets stay private, and the next start ends what a killed one left running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from infra.launch.errors import LaunchError
from infra.launch.process import Child
from infra.launch.state import State, read_json, started_at

SLEEPER = "import time; time.sleep(60)"


def opens_and_closes(folder: Path) -> None:
    state = State(folder)
    state.open()
    state.close()


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    state = State(tmp_path / "data")
    state.open()
    first = state.secrets()
    state.keep_secret("api_key", "pk_x")
    assert state.secrets() == first | {"api_key": "pk_x"}
    assert stat.S_IMODE((state.folder / "secrets.json").stat().st_mode) == 0o600
    state.close()


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o777:o}" for path in (folder, *folder.rglob("*"))}


def test_the_folder_of_an_older_version_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / ".perennial"
    (folder / "logs").mkdir(parents=True)
    for name in ("lock", "crowd.json", "temporal.db", "temporal.db-wal", "logs/api.log"):
        (folder / name).touch(mode=0o644)
    (folder / "ports.json").symlink_to(folder / "nowhere")
    for path in (folder, folder / "logs"):
        path.chmod(0o755)
    outside = tmp_path.stat().st_mode
    opens_and_closes(folder)
    (folder / "ports.json").unlink()
    found = modes(folder)
    assert (found.pop(".perennial"), found.pop("logs")) == ("700", "700")
    del found[".gitignore"]
    assert set(found.values()) == {"600"}
    assert tmp_path.stat().st_mode == outside


def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").touch(mode=0o644)
    for _ in range(2):
        opens_and_closes(tmp_path)
    assert (modes(tmp_path)[tmp_path.name], modes(tmp_path)["thesis.txt"]) == ("755", "644")


def test_what_a_child_makes_is_its_owners_alone(tmp_path: Path) -> None:
    made = tmp_path / "made"
    child = Child("x", [sys.executable, "-c", f"open({str(made)!r}, 'w')"], tmp_path / "logs" / "x.log")
    child.popen.wait(10)
    assert {name: mode for name, mode in modes(tmp_path).items() if name != tmp_path.name} == {
        "made": "600",
        "logs": "700",
        "x.log": "600",
    }


def test_a_second_stack_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.open()
    state.record([], {})
    with pytest.raises(LaunchError, match=rf"already runs here .process {os.getpid()}.; stop it first"):
        State(tmp_path).open()
    state.close()
    opens_and_closes(tmp_path)


def test_what_a_killed_start_left_running_is_ended(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.open()
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEPER}"
    children = [Child("a", [sys.executable, "-c", code], tmp_path / "log") for code in (SLEEPER, stubborn)]
    children[1].wait_ready(lambda: children[1].said("1"), 10)
    state.record(children, {})
    assert state._lock
    state._lock.close()  # what the kernel does for a killed process

    opens_and_closes(tmp_path)
    assert [child.popen.wait(1) for child in children] == [-signal.SIGTERM, -signal.SIGKILL]


def test_a_stranger_with_a_leftovers_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        state = State(tmp_path)
        state.open()
        state.running.write_text(json.dumps({"children": [{"pid": stranger.pid, "started": "long ago", "signal": 15}]}))
        assert state._lock
        state._lock.close()
        opens_and_closes(tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert started_at(stranger.pid) is None


def test_fresh_empties_the_folder(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "secrets.json").write_text("{}")
    state = State(tmp_path)
    state.open(fresh=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "lock", "logs"]
    state.close()


def test_a_full_disk_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9, 12_000_000))
    with pytest.raises(LaunchError, match=r"The disk of .* is full: 12 MB are free, Perennial needs 300 MB\."):
        State(tmp_path).open()
    monkeypatch.undo()
    opens_and_closes(tmp_path)  # the refused one released the folder


def test_a_folder_that_cannot_be_made_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match=r"Perennial cannot write to .*: Not a directory"):
        State(tmp_path / "file" / "data").open()


def test_broken_notes_are_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "running.json").write_text('{"pid": ')
    assert read_json(tmp_path / "running.json") == {}
