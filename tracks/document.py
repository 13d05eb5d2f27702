"""A track as text or data, judged as a whole: every mistake at once, each with its line and step.

Reading files is the caller's affair: nothing here touches the outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tracks.messages import say
from tracks.model import Track
from tracks.problems import Problem as Problem
from tracks.problems import TrackProblems as TrackProblems
from tracks.references import reference_problems
from tracks.source import MAX_DEPTH, Path, Source, read_yaml
from tracks.templates import sender_problems


def parse_track(text: str, name: str) -> Track:
    """Read a track from YAML; `name` is the file's name as problems should show it.

    Raises TrackProblems with everything that is wrong.
    """
    source = read_yaml(text)
    problems = [Problem(name, line, "", message) for line, message in source.problems]
    if source.data is None and problems:
        raise TrackProblems(problems)
    return _judge(source, name, problems)


def track_from_data(data: Any, name: str = "track") -> Track:
    """The same for plain data, such as JSON: problems have line 0. Raises TrackProblems."""
    return _judge(Source(data=data), name, [])


def check_track(track: Track) -> list[Problem]:
    """What is wrong with a track that was built in Python: the models see each part, this sees the whole."""
    try:
        track_from_data(track_to_data(track), track.track)
    except TrackProblems as error:
        return error.problems
    return []


def track_to_data(track: Track) -> dict[str, Any]:
    """The track as JSON-able data in one canonical form: what is left at its default is left out."""
    return track.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _judge(source: Source, name: str, problems: list[Problem]) -> Track:
    data = source.data
    if not isinstance(data, Mapping):
        raise TrackProblems([*problems, Problem(name, source.line(()), "", "a track is a mapping: track, steps, …")])

    if _deeper_than(data, MAX_DEPTH):
        raise TrackProblems([*problems, Problem(name, 0, "", f"the track is nested more than {MAX_DEPTH} deep")])

    def add(path: Path, message: str) -> None:
        problems.append(Problem(name, source.line(path), step_at(data, path), message))

    track: Track | None = None
    try:
        track = Track.model_validate(data)
    except ValidationError as error:
        for path, message in say(error, data):
            add(path, message)
    for path, message in (*reference_problems(dict(data)), *sender_problems(dict(data))):
        add(path, message)
    if problems or track is None:
        raise TrackProblems(problems)
    return track


def _deeper_than(data: Any, levels: int) -> bool:
    """Whether data is nested deeper, found without recursion: the walks that follow have a stack to lose."""
    level = [data]
    for _ in range(levels + 1):
        level = [
            part
            for value in level
            if isinstance(value, (Mapping, list, tuple))
            for part in (value.values() if isinstance(value, Mapping) else value)
        ]
        if not level:
            return False
    return True


def step_at(data: Any, path: Path) -> str:
    """The id of the innermost step that a path lies in."""
    found = ""
    block = False  # the part before is a list of steps
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        if block and isinstance(data, Mapping) and isinstance(data.get("id"), str):
            found = data["id"]
        block = part in ("steps", "then", "else")
    return found
