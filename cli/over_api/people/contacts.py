"""Commands about contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from cli.over_api.lists import Csv, Limit, Listing, at, field, outcome, show
from cli.over_api.people import merges
from cli.shared.common import Key, Url, api_caller, fail
from cli.shared.printing import Json, say, say_json, say_table

if TYPE_CHECKING:
    import httpx

_LAST = 10
"""How many messages and events of a contact are shown."""

contact_commands = typer.Typer(
    help="Find, read and merge contacts.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)
CONTACTS = Listing(
    "/v1/contacts",
    "contacts",
    {
        "id": field("id"),
        "email": field("email"),
        "phone": field("phone"),
        "timezone": field("timezone"),
        "changed (UTC)": at("updated_at"),
    },
    empty="No contact matches.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    merges.add_to(contact_commands)
    app.add_typer(contact_commands, name="contacts")
    app.command("show")(show_contact)


@contact_commands.command("list")
def list_contacts(
    email: Annotated[str | None, typer.Option(help="With this address.")] = None,
    phone: Annotated[str | None, typer.Option(help="With this number, such as +41446681800.")] = None,
    attribute: Annotated[str | None, typer.Option(help="With this attribute: plan:team.")] = None,
    id_prefix: Annotated[str | None, typer.Option(help="How the id begins.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List contacts by id, or find some.

    Example: perennial contacts list --attribute plan:team --csv
    """
    filters = {"email": email, "phone": phone, "attribute": attribute, "id_prefix": id_prefix}
    show(CONTACTS, filters, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


def show_contact(
    contact: Annotated[str, typer.Argument(help="The contact's id, or their email address.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show what is known of a contact: where they are, what they were sent, what they did.

    Speaks to the API (--url, --key).

    Example: perennial show user_1042
    """
    with api_caller(url, key) as client:
        known = _known(client, contact)
    if as_json:
        say_json(known)
    else:
        _print(known)


def _known(client: httpx.Client, contact: str) -> dict[str, Any]:
    """The contact, their enrollments (live ones with their current wait), and their last messages and events."""
    from infra.api_client.imports import ask

    if "@" in contact:
        found = ask(client, "GET", "/v1/contacts", params={"email": contact, "limit": 2})["contacts"]
        if len(found) != 1:
            fail(f"{'No' if not found else 'More than one'} contact has the address {contact}.")
        contact = found[0]["id"]
    path = f"/v1/contacts/{quote(contact, safe='')}"
    person = ask(client, "GET", path)
    runs = ask(client, "GET", f"{path}/enrollments")["enrollments"]
    live = {one["id"]: ask(client, "GET", f"/v1/enrollments/{one['id']}") for one in runs if one["ended_at"] is None}
    last = {"limit": _LAST}
    return {
        "contact": person,
        "enrollments": [live.get(one["id"], one) for one in runs],
        "messages": ask(client, "GET", f"{path}/messages", params=last)["messages"],
        "events": ask(client, "GET", f"{path}/events", params=last)["events"],
    }


def _print(known: dict[str, Any]) -> None:
    for name, value in known["contact"].items():
        if value not in (None, {}):
            say(f"{name:<13} {value}")
    parts = (
        ("Enrollments", ("track", "status", "at", "id"), [_run(one) for one in known["enrollments"]]),
        (
            "Messages",
            ("first sent (UTC)", "track", "step", "channel", "outcome", "id"),
            [
                (at("claimed_at")(one), one["track"], one["step"], one["channel"], outcome(one), one["id"])
                for one in known["messages"]
            ],
        ),
        (
            "Events",
            ("accepted (UTC)", "name", "properties"),
            [(at("received_at")(one), one["name"], one["properties"] or "") for one in known["events"]],
        ),
    )
    for title, heads, rows in parts:
        typer.echo("")
        say(f"{title}:" if rows else f"{title}: none.")
        if rows:
            say_table(heads, rows, margin="  ")


def _run(one: dict[str, Any]) -> tuple[object, ...]:
    if one["ended_at"]:
        return one["track"], one["status"], f"ended {at('ended_at')(one)}: {one['end_reason']}", one["id"]
    waits = f", waits for {one['waiting_for']}" if one.get("waiting_for") else ""
    until = f" until {at('until_real')(one)}" if one.get("until_real") else ""
    return one["track"], one["status"], f"{one['step'] or 'its start'}{waits}{until}", one["id"]
