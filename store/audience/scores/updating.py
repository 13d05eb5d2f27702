"""Keep each contact's scores: exact at each commit, in the transaction that stores the cause.

What is written follows from `audience.scores.evaluation` over the stored facts, as memberships of segments do. New
events are added to what was counted before (`audience.scores.increments`), where that gives the same; all facts are
read for a new or changed contact, at a moment that is due, and wherever a tally does not take the events.
`store.audience.memberships.memberships.update` locks the contacts and reads the facts for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import Facts
from audience.scores.evaluation import Decision
from audience.scores.increments import decide_by_tally, looks_inside, with_events
from audience.scores.increments import probes as beside_events
from audience.scores.points.decay import instant
from audience.scores.probes import probes
from audience.scores.rules import Score
from audience.scores.tally import Tally, tally_from_data
from audience.segments.probes import Probe, merged
from store.audience.facts import AGAIN, CATCH_UP, enough
from store.audience.fresh_events import FreshEvent, FreshEvents, Plan
from store.audience.scores.decided_values import first_value, judged, to_write, untold_of, value_at
from store.audience.scores.values import VALUE_NAMES, GradeChange, ScorePin, ScoreValue, value_of
from store.engine.pipeline import Statement
from store.engine.sql import any_of
from store.published import scores
from tracks.conditions.conditions import ConditionError


@dataclass(frozen=True, slots=True)
class KeptScore:
    """A version whose values are kept.

    `live`: it counts. `tells`: it just went live, and those whose grade is another one by it are being told. `events`
    are its triggers.
    """

    live: bool
    tells: bool
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Concern:
    """Why a contact's scores are looked at: events of these names; everything, for instance of a new contact. `fresh`
    are those of the events that this transaction stored."""

    events: frozenset[str] = frozenset()
    everything: bool = False
    fresh: tuple[FreshEvent, ...] = ()

    @property
    def only_fresh(self) -> bool:
        """Whether new events are all that has changed."""
        return not self.everything and self.events <= {event.name for event in self.fresh}


class ScoreUpdate:
    """Brings the scores of some contacts up to date: reads, evaluates, and collects what is to be written and told."""

    def __init__(self, concerns: Mapping[str, Concern], now: datetime) -> None:
        """`concerns` are the contacts to look at."""
        self.now = now
        self.earliest = now
        """The earliest moment that is evaluated: windows are read from there."""
        self.changes: list[GradeChange] = []
        self.written: list[ScoreValue] = []
        self.not_judged: list[str] = []
        self.fresh = FreshEvents()
        """The new events to read, once `probes` has been called for each contact."""
        self._concerns = concerns
        self._kept: dict[ScorePin, KeptScore] = {}
        self._known: dict[str, dict[ScorePin, ScoreValue]] = {}
        self._asked: dict[str, frozenset[ScorePin]] = {}
        self._defined: dict[ScorePin, Score] = {}
        self._probes: dict[tuple[frozenset[ScorePin], bool], list[Probe]] = {}
        self._own: dict[ScorePin, list[Probe]] = {}
        self._plans: dict[tuple[frozenset[ScorePin | str], ...], Plan] = {}
        self._added: dict[str, dict[ScorePin, Tally | None]] = {}
        """By contact, the versions to which the new events can be added, and what was counted before; None: they change
        nothing."""

    def statements(self) -> list[Statement]:
        """What to read when the contacts are locked; nothing if no score is concerned."""
        if not self._concerns:
            return []
        names = frozenset[str]().union(*(concern.events for concern in self._concerns.values()))
        everything = any(concern.everything for concern in self._concerns.values())
        asked = {"names": sorted(names), "ids": sorted(self._concerns), "everything": everything, "now": self.now}
        return [Statement(_KEPT, asked), Statement(_KNOWN, {"ids": asked["ids"]})]

    async def read(self, tx: AsyncConnection, rows: Sequence[Iterable[Any]]) -> None:
        """Take up the rows of `statements`."""
        if not rows:
            return
        versions, values = rows
        for row in versions:
            self._kept[ScorePin(row.score, row.version)] = KeptScore(row.live, row.tells, frozenset(row.events))
        if not self._kept:
            return
        for row in values:
            value = value_of(row)
            self._known.setdefault(value.contact_id, {})[value.pin] = value
        self._asked = {contact_id: self._concerned(contact_id) for contact_id in self._concerns}
        for pin in frozenset[ScorePin]().union(*self._asked.values()):
            self._defined[pin] = await scores.definition(tx, *pin)

    def concerns(self, contact_id: str) -> bool:
        """Whether there is something to evaluate for this contact."""
        return bool(self._asked.get(contact_id))

    def _concerned(self, contact_id: str) -> frozenset[ScorePin]:
        """The versions to evaluate: all of a score together, since what is told of one depends on the other."""
        concern, known = self._concerns[contact_id], self._known.get(contact_id, {})
        found = {
            pin.score
            for pin, one in self._kept.items()
            if concern.everything or not concern.events.isdisjoint(one.events)
        }
        found |= {pin.score for pin, row in known.items() if row.changes_at is not None and row.changes_at <= self.now}
        return frozenset(pin for pin in self._kept if pin.score in found)

    def probes(self, contact_id: str) -> list[Probe]:
        """What to read of a contact; more where the past has to be caught up with, less where events are added."""
        pins = self._asked.get(contact_id, frozenset())
        if not pins:
            return []
        added = self._added_to(contact_id, pins)
        if not added:
            return self.all_probes(contact_id)
        self._added[contact_id] = added
        fresh = self._concerns[contact_id].fresh
        moved = frozenset(pin for pin, tally in added.items() if tally is not None)
        plan = self._plan(pins, frozenset(added), moved, frozenset(event.name for event in fresh))
        self.fresh.ask(contact_id, fresh, plan.inside, plan.counted, self.now)
        return plan.probes

    def _plan(
        self, pins: frozenset[ScorePin], added: frozenset[ScorePin], moved: frozenset[ScorePin], names: frozenset[str]
    ) -> Plan:
        """`added` are the versions to which the events are added, `moved` those of them that this may change."""
        key = (pins, added, moved, names)
        if key not in self._plans:
            definitions = [self._defined[pin] for pin in moved]
            counted = merged(probe for pin in added for probe in self._own_probes(pin) if probe.most is None)
            beside = [probe for score in definitions for probe in beside_events(score, names)]
            self._plans[key] = Plan(
                merged([*beside, *probes(self._defined[pin] for pin in pins - added)]),
                frozenset(name for name in names if any(looks_inside(score, name) for score in definitions)),
                [(probe.event, probe.within) for probe in counted if probe.event in names],
            )
        return self._plans[key]

    def all_probes(self, contact_id: str) -> list[Probe]:
        """What a full evaluation reads of a contact."""
        pins, known = self._asked[contact_id], self._known.get(contact_id, {})
        overdue = [at for pin in pins if (row := known.get(pin)) and (at := row.changes_at) and at < self.now]
        self.earliest = min([self.earliest, *overdue])
        key = (pins, bool(overdue))
        if key not in self._probes:
            spare = CATCH_UP if overdue else 0
            self._probes[key] = probes((self._defined[pin] for pin in pins), spare=spare)
        return self._probes[key]

    def _added_to(self, contact_id: str, pins: frozenset[ScorePin]) -> dict[ScorePin, Tally | None]:
        """The versions to which new events of this contact can be added; see `_added`. None if one of them is due."""
        concern, known = self._concerns[contact_id], self._known.get(contact_id, {})
        if not concern.only_fresh:
            return {}
        events = [(event.name, instant(event.at)) for event in concern.fresh]
        found: dict[ScorePin, Tally | None] = {}
        now = instant(self.now)
        for pin in pins:
            row = known.get(pin)
            if row is None:
                continue
            if row.changes_at is not None and row.changes_at <= self.now:
                return {}
            score = self._defined[pin]
            tally = tally_from_data(score, row.course.tally)
            if tally is not None and tally.takes(score, events, now):
                found[pin] = None if tally.unmoved(score, events, now) else tally
        return found

    def of(self, contact_id: str, facts: Facts) -> bool:
        """Evaluate the versions that concern a contact, at each moment that is due, up to now.

        False if nothing was done, because the facts that `all_probes` asks for are needed after all.
        """
        known = self._known.get(contact_id, {})
        decisions = self._decisions(contact_id, facts)
        if decisions is None:
            return False
        counting: dict[str, str] = {}
        """The grades by the versions that count."""
        for pin in sorted(self._asked.get(contact_id, ()), key=lambda pin: not self._kept[pin].live):
            old, kept = known.get(pin), self._kept[pin]
            row = old or self._first(contact_id, pin, counting.get(pin.score))
            if pin in decisions:
                decision = decisions[pin]
                row = row if decision is None else self._with_grade(row, value_at(row, decision, self.now), self.now)
            else:
                row = self._up_to_now(row, self._enough(pin, facts))
            if kept.live:
                counting[pin.score] = row.grade
            else:
                row = replace(row, untold=untold_of(self._defined[pin], row.grade, counting.get(pin.score)))
            if (changed := to_write(old, row, self.now)) is not None:
                self.written.append(changed)
        return True

    def _decisions(self, contact_id: str, facts: Facts) -> dict[ScorePin, Decision | None] | None:
        """The decisions to which the new events were added; None for one that they do not change.

        None if that cannot be told without all facts: then there is nothing to add to.
        """
        added = self._added.pop(contact_id, {})
        if added and (facts.cut or self.fresh.too_many(contact_id)):
            return None
        found: dict[ScorePin, Decision | None] = {}
        events = self.fresh.facts(self._concerns[contact_id].fresh) if added else []
        for pin, tally in added.items():
            found[pin], score = None, self._defined[pin]
            try:
                after = tally if tally is None else with_events(score, tally, events, facts, self.now)
            except ConditionError:
                return None
            if after is not None and after is not tally:
                found[pin] = decision = decide_by_tally(score, after, self.now, self._known[contact_id][pin].grade)
                if decision is None:
                    return None
        return found

    def _up_to_now(self, row: ScoreValue, facts: Facts | None) -> ScoreValue:
        moment: datetime | None = self.now
        if row.changes_at is not None:
            moment = min(row.changes_at, self.now)
        for _ in range(CATCH_UP):
            if moment is None or moment > self.now:
                break
            row = self._at(row, facts, moment)
            moment = row.changes_at
        return row

    def _first(self, contact_id: str, pin: ScorePin, by_live: str | None) -> ScoreValue:
        """What a contact is before the first evaluation: of the grade that counts so far, else of the lowest."""
        return first_value(self._defined[pin], contact_id, pin, by_live, self.now)

    def _enough(self, pin: ScorePin, facts: Facts) -> Facts | None:
        return enough(facts, self._own_probes(pin), self.now) if facts.cut else facts

    def _own_probes(self, pin: ScorePin) -> list[Probe]:
        if pin not in self._own:
            self._own[pin] = probes([self._defined[pin]])
        return self._own[pin]

    def _at(self, row: ScoreValue, facts: Facts | None, moment: datetime) -> ScoreValue:
        """The value as it is from that moment on."""
        new, could = judged(self._defined[row.pin], row, facts, moment)
        if not could:
            self.not_judged.append(row.score)
            new = replace(new, changes_at=self.now + AGAIN)
        return self._with_grade(row, new, moment)

    def _with_grade(self, row: ScoreValue, new: ScoreValue, moment: datetime) -> ScoreValue:
        """The new value after that one; a change of the grade is to be told."""
        kept = self._kept[row.pin]
        if new.grade == row.grade:
            return new
        before = row.untold if kept.tells and row.untold is not None else row.grade
        if not kept.live or before == new.grade:
            return replace(new, untold=None)
        passed = self._defined[row.pin].grades.passed(before, new.grade)
        self.changes.append(
            GradeChange(row.contact_id, row.score, row.version, before, new.grade, moment, row.seq + 1, passed)
        )
        return replace(new, seq=row.seq + 1, untold=None)


# A contact who is looked at for an event is looked at for all that is overdue too.
_KEPT = text(f"""
    SELECT t.score, t.version, array_agg(t.event) AS events, s.live IS NOT DISTINCT FROM t.version AS live,
        v.existing = 'tell' AND v.state = 'switching' AS tells
    FROM score_trigger t JOIN score s ON s.name = t.score
    JOIN score_version v ON v.score = t.score AND v.version = t.version
    WHERE :everything OR t.score IN (
        SELECT score FROM score_trigger WHERE event = {any_of("names")}
        UNION ALL
        SELECT score FROM score_value WHERE contact_id = {any_of("ids")} AND changes_at <= :now
    )
    GROUP BY t.score, t.version, s.live, v.existing, v.state
""")
_KNOWN = text(f"SELECT {VALUE_NAMES} FROM score_value WHERE contact_id = {any_of('ids')}")
