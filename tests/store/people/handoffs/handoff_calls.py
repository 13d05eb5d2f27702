"""A track that hands leads over, a team, and the calls of the tests, each in a transaction of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from store.people.handoffs import answering, assigning
from store.people.handoffs.answering import Answered, Said
from store.people.handoffs.assigning import Lead
from store.people.handoffs.handoff import Handoff
from store.runs.enrollments import enrollments
from store.schema.rows import Enrollment
from tests.store.store_calls import NOW, StoreCalls
from tracks.policy.sales import Team
from tracks.shared.effect_keys import effect_key

TRACK = """
track: lead
reentry: {per: n}
steps:
  - id: sales
    handoff: {to: sales, reason: Call them, due: 2d, when_none: exit}
"""
DUE = NOW + timedelta(days=2)


def team(*people: dict[str, Any], **more: Any) -> Team:
    """A team of these people; a person's name is their id."""
    return Team.model_validate({"people": [{"name": one["id"], **one} for one in people], **more})


ADA_AND_EMIL = team({"id": "ada"}, {"id": "emil"})


async def leads(store: StoreCalls, contact_id: str = "ann", **more: Any) -> Enrollment:
    """A run of the contact in the track."""
    await store.publish(TRACK)
    await store.contact(contact_id, **more)
    return await store.enrolled("lead", contact_id, key="1", properties={"n": "1"})


async def hand_over(
    store: StoreCalls, run: Enrollment, to: Team = ADA_AND_EMIL, occurrence: int = 1, name: str = "sales"
) -> Handoff | None:
    """Hand the run's contact over, as the activity does: the contact is locked first."""
    async with store.db.transaction() as tx:
        held = await enrollments.lock_run(tx, run.id)
        assert held is not None
        key = effect_key(run.id, "sales", occurrence)
        lead = Lead(held, key, "sales", name, "Call them", "Did much", DUE)
        return await assigning.assign(tx, to, lead, now=NOW)


async def handed(store: StoreCalls, contact_id: str = "ann", **more: Any) -> Handoff:
    """The handoff of a new contact."""
    made = await hand_over(store, await leads(store, contact_id), **more)
    assert made is not None
    return made


async def say(store: StoreCalls, made: Handoff, said: Said, reason: str = "", **more: Any) -> Answered:
    async with store.db.transaction() as tx:
        answered = await answering.answer(tx, said, handoff_id=made.id, reason=reason, now=NOW, **more)
    assert answered is not None
    return answered
