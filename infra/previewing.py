"""Previews on the command line: what the API answers, in plain words. The message itself is not sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from infra.publishing import TEMPLATES, read_template, refusals

_WHY = {
    "false": "does not hold",
    "missing": "asks for something that is not there",
    "type": "compares what cannot be compared",
    "not a yes or no": "is not a yes or no",
    "too large": "looks at too much",
}


class PreviewRefusedError(Exception):
    """The API does not preview it; the text says why, a line each."""


def parse_pairs(pairs: list[str]) -> dict[str, Any]:
    """`name=value` words as data; a value that is JSON (a number, true, a list) is read as that.

    Raises ValueError for a word without `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"'{pair}' is not name=value")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def ask(client: httpx.Client, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """Preview a file, or a template by its name.

    Raises PreviewRefusedError where it cannot be shown, httpx.HTTPError if the API cannot be reached, OSError and
    ValueError for a file that cannot be read.
    """
    path = Path(what)
    document = None
    if path.suffix in TEMPLATES:
        own = path.with_name(path.name.split(".", 1)[0] + path.suffix)
        document = read_template(own if own.is_file() else path)
        body = body | document.body()
        _, _, tag = path.stem.partition(".")
        if tag and own.is_file():
            body.setdefault("locale", tag)
    name = document.name if document else what
    answer = client.post(f"/v1/templates/{name}/preview", json=body)
    if answer.status_code != 200:
        try:
            said = list(refusals(document, answer)) if document else _details(answer.json())
        except ValueError:
            said = [f"the API answered {answer.status_code}"]
        raise PreviewRefusedError("\n".join(said))
    shown: dict[str, Any] = answer.json()
    return shown


def _details(problem: dict[str, Any]) -> list[str]:
    return [str(error["detail"]) for error in problem.get("errors", ())] or [str(problem.get("detail"))]


def show(console: Console, shown: dict[str, Any]) -> None:
    """Print a preview: the facts in a table, the choices in another, then the text as it reads."""
    facts = Table.grid(padding=(0, 2))
    rows = [("subject", shown["subject"])] if shown["kind"] == "email" else []
    rows.append(("language", shown["locale"] or "the template does not say"))
    if shown["kind"] == "sms":
        rows.append(("length", f"{len(shown['text'])} characters, {shown['segments']} segments in {shown['encoding']}"))
    for name, value in rows:
        facts.add_row(f"[dim]{name}[/]", _plain(str(value)))
    console.print(facts)
    if shown["blocks"]:
        table = Table("block", "shows", "because", box=None, header_style="dim", pad_edge=False)
        for block in shown["blocks"]:
            passed = "; ".join(f"{name} {_WHY.get(why, why)}" for name, why in block["passed"].items())
            reason = "its condition holds" if block["chosen"] != "else" else "no condition holds"
            table.add_row(block["block"], block["chosen"], _plain(reason + (f" ({passed})" if passed else "")))
        console.print()
        console.print(table)
    for warning in shown["warnings"]:
        console.print(f"[yellow]![/] {_plain(warning)}")
    console.print()
    console.print(shown["text"].rstrip(), markup=False, emoji=False)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
