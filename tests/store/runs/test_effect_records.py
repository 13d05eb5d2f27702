from __future__ import annotations

import asyncio

from store.runs import effect_records
from tests.store.store_calls import StoreCalls


async def test_effect_is_done_once_and_not_after_the_end(store: StoreCalls) -> None:
    run = await store.live()

    async def do() -> str:
        async with store.db.transaction() as tx:
            begun = await effect_records.begin(tx, enrollment_id=run.id, step="mark", occurrence=1)
            if begun.decision == "go":
                assert await effect_records.finish(tx, begun, "set", "done")
            return begun.decision

    assert sorted(await asyncio.gather(*(do() for _ in range(6)))) == ["go"] + ["settled"] * 5
    await store.close(run.id)
    assert (await store.begin(run.id)).decision == "settled"
    ended = await store.begin(run.id, "another")
    assert (ended.decision, ended.reason) == ("ended", "ended")
