"""`perennial bench`: each benchmark beside its own limit; status 1 where a budget is missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from bench.measuring.paired_runs import Pair, Row

    Measure = Callable[[Console], Coroutine[Any, Any, tuple[list[Row], list[Pair]]]]

bench_commands = typer.Typer(
    help="Measure, each beside its own limit; status 1 over a budget.",
    epilog="Starts servers of its own, and speaks to none of yours.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object; progress goes to standard error.")]
Pairs = Annotated[int, typer.Option(min=1, help="Rounds of both sides, each on fresh servers; medians are shown.")]


def add_to(app: typer.Typer) -> None:
    """Wire them into the command line."""
    app.add_typer(bench_commands, name="bench")


def _run(title: str, measure: Measure, *, as_json: bool) -> None:
    from rich.console import Console

    from bench.measuring.machine import machine
    from bench.measuring.paired_runs import as_json as to_json
    from bench.measuring.paired_runs import show, status
    from infra import logs

    logs.set_up(json=False)
    before = machine()
    rows, made = asyncio.run(measure(Console(stderr=as_json, highlight=False)))
    if as_json:
        typer.echo(json.dumps(to_json(rows, made, before)))
    else:
        show(Console(highlight=False), title, rows)
    raise typer.Exit(status(rows))


@bench_commands.command()
def journey(
    pairs: Pairs = 5,
    contacts: Annotated[int, typer.Option(min=2, help="Contacts of each side in each round.")] = 1000,
    as_json: Json = False,
) -> None:
    """Enrol, email, wait for a click (half of them click), email; beside a hand-written workflow."""
    from bench.comparisons.journey import bench

    _run("journey", lambda console: bench(console, count=pairs, contacts=contacts), as_json=as_json)


@bench_commands.command()
def faults(
    kills: Annotated[int, typer.Option(min=1, help="How many parts to kill.")] = 1000,
    seed: Annotated[int, typer.Option(help="What strokes and people are drawn from.")] = 1,
    rate: Annotated[float, typer.Option(min=0.1, help="Lives begun per second.")] = 3.0,
    pause: Annotated[float, typer.Option(min=0.1, help="Seconds between two strokes, on average.")] = 1.5,
    folder: Annotated[Path | None, typer.Option(help="Keep logs and data there.")] = None,
    as_json: Json = False,
) -> None:
    """Kill parts of an installation at random moments under load, and compare what everybody recorded."""
    from bench.faults.run import run

    raise typer.Exit(run(kills=kills, seed=seed, rate=rate, pause=pause, folder=folder, as_json=as_json))


@bench_commands.command()
def latency(
    pairs: Pairs = 5,
    events: Annotated[int, typer.Option(min=1, help="Events at each rate (2, 5, 10 and 15 a second).")] = 60,
    as_json: Json = False,
) -> None:
    """From an accepted event to the message at the provider; beside a signal and an activity by hand."""
    from bench.comparisons.latency import bench

    _run("latency", lambda console: bench(console, count=pairs, events=events), as_json=as_json)


@bench_commands.command()
def ingest(
    pairs: Pairs = 5,
    events: Annotated[int, typer.Option(min=100, help="Events of each kind in each round.")] = 4000,
    as_json: Json = False,
) -> None:
    """Events a second through the API; beside a hand-written service that inserts each into PostgreSQL."""
    from bench.comparisons.ingest import bench

    _run("ingest", lambda console: bench(console, count=pairs, events=events), as_json=as_json)


@bench_commands.command()
def history(as_json: Json = False) -> None:
    """Events, bytes, activities and billable actions: five steps beside a bare workflow, and the library."""
    from bench.comparisons.history import bench

    _run("history", bench, as_json=as_json)


@bench_commands.command()
def wake(
    pairs: Pairs = 5,
    contacts: Annotated[int, typer.Option(min=2, help="Contacts of each side whose timers fire together.")] = 1000,
    as_json: Json = False,
) -> None:
    """Many timers in the same second, and what another track notices of it; beside hand-written workflows."""
    from bench.comparisons.wake import bench

    _run("wake", lambda console: bench(console, count=pairs, contacts=contacts), as_json=as_json)


@bench_commands.command()
def grow(
    sizes: Annotated[str, typer.Option(help="Enrolled sleepers, separated by commas.")] = "1000,10000",
    as_json: Json = False,
) -> None:
    """One installation with more and more enrolled sleepers: throughput and latency must not bend."""
    from bench.comparisons.grow import bench

    try:
        chosen = [int(size) for size in sizes.split(",")]
    except ValueError:
        raise typer.BadParameter("numbers separated by commas, such as 1000,10000", param_hint="--sizes") from None
    if any(size < 2 for size in chosen) or len(set(chosen)) < len(chosen):
        raise typer.BadParameter("different numbers, each at least 2", param_hint="--sizes")
    _run("grow", lambda console: bench(console, sizes=chosen), as_json=as_json)


@bench_commands.command()
def flood(
    contacts: Annotated[int, typer.Option(min=100, help="Contacts enrolled at once, each way.")] = 3000,
    as_json: Json = False,
) -> None:
    """Very many enrolled at once through the API, and what another track notices of it."""
    from bench.comparisons.flood import bench

    _run("flood", lambda console: bench(console, contacts=contacts), as_json=as_json)


@bench_commands.command()
def bulk(
    rows: Annotated[int, typer.Option(min=10_000, help="Rows of the file.")] = 1_000_000,
    seconds: Annotated[float, typer.Option(min=20, help="How long it is worked off before it is cancelled.")] = 60,
    as_json: Json = False,
) -> None:
    """A file of very many rows: received, worked off beside live contacts, cancelled."""
    from bench.comparisons.bulk import bench

    _run("bulk", lambda console: bench(console, rows=rows, seconds=seconds), as_json=as_json)


@bench_commands.command()
def lists(
    contacts: Annotated[int, typer.Option(min=1000, help="Contacts, each with an enrolment.")] = 100_000,
    messages: Annotated[int, typer.Option(min=50_000, help="Messages in the ledger, and as many events.")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """The API's lists over very many rows: each of them, by what is common and by what is rare."""
    from bench.comparisons.lists import bench

    _run("lists", lambda console: bench(console, contacts=contacts, messages=messages), as_json=as_json)


@bench_commands.command()
def audience(
    contacts: Annotated[int, typer.Option(min=5_000, help="Contacts.")] = 100_000,
    events: Annotated[int, typer.Option(min=50_000, help="Events of 60 days.")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """What segments cost: to fill them, to keep them by events, and to tell what is due at one moment."""
    from bench.comparisons.audience import bench

    _run("audience", lambda console: bench(console, contacts=contacts, events_stored=events), as_json=as_json)


@bench_commands.command()
def simulate(as_json: Json = False) -> None:
    """A 90-day track of the library, lived through in a test under the time-skipping server."""
    from bench.comparisons.simulate import bench
    from bench.time_skipping import MissingServer

    try:
        _run("simulate", bench, as_json=as_json)
    except MissingServer as missing:
        typer.echo(str(missing), err=True)
        raise typer.Exit(2) from None
