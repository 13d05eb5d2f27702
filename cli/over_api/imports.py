"""Commands about imports: send a file, and follow its import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.shared.common import Key, Url, api_caller, fail
from cli.shared.printing import Json, say, say_json, say_table
from tracks.runs.import_interface import MAX_RATE

if TYPE_CHECKING:
    import httpx

Id = Annotated[str, typer.Argument(help="The import's id.")]
Rate = Annotated[float | None, typer.Option(min=0.01, max=MAX_RATE, help="Rows a second, at most.")]
Problems = Annotated[Path | None, typer.Option(help="Where to write the rows that enrolled nobody, and why (CSV).")]
FORMATS = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson"}

import_commands = typer.Typer(
    help="Follow and control imports.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("import")(import_file)
    app.add_typer(import_commands, name="imports")


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV (.csv) or JSON Lines (.jsonl).")],
    track: Annotated[str, typer.Option(help="The track to enrol in.")],
    rate: Rate = None,
    id_column: Annotated[str, typer.Option(help="The column of CSV that holds your ids.")] = "contact_id",
    delimiter: Annotated[str, typer.Option(help="Separator of CSV: comma, semicolon or tab.")] = "comma",
    pace: Annotated[float, typer.Option(min=1, help="Pace of each enrolment, if a pace is allowed.")] = 1.0,
    problems: Problems = None,
    wait: Annotated[bool, typer.Option(help="Wait until everybody is enrolled.")] = True,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Import a file of contacts into a track; status 1 if a row was bad or the import failed.

    Speaks to the API (--url, --key).

    Ctrl-C while it enrols leaves it running: `perennial imports watch` shows it again.

    Example: perennial import contacts.csv --track win-back --rate 50
    """
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        fail(f"{file} is neither .csv nor .jsonl.")
    wanted: dict[str, Any] = {"track": track, "pace": pace}
    if kind == "text/csv":
        wanted |= {"id_column": id_column, "delimiter": delimiter}
    if rate is not None:
        wanted["per_second"] = rate

    def work(client: httpx.Client) -> None:
        from infra.api_client.imports import upload

        found = upload(client, file, kind, wanted)
        if not as_json:
            say(f"Import {found['id']}: {found['rows']} rows received.")
        if wait:
            _watch(client, str(found["id"]), problems, as_json)
        elif as_json:
            say_json(found)

    _with_api(url, key, work)


@import_commands.command("list")
def list_imports(as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List imports, newest first."""

    def work(client: httpx.Client) -> None:
        from infra.api_client.imports import ask, counted

        found = ask(client, "GET", "/v1/imports")["imports"]
        if as_json:
            say_json(found)
            return
        rows = [
            (one["id"], one["track"], one["state"], f"{one['done']} of {one['rows']} rows", counted(one))
            for one in found
        ]
        say_table(("id", "track", "state", "done", "outcomes"), rows, empty="Nothing was imported yet.")

    _with_api(url, key, work)


@import_commands.command("watch")
def watch_import(
    import_id: Id, problems: Problems = None, as_json: Json = False, url: Url = None, key: Key = None
) -> None:
    """Show an import until it has ended; status 1 if a row was bad or it failed."""
    _with_api(url, key, lambda client: _watch(client, import_id, problems, as_json))


@import_commands.command("pause")
def pause_import(import_id: Id, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Stop enrolling until the import is resumed."""
    _steer(import_id, "pause", as_json, url, key)


@import_commands.command("resume")
def resume_import(import_id: Id, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Continue where it stopped."""
    _steer(import_id, "resume", as_json, url, key)


@import_commands.command("cancel")
def cancel_import(import_id: Id, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """End an import for good. Enrolled contacts stay enrolled."""
    _steer(import_id, "cancel", as_json, url, key)


@import_commands.command("rate")
def set_rate(
    import_id: Id,
    per_second: Annotated[float, typer.Argument(min=0.01, max=MAX_RATE, help="Rows a second, at most.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change the rate of an import."""
    _steer(import_id, "rate", as_json, url, key, {"per_second": per_second})


def _steer(import_id: str, word: str, as_json: bool, url: str | None, key: str | None, body: Any = None) -> None:
    def work(client: httpx.Client) -> None:
        from infra.api_client.imports import ask, line

        found = ask(client, "POST", f"/v1/imports/{import_id}/{word}", body)
        say_json(found) if as_json else say(line(found))

    _with_api(url, key, work)


def _watch(client: httpx.Client, import_id: str, problems: Path | None, as_json: bool) -> None:
    from infra.api_client.imports import line, save_problems, watch

    try:
        found = watch(client, import_id)
    except KeyboardInterrupt:
        say(f"The import goes on. Look again: perennial imports watch {import_id}", err=True)
        say(f"Pause, resume or cancel it: perennial imports pause {import_id}", err=True)
        raise typer.Exit(130) from None
    say_json(found) if as_json else say(line(found))
    counts = found["outcomes"]
    if problems is not None:
        save_problems(client, import_id, problems)
        say(f"What is wrong with rows: {problems}", err=as_json)
    elif as_json:
        pass
    elif found["done"] > counts.get("enrolled", 0) + counts.get("existing", 0):
        say(f"What is wrong with rows: perennial imports watch {import_id} --problems problems.csv")
    if found["state"] != "completed" or counts.get("bad"):
        raise typer.Exit(1)


def _with_api(url: str | None, key: str | None, work: Callable[[httpx.Client], None]) -> None:
    try:
        with api_caller(url, key) as client:
            work(client)
    except KeyboardInterrupt:
        fail("Stopped while the file was being sent: nothing of it is imported.")
