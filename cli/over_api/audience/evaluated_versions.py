"""What commands about segments and about scores share: versions are filled, previewed, and compared with the facts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from cli.shared.common import api_caller, ask_api, fail
from cli.shared.printing import say


class Verb(StrEnum):
    """What can be done to a version that is being filled."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


def steer_filling(path: str, name: str, version: int, verb: Verb, url: str | None, key: str | None) -> None:
    """Do it to this version of what is at the API's path. Fails if the version is not being filled."""
    done = ask_api(url, key, "POST", f"{path}/versions/{version}/{verb.value}")
    if not done["done"]:
        fail(f"There is nothing to {verb.value}: {name} version {version} is not being filled.")
    say(f"{name} version {version}: {verb.value} done.")


def progress(found: Mapping[str, Any], counts: str) -> str:
    """How far the version is filled, and which one is live; `counts` says what the live one has."""
    filling = found["filling"]
    live = f"version {found['live']} is live {counts}" if found["live"] else "no version is live"
    state = f"version {found['version']}: {filling['state'].replace('_', ' ')}"
    done = f", {filling['evaluated']:,} of about {filling['contacts']:,} contacts evaluated"
    paused = ", paused" if filling["paused"] else ""
    return f"{live}; {state}{done if filling['state'] == 'filling' else ''}{paused}"


def compare_all(path: str, url: str | None, key: str | None) -> dict[str, Any]:
    """Compare what is stored with a full evaluation, page by page: `contacts`, `late`, `differences`."""
    from infra.api_client.publishing import refusals

    found: dict[str, Any] = {"contacts": 0, "late": 0, "differences": []}
    cursor: str | None = None
    with api_caller(url, key) as client:
        while True:
            answer = client.get(f"{path}/check", params={"cursor": cursor} if cursor else {})
            if answer.status_code != 200:
                fail("\n".join(refusals(None, answer)))
            told = answer.json()
            found = {name: before + told[name] for name, before in found.items()}
            if (cursor := told["next"]) is None:
                return found


def say_compared(name: str, found: Mapping[str, Any]) -> None:
    """Say how many contacts were compared, and how many differ."""
    differ = len(found["differences"])
    say(f"{name}: {found['contacts']:,} contacts compared, {found['late']:,} about to change, {differ:,} differ.")


def ask_preview(
    kind: Literal["segment", "score"], file: Path, contact: str | None, url: str | None, key: str | None
) -> Mapping[str, Any]:
    """The API's preview of a file. Fails with all that is wrong with it."""
    from infra.api_client.publishing import Document, refusals

    document = Document(kind, file.stem, file, file.read_text(encoding="utf-8"))
    body = document.body() | ({"contact_id": contact} if contact else {})
    with api_caller(url, key) as client:
        answer = client.post(f"/v1/{kind}s/preview", json=body)
    if answer.status_code != 200:
        fail("\n".join(refusals(document, answer)))
    told: Mapping[str, Any] = answer.json()
    return told
