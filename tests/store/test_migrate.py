from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from store import tables, tables_imports, tables_policy  # noqa: F401
from store.columns import metadata
from store.database import driver_url
from store.migrate import is_current, upgrade
from tests.store.scene import Scene


def test_migrations_make_exactly_the_tables_that_the_code_expects(postgres_url: str) -> None:
    with create_engine(driver_url(postgres_url), poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_several_processes_may_migrate_at_once(empty_postgres_url: str) -> None:
    assert not is_current(empty_postgres_url)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [empty_postgres_url] * 4))
    assert is_current(empty_postgres_url)


async def test_messages_left_waiting_by_runs_that_had_ended_are_settled(scene: Scene) -> None:
    """Before migration 0005 closing a run said nothing of them."""
    ended, live = await scene.live(), await scene.live(contact_id="bob")
    claims = [await scene.claim(ended.id), await scene.hold_back(live.id, "bob")]
    await scene.close(ended.id, "exited")
    await scene.rows("UPDATE message SET status = 'released' WHERE status = 'sending' RETURNING id")
    await scene.rows(importlib.import_module("store.migrations.versions.0005_left_messages").SETTLE + " RETURNING 1")
    found = [await scene.message(claim) for claim in claims]
    assert [(one.status, one.reason) for one in found] == [("skipped", "exit"), ("deferred", "paused")]
