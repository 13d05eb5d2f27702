"""What the rules of a score have counted so far, so that a new event can be added without reading the earlier ones.

A tally follows from a full evaluation and is stored with the course. Adding an event to it gives what a full evaluation
of all events gives: the same moments and numbers, and sums of decaying points that differ by their rounding. Where that
cannot be known from the tally alone, the score is evaluated anew from the facts: `Tally.takes` tells it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from audience.scores.points.contributions import Constant, Contribution, Summed, Switching, Whole
from audience.scores.points.decay import Decaying, microseconds
from audience.scores.rules import NEVER, Cap, EventRule, Score, While

FORM = 1
"""The form of a stored tally. One of another form is not used."""
MOST = 500
"""Moments that a tally keeps at most. A score with more of them is evaluated anew at each event."""
ADDED = 200
"""Events that are added to a tally; then the score is evaluated anew. It bounds what rounding can add up to."""


class Counted(NamedTuple):
    """What a rule about events has counted; of each field, only what this rule needs."""

    points: float = 0.0
    """Of points that wear off: their sum at the moment `at`, which is that of the newest event that scored."""
    at: int | None = None
    used: int = 0
    """Of points that stay for ever, or under a cap without a span: how many events scored."""
    times: tuple[int, ...] = ()
    """Of points that end together: the moments of events whose points have not ended, in order."""
    recent: tuple[int, ...] = ()
    """Under a cap with a span: the moments of the events that scored within such a span before the newest of them."""


class Held(NamedTuple):
    """Of a `while` rule: whether it holds, and the moments at which that changes by time alone."""

    holds: bool
    changes: tuple[int, ...]

    def at(self, now: int) -> Held:
        """The same, seen from a later moment."""
        passed = bisect_right(self.changes, now)
        return Held(self.holds != (passed % 2 == 1), self.changes[passed:])


@dataclass(frozen=True, slots=True)
class Tally:
    """What each rule has counted. `fit` are the numbers of the fit rules that hold; `added` is how many events were
    added since the facts were read."""

    fit: tuple[int, ...]
    behaviour: tuple[Counted | Held, ...]
    added: int = 0

    def takes(self, score: Score, events: Iterable[tuple[str, int]], now: int) -> bool:
        """Whether events of these names and moments can be added together, earlier ones first.

        Whether they score does not matter for that.
        """
        moments: dict[str, list[int]] = {}
        for name, at in events:
            moments.setdefault(name, []).append(at)
        if self.added >= ADDED or any(at > now for times in moments.values() for at in times):
            return False
        return all(
            not isinstance(rule, EventRule)
            or isinstance(counted, Held)
            or _in_order(rule, counted, moments[rule.event])
            for rule, counted in zip(score.behaviour, self.behaviour, strict=True)
            if isinstance(rule, While) or rule.event in moments
        )

    def unmoved(self, score: Score, events: Iterable[tuple[str, int]], now: int) -> bool:
        """Whether such events change nothing, score or not: a cap has no room for them, or their points have ended."""
        for name, at in events:
            for rule, one in zip(score.behaviour, self.behaviour, strict=True):
                if isinstance(one, Held):
                    if isinstance(rule, EventRule) or name in rule.events:
                        return False
                elif isinstance(rule, EventRule) and rule.event == name and with_event(rule, one, at, now) is not one:
                    return False
        return True

    def contributions(self, score: Score) -> list[Contribution]:
        """What the rules add, as a full evaluation of all facts gives it."""
        fits: list[Contribution] = [
            Constant(float(rule.points) if number in self.fit else 0.0) for number, rule in enumerate(score.fit)
        ]
        return fits + [_contribution(*one) for one in zip(score.behaviour, self.behaviour, strict=True)]

    def to_data(self) -> dict[str, Any]:
        """The tally as JSON data, exactly."""
        behaviour = [[list(part) if type(part) is tuple else part for part in one] for one in self.behaviour]
        return {"form": FORM, "fit": list(self.fit), "behaviour": behaviour, "added": self.added}


def tally_from_data(score: Score, data: Mapping[str, Any] | None) -> Tally | None:
    """The inverse of `Tally.to_data`; None for a tally of another form."""
    if data is None or data.get("form") != FORM:
        return None
    behaviour: list[Counted | Held] = []
    for rule, one in zip(score.behaviour, data["behaviour"], strict=True):
        if isinstance(rule, While):
            behaviour.append(Held(one[0], tuple(one[1])))
        else:
            points, at, used, times, recent = one
            behaviour.append(Counted(float(points), at, used, tuple(times), tuple(recent)))
    return Tally(tuple(data["fit"]), tuple(behaviour), data["added"])


def kept_small(tally: Tally) -> Tally | None:
    """The tally; None if it has too many moments to be stored."""
    moments = sum(
        len(one.changes) if isinstance(one, Held) else len(one.times) + len(one.recent) for one in tally.behaviour
    )
    return tally if moments <= MOST else None


def counted(rule: EventRule, contribution: Contribution, times: Sequence[int], now: int) -> Counted | None:
    """What a rule has counted of events that scored at these moments, in order; None if one of them is to come."""
    if not times:
        return Counted()
    if times[-1] > now:
        return None
    begins = contribution.counted(now)[0] if rule.within is not None else len(times)
    summed = contribution.part_at(now)
    points, at = (summed.value, summed.at) if isinstance(summed, Decaying) else (0.0, None)
    return Counted(points, at, len(times) if _numbers(rule) else 0, tuple(times[begins:]), _recent(rule, times))


def with_event(rule: EventRule, counted: Counted, at: int, now: int) -> Counted:
    """The same with one more event that the rule means, at a moment that `Tally.takes` allows.

    The same object if the event changes nothing: it does not score, or its points have ended.
    """
    cap, points, newest, times = rule.cap, counted.points, counted.at, counted.times
    if cap is not None and _full(cap, counted, at):
        return counted
    if rule.within is not None:
        ends = now - microseconds(rule.within)
        if at > ends:
            times = tuple(sorted([*times[bisect_right(times, ends) :], at]))
    elif (half_life := _half_life(rule)) is not None:
        before = Decaying(points, at if newest is None else newest, half_life)
        after = before.plus(float(rule.points), at)
        points, newest = after.value, after.at
    used = counted.used + _numbers(rule)
    found = Counted(points, newest, used, times, _recent(rule, (*counted.recent, at)))
    return counted if found == counted else found


def _full(cap: Cap, counted: Counted, at: int) -> bool:
    """Whether the cap leaves no room; see `audience.scores.scoring_events`."""
    if cap.per is None:
        return counted.used >= cap.most
    begins = bisect_right(counted.recent, at - microseconds(cap.per))
    return len(counted.recent) - begins >= cap.most


def _in_order(rule: EventRule, counted: Counted, times: Sequence[int]) -> bool:
    """Whether events of these moments cannot take the places of later ones under the cap.

    Events that are not earlier than all that score leave their places as they are. While a cap without a span has room
    for all of them, all events score, in any order. An event whose points have ended gives none, whatever the order.
    """
    cap = rule.cap
    if cap is None:
        return True
    if cap.per is not None:
        return not counted.recent or min(times) >= counted.recent[-1]
    if counted.used + len(times) <= cap.most or _stays(rule):
        return True
    if rule.within is not None:
        return not counted.times or min(times) >= counted.times[-1]
    return counted.at is None or min(times) >= counted.at


def _recent(rule: EventRule, times: Sequence[int]) -> tuple[int, ...]:
    """Of these moments, those that decide whether a cap with a span has room for an event that is not earlier."""
    if rule.cap is None or rule.cap.per is None:
        return ()
    return tuple(times[bisect_right(times, times[-1] - microseconds(rule.cap.per)) :])


def _stays(rule: EventRule) -> bool:
    return rule.within is None and (rule.half_life is None or rule.half_life == NEVER)


def _half_life(rule: EventRule) -> int | None:
    return None if rule.half_life is None or rule.half_life == NEVER else microseconds(rule.half_life)


def _numbers(rule: EventRule) -> bool:
    """Whether the tally needs the number of all events that scored."""
    return _stays(rule) or (rule.cap is not None and rule.cap.per is None)


def _contribution(rule: EventRule | While, one: Counted | Held) -> Contribution:
    points = float(rule.points)
    if isinstance(one, Held):
        return Switching(points, one.holds, one.changes)
    assert isinstance(rule, EventRule)
    if rule.within is not None:
        return Whole(points, one.times, microseconds(rule.within))
    half_life = _half_life(rule)
    if half_life is None:
        return Constant(points * one.used)
    return Constant(0.0) if one.at is None else Summed(Decaying(one.points, one.at, half_life))
