"""How much may go into a run's history: bounded where it is accepted, as Temporal refuses for good what is too large.

A server takes 2 MB in one input or signal and 50 MB in a history, and a run carries its program and what its waits
matched through every continue-as-new (https://docs.temporal.io/self-hosted-guide/defaults).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from tracks.program.program import Compiled, Program
from tracks.shared.problems import Problem

MAX_PROPERTY = 4_096
"""Bytes of JSON that one property of an event may have for a run to be told it."""
MAX_PROPERTIES = 8_192
"""Bytes of all properties that one signal carries, names included."""
MAX_MATCHED = 524_288
"""Bytes of what all waits of a run together may keep of the events that they matched."""
MAX_PROGRAM = 262_144
"""Bytes of a track's compiled program."""


def carried(properties: Mapping[str, Any], compiled: Compiled) -> dict[str, Any]:
    """Of an event's properties those that conditions inside a run read, without those too large for its history.

    What is left out is missing for these conditions, so they are false. Each of many waits keeps what it matched, so a
    track with more than 64 of them is told less.
    """
    waits = sum(interest.match.startswith("step:") for interest in compiled.interests)
    names = (name for name in compiled.event_properties if name in properties)
    return bounded({name: properties[name] for name in names}, min(MAX_PROPERTIES, MAX_MATCHED // max(waits, 1)))


def bounded(properties: Mapping[str, Any], most: int = MAX_PROPERTIES) -> dict[str, Any]:
    """Those that fit into `most` bytes together, each within `MAX_PROPERTY`; the largest are left out first."""
    sizes = {name: len(to_json(value)) for name, value in properties.items()}
    room, kept = most, set()
    for name in sorted(sizes, key=lambda name: sizes[name]):
        room -= len(name.encode()) + sizes[name]
        if sizes[name] <= MAX_PROPERTY and room >= 0:
            kept.add(name)
    return {name: value for name, value in properties.items() if name in kept}


def program_problems(program: Program, name: str) -> list[Problem]:
    """What is wrong with a program's size: every run is started with it, and begins anew with it."""
    size = len(program.model_dump_json().encode())
    if size <= MAX_PROGRAM:
        return []
    words = (
        f"compiled, the track has {size:,} bytes; at most {MAX_PROGRAM:,} are allowed: divide it into several tracks"
    )
    return [Problem(name, 0, "", words)]
