"""The only way to a database connection: a pool, transactions that commit at the end, and a listener."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import PoolResetState

from store.engine.driver_sql import DirectConnection, DirectEngine
from store.engine.errors import UnstorableError
from store.engine.hash_secret import SESSION, current_secret
from store.engine.outbox_listener import Listener
from store.engine.releases import marked

_BY_INDEX = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_mergejoin = off"
"""Every statement here has an index that leads to its rows, so each of these other plans is worse. A connection keeps
the plans that it made while the tables were small, when a full scan looked cheap, until PostgreSQL analyzes the tables.
Without these settings each send scanned all messages until then (`tests/store/test_plans.py`)."""
CONNECT_TIMEOUT = 5
"""Seconds to wait for a server that accepts the connection but does not answer."""
_CONNECT = {"connect_timeout": CONNECT_TIMEOUT}
_POOLED = {**_CONNECT, "prepare_threshold": None}  # `store.engine.pipeline` prepares the statements


def driver_url(url: str) -> URL:
    """The database's URL for the psycopg driver; any of the usual PostgreSQL schemes is accepted.

    Raises `ValueError` if the URL is not that of a PostgreSQL database.
    """
    try:
        parsed = make_url(url)
    except Exception as error:
        raise ValueError("DATABASE_URL is not a database URL") from error
    if parsed.drivername.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(f"DATABASE_URL must name a PostgreSQL database, not {parsed.drivername}")
    return parsed.set(drivername="postgresql+psycopg")


class _JsonbLoader(Loader):
    """Reads JSON as PostgreSQL writes it: in UTF-8, without space around it. `json.loads` takes three times as long,
    because it looks for both."""

    def load(self, data: Buffer) -> Any:
        return _SCAN(str(data, "utf-8"), 0)[0]


_SCAN: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


class Database:
    """A pool of connections to one PostgreSQL database; create it inside a running event loop."""

    def __init__(self, url: str, pool_size: int = 10, *, patience: float = 30.0, name: str = "perennial") -> None:
        """`patience`: the most seconds that a transaction waits for a connection of the pool.

        `name`: the application name of the pool's connections in PostgreSQL, to which the release is added.
        """
        self.url = driver_url(url)
        pooled = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=patience,
            pool_reset_on_return=None,  # `_reset` rolls back, only where there is something to roll back
            isolation_level="AUTOCOMMIT",  # `store.engine.pipeline` sends BEGIN and COMMIT
            connect_args={**_POOLED, "application_name": marked(name)},
            hide_parameters=True,  # errors reach logs; with parameters they would show addresses
            use_native_hstore=False,  # no column has this type, and each pool would first ask for it
            json_serializer=lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        )
        # A busy pool does not mean that the database is down, so `ping` has a connection of its own.
        self._aside = create_async_engine(
            self.url,
            pool_size=1,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT,
            connect_args=_CONNECT,
            use_native_hstore=False,
        )
        self.engine = DirectEngine(pooled.sync_engine)
        event.listen(self.engine.sync_engine, "connect", _prepare)
        event.listen(self.engine.sync_engine, "reset", _reset)

    def transaction(self) -> AbstractAsyncContextManager[DirectConnection]:
        """A transaction at READ COMMITTED that commits at the end of the block and rolls back on any error.

        Raises `UnstorableError` where PostgreSQL could not hold a value.
        """
        return self._connected(transactional=True)

    def statement(self) -> AbstractAsyncContextManager[DirectConnection]:
        """A connection for one statement, which commits by itself; cheaper than a transaction around it.

        Raises `UnstorableError` where PostgreSQL could not hold a value.
        """
        return self._connected(transactional=False)

    @asynccontextmanager
    async def _connected(self, *, transactional: bool) -> AsyncIterator[DirectConnection]:
        connection = self.engine.connect()
        connection.transactional = transactional
        with _storable():
            async with connection:
                yield connection
                await connection.commit()

    async def ping(self) -> None:
        """Return if the database answers; raises the driver's error if it does not."""
        async with self._aside.connect() as connection:
            await connection.execute(text("SELECT 1"))

    def listener(self) -> Listener:
        """A separate connection, outside the pool: it is notified of new outbox rows and can hold the relay's lock."""
        return Listener(self.url.set(drivername="postgresql").render_as_string(hide_password=False))

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()
        await self._aside.dispose()


@contextmanager
def _storable() -> Iterator[None]:
    try:
        yield
    except (DataError, UnicodeEncodeError) as error:
        raise UnstorableError("a value cannot be stored: NUL, lone surrogate or number out of range") from error


def _prepare(connection: Any, _record: object) -> None:
    # ids are text everywhere else: histories, URLs, logs
    connection.adapters.register_loader("uuid", TextLoader)
    connection.adapters.register_loader("jsonb", _JsonbLoader)
    connection.execute(_BY_INDEX)
    connection.execute(SESSION, current_secret().parts)


def _reset(connection: Any, _record: object, state: PoolResetState) -> None:
    """Roll back a transaction that did not reach its end."""
    if not state.terminate_only and connection.driver_connection.pgconn.transaction_status != TransactionStatus.IDLE:
        connection.rollback()
