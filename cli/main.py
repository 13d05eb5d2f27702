"""The command line: `perennial`. It wires the rooms together; what a command does lives in its room."""

from __future__ import annotations

import typer

from cli import bench, doctor, documents, imports, keys, operate, people, schema, serve, up

app = typer.Typer(
    help="Perennial: lead-nurture tracks as durable Temporal workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for room in (up, serve, schema, documents, people, doctor, imports, keys, operate, bench):
    room.add_to(app)


def main() -> None:
    """The console script."""
    app()
