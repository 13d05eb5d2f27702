"""Commands about published tracks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.over_api.lists import Csv, Limit, Listing, at, field, show
from cli.shared.common import Key, Url, api_caller, ask_api, fail
from cli.shared.printing import Json, say, say_json

track_commands = typer.Typer(
    help="See the published tracks.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)
TRACKS = Listing(
    "/v1/tracks",
    "tracks",
    {
        "track": field("track"),
        "version": field("version"),
        "entry": lambda one: ", ".join(each["entry"] or each["event"] for each in one["entries"]) or "(by the API)",
        "re-entry": field("reentry"),
        "published (UTC)": at("published_at"),
    },
    empty="No track is published.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(track_commands, name="tracks")


@track_commands.command("list")
def list_tracks(
    limit: Limit = 50, as_json: Json = False, as_csv: Csv = False, url: Url = None, key: Key = None
) -> None:
    """List tracks by name, each in its newest version."""
    show(TRACKS, {}, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@track_commands.command("show")
def show_track(
    track: Annotated[str, typer.Argument(help="The track's name.")],
    version: Annotated[int | None, typer.Option(min=1, help="A version; by default the newest.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a track as it was published, and how far contacts are registered for the dates that enrol.

    Example: perennial tracks show win-back
    """
    found = ask_api(url, key, "GET", f"/v1/tracks/{track}", params={"version": version} if version else {})
    if as_json:
        say_json(found)
        return
    for line in str(found["source"]).splitlines():
        say(line)
    for date in found["dates"]:
        say(_registered(date))


def _registered(date: Mapping[str, Any]) -> str:
    words = {
        "filling": f"{date['evaluated']:,} of about {date['contacts']:,} contacts are registered",
        "live": "all contacts are registered",
    }
    return f"Entry {date['entry']}, by the date {date['attribute']}: {words.get(date['state'], 'no longer kept')}."


@track_commands.command()
def preview(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The track's file (.yaml).")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show when a track's dates come for contacts, and whom it would leave alone now; nothing is kept.

    Example: perennial tracks preview tracks/birthday.yaml
    """
    from infra.api_client.publishing import Document, refusals

    document = Document("track", file.stem, file, file.read_text(encoding="utf-8"))
    with api_caller(url, key) as client:
        answer = client.post("/v1/tracks/preview", json=document.body())
    if answer.status_code != 200:
        fail("\n".join(refusals(document, answer)))
    if as_json:
        say_json(answer.json())
        return
    for line in told_in_words(answer.json()):
        say(line)


def told_in_words(told: Mapping[str, Any]) -> Iterator[str]:
    """A preview as sentences."""
    total, evaluated = told["contacts"], told["evaluated"]
    whom = f"{total:,} contacts" if evaluated == total else f"{evaluated:,} of {total:,} contacts, drawn at random"
    yield f"{told['track']}, over {whom}:"
    for entry in told["entries"]:
        if entry["dated"] is None:
            yield f"  {entry['entry']}: enters by the event {entry['event']}."
        else:
            yield f"  {entry['entry']}: comes for {entry['dated']:,}, for {entry['soon']:,} of them within 30 days."
            yield from (f"    {one['contact_id']} at {one['at']}" for one in entry["next"])
    if not told["entries"]:
        yield "  It is entered through the API only."
    for rule in told["unless"]:
        whose = "the track's" if rule["by"] == "track" else "the policy's"
        yield f'  {whose} rule "{rule["rule"]}" leaves {rule["contacts"]:,} alone now.'
