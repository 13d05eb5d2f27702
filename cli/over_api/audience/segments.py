"""Commands about segments: who is a member or would be one, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.over_api.audience.evaluated_versions import (
    Verb,
    ask_preview,
    compare_all,
    progress,
    say_compared,
    steer_filling,
)
from cli.over_api.audience.segment_webhooks import webhook_commands
from cli.over_api.exports import FileFormat, Format, export
from cli.over_api.lists import Csv, Limit, Listing, at, field, show
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json, say_table

segment_commands = typer.Typer(
    help="Segments: who is a member, and why.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)
segment_commands.add_typer(webhook_commands, name="webhooks")


SEGMENTS = Listing(
    "/v1/segments",
    "segments",
    {
        "segment": field("segment"),
        "version": field("version"),
        "live version": lambda one: one["live"] or "(being filled)",
    },
    empty="No segment is published.",
)
Name = Annotated[str, typer.Argument(help="The segment's name.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(segment_commands, name="segments")


@segment_commands.command("list")
def list_segments(
    limit: Limit = 50, as_json: Json = False, as_csv: Csv = False, url: Url = None, key: Key = None
) -> None:
    """List segments by name."""
    show(SEGMENTS, {}, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@segment_commands.command("show")
def show_segment(
    segment: Name,
    version: Annotated[int | None, typer.Option(min=1, help="A version; by default the newest.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a segment as it was published, its number of members, and how far it is filled.

    Example: perennial segments show churn-risk
    """
    found = ask_api(url, key, "GET", f"/v1/segments/{segment}", params={"version": version} if version else {})
    if as_json:
        say_json(found)
        return
    for line in str(found["source"]).splitlines():
        say(line)
    say("")
    say(progress(found, f"with {found['members']:,} members"))


@segment_commands.command()
def members(
    segment: Name,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List a segment's members.

    Example: perennial segments members churn-risk
    """
    columns = {"contact": field("contact_id"), "since (UTC)": at("since"), "may change (UTC)": at("changes_at")}
    listing = Listing(f"/v1/segments/{segment}/members", "members", columns, empty=f"{segment} has no members.")
    show(listing, {}, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@segment_commands.command("export")
def export_members(segment: Name, file_format: Format = FileFormat.CSV, url: Url = None, key: Key = None) -> None:
    """Write all members of a segment, as CSV or JSON, one a line.

    Example: perennial segments export churn-risk
    """
    export(f"/v1/segments/{segment}/export", file_format, {}, url, key)


@segment_commands.command()
def sizes(
    segment: Name,
    days: Annotated[int, typer.Option(min=1, max=1_000, help="How many days back, today included.")] = 30,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show a segment's size by day, and how many entered and left.

    Example: perennial segments sizes churn-risk --days 90
    """
    found = ask_api(url, key, "GET", f"/v1/segments/{segment}/sizes", params={"days": days})["days"]
    if as_json:
        say_json(found)
        return
    rows = [[one["day"], one["members"], one["entered"], one["left"]] for one in found]
    say_table(["day (UTC)", "members", "entered", "left"], rows, empty=f"{segment} was not counted yet.")


@segment_commands.command()
def why(
    segment: Name,
    contact: Annotated[str, typer.Argument(help="The contact's id.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Say whether a contact is a member, and why, leaf by leaf.

    Example: perennial segments why churn-risk user-1
    """
    decided = ask_api(url, key, "GET", f"/v1/segments/{segment}/members/{contact}")
    if as_json:
        say_json(decided)
    else:
        _say_decision(decided, "is")


@segment_commands.command()
def check(segment: Name, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Compare a segment's stored members with a full evaluation of all contacts; status 1 if they differ.

    Example: perennial segments check churn-risk
    """
    found = compare_all(f"/v1/segments/{segment}", url, key)
    if as_json:
        say_json(found)
    else:
        say_compared(segment, found)
        for one in found["differences"]:
            say(
                f"  {one['contact_id']} is stored as {_member(one['stored'])} and should be {_member(one['evaluated'])}"
            )
    if found["differences"]:
        raise typer.Exit(1)


@segment_commands.command()
def steer(
    verb: Annotated[Verb, typer.Argument(help="What to do.")],
    segment: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version that is being filled.")],
    url: Url = None,
    key: Key = None,
) -> None:
    """Pause, resume or cancel the filling of a version.

    Example: perennial segments steer pause churn-risk 2
    """
    steer_filling(f"/v1/segments/{segment}", segment, version, verb, url, key)


@segment_commands.command()
def preview(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The segment's file (.yaml).")],
    contact: Annotated[str | None, typer.Option(help="The id of a contact to decide about, leaf by leaf.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show how many contacts would be members of a segment now, and some of them; nothing is kept.

    Speaks to the API (--url, --key).

    Example: perennial segments preview segments/churn-risk.yaml --contact user-1
    """
    told = ask_preview("segment", file, contact, url, key)
    if as_json:
        say_json(told)
        return
    for line in told_in_words(told):
        say(line)
    if (decided := told["contact"]) is not None:
        _say_decision(decided, "would be")


def told_in_words(told: Mapping[str, Any]) -> list[str]:
    """A preview as sentences."""
    low, high = told["estimate"]
    total, evaluated = told["contacts"], told["evaluated"]
    if evaluated == total:
        lines = [f"{told['segment']}: {told['members']:,} of {total:,} contacts would be members."]
    else:
        share = f"{told['members']:,} of {evaluated:,} drawn at random are"
        lines = [f"{told['segment']}: {low:,} to {high:,} of {total:,} contacts would be members ({share})."]
    if told["not_judged"]:
        lines.append(f"{told['not_judged']:,} have too many events or too much data to be judged.")
    if told["entering"] is not None:
        lines.append(f"Against the live version, {told['entering']:,} of them enter and {told['leaving']:,} leave.")
    if told["sample"]:
        lines.append("Some of them: " + ", ".join(told["sample"]))
    return lines


def _say_decision(decided: Mapping[str, Any], verb: str) -> None:
    if decided["member"] is None:
        say(f"{decided['contact_id']} has too many events or too much data to be judged.")
        return
    until = f", until {decided['changes_at']} if nothing else happens" if decided["changes_at"] else ""
    if decided.get("stays_until"):
        until = f", until {decided['stays_until']} at least, because of min_stay: the leaves say no"
    denied = verb if decided["member"] else {"is": "is not", "would be": "would not be"}[verb]
    say(f"{decided['contact_id']} {denied} a member{until}:")
    rows = [
        [_leaf(one["leaf"]), "yes" if one["holds"] else "no", one["count"], one["why"]] for one in decided["leaves"]
    ]
    say_table(["leaf", "holds", "events", "why not"], rows, empty="")


def _member(holds: bool) -> str:
    return "a member" if holds else "none"


def _leaf(leaf: str | Mapping[str, Any]) -> str:
    return leaf if isinstance(leaf, str) else ", ".join(f"{key}: {value}" for key, value in leaf.items())
