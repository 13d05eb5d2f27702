from __future__ import annotations

from store.operations import api_keys
from tests.store.store_calls import StoreCalls


async def test_key_is_found_by_its_secret_until_revoked_and_only_its_hash_is_kept(store: StoreCalls) -> None:
    async with store.db.transaction() as tx:
        key, secret = await api_keys.create(tx, "backend")
        assert await api_keys.find(tx, secret) == key
        assert await api_keys.find(tx, secret + "x") is None
        assert await api_keys.find(tx, "\ud800\x00") is None
        assert await api_keys.list_all(tx) == [key]
    assert secret not in str(await store.rows("SELECT * FROM api_key"))
    async with store.db.transaction() as tx:
        assert await api_keys.revoke(tx, key.id)
        assert not await api_keys.revoke(tx, key.id)
        assert not await api_keys.revoke(tx, "nonsense")
        assert await api_keys.find(tx, secret) is None
