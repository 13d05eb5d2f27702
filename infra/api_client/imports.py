"""Send a file to the API's imports and show the progress, for `perennial import`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from infra.api_client.publishing import UNKNOWN_KEY

_PIECE = 1 << 18
_TRIES = 3
_LOOK = 0.5
_PATIENCE = 60.0
"""Seconds to wait for an unavailable API while an import is watched."""


class RefusedError(Exception):
    """The API refused the call. The text holds all errors in its answer."""


def ask(
    client: httpx.Client, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
) -> Any:
    """Call the API. Returns its JSON. Raises `RefusedError`."""
    return _answer(client.request(method, path, json=body, params=params))


def read_stream(client: httpx.Client, path: str, *, params: Mapping[str, Any]) -> Iterator[str]:
    """The lines of an answer that may be long, as they arrive, each with its end. Raises `RefusedError`."""
    with client.stream("GET", path, params=params) as answer:
        if answer.is_error:
            answer.read()
            _answer(answer)
        rest = ""
        for piece in answer.iter_text():
            *lines, rest = (rest + piece).split("\n")  # httpx splits at other characters too, which texts may have
            yield from (line.removesuffix("\r") + "\n" for line in lines)
        if rest:
            yield rest


def upload(client: httpx.Client, file: Path, kind: str, wanted: dict[str, Any]) -> Any:
    """Send a file. Returns the import, which then runs. After a broken connection it tries again with the same key.

    Raises `RefusedError`, or httpx's error if the API stays unavailable.
    """
    console = Console(stderr=True)
    headers = {"Content-Type": kind, "Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(1, _TRIES + 1):
        try:
            with _bar(console) as bar:
                sent = _pieces(file, bar)
                timeout = httpx.Timeout(30, read=600)
                return _answer(
                    client.post("/v1/imports", params=wanted, headers=headers, content=sent, timeout=timeout)
                )
        except httpx.TransportError:
            if attempt == _TRIES:
                raise
            time.sleep(attempt)
    raise AssertionError


def _pieces(file: Path, bar: Progress) -> Iterator[bytes]:
    task = bar.add_task("Sending", total=file.stat().st_size or None, rest="")
    with file.open("rb") as read:
        while piece := read.read(_PIECE):
            yield piece
            bar.advance(task, len(piece))


def watch(client: httpx.Client, import_id: str) -> Any:
    """Show an import's progress until it has ended, and return it. If the API is unavailable for a while, it waits."""
    console = Console(stderr=True)
    silent_since: float | None = None
    with _bar(console) as bar:
        task = bar.add_task("Enrolling", total=None, rest="")
        while True:
            try:
                found = ask(client, "GET", f"/v1/imports/{import_id}")
                silent_since = None
            except httpx.TransportError:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > _PATIENCE:
                    raise
                bar.update(task, rest="the API is unavailable")
                time.sleep(_LOOK)
                continue
            bar.update(task, total=found["rows"], completed=found["done"], rest=_rest(found))
            if found["ended_at"]:
                return found
            time.sleep(_LOOK)


def save_problems(client: httpx.Client, import_id: str, file: Path) -> None:
    """Write a CSV file of the rows that enrolled nobody, with reasons."""
    with client.stream("GET", f"/v1/imports/{import_id}/problems") as answer:
        answer.raise_for_status()
        with file.open("wb") as written:
            for piece in answer.iter_bytes():
                written.write(piece)


def line(found: Any) -> str:
    """One import in one line."""
    words = f"{found['id']}  {found['track']}  {found['state']}  {found['done']} of {found['rows']} rows"
    return "  ".join(part for part in (words, counted(found)) if part)


def counted(found: Any) -> str:
    """The outcomes of its rows, and its speed or why it ended."""
    counts = ", ".join(f"{count} {what}" for what, count in sorted(found["outcomes"].items()))
    rest = _rest(found) if found["state"] == "running" else found["reason"]
    return "  ".join(part for part in (counts, rest) if part)


def _rest(found: Any) -> str:
    if found["state"] != "running":
        return str(found["state"])
    if found["held"]:
        return f"gives way: {found['held']} is busy"
    left = found["seconds_left"]
    return f"{found['rows_per_second']:g} rows/s" + ("" if left is None else f", {_time(left)} left")


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _bar(console: Console) -> Progress:
    words = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    return Progress(*words, TextColumn("{task.fields[rest]}"), console=console, disable=not console.is_terminal)


def _answer(answer: httpx.Response) -> Any:
    if not answer.is_error:
        return answer.json()
    try:
        said = answer.json()
    except ValueError:
        raise RefusedError(f"The API answered {answer.status_code}.") from None
    lines = [str(said.get("detail", answer.status_code))]
    if answer.status_code == 401:
        lines[0] = f"{UNKNOWN_KEY} {lines[0]}"
    lines += [_problem(error) for error in said.get("errors", ())]
    raise RefusedError("\n".join(lines))


def _problem(error: dict[str, Any]) -> str:
    place = error.get("parameter") or error.get("pointer") or (f"line {error['line']}" if error.get("line") else "")
    return f"  {place}: {error['detail']}" if place else f"  {error['detail']}"
