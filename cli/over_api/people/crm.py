"""Commands about the built-in CRM: tasks, notes and stages, and who may see its pages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from cli.over_api.lists import Contact, Csv, Limit, Listing, at, field, show
from cli.shared.common import Key, Url, ask_api, fail
from cli.shared.printing import Json, say, say_json, say_table

crm_commands = typer.Typer(
    help="The built-in CRM: tasks, notes and stages.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)
TASKS = Listing(
    "/v1/crm/tasks",
    "tasks",
    {
        "due (UTC)": at("due_at"),
        "contact": field("contact_id"),
        "task": field("title"),
        "owner": lambda one: one["owner"] or "",
        "outcome": lambda one: one["outcome"] or ("done" if one["done"] else ""),
        "id": field("id"),
    },
    empty="No task matches.",
)
ContactId = Annotated[str, typer.Argument(help="The contact's id.")]
Person = Annotated[str, typer.Argument(help="The salesperson: the owner of their tasks.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(crm_commands, name="crm")


@crm_commands.command("tasks")
def list_tasks(
    contact: Contact = None,
    owner: Annotated[str | None, typer.Option(help="Only of this owner; '' for tasks of nobody.")] = None,
    status: Annotated[str, typer.Option(help="open, done or all.")] = "open",
    due_before: Annotated[str | None, typer.Option(help="Only due before: 2026-12-01T12:00:00Z.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List tasks, the first due first.

    Example: perennial crm tasks --owner ada --due-before 2026-12-01T12:00:00Z
    """
    filters = {
        "contact_id": contact,
        "owner": owner,
        "status": None if status == "all" else status,
        "due_before": due_before,
    }
    show(TASKS, filters, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@crm_commands.command("complete")
def complete_task(
    task: Annotated[str, typer.Argument(help="The task's id.")],
    outcome: Annotated[str, typer.Option(help="In one word, such as done, accepted, rejected.")] = "done",
    reason: Annotated[str | None, typer.Option(help="Why, in one word.")] = None,
    by: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    note: Annotated[str | None, typer.Option(help="A note about the contact.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Do a task; tracks are told of the outcome.

    Example: perennial crm complete 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90 --outcome rejected --reason no-budget
    """
    given = {"outcome": outcome, "reason": reason, "by": by, "note": note}
    body = {name: value for name, value in given.items() if value is not None}
    done = ask_api(url, key, "POST", f"/v1/crm/tasks/{quote(task, safe='')}/complete", body)
    if as_json:
        say_json(done)
    else:
        say(f"{done['title']}: {done['outcome']} (contact {done['contact_id']}).")


@crm_commands.command("notes")
def notes(
    contact: ContactId,
    add: Annotated[str | None, typer.Option(help="Add this note first.")] = None,
    by: Annotated[str | None, typer.Option(help="Who writes the note.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the notes about a contact, the newest first, or add one.

    Example: perennial crm notes user_1042 --add "Wants an offer" --by ada
    """
    path = f"/v1/contacts/{quote(contact, safe='')}/crm"
    if add is None:
        if by is not None:
            fail("--by is who writes the note: name the note with --add.")
        card = ask_api(url, key, "GET", path)
    else:
        note = {"body": add} | ({"author": by} if by else {})
        card = ask_api(url, key, "POST", f"{path}/notes", note)
    if as_json:
        say_json(card["notes"])
        return
    rows = [(at("created_at")(one), one["author"] or "(a track)", one["body"]) for one in card["notes"]]
    say_table(("at (UTC)", "by", "note"), rows, empty="There are no notes.")


@crm_commands.command("stage")
def stage(
    contact: ContactId,
    to: Annotated[str | None, typer.Option("--set", help="Set this stage; '' removes it.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show a contact's stage and fields, or set the stage; tracks are told of a change.

    Example: perennial crm stage user_1042 --set opportunity
    """
    path = f"/v1/contacts/{quote(contact, safe='')}/crm"
    if to is None:
        card = ask_api(url, key, "GET", path)
    else:
        card = ask_api(url, key, "PUT", f"{path}/stage", {"stage": to or None})
    if as_json:
        say_json({"stage": card["stage"], "fields": card["fields"]})
        return
    say(f"{contact}: {card['stage'] or 'no stage'}")
    for name, value in sorted(card["fields"].items()):
        say(f"  {name:<20} {value}")


@crm_commands.command("sign-in")
def sign_in(
    person: Person,
    days: Annotated[int, typer.Option(min=1, max=90, help="For how many days the link works.")] = 7,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make the link by which a salesperson signs in to the CRM's pages. Send it to that person only.

    Example: perennial crm sign-in ada --days 30
    """
    made = ask_api(url, key, "POST", f"/v1/crm/people/{quote(person, safe='')}/sign-in-link", {"days": days})
    if as_json:
        say_json(made)
    else:
        say(made["url"])


@crm_commands.command("sign-out")
def sign_out(person: Person, url: Url = None, key: Key = None) -> None:
    """End the sign-ins and links of a salesperson, at once.

    Example: perennial crm sign-out ada
    """
    ask_api(url, key, "DELETE", f"/v1/crm/people/{quote(person, safe='')}")
    say(f"{person} is signed out everywhere, and no link of theirs works.")
