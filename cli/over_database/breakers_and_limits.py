"""Operators' commands: `perennial breakers` and `perennial limits`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.shared.common import fail, in_database
from cli.shared.printing import Json, minute, say, say_json, say_table

if TYPE_CHECKING:
    from temporalio.client import Client

    from activities.sending.queue_rates import QueueRate
    from store.engine.database import Database
    from store.sending.policy.breakers import Breaker

breaker_commands = typer.Typer(
    help="Hold and resume tracks and channels.",
    epilog="Speaks to the database (DATABASE_URL).",
    no_args_is_help=True,
)
limit_commands = typer.Typer(
    help="The rate of calls to each provider, over all workers.",
    epilog="Speaks to Temporal (TEMPORAL_ADDRESS).",
    no_args_is_help=True,
)

Scope = Annotated[str, typer.Argument(help="track:NAME, account:email or account:sms.")]
Queue = Annotated[str, typer.Argument(help="email, sms, crm or webhook.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(breaker_commands, name="breakers")
    app.add_typer(limit_commands, name="limits")


@breaker_commands.command("list")
def list_breakers(as_json: Json = False) -> None:
    """List every breaker that ever opened; all others are closed."""
    from store.sending.policy import breakers

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            found = await breakers.all_known(tx)
        if as_json:
            say_json([asdict(breaker) for breaker in found])
            return
        say_table(
            ("scope", "state", "since (UTC)", "until (UTC)", "held", "cause: reason"),
            [
                (
                    breaker.scope,
                    _state(breaker),
                    minute(breaker.changed_at),
                    minute(breaker.until) if breaker.state == "open" else "",
                    breaker.held if breaker.state != "closed" else "",
                    f"{breaker.cause}: {breaker.reason}",
                )
                for breaker in found
            ],
            empty="No breaker ever opened.",
        )

    in_database(work)


@breaker_commands.command("hold")
def hold(scope: Scope, reason: Annotated[str, typer.Option(help="Why, for other operators.")]) -> None:
    """Hold a track or a channel: until it is resumed, only transactional messages are sent.

    Example: perennial breakers hold track:win-back --reason "wrong price"
    """
    from store.published import tracks
    from store.sending.policy import breakers
    from tracks.shared.personal_ids import looks_personal

    if not 0 < len(reason) <= breakers.LONGEST_REASON:
        fail(f"A reason has 1 to {breakers.LONGEST_REASON} characters.")
    if (why := looks_personal(reason)) is not None:
        fail(f"The reason {why.partition(';')[0]}: it stays in the histories of the runs that are held.")

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            if scope.startswith("track:") and await tracks.get(tx, scope.removeprefix("track:")) is None:
                fail(f"There is no track {scope.removeprefix('track:')}.")
            await breakers.trip(tx, scope, "operator", reason)
            found = await breakers.find(tx, scope)
        assert found is not None
        say(_line(found))

    _check(scope)
    in_database(work)


@breaker_commands.command("resume")
def resume(
    scope: Scope,
    per_second: Annotated[
        float | None, typer.Option(min=0.001, max=1000, help="By default as the policy says.")
    ] = None,
) -> None:
    """Send the held messages at a bounded rate, oldest first.

    Example: perennial breakers resume track:win-back --per-second 5
    """
    from store.published import policies
    from store.sending.policy import breakers

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            rate = per_second or (await policies.current(tx)).policy.breaker.per_second
            found = await breakers.resume(tx, scope, per_second=rate)
        if found is None:
            fail(f"{scope} is not open.")
        say(_line(found))

    _check(scope)
    in_database(work)


def _check(scope: str) -> None:
    if not re.fullmatch(r"account:(email|sms)|track:[a-z0-9][a-z0-9-]{0,62}", scope):
        fail(f"{scope} is no scope of a breaker: that is track:NAME, account:email or account:sms.")


@limit_commands.command("list")
def list_limits(as_json: Json = False) -> None:
    """Show each provider queue's rate and who set it."""
    from activities.sending import queue_rates

    async def work(client: Client) -> None:
        found = {name: await queue_rates.read(client, queue) for name, queue in queue_rates.QUEUES.items()}
        if as_json:
            say_json([{"queue": name} | asdict(rate) for name, rate in found.items()])
            return
        say_table(("queue", "rate"), [(name, _rate(rate)) for name, rate in found.items()])

    _with_temporal(work)


@limit_commands.command("set")
def set_limit(queue: Queue, per_second: Annotated[float, typer.Argument(min=0, help="0 stops the queue.")]) -> None:
    """Set a queue's rate, at once and for all workers; it stays until it is cleared.

    Example: perennial limits set sms 10
    """
    _write(queue, per_second)


@limit_commands.command("clear")
def clear_limit(queue: Queue) -> None:
    """Remove a set rate: then SES's quota, or the rate of the workers' settings, is valid again.

    Example: perennial limits clear sms
    """
    _write(queue, None)


def _write(queue: str, per_second: float | None) -> None:
    from activities.sending import queue_rates

    if queue not in queue_rates.QUEUES:
        fail(f"There is no queue {queue}; there are {', '.join(queue_rates.QUEUES)}.")

    async def work(client: Client) -> None:
        await queue_rates.write(client, queue_rates.QUEUES[queue], per_second, "operator")
        await asyncio.sleep(queue_rates.TRUSTED_FOR)  # after this time no worker uses the old rate
        say(f"{queue:<8} {_rate(await queue_rates.read(client, queue_rates.QUEUES[queue]))}")

    _with_temporal(work)


def _rate(found: QueueRate) -> str:
    if found.set_here is not None:
        return f"{found.set_here:g} a second (set: {found.reason or 'no reason given'})"
    if found.by_workers is not None:
        return f"{found.by_workers:g} a second (workers' PERENNIAL_QUEUE_RATES)"
    return "no rate set"


def _state(breaker: Breaker) -> str:
    return breaker.state + (f" at {breaker.per_second:g} a second" if breaker.state == "resuming" else "")


def _line(breaker: Breaker) -> str:
    until = f" until {breaker.until:%Y-%m-%d %H:%M}" if breaker.until and breaker.state == "open" else ""
    held = f", {breaker.held} held" if breaker.held and breaker.state != "closed" else ""
    since = f"since {breaker.changed_at:%Y-%m-%d %H:%M}"
    return f"{breaker.scope}  {_state(breaker)} {since}{until}{held}  {breaker.cause}: {breaker.reason}"


def _with_temporal(work: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
    from cli.shared.temporal import connect_alone

    async def run() -> None:
        await work(await connect_alone())
        await asyncio.sleep(0.3)  # the client's threads can crash an interpreter that exits at once

    asyncio.run(run())
