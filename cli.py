"""The command line: `perennial`. It wires the rooms together; what a command does lives in its room."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

import cli_bench
import cli_doctor
import cli_import
import cli_operate
import cli_people
from cli_common import api_caller, database_url, fail, in_database

if TYPE_CHECKING:
    from rich.console import Console

    from infra.launch.stack import Addresses, Stack
    from infra.launch.state import State
    from store.database import Database

Answer = TypeVar("Answer")
PROJECT = Path(__file__).parent
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIBRARY = PROJECT / "tracks" / "library"

app = typer.Typer(
    help="Perennial: lead-nurture tracks as durable Temporal workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
key_commands = typer.Typer(help="Make, list and revoke the API's keys.", no_args_is_help=True)
app.add_typer(key_commands, name="key")
cli_operate.add_to(app)


def refuse_to_live(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP end `up` the way Ctrl-C does."""
    raise KeyboardInterrupt


@dataclass(frozen=True)
class Wish:
    """What `up` was asked for."""

    crowd: bool
    contacts: int
    pace: float
    seed: int
    stay: bool


@app.command()
def up(
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the kept data away and start over.")] = False,
    exit_: Annotated[
        bool, typer.Option("--exit", help="End once the crowd has finished: status 0, or 1 if a law was broken.")
    ] = False,
    crowd: Annotated[bool, typer.Option(help="Let sample contacts live through the library's tracks.")] = True,
    contacts: Annotated[int, typer.Option(min=1, max=1000, help="How many sample contacts.")] = 60,
    pace: Annotated[float, typer.Option(min=1, help="Seconds of the crowd's lives in one real second.")] = 86_400,
    seed: Annotated[int, typer.Option(help="What the crowd's whims are drawn from.")] = 24,
) -> None:
    """Start everything on this machine and show what it does; Ctrl-C stops it."""
    from rich.console import Console

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
        console.print(f"[red]✗[/] {problem}", style=None, markup=True)
        status = 1
    except KeyboardInterrupt:
        console.print("Stopped. ./run goes on where this left off; ./run --fresh starts over.")
    sys.stdout.flush()
    os._exit(status)  # nothing is left to tidy up, and taking all modules apart lasts a second on a busy machine


def _run_stack(state: State, console: Console, wish: Wish) -> int:
    """Start, show, stay; the status to end with. Nothing is left running, whatever happens."""
    from infra.launch.console import Progress
    from infra.launch.stack import Stack

    console.print("[bold]Perennial[/] is coming up:")
    progress = Progress(console)
    stack = Stack(state, prepare=_upgrade, say=progress.say, entry_pace=wish.pace)
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
    """Run the crowd while watching over the stack; then stay until interrupted, or answer the status."""
    from infra.demo.show import Demo, show_addresses

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
                memory=stack.state.folder / "crowd.json",
                console=console,
                seed=wish.seed,
                pace=wish.pace,
                contacts=wish.contacts,
                stuck=lambda: cli_doctor.stuck(addresses),
            )
            status = await demo.run()
        show_addresses(console, addresses.api, addresses.sandbox, addresses.ui, addresses.namespace, key)
        if wish.stay:
            console.print("\nCtrl-C stops everything.")
            await asyncio.Event().wait()
        return status

    # An exception out of a signal handler would surface in whichever task is running: in here, one waits for it.
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
    """The stack's own API key; a new one where the database does not know it."""
    from store import keys
    from store.database import Database

    database = Database(database_url, 1)
    try:
        kept = state.secrets().get("api_key", "")
        async with database.transaction() as tx:
            if kept and await keys.find(tx, kept):
                return kept
            _, made = await keys.create(tx, "run")
        state.keep_secret("api_key", made)
        return made
    finally:
        await database.close()


