"""Commands that merge contacts, and undo it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from cli.over_api.lists import at
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json, say_table

Survivor = Annotated[str, typer.Argument(help="Id of the contact that survives.")]
Other = Annotated[str, typer.Argument(help="The other id of the same person.")]


def add_to(commands: typer.Typer) -> None:
    """Add these commands to those about contacts."""
    commands.command("merge")(merge_contacts)
    commands.command("unmerge")(unmerge_contacts)
    commands.command("merges")(list_merges)


def merge_contacts(contact: Survivor, other: Other, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Merge two contacts that are one person: all of the other becomes the first one's.

    Example: perennial contacts merge user_1042 anon_7
    """
    found = ask_api(url, key, "POST", _path(contact, "merge"), {"from": other})
    if as_json:
        say_json(found)
        return
    if not found["merged"]:
        say(f"{other} stands for {found['contact_id']} already.")
        return
    until = at("undoable_until")(found)
    say(f"{other} stands for {found['contact_id']} from now on. It can be undone until {until} UTC.")
    say(f"moved   {_counted(found['moved'])}")
    say(f"filled  {', '.join(found['filled']) or 'nothing'}")
    say(f"ended   {', '.join(found['runs_ended']) or 'no run'}")


def unmerge_contacts(contact: Survivor, other: Other, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Undo a merge. What came since stays with the survivor.

    Example: perennial contacts unmerge user_1042 anon_7
    """
    found = ask_api(url, key, "POST", _path(contact, "unmerge"), {"from": other})
    say_json(found) if as_json else say(f"{other} is a contact again: given back {_counted(found['moved'])}.")


def list_merges(
    contact: Annotated[str, typer.Argument(help="The contact's id, or one that was merged into it.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List who merged which ids into a contact, and what was undone.

    Example: perennial contacts merges user_1042
    """
    found = ask_api(url, key, "GET", _path(contact, "merges"))
    if as_json:
        say_json(found)
        return
    rows = [
        (at("merged_at")(one), one["merged_id"], one["contact_id"], one["merged_by"], at("undone_at")(one))
        for one in found["merges"]
    ]
    say_table(("merged (UTC)", "id", "into", "by", "undone (UTC)"), rows, empty="Nothing was merged into this contact.")


def _path(contact: str, word: str) -> str:
    return f"/v1/contacts/{quote(contact, safe='')}/{word}"


def _counted(moved: dict[str, int]) -> str:
    return ", ".join(f"{count} {table.replace('_', ' ')}" for table, count in sorted(moved.items())) or "nothing"
