from __future__ import annotations

import asyncio

from store.published import templates
from store.published.versions import Published
from tests.store.store_calls import StoreCalls


async def publish(store: StoreCalls, source: str, name: str = "hello") -> Published:
    async with store.db.transaction() as tx:
        return await templates.publish(tx, name, "email", source, {"variables": ["cta"]})


async def test_correction_is_what_the_next_send_reads_and_a_pin_stays(store: StoreCalls) -> None:
    assert await publish(store, "one") == Published(1, True)
    assert await publish(store, "one") == Published(1, False)
    assert await publish(store, "two") == Published(2, True)
    async with store.db.transaction() as tx:
        newest, pinned = await templates.get(tx, "hello"), await templates.get(tx, "hello", 1)
        assert await templates.get(tx, "hello", 3) is None
        assert await templates.get(tx, "other") is None
        assert [v.version for v in await templates.versions(tx, "hello")] == [2, 1]
        assert [v.version for v in await templates.versions(tx, "hello", before=2)] == [1]
    assert newest is not None
    assert pinned is not None
    assert (newest.source, newest.kind, newest.data, pinned.source) == ("two", "email", {"variables": ["cta"]}, "one")


async def test_racing_publishers_of_the_same_make_one_version(store: StoreCalls) -> None:
    results = await asyncio.gather(*(publish(store, "one") for _ in range(8)))
    assert sorted(r.created for r in results) == [False] * 7 + [True]


async def test_templates_are_listed_and_named_in_their_newest_version(store: StoreCalls) -> None:
    for name in ("b", "a", "c"):
        await publish(store, "one", name)
    await publish(store, "two", "a")
    async with store.db.transaction() as tx:
        assert [(t.name, t.version) for t in await templates.list_all(tx)] == [("a", 2), ("b", 1), ("c", 1)]
        assert [t.name for t in await templates.list_all(tx, after="a", limit=1)] == ["b"]
        assert {name: t.source for name, t in (await templates.named(tx, {"a", "x"})).items()} == {"a": "two"}