def _serve(service: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a service to its end, on the faster loop.

    All that was imported is alive for good. The collector leaves it alone: each of its full rounds stopped a worker
    for 0.3 s, and they were a twentieth of its CPU (measured).
    """
    import uvloop

    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(service)


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the API."""
    import uvicorn

    from api.app import create_app
    from api.server import Server
    from api.temporal import connect
    from infra import logs
    from settings import get_settings
    from store.database import Database

    settings = get_settings()
    logs.set_up(json=settings.environment == "production")

    async def serve() -> bool:
        patience = settings.longest_request_wait.total_seconds()
        database = Database(settings.database_url.get_secret_value(), settings.database_pool, patience=patience)
        try:
            client = await connect(lazy=True)  # the API accepts work while Temporal is down
            served = create_app(settings, database, client)
            drain = round(settings.drain.total_seconds())
            options = uvicorn.Config(
                served, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=drain
            )
            server = Server(options)
            await server.serve()
            return server.started
        finally:
            await database.close()
            await asyncio.sleep(0.3)  # the Temporal client's threads can crash an interpreter that exits at once

    if not _serve(serve()):
        raise typer.Exit(1)


@app.command()
def worker(
    relay: Annotated[bool, typer.Option(help="Carry a relay too: one at a time leads, in any process.")] = True,
) -> None:
    """Run the workers and the relay that delivers what the API accepted."""
    from infra import logs
    from settings import get_settings
    from worker import run

    settings = get_settings()
    logs.set_up(json=settings.environment == "production")
    _serve(run(settings, relay=relay))


@app.command("relay")
def relay_alone() -> None:
    """Run a relay in a process of its own, beside workers with --no-relay."""
    from infra import logs
    from settings import get_settings
    from worker import run_relay

    settings = get_settings()
    logs.set_up(json=settings.environment == "production")
    _serve(run_relay(settings))


def _upgrade(url: str) -> None:
    from sqlalchemy.exc import DBAPIError

    from infra.launch.errors import LaunchError
    from store.migrate import upgrade

    try:
        upgrade(url)
    except (DBAPIError, ValueError) as problem:
        reason = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
        raise LaunchError(f"The database of DATABASE_URL cannot be used: {reason}") from None


@app.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to the newest schema."""
    from infra.launch.errors import LaunchError

    try:
        _upgrade(database_url())
    except LaunchError as problem:
        fail(str(problem))
    typer.echo("The database is up to date.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of tracks, for editors."""
    from tracks.schema import track_schema

    json.dump(track_schema(), sys.stdout, indent=2)
    typer.echo()


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Tracks (.yaml) and templates.")],
    url: Annotated[str | None, typer.Option(help="The API's address; by default the local stack's.")] = None,
    key: Annotated[str | None, typer.Option(help="The API's key; by default the local stack's.")] = None,
) -> None:
    """Publish a folder's tracks and templates; status 1 if anything is refused."""
    import httpx

    from infra.publishing import publish as send
    from infra.publishing import read_folder

    try:
        documents = read_folder(folder)
    except (OSError, ValueError) as problem:
        fail(f"{folder} cannot be published: {problem}.")
    if not documents:
        fail(f"{folder} holds no track (.yaml) and no template (.mjml, .liquid, .txt).")
    refused = 0
    try:
        with api_caller(url, key) as client:
            for published in send(client, documents):
                document = published.document
                if published.problems:
                    refused += 1
                    typer.echo("\n".join(published.problems), err=True)
                else:
                    news = "new" if published.created else "unchanged"
                    typer.echo(f"{document.kind} {document.name} version {published.version} ({news})")
    except httpx.HTTPError as problem:
        fail(f"The API does not answer: {problem}.")
    if refused:
        fail(f"{refused} of {len(documents)} refused.")


@app.command()
def preview(
    template: Annotated[str, typer.Argument(help="A template's file (.mjml, .liquid, .txt), or the name of one.")],
    contact: Annotated[str | None, typer.Option(help="The id of a contact to write for.")] = None,
    attr: Annotated[list[str] | None, typer.Option(help="An attribute of somebody invented: name=value.")] = None,
    var: Annotated[list[str] | None, typer.Option(help="A variable as a step would give it: name=value.")] = None,
    prop: Annotated[list[str] | None, typer.Option(help="A property of the enrolment: name=value.")] = None,
    locale: Annotated[str | None, typer.Option(help="A language, in place of the contact's.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where to write the HTML.")] = None,
    url: Annotated[str | None, typer.Option(help="The API's address; by default the local stack's.")] = None,
    key: Annotated[str | None, typer.Option(help="The API's key; by default the local stack's.")] = None,
) -> None:
    """Show the message that a contact would get, and which of its parts were chosen; nothing is sent."""
    import httpx
    from rich.console import Console

    from infra.previewing import PreviewRefusedError, ask, parse_pairs, show

    try:
        body: dict[str, Any] = {
            "variables": parse_pairs(var or []),
            "enrollment": {"properties": parse_pairs(prop or [])},
            **({"contact_id": contact} if contact else {"contact": {"attributes": parse_pairs(attr or [])}}),
            **({"locale": locale} if locale else {}),
        }
        with api_caller(url, key) as client:
            shown = ask(client, template, body)
        if html is not None:
            html.write_text(shown["html"] or "", encoding="utf-8")
    except httpx.HTTPError as problem:
        fail(f"The API does not answer: {problem}.")
    except (PreviewRefusedError, OSError, ValueError) as problem:
        fail(str(problem))
    show(Console(highlight=False, soft_wrap=True), shown)


@key_commands.command("create")
def create_key(name: str) -> None:
    """Make a key and print it: this is the only time that it can be read."""
    from store import keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            _, secret = await keys.create(tx, name)
        typer.echo(secret)

    in_database(work)


@key_commands.command("list")
def list_keys() -> None:
    """List the keys: id, name, when made, when revoked."""
    from store import keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            found = await keys.list_all(tx)
        for key in found:
            ended = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "in use"
            typer.echo(f"{key.id}  {key.name:<24} made {key.created_at:%Y-%m-%d %H:%M}  {ended}")

    in_database(work)


@key_commands.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")]) -> None:
    """Refuse a key from now on."""
    from store import keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            if not await keys.revoke(tx, key_id):
                fail(f"There is no key {key_id} in use.")
        typer.echo("Revoked.")

    in_database(work)


cli_bench.add_to(app)
cli_people.add_to(app)
cli_doctor.add_to(app)
cli_import.add_to(app)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
