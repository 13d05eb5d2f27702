"""Read any list of the API and print it: for people, as JSON, or as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.shared.common import api_caller, fail
from cli.shared.printing import printable, say, say_json, say_table
from tracks.shared.csv_cells import plain_cell
from tracks.time.durations import parse_duration

Limit = Annotated[int, typer.Option(min=1, help="How many to show, at most.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, all fields, for spreadsheets.")]
Contact = Annotated[str | None, typer.Option(help="Only of this contact.")]
Track = Annotated[str | None, typer.Option(help="Only of this track.")]
Since = Annotated[str | None, typer.Option(help="From this time on: 2026-11-21T12:00:00Z, or a time ago: 2h, 7d.")]
Until = Annotated[str | None, typer.Option(help="Before this time, in the same format.")]

_PAGE = 200
"""Most items in one answer of the API."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """One list of the API: its path, the name of its items, and the columns for people."""

    path: str
    items: str
    columns: Mapping[str, Callable[[Item], object]]
    empty: str


def show(
    listing: Listing,
    filters: Mapping[str, object],
    *,
    limit: int,
    as_json: bool,
    as_csv: bool,
    url: str | None,
    key: str | None,
) -> None:
    """Read the items and print them. If the API refuses, end the command with its reason."""
    if as_json and as_csv:
        fail("Print JSON or CSV, not both.")
    with api_caller(url, key) as client:
        found, more = _fetch(client, listing, {name: it for name, it in filters.items() if it is not None}, limit)
    if as_json:
        say_json(found)
    elif as_csv:
        typer.echo(_as_csv(found), nl=False)
    else:
        heads = list(listing.columns)
        say_table(heads, [[cell(one) for cell in listing.columns.values()] for one in found], empty=listing.empty)
    if more:
        say(f"There are more than {limit}: ask for more with --limit.", err=True)


def moment(written: str | None) -> str | None:
    """A moment in the API's format. `7d` means seven days ago."""
    if written is None or re.match(r"\d{4}-", written):
        return written
    try:
        return (datetime.now(UTC) - parse_duration(written)).isoformat()
    except ValueError:
        fail(f"{written} is not a time: write 2026-11-21T12:00:00Z, or 7d for seven days ago.")


def at(name: str) -> Callable[[Item], object]:
    """A column of times, to the second."""
    return lambda item: str(item[name] or "")[:19].replace("T", " ")


def field(name: str) -> Callable[[Item], object]:
    """A column with that field."""
    return lambda item: item[name]


def outcome(item: Item) -> str:
    """The outcome of a message in one or two words, with the reason."""
    told = item["delivery"] or item["status"]
    why = item["delivery_reason"] if item["delivery"] else item["reason"]
    return f"{told} ({why})" if why else str(told)


def _fetch(client: Any, listing: Listing, filters: Mapping[str, object], limit: int) -> tuple[list[Item], bool]:
    from infra.api_client.imports import ask

    found: list[Item] = []
    cursor: str | None = None
    while True:
        wanted = {**filters, "limit": min(_PAGE, limit - len(found)), **({"cursor": cursor} if cursor else {})}
        page = ask(client, "GET", listing.path, params=wanted)
        found += page[listing.items]
        cursor = page["next"]
        if cursor is None or len(found) >= limit:
            return found, cursor is not None


def _as_csv(found: Sequence[Item]) -> str:
    written = io.StringIO()
    if found:
        writer = csv.DictWriter(written, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in one.items()} for one in found)
    return written.getvalue()


def _cell(value: Any) -> object:
    if isinstance(value, (dict, list)):
        return printable(json.dumps(value, ensure_ascii=False))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value  # a phone number is no spreadsheet formula
    return "" if value is None else plain_cell(printable(value))
