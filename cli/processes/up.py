"""`perennial up`: run everything on this machine, with sample contacts on the library's tracks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.over_database.doctor import stuck
from cli.processes.schema import upgrade
from cli.shared.printing import printable

if TYPE_CHECKING:
    from rich.console import Console

    from infra.launch.stack import Addresses, Stack
    from infra.launch.state import State

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIBRARY = Path(__file__).parents[2] / "tracks" / "library"


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(up)


def refuse_to_live(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C."""
    raise KeyboardInterrupt


@dataclass(frozen=True)
class Wish:
    """The options of `up`."""

    crowd: bool
    contacts: int
    pace: float
    seed: int
    stay: bool


def up(
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the kept data and start over.")] = False,
    exit_: Annotated[
        bool, typer.Option("--exit", help="End once the crowd has finished: status 0, or 1 if a law was broken.")
    ] = False,
    crowd: Annotated[bool, typer.Option(help="Run sample contacts on the library's tracks.")] = True,
    contacts: Annotated[int, typer.Option(min=1, max=1000, help="How many sample contacts.")] = 60,
    pace: Annotated[
        float, typer.Option(min=1, help="Seconds of the sample contacts' clock in one real second.")
    ] = 86_400,
    seed: Annotated[int, typer.Option(help="The seed of the sample contacts' behaviour.")] = 24,
) -> None:
    """Start everything on this machine and show what it does; Ctrl-C stops it.

    Starts servers of its own; DATABASE_URL and TEMPORAL_ADDRESS name yours to use instead.

    Example: perennial up --fresh --contacts 20
    """
    from rich.console import Console
    from rich.markup import escape

    from infra.launch.errors import LaunchError
    from infra.launch.state import State
    from settings import get_settings

    console = Console(highlight=False, soft_wrap=True)
    for number in STOP_SIGNALS:
        signal.signal(number, refuse_to_live)
    state = State(get_settings().data)
    status = 0
    try:
        state.open(fresh=fresh)
        try:
            wish = Wish(crowd, contacts, pace, seed, stay=not exit_)
            status = _run_stack(state, console, wish)
        finally:
            state.close()
    except LaunchError as problem:
        console.print(f"[red]✗[/] {escape(printable(problem))}", style=None, markup=True)  # it may quote a log
        status = 1
    except KeyboardInterrupt:
        console.print("Stopped. ./run goes on where this left off; ./run --fresh starts over.")
    sys.stdout.flush()
    os._exit(status)  # nothing is left to clean up, and a normal exit takes a second on a busy machine


def _run_stack(state: State, console: Console, wish: Wish) -> int:
    """Start the stack, show it, and keep it running. Returns the exit status. Nothing is left running, also after an
    error."""
    from infra.launch.console import Progress
    from infra.launch.stack import Stack

    console.print("[bold]Perennial[/] is coming up:")
    progress = Progress(console)

    def prepare(database_url: str) -> None:
        upgrade(database_url, state.secrets()["address_secret"])

    stack = Stack(state, prepare=prepare, say=progress.say, entry_pace=wish.pace)
    try:
        try:
            addresses = stack.start()
        finally:
            progress.close()
        key = asyncio.run(_local_key(state, addresses.database))
        return asyncio.run(_live(stack, addresses, key, console, wish))
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        stack.stop()


async def _live(stack: Stack, addresses: Addresses, key: str, console: Console, wish: Wish) -> int:
    """Run the crowd while checking the stack. Then wait until interrupted, or with `--exit` return the exit status."""
    from infra.demo.terminal import Demo, show_addresses

    async def watch() -> None:
        while True:
            stack.check()
            await asyncio.sleep(0.3)

    async def live() -> int:
        status = 0
        if wish.crowd:
            demo = Demo(
                api=addresses.api,
                key=key,
                sandbox=addresses.sandbox,
                library=LIBRARY,
                progress=stack.state.folder / "crowd.json",
                console=console,
                seed=wish.seed,
                pace=wish.pace,
                contacts=wish.contacts,
                stuck=lambda: stuck(addresses),
            )
            status = await demo.run()
        show_addresses(console, addresses.api, addresses.sandbox, addresses.ui, addresses.namespace, key)
        if wish.stay:
            console.print("\nCtrl-C stops everything.")
            await asyncio.Event().wait()
        return status

    # An exception from a signal handler would be raised in any running task, so here the handler sets an event.
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    living = asyncio.create_task(live())
    tasks: list[asyncio.Task[Any]] = [living, asyncio.create_task(watch()), asyncio.create_task(stopped.wait())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        if (error := task.exception()) is not None:
            raise error
    if living not in done:
        raise KeyboardInterrupt
    return living.result()


async def _local_key(state: State, database_url: str) -> str:
    """The stack's own API key; a new one if the database does not have it."""
    from store.engine.database import Database
    from store.operations import api_keys

    database = Database(database_url, 1)
    try:
        kept = state.secrets().get("api_key", "")
        async with database.transaction() as tx:
            if kept and await api_keys.find(tx, kept):
                return kept
            _, made = await api_keys.create(tx, "run")
        state.keep_secret("api_key", made)
        return made
    finally:
        await database.close()
