"""Leads by the grade and the rules that they had when they were handed over, whatever their scores are now."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from store.people.handoffs import answering, score_outcomes
from store.people.handoffs.answering import Said
from store.people.handoffs.handoff import Handoff
from store.people.handoffs.score_outcomes import Ended
from tests.store.people.handoffs.handoff_calls import handed, say
from tests.store.store_calls import NOW, StoreCalls


async def lead(store: StoreCalls, name: str, said: list[Said] | None, grade: str, **points: float) -> Handoff:
    """A handed-over lead with this grade; `said` are the answers, None: the time was over."""
    made = await handed(store, name)
    scores: dict[str, Any] = {"lead": {"version": 1, "value": sum(points.values()), "grade": grade, "points": points}}
    await store.rows(
        "UPDATE handoff SET scores = CAST(:s AS jsonb) WHERE id = :id RETURNING 1", s=json.dumps(scores), id=made.id
    )
    if said is None:
        async with store.db.transaction() as tx:
            await answering.settle(tx, made.effect_key, "expired", now=NOW)
    for one in said or ():
        await say(store, made, one, "not-a-fit" if one == "rejected" else "")
    return made


async def test_leads_that_were_handed_over_by_chance_are_counted_apart_too(store: StoreCalls) -> None:
    await lead(store, "a", ["accepted"], "warm", viewed=1)
    chosen = await lead(store, "b", ["rejected"], "warm", viewed=1)
    await store.rows("UPDATE handoff SET explored = true WHERE id = :id RETURNING 1", id=chosen.id)
    async with store.db.transaction() as tx:
        assert await score_outcomes.explored_by_grade(tx, "lead") == {"warm": Ended(0, 0, 1, 0)}
        assert await score_outcomes.by_grade(tx, "lead") == {"warm": Ended(1, 0, 1, 0)}


async def test_what_sales_says_too_late_is_counted_by_its_last_word_and_apart_from_the_answers(
    store: StoreCalls,
) -> None:
    first, second = [await lead(store, name, None, "hot", viewed=1) for name in ("a", "b")]
    answered = await lead(store, "c", ["accepted"], "hot", viewed=1)
    for made, words in ((first, ["rejected", "accepted"]), (second, ["rejected"]), (answered, ["rejected"])):
        for word in words:
            await say(store, made, word, "not-a-fit" if word == "rejected" else "")  # type: ignore[arg-type]
    async with store.db.transaction() as tx:
        assert await score_outcomes.by_grade(tx, "lead") == {"hot": Ended(1, 0, 0, 2, 1, 1)}


async def test_leads_are_counted_by_grade_and_rule(store: StoreCalls) -> None:
    await lead(store, "a", ["accepted"], "hot", viewed=10, size=5)
    await lead(store, "b", ["accepted", "converted"], "hot", viewed=20)
    await lead(store, "c", ["accepted", "recycled"], "warm", size=5)
    await lead(store, "d", ["rejected"], "warm", viewed=0, size=-5)
    await lead(store, "e", None, "hot", size=5)
    await lead(store, "f", [], "hot", viewed=10)  # still waits
    await handed(store, "without-scores")
    async with store.db.transaction() as tx:
        grades = await score_outcomes.by_grade(tx, "lead")
        rules = {one.rule: one for one in await score_outcomes.by_rule(tx, "lead")}
        other = await score_outcomes.by_grade(tx, "other")
        later = await score_outcomes.by_grade(tx, "lead", since=NOW + timedelta(seconds=1))
    assert grades == {"hot": Ended(2, 1, 0, 1), "warm": Ended(1, 0, 1, 0)}
    assert (rules["viewed"].points, rules["viewed"].given) == (15.0, Ended(2, 1, 0, 0))
    assert rules["viewed"].others == Ended(1, 0, 1, 1)
    assert (rules["size"].points, rules["size"].given) == (2.5, Ended(2, 0, 1, 1))
    assert other == later == {}
