"""The events that a run has received, and which of them ends a wait: each event counts, and counts once.

These are the rules, as `docs/reference/tracks/waits.md` gives them:

- A wait is ended by the first event, in the order of acceptance, that counts for it.
- Events count from the moment at which the wait's look-back begins. Without a look-back that is the moment at which
  the wait was due to begin. An event of exactly that moment counts.
- An event ends a step once: an event that ended one round of a repeat does not end a later round.
- An event that has ended a wait happened before everything that follows the wait. So it counts for no later wait
  without a look-back. It counts for a later wait with a look-back only if time has passed between the two waits, as
  it has if there is another wait between them.

This module makes no Temporal calls, so it is tested on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from tracks.runs.run_interface import HeardEvent, Matched

CLOCKS_APART = timedelta(seconds=5)
"""An event that arrives at most this long after its own time is taken to have happened when it arrived. A click that is
held until it is known who clicked takes twice as long."""
KEPT_FOR_A_STEP = 50
KEPT = 100
"""The most events kept for one step, and in all. Where there are more, the oldest events of the step with the most
events are dropped. The state with which a run continues as new has to stay below Temporal's 2 MB."""


class Since(NamedTuple):
    """Where a look-back begins, in real time: when its step was due, and when it began."""

    due: datetime
    began: datetime


class ReceivedEvents:
    """Events in the order in which they were accepted, each with the steps whose wait it may still end."""

    def __init__(self, kept: Iterable[HeardEvent], looking_back: frozenset[str]) -> None:
        self._events = list(kept)
        self._looking_back = looking_back
        """The steps whose look-back begins before they do."""
        self._held: Counter[str] = Counter(step for heard in self._events for step in heard.steps)

    def dump(self) -> tuple[HeardEvent, ...]:
        """The events to continue as new with."""
        return tuple(self._events)

    def take(self, event: Matched, came: datetime, steps: Iterable[str]) -> int:
        """Keep an event that matched the waits of these steps; answers how many older events were dropped for it."""
        named = tuple(dict.fromkeys(steps))
        if not named:
            return 0
        self._events.append(HeardEvent(event=event, came=came, steps=named))
        self._held.update(named)
        forgotten = sum(self._forget_oldest(step) for step in named if self._held[step] > KEPT_FOR_A_STEP)
        while len(self._events) > KEPT:
            forgotten += self._forget_oldest(self._held.most_common(1)[0][0])
        return forgotten

    def begin(self, step: str, since: Since) -> None:
        """A wait of this step begins. Events that are too early for it are too early for its later waits: drop them."""
        if step in self._looking_back:
            return
        for heard in [one for one in self._events if step in one.steps and not _counts(one, since)]:
            self._release(heard, (step,))

    def first(self, step: str, since: Since | None, due: datetime, until: datetime | None) -> HeardEvent | None:
        """The event that ends the wait of `step` which was due to begin at `due`; None if there is none.

        Events count from `since` (None: all) until `until` (None: until now). All moments are real time.
        """
        for heard in self._events:
            if (
                step in heard.steps
                and self._is_new(step, heard, due)
                and _counts(heard, since)
                and (until is None or heard.event.at <= until)
            ):
                return heard
        return None

    def of(self, step: str, event_id: str) -> HeardEvent | None:
        """The event with this id, if it may still end a wait of this step."""
        return next((one for one in self._events if one.event.event_id == event_id and step in one.steps), None)

    def spend(self, step: str, ended: HeardEvent, moment: datetime) -> None:
        """Note that this event has ended the wait of this step, at that moment."""
        left = tuple(other for other in ended.steps if other != step and other in self._looking_back)
        spent = ended.model_copy(update={"steps": left, "ended_at": moment})
        self._held.subtract(other for other in ended.steps if other not in left)
        self._put(ended, spent)

    def _is_new(self, step: str, heard: HeardEvent, due: datetime) -> bool:
        if heard.ended_at is None:
            return True
        return step in self._looking_back and due > heard.ended_at

    def _forget_oldest(self, step: str) -> int:
        """Drop the oldest event of this step, for this step only; answers 1."""
        self._release(next(heard for heard in self._events if step in heard.steps), (step,))
        return 1

    def _release(self, heard: HeardEvent, steps: tuple[str, ...]) -> None:
        self._held.subtract(steps)
        self._put(heard, heard.model_copy(update={"steps": tuple(s for s in heard.steps if s not in steps)}))

    def _put(self, old: HeardEvent, new: HeardEvent) -> None:
        at = next(index for index, heard in enumerate(self._events) if heard is old)
        if new.steps:
            self._events[at] = new
        else:
            del self._events[at]


def _counts(heard: HeardEvent, since: Since | None) -> bool:
    """Whether the event happened at or after `since`.

    The sender of an event has a clock of its own, which may be behind. So an event also counts if it arrived during
    the wait and at most `CLOCKS_APART` after its own time. For an event that took longer, its own time decides: it
    may have been held back, or belong to an earlier step.
    """
    at = heard.event.at
    return since is None or at >= since.due or since.began < heard.came <= at + CLOCKS_APART


def from_latest(
    matched: dict[str, Matched], came: dict[str, datetime], ended: Matched | None
) -> tuple[HeardEvent, ...]:
    """The events of a run that continued as new in a version that kept only the latest event of each step.

    `ended` is the event that ended the run's latest wait. It ended the wait when it arrived.
    """
    steps: dict[str, list[str]] = {}
    events: dict[str, tuple[Matched, datetime]] = {}
    for step, event in sorted(matched.items(), key=lambda item: item[1].at):
        steps.setdefault(event.event_id, []).append(step)
        events[event.event_id] = (event, came.get(step, event.at))
    spent = ended.event_id if ended else None
    return tuple(
        HeardEvent(event=event, came=when, steps=tuple(steps[key]), ended_at=when if key == spent else None)
        for key, (event, when) in events.items()
    )
