from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from store.engine.database import driver_url
from store.engine.hash_secret import Secret, use_secret
from store.schema.addresses import address_hash
from store.schema.migrate import is_current, upgrade
from store.schema.tables.all_tables import metadata
from tests.store.runs.enrollments.test_goal_and_entry import REPLENISH
from tests.store.store_calls import TRIAL, WELCOME, StoreCalls


def test_migrations_make_exactly_the_tables_that_the_code_expects(postgres_url: str) -> None:
    with create_engine(driver_url(postgres_url), poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_several_processes_may_migrate_at_once(empty_postgres_url: str) -> None:
    assert not is_current(empty_postgres_url)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [empty_postgres_url] * 4))
    assert is_current(empty_postgres_url)


async def test_messages_left_waiting_by_runs_that_had_ended_are_settled(store: StoreCalls) -> None:
    """Before migration 0005, closing a run did not settle them."""
    ended, live = await store.live(), await store.live(contact_id="bob")
    claims = [await store.claim(ended.id), await store.hold_back(live.id, "bob")]
    await store.close(ended.id, "exited")
    await store.rows("UPDATE message SET status = 'released' WHERE status = 'sending' RETURNING id")
    await store.rows(
        importlib.import_module("store.schema.migrations.versions.0005_left_messages").SETTLE + " RETURNING 1"
    )
    found = [await store.message(claim) for claim in claims]
    assert [(one.status, one.reason) for one in found] == [("skipped", "exit"), ("deferred", "paused")]


async def test_tracks_that_were_published_before_are_entered_as_they_were(store: StoreCalls) -> None:
    """Migration 0024."""
    goal = REPLENISH.replace("track: replenish", "track: again")
    await store.publish(TRIAL, WELCOME, goal, TRIAL.replace("trial.started", "trial.begun"))
    written = await store.rows("SELECT track, position, event, also_goal FROM entry_rule ORDER BY track")
    await store.rows("DELETE FROM entry_rule RETURNING 1")
    await store.rows(importlib.import_module("store.schema.migrations.versions.0024_entries").FILL + " RETURNING 1")
    assert await store.rows("SELECT track, position, event, also_goal FROM entry_rule ORDER BY track") == written
    assert [tuple(row) for row in written] == [("again", 0, "order.paid", True), ("trial", 0, "trial.begun", False)]


@pytest.mark.parametrize("secret", ["", "a secret of at least thirty-two characters"])
async def test_whom_a_hash_by_idna_2003_protected_a_hash_of_where_mail_goes_protects_too(
    store: StoreCalls, postgres_url: str, secret: str
) -> None:
    """Migration 0014. Ann complained, Bob got a message; Eve's domain has the same form in both."""
    old = importlib.import_module("store.schema.migrations.versions.0014_domains").by_idna_2003
    emails = {"ann": "ann@straße.test", "bob": "bob@βόλος.test", "eve": "eve@bücher.test"}
    keys = Secret(secret)
    hashes = {name: sha256(f"email:{old(email)}".encode()).hexdigest() for name, email in emails.items()}
    claims = {name: await store.claim((await store.live(contact_id=name)).id) for name in emails}
    for name, email in emails.items():
        await store.contact(name, email=email)
        settle = "UPDATE message SET address_hash = :hash WHERE id = :id RETURNING id"
        await store.rows(settle, hash=hashes[name], id=claims[name].message_id)
    for name in ("ann", "eve"):
        add = (
            "INSERT INTO suppression (channel, address_hash, reason) VALUES ('email', :hash, 'complained') RETURNING 1"
        )
        await store.rows(add, hash=hashes[name])
    if secret:
        upgrade(postgres_url, secret)  # hashed with the secret before the migration
    await store.rows("UPDATE alembic_version SET version_num = '0010' RETURNING 1")
    if secret:
        with pytest.raises(ValueError, match="is not the one"):
            upgrade(postgres_url, "another secret, as long as the first one is", to="0014")
        assert not is_current(postgres_url)
    upgrade(postgres_url, secret, to="0014")
    use_secret(secret)
    try:
        now = {name: address_hash("email", email) for name, email in emails.items()}
        suppressed = {row.address_hash: row.reason for row in await store.rows("SELECT * FROM suppression")}
        assert suppressed == dict.fromkeys((now["ann"], now["eve"], keys.keyed(hashes["ann"])), "complained")
        known = {row.contact_id: row.address_hash for row in await store.rows("SELECT * FROM message")}
        assert known == now
        before = {name: keys.keyed(hash_) for name, hash_ in hashes.items()}
        assert [name for name in emails if before[name] == now[name]] == ["eve"]
    finally:
        use_secret("")
