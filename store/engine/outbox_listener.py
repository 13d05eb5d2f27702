"""Be notified of new outbox rows at once, and hold the lock of the only relay that delivers them."""

from __future__ import annotations

import psycopg

OUTBOX_CHANNEL = "perennial_outbox"
LEAD_LOCK = 0x7065_7265_6E6E
"""The advisory lock of the relay that delivers."""


class Listener:
    """An autocommit connection that listens. It may hold the relay's advisory lock, which ends with the connection."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection | None = None

    async def open(self) -> None:
        """Connect and listen."""
        self._connection = await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, application_name="perennial-relay"
        )
        await self._connection.execute(f"LISTEN {OUTBOX_CHANNEL}")

    async def lead(self) -> bool:
        """Try to become the only relay that delivers. It stays so until `close` or until the connection is lost.

        Call it once: PostgreSQL counts repeated locks of one session.
        """
        cursor = await self._open.execute("SELECT pg_try_advisory_lock(%s)", (LEAD_LOCK,))
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def wait(self, seconds: float) -> bool:
        """Wait at most this many seconds for new rows; returns whether there was a notification.

        Raises `psycopg.OperationalError` when the connection is lost; the relay's lock is then lost too.
        """
        async for _ in self._open.notifies(timeout=seconds, stop_after=1):
            return True
        return False

    async def close(self) -> None:
        """Release the relay's lock and close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Listener:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def _open(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            raise RuntimeError("the listener is not open")
        return self._connection
