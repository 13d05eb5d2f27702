"""Commands about scores: who has which grade or would have it, and why."""

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
from cli.over_api.exports import FileFormat, Format, export
from cli.over_api.lists import Csv, Limit, Listing, Since, Until, at, field, show
from cli.over_api.score_quality import say_quality
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json, say_table

score_commands = typer.Typer(
    help="Scores: who has which grade, and why.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)


SCORES = Listing(
    "/v1/scores",
    "scores",
    {
        "score": field("score"),
        "version": field("version"),
        "live version": lambda one: one["live"] or "(being filled)",
    },
    empty="No score is published.",
)
Name = Annotated[str, typer.Argument(help="The score's name.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(score_commands, name="scores")


@score_commands.command("list")
def list_scores(
    limit: Limit = 50, as_json: Json = False, as_csv: Csv = False, url: Url = None, key: Key = None
) -> None:
    """List scores by name."""
    show(SCORES, {}, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@score_commands.command("show")
def show_score(
    score: Name,
    version: Annotated[int | None, typer.Option(min=1, help="A version; by default the newest.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a score as it was published, how many contacts have each grade, and how far it is filled.

    Example: perennial scores show lead
    """
    found = ask_api(url, key, "GET", f"/v1/scores/{score}", params={"version": version} if version else {})
    if as_json:
        say_json(found)
        return
    for line in str(found["source"]).splitlines():
        say(line)
    say("")
    grades = ", ".join(f"{grade}: {count:,}" for grade, count in found["grades"].items())
    say(progress(found, f"({grades})"))


@score_commands.command()
def contacts(
    score: Name,
    grade: Annotated[str | None, typer.Option(help="Only contacts of this grade.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List contacts with their scores and grades.

    Example: perennial scores contacts lead --grade hot
    """
    columns = {
        "contact": field("contact_id"),
        "score": lambda one: f"{one['value']:.2f}",
        "grade": field("grade"),
        "since (UTC)": at("since"),
        "may change (UTC)": at("changes_at"),
    }
    listing = Listing(f"/v1/scores/{score}/contacts", "contacts", columns, empty="There are no such contacts.")
    show(listing, {"grade": grade}, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@score_commands.command("export")
def export_contacts(
    score: Name,
    grade: Annotated[str | None, typer.Option(help="Only contacts of this grade.")] = None,
    file_format: Format = FileFormat.CSV,
    url: Url = None,
    key: Key = None,
) -> None:
    """Write all contacts with their scores and grades, as CSV or JSON, one a line.

    Example: perennial scores export lead --grade hot
    """
    export(f"/v1/scores/{score}/export", file_format, {"grade": grade}, url, key)


@score_commands.command()
def sizes(
    score: Name,
    days: Annotated[int, typer.Option(min=1, max=1_000, help="How many days back, today included.")] = 30,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show how many contacts had each grade by day, and how many came to it and left it.

    Example: perennial scores sizes lead --days 90
    """
    found = ask_api(url, key, "GET", f"/v1/scores/{score}/sizes", params={"days": days})["days"]
    if as_json:
        say_json(found)
        return
    rows = [
        [one["day"], grade, size["contacts"], size["entered"], size["left"]]
        for one in found
        for grade, size in one["grades"].items()
    ]
    say_table(["day (UTC)", "grade", "contacts", "entered", "left"], rows, empty=f"{score} was not counted yet.")


@score_commands.command()
def quality(
    score: Name, since: Since = None, until: Until = None, as_json: Json = False, url: Url = None, key: Key = None
) -> None:
    """Compare grades and rules with what sales did with the leads; `handoffs quality` is the same.

    Example: perennial scores quality lead --since 90d
    """
    say_quality(score, since, until, as_json=as_json, url=url, key=key)


@score_commands.command()
def why(
    score: Name,
    contact: Annotated[str, typer.Argument(help="The contact's id.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Explain a contact's score, rule by rule.

    Example: perennial scores why lead user-1
    """
    explained = ask_api(url, key, "GET", f"/v1/scores/{score}/contacts/{contact}")
    if as_json:
        say_json(explained)
    else:
        _say_explanation(explained, "has")


@score_commands.command()
def check(score: Name, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Compare stored scores with a full evaluation of all contacts; status 1 if they differ.

    Example: perennial scores check lead
    """
    found = compare_all(f"/v1/scores/{score}", url, key)
    if as_json:
        say_json(found)
    else:
        say_compared(score, found)
        for one in found["differences"]:
            stored = f"{one['stored']:.2f} ({one['stored_grade'] or 'no grade'})"
            say(
                f"  {one['contact_id']} is stored with {stored} and should have "
                f"{one['evaluated']:.2f} ({one['evaluated_grade']})"
            )
    if found["differences"]:
        raise typer.Exit(1)


@score_commands.command()
def steer(
    verb: Annotated[Verb, typer.Argument(help="What to do.")],
    score: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version that is being filled.")],
    url: Url = None,
    key: Key = None,
) -> None:
    """Pause, resume or cancel the filling of a version.

    Example: perennial scores steer pause lead 2
    """
    steer_filling(f"/v1/scores/{score}", score, version, verb, url, key)


@score_commands.command()
def preview(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The score's file (.yaml).")],
    contact: Annotated[str | None, typer.Option(help="The id of a contact to explain, rule by rule.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show which grades contacts would have by a score now, and who would change; nothing is kept.

    Speaks to the API (--url, --key).

    Example: perennial scores preview scores/lead.yaml --contact user-1
    """
    told = ask_preview("score", file, contact, url, key)
    if as_json:
        say_json(told)
        return
    drawn = "" if told["evaluated"] == told["contacts"] else f" of {told['contacts']:,}, drawn at random"
    say(f"{told['score']}: {told['evaluated']:,} contacts evaluated{drawn}.")
    say(", ".join(f"{grade}: {count:,}" for grade, count in told["grades"].items()))
    if told["not_judged"]:
        say(f"{told['not_judged']:,} have too many events or too much data to be judged.")
    rows = [
        [one["before"] or "(none)", one["after"], one["contacts"], ", ".join(one["sample"][:3])]
        for one in told["moves"]
    ]
    say_table(["from", "to", "contacts", "such as"], rows, empty="Nobody would change grade.")
    if (explained := told["contact"]) is not None:
        _say_explanation(explained, "would have")


def _say_explanation(explained: Mapping[str, Any], verb: str) -> None:
    if not explained["judged"]:
        say(f"{explained['contact_id']} has too many events or too much data to be judged.")
        return
    until = f", until {explained['changes_at']} if nothing else happens" if explained["changes_at"] else ""
    parts = f"fit {explained['fit']:.2f}, behaviour {explained['behaviour']:.2f}"
    say(
        f"{explained['contact_id']} {verb} {explained['value']:.2f} points ({parts}) "
        f"and the grade {explained['grade']}{until}:"
    )
    rows = [
        [
            one["rule"],
            f"{one['points']:.2f}",
            "" if one["count"] is None else one["count"],
            ", ".join(f"{reason}: {count}" for reason, count in one["left_out"].items()) or one["why"],
        ]
        for one in explained["rules"]
    ]
    say_table(["rule", "points", "events", "left out"], rows, empty="")
