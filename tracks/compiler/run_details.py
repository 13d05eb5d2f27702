"""The text about the track that Temporal UI shows on the page of each run: the details given when a run starts.

The text is written into histories, so anything that looks like a person's address is left out (law 1). Temporal shows
it on the first run only, not on the runs that continue it as new.
"""

from __future__ import annotations

from tracks.model.track import ExitRule, Track
from tracks.shared.personal_ids import looks_personal

LONGEST_DESCRIPTION = 300
"""Characters. The limit keeps each run's history small."""


def about(track: Track, version: int) -> str | None:
    """Markdown with the track's name, description, owner, goal and exits; None where the track has none of these."""
    told = [
        _shortened(track.description),
        f"Owner: {_line(track.owner)}." if track.owner else "",
        f"Goal: the event `{track.goal.event}`." if track.goal else "",
        "Also ended by: " + ", ".join(dict.fromkeys(_cause(rule) for rule in track.exits)) + "." if track.exits else "",
    ]
    lines = [line for line in told if line and not looks_personal(line)]
    name = _line(track.name or "")
    named = bool(name) and not looks_personal(name)
    if not lines and not named:
        return None
    title = name if named else track.track
    read = f"As it was published: `GET /v1/tracks/{track.track}?version={version}`."
    return "\n\n".join([f"**{title}**, version {version}", *lines, read])


def _cause(rule: ExitRule) -> str:
    if rule.score:
        words = f"reaching the grade `{rule.grade}`" if rule.grade else f"falling below the grade `{rule.below}`"
        return f"{words} of the score `{rule.score}`"
    if rule.leaves or rule.enters:
        return f"leaving the segment `{rule.leaves}`" if rule.leaves else f"entering the segment `{rule.enters}`"
    return f"`{rule.event}`"


def _line(text: str) -> str:
    return " ".join(text.split())


def _shortened(text: str) -> str:
    whole = text.strip()
    return whole if len(whole) <= LONGEST_DESCRIPTION else whole[: LONGEST_DESCRIPTION - 1].rstrip() + "…"
