"""Print the output of commands: escaped texts, and lists with headings, for people or as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that change a text's direction, and code points that are no characters:
https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing."""


def printable(text: object, *, lines: bool = False) -> str:
    """Escape control characters, so that a text cannot control the terminal. With `lines`, line ends are kept."""

    def escaped(found: re.Match[str]) -> str:
        return "\n" if lines and found[0] == "\n" else found[0].encode("unicode_escape").decode()

    return _HARMFUL.sub(escaped, str(text))


def say(line: object, *, err: bool = False) -> None:
    """Print one line, escaped."""
    typer.echo(printable(line), err=err)


def say_json(value: Any) -> None:
    """Print JSON with times in ISO 8601. All characters but ASCII are escaped."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def say_table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = "", margin: str = "") -> None:
    """Print rows under headings, or the sentence `empty` if there are none. The last column is not padded."""
    if not rows:
        say(empty)
        return
    cells = [[printable("" if cell is None else cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say(margin + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def minute(moment: Any) -> str:
    """A time in UTC to the minute; empty for None."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value.isoformat()
