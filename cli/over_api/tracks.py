"""Commands about published tracks."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.over_api.lists import Csv, Limit, Listing, at, field, show
from cli.shared.common import Key, Url, ask_api
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
    """Print a track as it was published.

    Example: perennial tracks show win-back
    """
    found = ask_api(url, key, "GET", f"/v1/tracks/{track}", params={"version": version} if version else {})
    if as_json:
        say_json(found)
        return
    for line in str(found["source"]).splitlines():
        say(line)
