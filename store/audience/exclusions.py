"""Judge whom the rules `unless` of tracks and of the policy leave alone, from the facts of this transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from audience.exclusions import Exclusion
from audience.facts import Facts
from audience.segments.members import Members
from audience.segments.probes import Probe, probes
from store.audience.facts import facts_of
from store.schema.rows import Contact
from tracks.shared.run_clock import Clock


@dataclass(frozen=True, slots=True)
class Judging:
    """A contact, and the rules to judge them by."""

    contact: Contact
    exclusions: Sequence[Exclusion]
    itself: str = ""
    """The id of an event that does not count: the one that would begin the run."""


@dataclass(frozen=True, slots=True)
class Judged:
    """By which rule the contact is excluded, if by any; and whether a rule could not be judged."""

    by: Exclusion | None = None
    unknown: bool = False


async def judge(tx: AsyncConnection, asked: Sequence[Judging], clock: Clock, now: datetime) -> list[Judged]:
    """Whether the contacts are excluded at the real time `now`, in order. Spans of time pass on the run's clock."""
    trees: dict[str, list[Members]] = {}
    people: dict[str, Contact] = {}
    for one in asked:
        people[one.contact.id] = one.contact
        trees.setdefault(one.contact.id, []).extend(rule.members for rule in one.exclusions)
    spare = 1 if any(one.itself for one in asked) else 0
    wanted = [
        (people[who], [_paced(probe, clock) for probe in probes(found, spare=spare)]) for who, found in trees.items()
    ]
    facts = await facts_of(tx, wanted, now)
    return [_judged(one, facts[one.contact.id], clock, now) for one in asked]


def _paced(probe: Probe, clock: Clock) -> Probe:
    return probe if probe.within is None else probe._replace(within=clock.real_delay(probe.within))


def _judged(one: Judging, facts: Facts | None, clock: Clock, now: datetime) -> Judged:
    if facts is not None:
        events = (fact._replace(at=clock.at(fact.at)) for fact in facts.events if fact.event_id != one.itself)
        facts = Facts(facts.contact, tuple(events))
    unknown = False
    for rule in one.exclusions:
        answer = rule.decider.judged(facts, clock.at(now))
        unknown |= answer is None
        if answer is not None and answer[0]:
            return Judged(rule)
    return Judged(unknown=unknown)
