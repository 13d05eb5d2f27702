"""The entries in a track's raw data, also where other parts of the track are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracks.shared.yaml_source import Path


def entries_in(data: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Each entry with its path: `entry` holds one, or a list of them."""
    written = data.get("entry") if isinstance(data, Mapping) else None
    if isinstance(written, Mapping):
        yield ("entry",), written
    elif isinstance(written, list | tuple):
        for index, one in enumerate(written):
            if isinstance(one, Mapping):
                yield ("entry", index), one


def name_of_entry(entry: Mapping[str, Any]) -> str | None:
    """What `enrollment.entry` says of a run that the entry began; None where that part is wrong."""
    date = entry.get("date")
    attribute = date.get("attribute") if isinstance(date, Mapping) else None
    name = entry.get("id") or entry.get("segment") or entry.get("score") or attribute or entry.get("event")
    return name if isinstance(name, str) else None
