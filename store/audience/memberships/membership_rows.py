"""The rows of the table `membership`, and how many of them are written at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.sql import many


class Pin(NamedTuple):
    """A version of a segment."""

    segment: str
    version: int


class Membership(NamedTuple):
    """Whether a contact is a member; see the table `membership`."""

    contact_id: str
    segment: str
    version: int
    member: bool
    since: datetime
    changes_at: datetime | None
    seq: int
    told: bool

    @property
    def pin(self) -> Pin:
        """The version that this is about."""
        return Pin(self.segment, self.version)


def write(tx: AsyncConnection, rows: Sequence[Membership]) -> None:
    """Write these memberships together with the next statement of the transaction."""
    if rows:
        later(tx, _WRITE, arrays(rows))


def arrays(rows: Sequence[Membership]) -> dict[str, Any]:
    """The values of `MEMBERSHIPS`, in the order of their keys: the same everywhere prevents deadlocks."""
    ordered = sorted(rows, key=lambda row: (row.contact_id, row.pin))
    return {name: [getattr(row, name) for row in ordered] for name in MEMBERSHIP_COLUMNS}


MEMBERSHIP_COLUMNS: Mapping[str, str] = {
    "contact_id": "text",
    "segment": "text",
    "version": "int",
    "member": "bool",
    "since": "timestamptz",
    "changes_at": "timestamptz",
    "seq": "int",
    "told": "bool",
}
MEMBERSHIPS = many("i", **MEMBERSHIP_COLUMNS)
MEMBERSHIP_NAMES = ", ".join(MEMBERSHIP_COLUMNS)
_WRITE = text(f"""
    INSERT INTO membership ({MEMBERSHIP_NAMES}) SELECT {MEMBERSHIP_NAMES} FROM {MEMBERSHIPS} ORDER BY ord
    ON CONFLICT (contact_id, segment, version) DO UPDATE SET
        member = excluded.member, since = excluded.since, changes_at = excluded.changes_at, seq = excluded.seq,
        told = excluded.told
""")
