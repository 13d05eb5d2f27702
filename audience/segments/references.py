"""What a segment names besides events and attributes: other segments, tracks and topics; and whether they exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audience.segments.inner_segments import circle_of
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path

Kind = Literal["segment", "track", "topic"]
_KINDS: Mapping[str, Kind] = {
    "in": "segment",
    "on": "track",
    "converted": "track",
    "track": "track",
    "consents": "topic",
    "topic": "topic",
}
_CHANNELS = ("email", "sms")
_GROUPS = ("all", "any", "not")


@dataclass(frozen=True)
class Known:
    """The names that exist, with those that are published together. `topics`: None if they are not known.

    `about`: what each segment is about, by its newest version; `about_until_now`: by the versions that count now.
    """

    segments: Collection[str]
    tracks: Collection[str]
    topics: Collection[str] | None
    about: Mapping[str, Collection[str]]
    about_until_now: Mapping[str, Collection[str]]


def reference_problems(name: str, data: Any, known: Known) -> Iterator[tuple[Path, str]]:
    """What a segment's data names that does not exist, and the circle that it would close; with their paths."""
    found = list(named(data))
    names: Mapping[Kind, Collection[str] | None] = {
        "segment": known.segments,
        "track": known.tracks,
        "topic": known.topics,
    }
    for path, kind, written in found:
        among = names[kind]
        if among is not None and written not in among:
            where = "the policy has no" if kind == "topic" else "there is no"
            yield path, f"{where} {kind} '{written}'{meant(written, sorted(among))}; publish it before or with this"
    circle = circle_of(name, known.about)
    hint = ""
    if not circle:
        both = {one: {*known.about.get(one, ()), *known.about_until_now.get(one, ())} for one in known.segments}
        circle = circle_of(name, both)
        hint = ", by a version that still counts: publish the others first, and this when they are live"
    if circle:
        at = next((path for path, kind, written in found if kind == "segment" and written == circle[1]), ("members",))
        yield at, f"segments cannot be about each other in a circle: {' → '.join(circle)}{hint}"


def named(data: Any) -> Iterator[tuple[Path, Kind, str]]:
    """The names in a segment's data, however wrong the rest of it is."""
    if isinstance(data, Mapping):
        yield from _named(data.get("members"), ("members",))


def inner_of(data: Any) -> set[str]:
    """The segments that a segment's data is about."""
    return {written for _, kind, written in named(data) if kind == "segment"}


def _named(part: Any, path: Path) -> Iterator[tuple[Path, Kind, str]]:
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from _named(one, (*path, number))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            here = (*path, key)
            if key in _GROUPS:
                yield from _named(value, here)
            elif key in _KINDS and isinstance(value, str) and not (key == "consents" and value in _CHANNELS):
                yield here, _KINDS[key], value
