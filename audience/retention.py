"""How far back segments, scores and rules of exclusion read events, and whether the events are kept for so long.

A deleted event must not change an answer. So a leaf may only be about events whose retention covers its window:

- a leaf with `within` needs the events of that time;
- `first`, and a leaf without `within`, need all events there ever were;
- an event rule of a score needs the time of `within`, or `HALF_LIVES` half-lives, after which an event's points are
  less than a thousand-millionth of what they were. With a `cap`, or a half-life of `never`, it needs all events,
  because whether an event gives points depends on those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from audience.scores.rules import NEVER, EventRule, Score, While
from audience.segments.document import tree_of
from audience.segments.members import ContactLeaf, First, Members, event_of, leaves
from tracks.model.sending import Lately
from tracks.time.durations import format_duration

HALF_LIVES = 30


@dataclass(frozen=True)
class Need:
    """Events of a name are read so far back; None: ever. `part` says by what, such as `did` or `the rule pricing`."""

    event: str
    within: timedelta | None
    part: str


def needs_of_members(members: Members) -> Iterator[Need]:
    """What a tree reads."""
    for leaf in leaves(members):
        if not isinstance(leaf, ContactLeaf):
            yield Need(event_of(leaf), None if isinstance(leaf, First) else leaf.within, leaf.kind)


def needs_of_score(score: Score) -> Iterator[Need]:
    """What a score reads."""
    for rule in score.behaviour:
        if isinstance(rule, While):
            yield from (Need(one.event, one.within, f"the rule {rule.id}") for one in needs_of_members(rule.members))
        else:
            yield Need(rule.event, _read_by(rule), f"the rule {rule.id}")


def _read_by(rule: EventRule) -> timedelta | None:
    if rule.cap is not None:
        return None
    if rule.within is not None:
        return rule.within
    never = rule.half_life is None or rule.half_life == NEVER or rule.half_life > timedelta.max / HALF_LIVES
    return None if never or rule.half_life is None else rule.half_life * HALF_LIVES


def needs_of_exclusions(data: Any) -> Iterator[Need]:
    """What every `unless` in the data of a valid track or policy reads."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "unless" and isinstance(value, list | tuple):
                for part in value:
                    yield from _excluded(part)
            else:
                yield from needs_of_exclusions(value)
    elif isinstance(data, list | tuple):
        for one in data:
            yield from needs_of_exclusions(one)


def _excluded(part: Any) -> Iterator[Need]:
    if not isinstance(part, Mapping):
        return  # a condition over the contact
    if "event" in part:
        lately = Lately.model_validate(part)
        yield Need(lately.event, lately.within, "unless")
    else:
        yield from (Need(one.event, one.within, f"unless {one.part}") for one in needs_of_members(tree_of(part)))


def unmet(needs: Iterable[Need], kept: Callable[[str], timedelta]) -> Iterator[tuple[Need, str]]:
    """The needs that the retention does not cover, each with why. `kept` is the retention of a name."""
    for need in dict.fromkeys(needs):
        keeps = kept(need.event)
        if keeps == timedelta.max or (need.within is not None and need.within <= keeps):
            continue
        reads = "all of them" if need.within is None else f"those of {format_duration(need.within)}"
        yield need, f"{need.part} reads {reads}, and events {need.event} are kept for {format_duration(keeps)}"
