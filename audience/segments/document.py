"""Read a segment from its YAML file, or from data: all mistakes at once, each with its line.

```
segment: churn-risk
name: Churn risk
owner: growth@acme.test
members:
  all:
    - contact.attributes.plan != "free"
    - any:
        - {did_not: app.used, within: 14d}
        - {did: payment.failed, within: 7d}
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from audience.conditions import ContactCondition
from audience.segments.decision import Decider
from audience.segments.leaves.standings import InSegment
from audience.segments.members import LEAVES, All, AnyOf, Condition, Members, Not, scores_of, standings_of
from tracks.checks.error_messages import say_of
from tracks.model.values import Duration, Model, Short, Slug, Text
from tracks.shared.problems import Problem, meant
from tracks.shared.yaml_source import Path, Source, read_yaml

MAX_LEAVES = 50
"""Leaves of one segment: each is looked at for every contact."""
MAX_DEPTH = 8
GROUPS = ("all", "any", "not")
_HOW = f"write a condition, such as contact.attributes.seats > 5, or one of {', '.join((*LEAVES, *GROUPS))}"
_CONDITION: TypeAdapter[str] = TypeAdapter(ContactCondition)


class Head(Model):
    """What a segment says of itself."""

    segment: Slug
    name: Short | None = None
    description: Text = ""
    owner: Short | None = None
    min_stay: Duration | None = Field(None, description="who has entered stays a member at least for so long")
    members: Any


@dataclass(frozen=True)
class Segment:
    """A segment as it was written."""

    segment: str
    members: Members
    name: str
    description: str = ""
    owner: str | None = None
    min_stay: timedelta = timedelta(0)
    """Who has entered does not leave before that span is over."""

    @cached_property
    def scores(self) -> frozenset[str]:
        """The scores whose grades the members depend on."""
        return scores_of(self.members)

    @cached_property
    def decider(self) -> Decider:
        """The members' tree, prepared to decide about many contacts."""
        return Decider(self.members)

    @cached_property
    def inner(self) -> tuple[InSegment, ...]:
        """The leaves about other segments."""
        return tuple(leaf for leaf in standings_of(self.members) if isinstance(leaf, InSegment))


@dataclass(frozen=True)
class Reading:
    """A segment, read as far as possible; `segment` is None where anything is wrong."""

    source: Source
    segment: Segment | None
    problems: tuple[Problem, ...] = ()


def read_segment(text: str, file: str) -> Reading:
    """Read a segment from YAML. Never raises; `file` is the name that problems show."""
    source = read_yaml(text)
    if source.data is None and source.problems:
        return Reading(source, None, tuple(Problem(file, line, "", message) for line, message in source.problems))
    found = list(_problems(source.data))
    problems = [Problem(file, line, "", message) for line, message in source.problems]
    problems += [Problem(file, source.line(path), "", message) for path, message in found]
    if problems:
        return Reading(source, None, tuple(sorted(set(problems))))
    return Reading(source, segment_from_data(source.data))


def read_segment_data(data: Any, file: str) -> Reading:
    """As `read_segment`, for plain data such as JSON: problems have line 0."""
    problems = [Problem(file, 0, "", message) for _, message in _problems(data)]
    return Reading(Source(data=data), None if problems else segment_from_data(data), tuple(sorted(set(problems))))


def segment_from_data(data: Mapping[str, Any]) -> Segment:
    """The segment of valid data, such as that of a published version. Raises ValueError where it is not valid."""
    if problems := list(_problems(data)):
        raise ValueError("; ".join(message for _, message in problems))
    head = Head.model_validate(data)
    return Segment(
        head.segment,
        tree_of(data["members"]),
        head.name or head.segment,
        head.description,
        head.owner,
        head.min_stay or timedelta(0),
    )


def _problems(data: Any) -> Iterator[tuple[Path, str]]:
    if not isinstance(data, Mapping):
        yield (), "a segment is a mapping: segment, members, …"
        return
    try:
        Head.model_validate(data)
    except ValidationError as error:
        yield from say_of(Head, error, data)
    if "members" in data:
        yield from tree_problems(data["members"], ("members",), 1)
        if (count := leaf_count(data["members"])) > MAX_LEAVES:
            yield ("members",), f"has {count} leaves; at most {MAX_LEAVES} are allowed"


def leaf_count(data: Any) -> int:
    """How many leaves the data of a tree has, however wrong it is."""
    groups = [data[kind] for kind in GROUPS if kind in data] if isinstance(data, Mapping) else []
    parts = [part for group in groups for part in (group if isinstance(group, list) else [group])]
    return sum(map(leaf_count, parts)) if groups else 1


def tree_problems(data: Any, at: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """The problems of a part of the tree, which stands at that path."""
    if depth > MAX_DEPTH:
        yield at, f"groups are nested more than {MAX_DEPTH} deep"
    elif isinstance(data, str):
        try:
            _CONDITION.validate_python(data)
        except ValidationError as error:
            yield at, f"condition: {error.errors()[0]['msg']}"
    elif not isinstance(data, Mapping) or not data:
        yield at, _HOW
    else:
        yield from _part_problems(data, at, depth)


def _part_problems(data: Mapping[str, Any], at: Path, depth: int) -> Iterator[tuple[Path, str]]:
    kinds = [key for key in data if key in LEAVES or key in GROUPS]
    if not kinds:
        key = next(iter(data))
        yield (*at, key), f"unknown key '{key}'" + meant(key, (*LEAVES, *GROUPS))
    elif len(kinds) > 1:
        yield at, f"has {' and '.join(map(str, kinds))}: make them parts of all or any"
    elif (kind := kinds[0]) in LEAVES:
        try:
            LEAVES[kind].model_validate(data)
        except ValidationError as error:
            for path, message in say_of(LEAVES[kind], error, data):
                yield (*at, *path), message
    else:
        for key in data:
            if key != kind:
                yield (*at, key), f"'{key}' cannot stand beside '{kind}': make it a part of all or any"
        yield from _group_problems(kind, data[kind], (*at, kind), depth + 1)


def _group_problems(kind: str, parts: Any, at: Path, depth: int) -> Iterator[tuple[Path, str]]:
    if kind == "not":
        yield from tree_problems(parts, at, depth)
    elif not isinstance(parts, list) or not parts:
        yield at, f"{kind}: should be a list with at least one part"
    else:
        for number, part in enumerate(parts):
            yield from tree_problems(part, (*at, number), depth)


def tree_of(data: Any) -> Members:
    """The tree of data without problems."""
    if isinstance(data, str):
        return Condition(data)
    if kind := next((kind for kind in LEAVES if kind in data), None):
        return LEAVES[kind].model_validate(data)
    if "not" in data:
        return Not(tree_of(data["not"]))
    group = "all" if "all" in data else "any"
    parts = tuple(tree_of(part) for part in data[group])
    return All(parts) if group == "all" else AnyOf(parts)
