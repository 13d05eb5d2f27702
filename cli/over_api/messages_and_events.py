"""Commands about messages and events."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.over_api.lists import Contact, Csv, Limit, Listing, Since, Track, Until, at, field, moment, outcome, show
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json

message_commands = typer.Typer(
    help="See messages and their outcomes.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)
event_commands = typer.Typer(
    help="See what contacts did.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)
MESSAGES = Listing(
    "/v1/messages",
    "messages",
    {
        "id": field("id"),
        "contact": field("contact_id"),
        "track": field("track"),
        "step": field("step"),
        "channel": lambda one: f"{one['channel']} to {one['recipient']}" if one["recipient"] else one["channel"],
        "template": lambda one: f"{one['template']} v{one['template_version']}" if one["template"] else "",
        "claimed (UTC)": at("claimed_at"),
        "outcome": outcome,
    },
    empty="No message matches.",
)
EVENTS = Listing(
    "/v1/events",
    "events",
    {
        "accepted (UTC)": at("received_at"),
        "contact": field("contact_id"),
        "name": field("name"),
        "properties": lambda one: one["properties"] or "",
    },
    empty="No event matches.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(message_commands, name="messages")
    app.add_typer(event_commands, name="events")


@message_commands.command("list")
def list_messages(
    contact: Contact = None,
    track: Track = None,
    step: Annotated[str | None, typer.Option(help="Only of this step.")] = None,
    channel: Annotated[str | None, typer.Option(help="email or sms.")] = None,
    status: Annotated[str | None, typer.Option(help="Such as sent, failed, skipped, unknown.")] = None,
    delivery: Annotated[str | None, typer.Option(help="Such as bounced, complained, delivered.")] = None,
    template: Annotated[str | None, typer.Option(help="Only from this template.")] = None,
    template_version: Annotated[int | None, typer.Option(min=1, help="Only from this version of the template.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List messages, newest first.

    Example: perennial messages list --template welcome --template-version 3 --csv
    """
    filters = {
        "contact_id": contact,
        "track": track,
        "step": step,
        "channel": channel,
        "status": status,
        "delivery": delivery,
        "template": template,
        "template_version": template_version,
        "since": moment(since),
        "until": moment(until),
    }
    show(MESSAGES, filters, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@message_commands.command("show")
def show_message(
    message_id: Annotated[str, typer.Argument(help="The message's id.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show what was sent, in which version, and its text if the policy keeps it.

    Example: perennial messages show 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90
    """
    found = ask_api(url, key, "GET", f"/v1/messages/{message_id}")
    if as_json:
        say_json(found)
        return
    for name, value in found.items():
        if name != "rendering" and value not in (None, "", {}):
            say(f"{name:<20} {value}")
    if found["rendering"]:
        typer.echo("")
        for line in (f"Subject: {found['rendering']['subject'] or ''}", "", *found["rendering"]["text"].split("\n")):
            say(line)


@event_commands.command("list")
def list_events(
    contact: Contact = None,
    name: Annotated[str | None, typer.Option(help="Only with this name.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List events, the last accepted first.

    Example: perennial events list --name email.clicked --since 2h
    """
    filters = {"contact_id": contact, "name": name, "since": moment(since), "until": moment(until)}
    show(EVENTS, filters, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)
