"""Whether a lead has the grade that its step asks for, and who is handed over by chance without it.

Whoever is handed over by grade alone shows nothing of the others: sales never sees them, so no report can say whether
the grade is right. A small share of the others, chosen by chance, does show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection

from store.audience.scores import at_a_moment
from store.published import scores
from store.schema.rows import Contact
from tracks.model.steps.effects import Needs


@dataclass(frozen=True, slots=True)
class Judged:
    """`reason` says what is missing; it is empty for a lead that has the grade. `explored`: handed over without it."""

    reason: str = ""
    explored: bool = False


async def judge(tx: AsyncConnection, needs: Needs, contact: Contact, place: str, now: datetime) -> Judged:
    """Whether the lead has the grade now. `place` names the track and the step: each has a share of its own."""
    found = (await at_a_moment.all_of(tx, contact, now)).get(needs.score)
    if found is None:
        reason = f"no score {needs.score}"
    else:
        grades = [grade.name for grade in (await scores.definition(tx, found.score, found.version)).grades.all]
        if needs.grade not in grades:
            reason = f"score {needs.score} has no grade {needs.grade}"
        elif grades.index(found.grade) >= grades.index(needs.grade):
            return Judged()
        else:
            reason = f"grade {found.grade}, needs {needs.grade}"
    return Judged(reason, chance(place, contact.id) < needs.explored)


def chance(place: str, contact_id: str) -> float:
    """A number of this contact at this place, from 0 to below 1, evenly spread over contacts and always the same."""
    digest = sha256(f"explore {place} {contact_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
