from __future__ import annotations

from store.people.crm import crm
from tests.store.store_calls import NOW, StoreCalls


async def test_stage_and_fields_merge_and_an_effect_repeated_adds_nothing(store: StoreCalls) -> None:
    await store.contact()
    task = crm.NewTask("Call", owner="sales", due_at=NOW)
    async with store.db.transaction() as tx:
        assert await crm.get(tx, "ann") is None
        for _ in range(2):
            await crm.apply(
                tx, "ann", "k1", stage="lead", fields={"size": 3, "old": 1}, note="Hello", task=task, now=NOW
            )
        await crm.apply(tx, "ann", "k2", fields={"old": None, "plan": "team"}, now=NOW)
        assert await crm.get(tx, "ann") == crm.Card(
            "ann",
            "lead",
            {"size": 3, "plan": "team"},
            (crm.Note("Hello", NOW),),
            (crm.Task("Call", "sales", NOW, False, NOW),),
        )


async def test_nothing_is_written_about_someone_unknown(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        await crm.apply(tx, "nobody", "k1", stage="lead", note="Hello", task=crm.NewTask("Call"))
        assert await crm.get(tx, "nobody") is None
    assert await store.rows("SELECT 1 FROM crm_note UNION ALL SELECT 1 FROM crm_task") == []
