"""A full disk under PostgreSQL: the API answers only 503, and all work continues when there is space again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bench.faults.load import Load, prepare
from bench.faults.records import Received, caught_up, compare
from bench.installation.one_process import installation_on
from infra.launch.ports import any_free
from infra.launch.postgres import Postgres
from store.schema.migrate import upgrade
from tests.conftest import DevServer
from tests.support.sandbox import start_sandbox
from tests.support.servers import servers_of

SIZE = "192m"
LEFT = 8192
"""Bytes of the last file that fills the disk: a page of PostgreSQL."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small file system at the folder. The test is skipped if this is not permitted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small file system")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Fill the disk to its last page. Returns the file to delete."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, LEFT):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return ballast


@pytest.mark.timeout(300)
async def test_all_goes_on_when_a_full_disk_has_room_again(tmp_path: Path, dev_server: DevServer) -> None:
    """PostgreSQL's own log is there too, so PostgreSQL ends and has to be started again."""
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "disk"))
        postgres = Postgres(disk / "postgres", any_free(), "full", log=tmp_path / "postgres.log")
        stack.callback(lambda: postgres.stop())
        url = postgres.start()
        upgrade(url)
        sandbox = start_sandbox(tmp_path / "sandbox")
        stack.callback(sandbox.child.stop)
        servers = servers_of(url, dev_server, sandbox)
        async with installation_on(servers) as installation:
            await prepare(installation)
            load = Load(installation, "full", rate=5, rng=random.Random(1))
            answers = load.taken.answers
            load.start()
            try:
                await until(lambda: answers["201"] >= 8)
                ballast = fill(disk)
                await until(lambda: answers["503"] >= 10)
                assert postgres.child is not None
                while postgres.child.running:
                    with contextlib.suppress(SQLAlchemyError):
                        async with installation.database.transaction() as tx:
                            await tx.execute(text("SELECT pg_switch_wal()"))  # make PostgreSQL need a new file earlier
                ballast.unlink()
                postgres.stop()
                postgres.start()
                before = answers["201"]
                await until(lambda: answers["201"] >= before + 8)
            finally:
                await asyncio.to_thread(load.finish)
            await caught_up(installation, load.taken.people, patience=60)
            found = await compare(installation, load.taken, Received())
            assert found.broken == []
            assert set(answers) <= {"200", "201", "202", "429", "503", "too late"}


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
