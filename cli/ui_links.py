"""`perennial ui-links`: links to useful lists in Temporal UI."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import typer

from cli.shared.common import api_caller, fail, of_stack
from cli.shared.printing import Json, say, say_json

MOST_RUNS = 50
"""Most runs of a contact in one link: servers and browsers limit the length of an address."""


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("ui-links")(ui_links)


def ui_links(
    ui: Annotated[str | None, typer.Option(help="Temporal UI's address; by default the local stack's.")] = None,
    namespace: Annotated[str | None, typer.Option(help="By default the local stack's.")] = None,
    track: Annotated[str | None, typer.Option(help="A track whose waiting contacts to show.")] = None,
    contact: Annotated[
        str | None,
        typer.Option(help="The id of a contact: all their runs, or with --track those in it."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="The API's address; by default the local stack's.")] = None,
    key: Annotated[str | None, typer.Option(help="The API's key; by default the local stack's.")] = None,
    as_json: Json = False,
) -> None:
    """Print links into Temporal UI: live runs, messages that need a decision, runs that are stuck.

    Asks nobody: the address is the local stack's, unless --ui names another. Only --contact without --track asks the
    API (--url) for the contact's tracks.
    """
    from infra.launch.state import State
    from infra.launch.ui_links import COLUMNS, link, saved_queries
    from settings import get_settings
    from tracks.shared.workflow_ids import workflow_id

    for name, value in (("--track", track), ("--contact", contact)):
        if value is not None and set(value) & set('"\\'):
            fail(f"{name} has a quote or a backslash, which no query can hold.")
    if ui is None:
        running = State(get_settings().data).addresses()
        if not running:
            of_stack("ui")  # ends the command with the reason if a stack exists but does not run
            fail("No local stack runs here: start it with ./run, or name Temporal UI's address with --ui.")
        if "ui" not in running:
            fail("The local stack uses a Temporal of your own: name its UI's address with --ui.")
        ui, namespace = running["ui"], namespace or running.get("namespace")
    run = workflow_id(track, contact) if track is not None and contact is not None else None
    everywhere = _runs_of(contact, url, key) if contact is not None and track is None else []
    queries = saved_queries(track, run, everywhere)
    found = {what: link(ui, namespace or "default", query) for what, query in queries.items()}
    if as_json:
        say_json(found)
        return
    for what, address in found.items():
        say(f"{what}:")
        say(f"  {address}")
    say(f"Columns to add to these lists: {', '.join(COLUMNS)}.")
    say("The button is under the table at the right, Configure Columns; each browser keeps them for itself.")


def _runs_of(contact: str, url: str | None, key: str | None) -> list[str]:
    """The workflow ids of a contact's latest enrolments, newest first."""
    from infra.api_client.imports import ask

    with api_caller(url, key) as client:
        page = ask(client, "GET", f"/v1/enrollments?{urlencode({'contact_id': contact, 'limit': MOST_RUNS})}")
    runs = list(dict.fromkeys(str(one["workflow_id"]) for one in page["enrollments"]))
    if not runs:
        fail(f"No enrolment of {contact} is known: never enrolled, or erased.")
    return runs
