"""Check a whole track, given as text or data: report every mistake at once, each with its line and step.

The caller reads the files: this module does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import ValidationError

from tracks.checks.error_messages import say
from tracks.checks.event_counting import counting_doubts
from tracks.checks.event_texts import event_problems
from tracks.checks.number_texts import written_as_text
from tracks.checks.references.entry_names import unknown_entries
from tracks.checks.references.template_use import sender_problems
from tracks.model.track import Track
from tracks.shared.problems import Problem as Problem
from tracks.shared.problems import TrackProblems as TrackProblems
from tracks.shared.yaml_source import MAX_DEPTH, Path, Source, read_yaml
from tracks.static_analysis.built_in_events import misnamed, strange
from tracks.static_analysis.effect_parts import EffectPart, effect_parts_of
from tracks.static_analysis.references import entry_doubts, reference_problems


@dataclass(frozen=True)
class Reading:
    """A track, read as far as possible: a mistake in one part does not hide mistakes elsewhere."""

    name: str
    """The file's name, as problems show it."""
    source: Source
    track: Track | None
    """None where the track's own data has an error."""
    problems: tuple[Problem, ...] = ()
    pieces: tuple[EffectPart, ...] = ()

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at this path of the track's data."""
        return Problem(self.name, self.source.line(path), step_at(self.source.data, path), message)

    def at(self, found: Iterable[tuple[Path, str]]) -> list[Problem]:
        """A problem for each path and message."""
        return [self.problem(path, message) for path, message in found]

    def warnings(self) -> list[Problem]:
        """Warnings: what may be intended, but is often a mistake."""
        data = self.source.data
        return self.at((*strange(data), *entry_doubts(data), *counting_doubts(data), *written_as_text(data)))

    def sound(self) -> Track:
        """The valid track. Raises TrackProblems with every problem."""
        if self.track is None:
            raise TrackProblems(self.problems)
        return self.track


def read_track(text: str, name: str) -> Reading:
    """Read a track from YAML; `name` is the file's name as problems should show it. Never raises."""
    source = read_yaml(text)
    problems = [Problem(name, line, "", message) for line, message in source.problems]
    if source.data is None and problems:
        return Reading(name, source, None, tuple(problems))
    return _judge(source, name, problems)


def read_track_data(data: Any, name: str = "track") -> Reading:
    """As `read_track`, for plain data such as JSON: problems have line 0."""
    return _judge(Source(data=data), name, [])


def parse_track(text: str, name: str) -> Track:
    """The track that a YAML text describes. Raises TrackProblems with every problem."""
    return read_track(text, name).sound()


def track_from_data(data: Any, name: str = "track") -> Track:
    """As `parse_track`, for plain data such as JSON."""
    return read_track_data(data, name).sound()


def check_track(track: Track) -> list[Problem]:
    """The problems of a track that was built in Python. The models check single parts; this checks the whole track."""
    try:
        track_from_data(track_to_data(track), track.track)
    except TrackProblems as error:
        return error.problems
    return []


def track_to_data(track: Track) -> dict[str, Any]:
    """The track as JSON data in one canonical form: values equal to their default are left out."""
    return track.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _judge(source: Source, name: str, problems: list[Problem]) -> Reading:
    data = source.data
    if not isinstance(data, Mapping):
        problems.append(Problem(name, source.line(()), "", "a track is a mapping: track, steps, …"))
        return Reading(name, source, None, tuple(problems))

    if _deeper_than(data, MAX_DEPTH):
        problems.append(Problem(name, 0, "", f"the track is nested more than {MAX_DEPTH} deep"))
        return Reading(name, source, None, tuple(problems))

    def add(path: Path, message: str) -> None:
        problems.append(Problem(name, source.line(path), step_at(data, path), message))

    track: Track | None = None
    try:
        track = Track.model_validate(data)
    except ValidationError as error:
        for path, message in say(error, data):
            add(path, message)
    whole = dict(data)
    found_elsewhere = (
        reference_problems(whole),
        sender_problems(whole),
        event_problems(whole),
        misnamed(data),
        unknown_entries(data),
    )
    for path, message in chain.from_iterable(found_elsewhere):
        add(path, message)
    all_problems = tuple(sorted(set(problems)))
    return Reading(name, source, None if problems else track, all_problems, tuple(effect_parts_of(data)))


def _deeper_than(data: Any, levels: int) -> bool:
    """Whether data is nested deeper than this. No recursion: the later checks recurse and would overflow the stack."""
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
