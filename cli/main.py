"""The command line `perennial`. It only connects the packages; the code of a command is in its own file."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from cli import bench, ui_links
from cli.over_api import documents, enrollments, imports, messages_and_events, tracks
from cli.over_api.audience import scores, segments
from cli.over_api.people import contacts, crm, handoffs
from cli.over_database import breakers_and_limits, doctor, keys, suppressions_and_consents
from cli.processes import schema, serve, up
from cli.shared.error_sentences import CommandGroup

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for room in (
    up,
    ui_links,
    serve,
    schema,
    documents,
    contacts,
    crm,
    enrollments,
    messages_and_events,
    handoffs,
    tracks,
    segments,
    scores,
    suppressions_and_consents,
    doctor,
    imports,
    keys,
    breakers_and_limits,
    bench,
):
    room.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"perennial {version('perennial')}")
        raise typer.Exit


@app.callback(
    help="Perennial: lead-nurture tracks as durable Temporal workflows.\n\n"
    "Each command says in its help whether it speaks to the database (DATABASE_URL), to Temporal (TEMPORAL_ADDRESS) "
    "or to the API (--url and --key, else PERENNIAL_PUBLIC_URL and PERENNIAL_API_KEY). Where none of these is set, "
    "it speaks to the local stack that ./run started."
)
def perennial(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before a command."""


def main() -> None:
    """Entry point of the console script."""
    app()
