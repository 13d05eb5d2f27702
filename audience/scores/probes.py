"""Which events of a contact have to be read to tell a score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from audience.scores.rules import EventRule, Score, While
from audience.segments import probes as of_segments
from audience.segments.probes import Probe, merged
from tracks.runs.bot_engagement import CLASSED


def probes(scores: Iterable[Score], *, spare: int = 0, whole: bool = False) -> list[Probe]:
    """The probes that tell all of these scores, now and as time passes; one per event and direction.

    `spare` and `whole` as for segments. Most rules need all of their events, because points only wear off.
    """
    return merged(probe for score in scores for rule in score.behaviour for probe in _of_rule(rule, spare, whole))


def events_of(score: Score) -> set[str]:
    """The names of all events that a score is about."""
    return {probe.event for probe in probes([score])}


def _of_rule(rule: EventRule | While, spare: int, whole: bool) -> Iterator[Probe]:
    if isinstance(rule, While):
        yield from of_segments.probes([rule.members], spare=spare, whole=whole)
        return
    looks_inside = rule.where is not None or rule.event in CLASSED
    cap = rule.cap
    if cap is not None and cap.per is None and not looks_inside and not whole:
        yield Probe(rule.event, True, cap.most, None, False)
    else:
        # With a cap, whether an event gives points depends on those before it, however old they are.
        yield Probe(rule.event, False, None, rule.within if cap is None else None, looks_inside)
