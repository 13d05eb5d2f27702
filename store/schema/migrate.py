"""Bring a database to the newest schema. Safe to call from several processes at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text

from store.engine.database import driver_url
from store.engine.hash_secret import Secret
from store.schema.rehash_addresses import seal

_MIGRATE_LOCK = 0x7065_7265_6D69


def upgrade(url: str, address_secret: str = "", *, to: str = "head") -> None:
    """Apply every migration (up to `to`) that the database does not have yet, after waiting for any other process that
    migrates.

    From then on, hashes of addresses are made with the secret, if there is one. Raises ValueError if the database has
    another secret.
    """
    engine = create_engine(driver_url(url), poolclass=NullPool)
    with engine.connect() as lock, engine.connect() as connection:
        lock.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATE_LOCK})
        try:
            config = _config()
            config.attributes |= {"connection": connection, "address_secret": Secret(address_secret)}
            command.upgrade(config, to)
            connection.commit()
            seal(engine, Secret(address_secret))
        finally:
            lock.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATE_LOCK})


def is_current(url: str) -> bool:
    """Whether the database has every migration that this code knows."""
    engine = create_engine(driver_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        have = set(MigrationContext.configure(connection).get_current_heads())
    return have == set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
