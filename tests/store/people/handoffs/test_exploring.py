"""A lead needs the grade that its step names, and a stable share of the others is handed over by chance."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store.people import contacts
from store.people.handoffs import exploring
from store.people.handoffs.exploring import Judged, chance
from store.runs.events.events import Event
from tests.store.audience.scores.score_calls import VIEWED, live, written
from tests.store.store_calls import NOW, StoreCalls
from tracks.model.steps.effects import Needs


async def judge(store: StoreCalls, contact_id: str, **needs: str) -> Judged:
    async with store.db.transaction() as tx:
        contact = await contacts.get(tx, contact_id)
        assert contact is not None
        return await exploring.judge(tx, Needs.model_validate(needs), contact, "lead/sales", NOW)


async def test_a_lead_of_the_grade_or_a_higher_one_has_it_and_others_say_what_is_missing(store: StoreCalls) -> None:
    await live(store, written("interest", VIEWED))
    await store.contact("ann")
    await store.accept(*(Event(f"e{n}", "ann", "page.viewed", {}, NOW) for n in range(3)))
    assert await judge(store, "ann", score="interest", grade="warm") == Judged()
    assert await judge(store, "ann", score="interest", grade="cold") == Judged()
    assert await judge(store, "ann", score="interest", grade="hot") == Judged("grade warm, needs hot")
    assert await judge(store, "ann", score="interest", grade="boiling") == Judged("score interest has no grade boiling")
    assert await judge(store, "ann", score="other", grade="hot") == Judged("no score other")


async def test_about_the_share_is_explored_and_the_same_leads_each_time(store: StoreCalls) -> None:
    await live(store, written("calm", VIEWED))
    for number in range(40):
        await store.contact(f"c{number}")
    judged = [await judge(store, f"c{n}", score="calm", grade="hot", explore="50%") for n in range(40)]
    assert 10 <= sum(one.explored for one in judged) <= 30
    assert judged == [await judge(store, f"c{n}", score="calm", grade="hot", explore="50%") for n in range(40)]


def test_chance_is_evenly_spread_and_of_each_place_its_own() -> None:
    numbers = [chance("a/b", f"contact-{n}") for n in range(10_000)]
    assert abs(sum(one < 0.05 for one in numbers) - 500) < 5 * (10_000 * 0.05 * 0.95) ** 0.5
    both = sum(one < 0.5 and chance("a/c", f"contact-{n}") < 0.5 for n, one in enumerate(numbers))
    assert abs(both - 2_500) < 5 * (10_000 * 0.25 * 0.75) ** 0.5


@given(st.text(), st.text())
def test_chance_is_below_one_and_always_the_same(place: str, contact_id: str) -> None:
    assert 0 <= chance(place, contact_id) < 1
    assert chance(place, contact_id) == chance(place, contact_id)
