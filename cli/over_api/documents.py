"""Commands about tracks and templates: print the schema, publish, preview."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.shared.common import Key, Url, api_caller, fail
from cli.shared.printing import Json, say, say_json


class Existing(StrEnum):
    """What happens to those who are members of a new version of a segment at first."""

    ENTER = "enter"
    IGNORE = "ignore"


class ExistingGrades(StrEnum):
    """What happens to those whose grade is another one by a new version of a score."""

    TELL = "tell"
    IGNORE = "ignore"


class Language(StrEnum):
    """What a file describes."""

    TRACK = "track"
    SEGMENT = "segment"
    SCORE = "score"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(schema)
    app.command()(publish)
    app.command()(preview)


def schema(
    language: Annotated[Language, typer.Argument(help="What the files describe.")] = Language.TRACK,
) -> None:
    """Print the JSON Schema of tracks, segments or scores, for editors.

    Asks nobody.
    """
    from audience.scores.json_schema import schema_text as schema_of_scores
    from audience.segments.json_schema import schema_text as schema_of_segments
    from tracks.model.json_schema import schema_text as schema_of_tracks

    texts = {Language.TRACK: schema_of_tracks, Language.SEGMENT: schema_of_segments, Language.SCORE: schema_of_scores}
    schema_text = texts[language]
    typer.echo(schema_text(), nl=False)


def publish(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Tracks, segments, scores (.yaml) and templates.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show what would change; publish nothing.")
    ] = False,
    existing: Annotated[
        Existing, typer.Option(help="Whether those who are members of a new segment at first enter tracks.")
    ] = Existing.IGNORE,
    existing_grades: Annotated[
        ExistingGrades, typer.Option(help="Whether those whose grade a new score changes enter tracks.")
    ] = ExistingGrades.IGNORE,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Publish a folder's policy, templates, segments, scores and tracks together, or none; status 1 if anything is
    refused.

    Speaks to the API (--url, --key).

    Example: perennial publish tracks/library --dry-run
    """
    from infra.api_client.publishing import publish as send
    from infra.api_client.publishing import read_folder

    try:
        documents = read_folder(folder)
    except (OSError, ValueError) as problem:
        fail(f"{folder} cannot be published: {problem}.")
    if not documents:
        fail(f"{folder} holds no track, segment or score (.yaml) and no template (.mjml, .liquid, .txt).")
    with api_caller(url, key) as client:
        answer = send(
            client,
            documents,
            dry_run=dry_run,
            existing=existing.value,
            existing_grades=existing_grades.value,
        )
    if as_json:
        say_json({"published": not (dry_run or answer.problems), "dry_run": dry_run} | asdict(answer))
        if answer.problems:
            raise typer.Exit(1)
        return
    for line in answer.warnings:
        say(f"worth a look: {line}", err=True)
    if answer.problems:
        for line in answer.problems:
            say(line, err=True)
        fail("Nothing was published.")
    for published in answer.documents:
        for line in published.words():
            say(line)
    if dry_run:
        say("Nothing was published: this was a dry run. It would pass.")


def preview(
    template: Annotated[str, typer.Argument(help="A template's file (.mjml, .liquid, .txt), or the name of one.")],
    contact: Annotated[str | None, typer.Option(help="The id of a contact to write for.")] = None,
    attr: Annotated[list[str] | None, typer.Option(help="An attribute of a fictional contact: name=value.")] = None,
    var: Annotated[list[str] | None, typer.Option(help="A variable as a step would give it: name=value.")] = None,
    prop: Annotated[list[str] | None, typer.Option(help="A property of the enrolment: name=value.")] = None,
    locale: Annotated[str | None, typer.Option(help="A language, in place of the contact's.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where to write the HTML.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the message that a contact would get, and which of its parts were chosen; nothing is sent.

    Speaks to the API (--url, --key).

    Example: perennial preview welcome.mjml --attr role=engineer --locale de
    """
    from rich.console import Console

    from cli.over_api.preview_shown import show
    from infra.api_client.previews import PreviewRefusedError, ask, parse_pairs

    try:
        body: dict[str, Any] = {
            "variables": parse_pairs(var or []),
            "enrollment": {"properties": parse_pairs(prop or [])},
            **({"contact_id": contact} if contact else {"contact": {"attributes": parse_pairs(attr or [])}}),
            **({"locale": locale} if locale else {}),
        }
        with api_caller(url, key) as client:
            shown = ask(client, template, body)
        if html is not None:
            html.write_text(shown["html"] or "", encoding="utf-8")
    except (PreviewRefusedError, OSError, ValueError) as problem:
        fail(str(problem))
    if as_json:
        say_json(shown)
        return
    show(Console(highlight=False, soft_wrap=True), shown)
