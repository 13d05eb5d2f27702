"""How many contacts have each grade, by day, with who came to it and who left it."""

from __future__ import annotations

from datetime import timedelta

from store.audience.scores import sizes
from store.audience.scores.sizes import GradeSize, ScoreSize
from store.engine.sql import utc_now
from store.people import contacts
from store.published import scores
from tests.store.audience.scores.score_calls import live, written
from tests.store.store_calls import StoreCalls

DAY = timedelta(days=1)
TEAM = {"id": "team", "when": 'contact.attributes.plan == "team"', "points": 30}
BIG = {"id": "big", "when": "contact.attributes.big", "points": 30}


async def test_each_day_keeps_its_last_count_and_all_its_changes_of_each_grade(store: StoreCalls) -> None:
    now = utc_now().replace(hour=12)
    await live(store, written("size", fit=[TEAM, BIG]), now=now - 3 * DAY)

    async def change(who: str, days: int, **attributes: object) -> None:
        async with store.db.transaction() as tx:
            await contacts.upsert(tx, who, {"attributes": attributes}, now=now - days * DAY)

    async def note(days: int) -> None:
        async with store.db.transaction() as tx:
            await sizes.note(tx, now - days * DAY)

    await change("ann", 2, plan="team")
    await note(2)
    await change("bob", 2)  # after the day's last count
    await change("bob", 2, plan="team")
    await change("ann", 1, plan="team", big=True)
    await note(1)
    await change("ann", 0, plan="free", big=False)
    await note(0)
    await note(0)
    async with store.db.transaction() as tx:
        summary = await scores.get(tx, "size")
        assert summary is not None
        found = await sizes.sizes(tx, summary, since=(now - 2 * DAY).date(), limit=10)
    today = now.date()
    none = GradeSize(0, 0, 0)
    assert found == [
        ScoreSize(today, {"cold": GradeSize(1, 1, 0), "warm": GradeSize(1, 0, 0), "hot": GradeSize(0, 0, 1)}),
        ScoreSize(today - DAY, {"cold": none, "warm": GradeSize(1, 0, 1), "hot": GradeSize(1, 1, 0)}),
        ScoreSize(today - 2 * DAY, {"cold": GradeSize(0, 0, 2), "warm": GradeSize(1, 2, 0), "hot": none}),
    ]
    assert [list(one.grades) for one in found] == [["cold", "warm", "hot"]] * 3


async def test_a_day_counts_the_grades_of_the_version_that_counts(store: StoreCalls) -> None:
    now = utc_now()
    await store.contact("ann")
    await live(store, written("kinds", fit=[TEAM]), now=now)
    async with store.db.transaction() as tx:
        await sizes.note(tx, now)
    await live(store, written("kinds", fit=[TEAM], grades={"low": None, "high": 10}), now=now)
    async with store.db.transaction() as tx:
        await sizes.note(tx, now)
        summary = await scores.get(tx, "kinds")
        assert summary is not None
        (found,) = await sizes.sizes(tx, summary, since=now.date(), limit=1)
    assert found.grades == {"low": GradeSize(1, 0, 0), "high": GradeSize(0, 0, 0)}
