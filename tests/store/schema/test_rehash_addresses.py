"""With a secret, hashes reveal nothing about addresses. Without it, no suppressed address gets a message by mistake."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from store.engine.database import Database
from store.engine.errors import AddressSecretError
from store.engine.hash_secret import Secret, use_secret
from store.people import outside_people
from store.people.consents import suppressions
from store.schema.addresses import address_hash
from store.schema.migrate import upgrade
from tests.store.people.merging.merge_calls import merged
from tests.store.store_calls import NOW, StoreCalls

SECRET = "a secret of at least thirty-two characters"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Remove the secret afterwards: other tests have none."""
    yield
    use_secret("")


@pytest_asyncio.fixture
async def knowing(store: StoreCalls, postgres_url: str) -> AsyncIterator[StoreCalls]:
    """The same database after `perennial migrate` with the secret, read by a process that has the secret.

    Before, without a secret, Ann was suppressed and Bob got a message.
    """
    await store.live(contact_id="ann")
    run = await store.live(contact_id="bob")
    async with store.db.transaction() as tx:
        await suppressions.add(tx, "email", "ann@acme.test", "bounced", NOW)
    claim = await store.claim(run.id)
    assert claim.decision == "granted"
    upgrade(postgres_url, SECRET)
    use_secret(SECRET)
    database = Database(postgres_url, pool_size=2)
    yield StoreCalls(database)
    await database.close()


async def test_addresses_of_merged_contacts_are_found_by_a_process_with_the_secret(
    store: StoreCalls, postgres_url: str
) -> None:
    await store.contact("ann")
    await store.contact("bob", email="bob@acme.test")
    await merged(store)
    await store.contact("ann", email="new@acme.test")
    upgrade(postgres_url, SECRET)
    use_secret(SECRET)
    database = Database(postgres_url, pool_size=2)
    async with database.transaction() as tx:
        assert await outside_people.find(tx, [], "bob@acme.test") == "ann"
    assert await store.rows("SELECT 1 FROM former_address WHERE address_hash NOT LIKE 'k%'") == []
    await database.close()


def test_a_hash_with_a_secret_is_hmac_of_the_hash_without() -> None:
    plain = address_hash("sms", "+41 44 668 18 00")
    assert plain == hashlib.sha256(b"sms:+41446681800").hexdigest()
    use_secret(SECRET)
    key = hashlib.sha256(SECRET.encode()).digest()
    assert address_hash("sms", "+41446681800") == "k" + hmac.digest(key, plain.encode(), "sha256").hex()


def test_a_secret_is_told_from_another_and_from_none() -> None:
    assert Secret("").fingerprint == "" and Secret("a").fingerprint == Secret("a").fingerprint
    assert Secret("a").fingerprint != Secret("b").fingerprint != ""
    assert "k" + Secret("a").parts["inner"] != Secret("a").fingerprint


async def test_what_was_hashed_before_is_hashed_with_the_secret_and_still_holds(knowing: StoreCalls) -> None:
    guesses = {hashlib.sha256(f"email:{name}@acme.test".encode()).hexdigest() for name in ("ann", "bob")}
    kept = {row.address_hash for row in await knowing.rows("SELECT address_hash FROM suppression")}
    kept |= {row.address_hash for row in await knowing.rows("SELECT address_hash FROM message")}
    assert len(kept) == 2 and not kept & guesses
    async with knowing.db.transaction() as tx:
        found = await suppressions.find(tx, "email", "ANN@acme.test")
    assert found is not None and (found.reason, found.at) == ("bounced", NOW)
    [run] = await knowing.rows("SELECT id FROM enrollment WHERE contact_id = 'ann'")
    claim = await knowing.claim(run.id)
    assert (claim.decision, claim.reason) == ("settled", "suppressed: bounced")


async def test_again_it_does_what_is_left_and_a_harsher_reason_stays(knowing: StoreCalls, postgres_url: str) -> None:
    plain = hashlib.sha256(b"email:ann@acme.test").hexdigest()
    other = hashlib.sha256(b"email:eve@acme.test").hexdigest()
    for hashed, reason in ((plain, "unsubscribed"), (other, "stop")):
        await knowing.rows(
            "INSERT INTO suppression (channel, address_hash, reason) VALUES ('email', :hash, :reason) RETURNING 1",
            hash=hashed,
            reason=reason,
        )
    upgrade(postgres_url, SECRET)
    upgrade(postgres_url, SECRET)
    async with knowing.db.transaction() as tx:
        ann = await suppressions.find(tx, "email", "ann@acme.test")
        eve = await suppressions.find(tx, "email", "eve@acme.test")
    assert ann is not None and eve is not None and (ann.reason, eve.reason) == ("bounced", "stop")
    assert len(await knowing.rows("SELECT 1 FROM suppression")) == 2


@pytest.mark.parametrize("mine", ["", "another secret of at least thirty-two characters"])
async def test_a_process_with_another_secret_sends_nothing_and_suppresses_nobody(
    knowing: StoreCalls, store: StoreCalls, postgres_url: str, mine: str
) -> None:
    """Not even a process that was running when the secret was introduced."""
    use_secret(mine)
    fresh = Database(postgres_url, pool_size=1)
    [run] = await knowing.rows("SELECT id FROM enrollment WHERE contact_id = 'ann'")
    try:
        for database in (store.db, fresh):
            with pytest.raises(AddressSecretError):
                await StoreCalls(database).claim(run.id)
            with pytest.raises(AddressSecretError):
                async with database.transaction() as tx:
                    await suppressions.add(tx, "email", "eve@acme.test", "unsubscribed", NOW)
    finally:
        await fresh.close()
    assert len(await knowing.rows("SELECT 1 FROM suppression")) == 1
    with pytest.raises(ValueError, match="PERENNIAL_ADDRESS_SECRET"):
        upgrade(postgres_url, mine)


async def test_a_secret_that_migrate_was_not_told_does_not_begin_to_hold(store: StoreCalls, postgres_url: str) -> None:
    run = await store.live(contact_id="ann")
    use_secret(SECRET)
    with pytest.raises(AddressSecretError):
        await store.claim(run.id)
