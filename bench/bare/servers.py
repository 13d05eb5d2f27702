"""The bare side: a Temporal server, the sandbox and one worker with the hand-written workflow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.bare.workflow import QUEUE, BareInput, BareTrack
from bench.installation.one_process import PROJECT, PYTHON, set_up_sandbox_command
from bench.measuring.resource_use import Spent
from infra.launch.ports import HOST, any_free
from infra.launch.process import Child
from infra.launch.stack import answers
from infra.launch.temporal import Temporal, without_temporal_environment


@dataclass(frozen=True)
class BareServers:
    """The servers that the load calls, and the meters of the parts `temporal`, `sandbox` and `worker`."""

    temporal: Client
    sandbox: httpx.AsyncClient
    spent: Spent

    async def start(self, who: str, patience: float) -> None:
        """Start a contact's hand-written track, which waits `patience` seconds for the click."""
        given = BareInput(who, delay=0, patience=patience)
        await self.temporal.start_workflow(BareTrack.run, given, id=f"bare/{who}", task_queue=QUEUE)

    async def click(self, who: str) -> None:
        """Signal the contact's workflow that the contact clicked."""
        await self.temporal.get_workflow_handle(f"bare/{who}").signal(BareTrack.clicked)


@asynccontextmanager
async def bare_servers(folder: Path) -> AsyncIterator[BareServers]:
    """Start the bare side on fresh servers. They stop when the context ends."""
    server = Temporal(any_free(), log=folder / "temporal.log", file=folder / "temporal.db")
    port, spent = any_free(), Spent()
    url = f"http://{HOST}:{port}"
    children: list[Child] = []
    environment = without_temporal_environment()
    try:
        address = server.start()
        assert server.child is not None
        spent.watch("temporal", server.child.pid)
        command = set_up_sandbox_command(folder, port)
        for name, module in (("sandbox", command), ("worker", ["bench.bare.worker", address, url])):
            child = Child(name, [PYTHON, "-m", *module], folder / f"{name}.log", env=environment, cwd=PROJECT)
            children.append(child)
            spent.watch(name, child.pid)
        children[0].wait_ready(lambda: answers(f"{url}/healthz"), 30)
        children[1].wait_ready(lambda: children[1].said("worker started"), 30)
        client = await Client.connect(address, data_converter=pydantic_data_converter)
        async with httpx.AsyncClient(base_url=url, timeout=60) as sandbox:
            yield BareServers(client, sandbox, spent)
    finally:
        for child in reversed(children):
            child.stop(1.0)
        server.stop()
