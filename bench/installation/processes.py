"""All of Perennial in separate processes, as in production. Each may be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.installation.one_process import (
    PROJECT,
    PYTHON,
    Installation,
    Servers,
    environment_of,
    local_settings,
    set_up_sandbox_command,
)
from bench.measuring.resource_use import Spent
from infra.launch.ports import HOST, any_free
from infra.launch.postgres import Postgres
from infra.launch.process import Child
from infra.launch.stack import answers
from infra.launch.temporal import Temporal, without_temporal_environment
from store.engine.database import Database
from store.operations import api_keys
from store.schema.migrate import upgrade

SERVERS = ("postgres", "temporal", "sandbox")
LONGEST_START = 60.0
"""Seconds for a start. A killed server first recovers its files."""


class Processes:
    """An installation. Its parts are `postgres`, `temporal`, `sandbox`, `api`, `relay` and `worker-1` onwards.

    Ports stay the same after a restart, like addresses in production.
    """

    def __init__(self, folder: Path, *, workers: int = 1, relay_apart: bool = False, **more: Any) -> None:
        """`more` are settings, by their names in `Settings`. Without `relay_apart` each worker runs a relay."""
        self.folder = folder
        postgres = Postgres(folder / "postgres", any_free(), "bench", log=folder / "postgres.log")
        temporal = Temporal(any_free(), log=folder / "temporal.log", file=folder / "temporal.db")
        self._launchers: Mapping[str, Postgres | Temporal] = {"postgres": postgres, "temporal": temporal}
        self._sandbox_port, self._api_port = any_free(), any_free()
        self.servers = Servers(postgres.url(), temporal.address, f"http://{HOST}:{self._sandbox_port}", self._api_port)
        self._more = more
        self.workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self._relay_apart = relay_apart
        self._children: dict[str, Child] = {}
        self.spent = Spent()

    @property
    def ours(self) -> list[str]:
        """The parts that run Perennial's own code, in the order of their start."""
        return ["api", *(["relay"] if self._relay_apart else []), *self.workers]

    @property
    def parts(self) -> list[str]:
        """Every part, in the order of their start."""
        return [*SERVERS, *self.ours]

    def running(self, part: str) -> bool:
        """Whether the part is running."""
        child = self._children.get(part)
        return child is not None and child.running

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self.folder / f"{part}.log"

    def start(self, part: str) -> None:
        """Start a part and wait until it answers; harmless if it is running. Call it from the main thread.
        Raises LaunchError if the part does not start.
        """
        if self.running(part):
            return
        if part in self._launchers:
            launcher = self._launchers[part]
            launcher.start(LONGEST_START)
            assert launcher.child is not None
            self._children[part] = launcher.child
            self.spent.watch(part, launcher.child.pid)
        else:
            child = self.launch(part)
            child.wait_ready(self._ready(part, child), LONGEST_START)

    def launch(self, part: str) -> Child:
        """Start one of the Python parts without waiting for it."""
        return self._watched(
            part, Child(part, self._command(part), self.log(part), env=self._environment(), cwd=PROJECT)
        )

    def _watched(self, part: str, child: Child) -> Child:
        self._children[part] = child
        self.spent.watch(part, child.pid)
        return child

    def kill(self, part: str) -> None:
        """End a part and its child processes by SIGKILL; harmless if it is not running."""
        child = self._children.pop(part, None)
        if child is None:
            return
        self.spent.forget(part)
        if child.running:
            os.kill(child.pid, signal.SIGKILL)
        child.stop(0)
        self._forget(part)

    def stop(self, part: str, grace: float = 30.0) -> None:
        """Ask a part to stop, as an orchestrator does, and wait. After `grace` seconds it is killed."""
        child = self._children.pop(part, None)
        if child is not None:
            child.ask_to_stop()
            self.spent.forget(part)
            child.stop(grace)
            self._forget(part)

    def close(self) -> None:
        """Stop every part. A part is stopped before the parts that it uses."""
        for part in reversed(self.parts):
            self.stop(part, grace=3.0 if part in SERVERS else 1.0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Installation]:
        """Start every part, migrate the database, make a key. Yields the stand with which to use the installation."""
        try:
            for part in SERVERS:
                self.start(part)
            upgrade(self.servers.database_url)
            ours = [(part, self.launch(part)) for part in self.ours]
            for part, child in ours:
                while not self._ready(part, child)():
                    child.wait_ready(lambda: True, 1)  # raises if it died
                    await asyncio.sleep(0.03)
            installation = await self._installation()
        except BaseException:
            self.close()
            raise
        try:
            yield installation
        finally:
            await installation.close()
            self.close()

    async def _installation(self) -> Installation:
        settings = local_settings(self.servers, **self._more)
        database = Database(self.servers.database_url, 4)
        async with database.transaction() as tx:
            _, key = await api_keys.create(tx, "bench")
        temporal = await Client.connect(self.servers.temporal_address, data_converter=pydantic_data_converter)
        return Installation(self.servers, settings, database, temporal, key)

    def _command(self, part: str) -> list[str]:
        words: Mapping[str, list[str]] = {
            "api": ["cli", "api", "--port", str(self._api_port)],
            "relay": ["cli", "relay"],
            "sandbox": set_up_sandbox_command(self.folder, self._sandbox_port, self._api_port),
        }
        worker = ["cli", "worker", *(["--no-relay"] if self._relay_apart else [])]
        return [PYTHON, "-m", *words.get(part, worker)]

    def _environment(self) -> dict[str, str]:
        own = environment_of(local_settings(self.servers, **self._more))
        temporal = {
            "TEMPORAL_ADDRESS": self.servers.temporal_address,
            "TEMPORAL_NAMESPACE": self.servers.temporal_namespace,
        }
        return without_temporal_environment() | own | temporal

    def _ready(self, part: str, child: Child) -> Callable[[], bool]:
        if part == "api":
            return lambda: answers(f"http://{HOST}:{self._api_port}/readyz")
        if part == "sandbox":
            return lambda: answers(f"{self.servers.sandbox_url}/healthz")
        return lambda: child.said("relay started" if part == "relay" else "worker started")

    def _forget(self, part: str) -> None:
        if part in self._launchers:
            self._launchers[part].child = None
