"""Hearing of new outbox rows at once, and being the only relay that delivers them."""

from __future__ import annotations

import psycopg

OUTBOX_CHANNEL = "perennial_outbox"
LEAD_LOCK = 0x7065_7265_6E6E
"""The advisory lock that the relay which delivers holds."""


class Listener:
    """An autocommit connection that listens; its advisory lock is the relay's lead and dies with it."""

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
        """Try to become the one relay that delivers; stays so until `close` or a lost connection.

        Call it once: PostgreSQL counts repeated locks of one session.
        """
        cursor = await self._open.execute("SELECT pg_try_advisory_lock(%s)", (LEAD_LOCK,))
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def wait(self, seconds: float) -> bool:
        """Wait at most so many seconds for new rows; whether there was word of any.

        Raises `psycopg.OperationalError` when the connection is lost: the lead is lost with it.
        """
        async for _ in self._open.notifies(timeout=seconds, stop_after=1):
            return True
        return False

    async def close(self) -> None:
        """Give up the lead and the connection."""
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
