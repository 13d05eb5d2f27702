"""`perennial ui-links`: where Temporal UI shows what is worth a look."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.common import fail, of_stack
from cli.printing import Json, say, say_json


def add_to(app: typer.Typer) -> None:
    """Wire it into the command line."""
    app.command("ui-links")(ui_links)


def ui_links(
    ui: Annotated[str | None, typer.Option(help="Temporal UI's address; by default the local stack's.")] = None,
    namespace: Annotated[str | None, typer.Option(help="By default the local stack's.")] = None,
    track: Annotated[str | None, typer.Option(help="A track whose waiting contacts to show.")] = None,
    contact: Annotated[str | None, typer.Option(help="With --track, the id of a contact in it.")] = None,
    as_json: Json = False,
) -> None:
    """Print links into Temporal UI, at the address where it is: runs under way, decisions, runs that do not get on.

    Asks nobody: it reads where the local stack runs, unless --ui says so.
    """
    from infra.launch.state import State
    from infra.launch.ui_links import link, saved_queries
    from settings import get_settings

    for name, value in (("--track", track), ("--contact", contact)):
        if value is not None and set(value) & set('"\\'):
            fail(f"{name} holds what no query can: a quote or a backslash.")
    if contact is not None and track is None:
        fail("--contact goes with --track: a run's id names both.")
    if ui is None:
        running = State(get_settings().data).addresses()
        if not running:
            of_stack("ui")  # says why not, where a stack is kept
            fail("No local stack runs here: start it with ./run, or name Temporal UI's address with --ui.")
        if "ui" not in running:
            fail("The local stack uses a Temporal of your own: name its UI's address with --ui.")
        ui, namespace = running["ui"], namespace or running.get("namespace")
    found = {what: link(ui, namespace or "default", query) for what, query in saved_queries(track, contact).items()}
    if as_json:
        say_json(found)
        return
    for what, address in found.items():
        say(f"{what}:")
        say(f"  {address}")
