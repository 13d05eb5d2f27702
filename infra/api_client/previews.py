"""Get a preview of a message from a running API, for `perennial preview`. Nothing is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from infra.api_client.publishing import TEMPLATES, read_template, refusals


class PreviewRefusedError(Exception):
    """The API refuses the preview. The text has one reason per line."""


def parse_pairs(pairs: list[str]) -> dict[str, Any]:
    """Parse `name=value` words. A value that is JSON (a number, true, a list) is parsed as JSON.

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

    Raises PreviewRefusedError if the API refuses, httpx.HTTPError if the API cannot be reached, OSError and ValueError
    for a file that cannot be read.
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
        raise PreviewRefusedError("\n".join(refusals(document, answer)))
    shown: dict[str, Any] = answer.json()
    return shown
