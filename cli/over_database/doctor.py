"""`perennial doctor`: check that every live enrolment waits for something, and that nothing waits too long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.shared.common import database_url, fail
from cli.shared.printing import printable, say_json
from cli.shared.temporal import connect_beside

if TYPE_CHECKING:
    from rich.console import Console

    from api.doctor.findings import Report
    from api.doctor.repair import Lost, Repaired, Settle, Word
    from infra.launch.stack import Addresses
    from store.engine.database import Database

STUCK = (
    "outbox-late delivery-refused run-full lost-start run-ended run-lost run-unended run-deaf holds-nothing "
    "run-failing no-worker timer-late activity-late message-stuck message-overdue touch-late"
).split()
"""Kinds of findings that break a law in the demo. A breaker that bounces opened does not."""
SHOWN = 20
"""How many findings of one kind are printed without --all."""


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("doctor")(doctor)


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired safely.")] = False,
    lost: Annotated[
        str, typer.Option(help="With --repair, runs that Temporal does not know: leave, restart or close.")
    ] = "leave",
    refused: Annotated[
        str, typer.Option(help="With --repair, what Temporal refuses for good: leave, again or drop.")
    ] = "leave",
    every_run: Annotated[
        bool, typer.Option("--every-run", help="Look at each live run in detail, not only at suspects.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="Print every finding.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Compare the database with Temporal and list what is stuck. Status 1 if anything is stuck and was not repaired.

    Speaks to the database (DATABASE_URL) and to Temporal (TEMPORAL_ADDRESS) of one installation.

    Example: perennial doctor --repair --lost restart
    """
    if lost not in ("leave", "restart", "close"):
        fail("--lost is leave, restart or close.")
    if refused not in ("leave", "again", "drop"):
        fail("--refused is leave, again or drop.")
    if not asyncio.run(_run(repair, lost, refused, every_run, all_, as_json)):  # type: ignore[arg-type]
        raise typer.Exit(1)


async def _run(repair: bool, lost: Lost, refused: Word, every_run: bool, everything: bool, as_json: bool) -> bool:
    from rich.console import Console

    from api.doctor.check import Check
    from api.doctor.repair import Repair
    from store.engine.database import Database

    async with AsyncExitStack() as stack:
        url = database_url()
        client = await connect_beside(url)
        database = Database(url, 4)
        # the client's threads can crash an interpreter that exits at once
        stack.push_async_callback(asyncio.sleep, 0.3)
        stack.push_async_callback(database.close)
        shown = Console(stderr=True, highlight=False)
        with shown.status("Looking…") as status:
            report = await Check(database, client, say=status.update).whole(every_run=every_run)
            done: list[Repaired] = []
            if repair and not report.healthy:
                status.update("Repairing…")
                settle = await _settler(database, stack)
                done = await Repair(database, client, settle, lost, refused).all(report)
        if as_json:
            say_json(report.to_json() | {"repairs": [_repaired(one) for one in done]})
        else:
            _tell(Console(highlight=False, soft_wrap=True), report, done, everything)
        return report.healthy or (bool(done) and all(one.done for one in done))


async def _settler(database: Database, stack: AsyncExitStack) -> Settle:
    """The function that settles a message of an ended run: as its provider knows it, else as sent."""
    from activities.contract import ReconcileCall
    from activities.registry import build_activities
    from settings import get_settings

    activities = build_activities(get_settings(), database)
    stack.push_async_callback(activities.close)

    async def settle(message_id: str) -> str:
        found = await activities.reconcile.reconcile_message(ReconcileCall(message_id=message_id))
        if found.outcome == "unknown":
            # The run has ended, so it cannot send again or wait for a decision, whatever the step says.
            # A message assumed sent counts for the contact's caps.
            call = ReconcileCall(message_id=message_id, settle="assume_sent")
            found = await activities.reconcile.reconcile_message(call)
        return f"{found.outcome}{f' ({found.reason})' if found.reason else ''}"

    return settle


async def stuck(addresses: Addresses) -> list[str]:
    """Sentences about stuck runs in the local stack. The crowd's clock is fast, so the time limits are short."""
    from temporalio.client import Client

    from api.doctor.check import Check
    from api.doctor.finding_kinds import KINDS
    from api.doctor.time_limits import TimeLimits
    from api.temporal.connection import connect, data_converter
    from settings import get_settings
    from store.engine.database import Database

    late = timedelta(seconds=15)
    limits = TimeLimits(
        outbox=late, start=late, late=late, worker=4 * late, activity=4 * late, deferred=late, touch=late
    )
    database = Database(addresses.database, 2)
    try:
        if addresses.ui is None:  # the user's own Temporal
            client = await connect(otherwise=addresses.temporal)
        else:
            converter = data_converter(get_settings().payload_keys)
            client = await Client.connect(addresses.temporal, data_converter=converter)
        report = await Check(database, client, limits).whole()
    finally:
        await database.close()
    return [
        f"{it.workflow_id or it.id}: {KINDS[it.kind].title.lower()} ({it.detail})."
        for it in report.findings
        if it.kind in STUCK
    ]


def _repaired(one: Repaired) -> dict[str, Any]:
    return {"kind": one.finding.kind, "id": one.finding.id, "done": one.done, "words": one.words}


def _tell(console: Console, report: Report, done: list[Repaired], everything: bool) -> None:
    from rich.markup import escape

    from api.doctor.finding_kinds import KINDS

    words = {id(one.finding): one for one in done}
    young = f" ({report.young:,} too young to be compared)" if report.young else ""
    live = f"{report.enrollments:,} live enrolments{young}, {report.runs:,} live runs"
    looked = f"{live}, {report.looked_into:,} looked into"
    if report.passed_over:
        looked += f" ({report.passed_over:,} signaled runs are not; --every-run examines each)"
    for kind, told in KINDS.items():
        if not report.counts[kind]:
            continue
        console.print(f"\n[bold red]✗ {told.title}: {report.counts[kind]:,}[/]")
        console.print(f"  {told.meaning}\n  [dim]{escape(told.advice)}[/]")
        named = report.of(kind)
        for finding in named if everything else named[:SHOWN]:
            about = " ".join(filter(None, (finding.workflow_id, finding.id)))
            answer = words.get(id(finding))
            mended = "" if answer is None else f" → {'' if answer.done else 'not repaired: '}{answer.words}"
            words_of = [escape(printable(text)) for text in (about, finding.detail, mended)]
            console.print("  · {}  {}[bold]{}[/]".format(*words_of))
        left = report.counts[kind] - len(named if everything else named[:SHOWN])
        if left > 0:
            console.print(f"  · and {left:,} more" + ("" if everything else "; --all or --json names them"))
    if report.healthy:
        console.print(f"[green]✓[/] Nothing is stuck: {looked}.")
        return
    console.print(f"\n{looked}.")
    if done:
        count = sum(one.done for one in done)
        console.print(f"{count:,} repaired, {len(done) - count:,} left to you. Look again in a minute.")
    else:
        console.print("`perennial doctor --repair` repairs what can be repaired safely.")
