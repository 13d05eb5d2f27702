"""Limits on the data that goes into a run's history, applied when the data is accepted.

A Temporal server refuses inputs or signals over 2 MB and histories over 50 MB, and a retry does not help. A run carries
its program and the events that its waits matched through every continue-as-new
(https://docs.temporal.io/self-hosted-guide/defaults).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from tracks.runs.program import Compiled, Program
from tracks.shared.problems import Problem

MAX_PROPERTY = 4_096
"""The largest size of one event property in a signal, in bytes of JSON."""
MAX_PROPERTIES = 8_192
"""The largest size of all properties in one signal, in bytes, names included."""
MAX_MATCHED = 524_288
"""The largest size, in bytes, of the matched events that all waits of a run keep together."""
MAX_PROGRAM = 262_144
"""The largest size of a track's compiled program, in bytes."""


def carried(properties: Mapping[str, Any], compiled: Compiled) -> dict[str, Any]:
    """The properties of an event that conditions inside a run read, without those too large for its history.

    A property that is left out counts as missing, so conditions that read it are false. Each wait keeps the event that
    it matched, so the limit per event is lower in a track with more than 64 waits.
    """
    waits = sum(interest.match.startswith("step:") for interest in compiled.interests)
    names = (name for name in compiled.event_properties if name in properties)
    return bounded({name: properties[name] for name in names}, min(MAX_PROPERTIES, MAX_MATCHED // max(waits, 1)))


def bounded(properties: Mapping[str, Any], most: int = MAX_PROPERTIES) -> dict[str, Any]:
    """The properties that fit into `most` bytes together, each within `MAX_PROPERTY`; the largest are dropped first."""
    sizes = {name: len(to_json(value)) for name, value in properties.items()}
    room, kept = most, set()
    for name in sorted(sizes, key=lambda name: sizes[name]):
        room -= len(name.encode()) + sizes[name]
        if sizes[name] <= MAX_PROPERTY and room >= 0:
            kept.add(name)
    return {name: value for name, value in properties.items() if name in kept}


def program_problems(program: Program, name: str) -> list[Problem]:
    """The problem of a program that is too large: each start and each continue-as-new of a run carries it."""
    size = len(program.model_dump_json().encode())
    if size <= MAX_PROGRAM:
        return []
    words = (
        f"compiled, the track has {size:,} bytes; at most {MAX_PROGRAM:,} are allowed: divide it into several tracks"
    )
    return [Problem(name, 0, "", words)]
