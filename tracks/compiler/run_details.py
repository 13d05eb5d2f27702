"""What Temporal UI tells of the track on the page of each of its runs: the details that it is started with.

They are written into histories: what looks like an address of a person is left out (law 1). Temporal gives them to the
run that is started, not to those it continues as.
"""

from __future__ import annotations

from tracks.model.track import Track
from tracks.shared.identifiers import looks_personal

LONGEST_DESCRIPTION = 300
"""Characters; each run's history has them."""


def about(track: Track, version: int) -> str | None:
    """Markdown: its name, what it is for, whose it is, what ends it. None where the track says nothing of these."""
    told = [
        _shortened(track.description),
        f"Owner: {_line(track.owner)}." if track.owner else "",
        f"Goal: the event `{track.goal.event}`." if track.goal else "",
        "Also ended by: " + ", ".join(f"`{event}`" for event in dict.fromkeys(rule.event for rule in track.exits)) + "."
        if track.exits
        else "",
    ]
    lines = [line for line in told if line and not looks_personal(line)]
    name = _line(track.name or "")
    named = bool(name) and not looks_personal(name)
    if not lines and not named:
        return None
    title = name if named else track.track
    read = f"As it was published: `GET /v1/tracks/{track.track}?version={version}`."
    return "\n\n".join([f"**{title}**, version {version}", *lines, read])


def _line(text: str) -> str:
    return " ".join(text.split())


def _shortened(text: str) -> str:
    whole = text.strip()
    return whole if len(whole) <= LONGEST_DESCRIPTION else whole[: LONGEST_DESCRIPTION - 1].rstrip() + "…"
