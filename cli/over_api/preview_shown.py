"""Print a preview on a terminal. The texts in it may be by anybody, so they are escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.shared.printing import printable

_WHY = {
    "false": "does not hold",
    "missing": "asks for something that is not there",
    "type": "compares what cannot be compared",
    "not a yes or no": "is not a yes or no",
    "too large": "looks at too much",
}


def show(console: Console, shown: Mapping[str, Any]) -> None:
    """Print a preview: a table of facts, a table of the blocks' choices, then the text."""
    facts = Table.grid(padding=(0, 2))
    rows = [("subject", shown["subject"])] if shown["kind"] == "email" else []
    rows.append(("language", shown["locale"] or "the template does not say"))
    if shown["kind"] == "sms":
        rows.append(("length", f"{len(shown['text'])} characters, {shown['segments']} segments in {shown['encoding']}"))
    for name, value in rows:
        facts.add_row(f"[dim]{name}[/]", _plain(value))
    console.print(facts)
    if shown["blocks"]:
        table = Table("block", "shows", "because", box=None, header_style="dim", pad_edge=False)
        for block in shown["blocks"]:
            passed = "; ".join(f"{name} {_WHY.get(why, why)}" for name, why in block["passed"].items())
            reason = "its condition holds" if block["chosen"] != "else" else "no condition holds"
            because = reason + (f" ({passed})" if passed else "")
            table.add_row(*(_plain(text) for text in (block["block"], block["chosen"], because)))
        console.print()
        console.print(table)
    for warning in shown["warnings"]:
        console.print(f"[yellow]![/] {_plain(warning)}")
    console.print()
    console.print(printable(shown["text"].rstrip(), lines=True), markup=False, emoji=False)


def _plain(text: object) -> str:
    return escape(printable(text))
