"""Commands about segments: who would be a member."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.shared.common import Key, Url, api_caller, fail
from cli.shared.printing import Json, say, say_json, say_table

segment_commands = typer.Typer(
    help="Segments: who is a member, and why.", epilog="Speaks to the API (--url, --key).", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(segment_commands, name="segments")


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
    from infra.api_client.publishing import Document, refusals

    document = Document("segment", file.stem, file, file.read_text(encoding="utf-8"))
    body = document.body() | ({"contact_id": contact} if contact else {})
    with api_caller(url, key) as client:
        answer = client.post("/v1/segments/preview", json=body)
    if answer.status_code != 200:
        fail("\n".join(refusals(document, answer)))
    told: Mapping[str, Any] = answer.json()
    if as_json:
        say_json(told)
        return
    for line in told_in_words(told):
        say(line)
    if (decided := told["contact"]) is not None:
        say(_decision(decided))
        rows = [
            [_leaf(one["leaf"]), "yes" if one["holds"] else "no", one["count"], one["why"]] for one in decided["leaves"]
        ]
        say_table(["leaf", "holds", "events", "why not"], rows, empty="")


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
    if told["sample"]:
        lines.append("Some of them: " + ", ".join(told["sample"]))
    return lines


def _decision(decided: Mapping[str, Any]) -> str:
    if decided["member"] is None:
        return f"{decided['contact_id']} has too many events or too much data to be judged."
    until = f", until {decided['changes_at']} if nothing else happens" if decided["changes_at"] else ""
    return f"{decided['contact_id']} would {'' if decided['member'] else 'not '}be a member{until}:"


def _leaf(leaf: str | Mapping[str, Any]) -> str:
    return leaf if isinstance(leaf, str) else ", ".join(f"{key}: {value}" for key, value in leaf.items())
