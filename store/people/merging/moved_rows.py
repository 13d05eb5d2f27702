"""Move rows from one contact to another, note their ids, and give them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from store.people.merging.table_rules import MOVED, UNTOLD
from store.schema.tables.all_tables import metadata


async def move_all(tx: AsyncConnection, merge_id: str, merged: str, survivor: str) -> Mapping[str, int]:
    """Move the rows of every table with the rule `move`. Returns how many, for tables with any."""
    counts: dict[str, int] = {}
    for table, statement in _MOVE.items():
        found = await tx.execute(statement, {"merge": merge_id, "from": merged, "into": survivor})
        counts[table] = int(found.scalar_one())
    return {table: count for table, count in counts.items() if count and table not in UNTOLD}


async def give_back_all(tx: AsyncConnection, merge_id: str, merged: str, survivor: str) -> Mapping[str, int]:
    """Move the noted rows back that still belong to the survivor. Returns how many, by table."""
    counts: dict[str, int] = {}
    for table, statement in _GIVE_BACK.items():
        found = await tx.execute(statement, {"merge": merge_id, "from": merged, "into": survivor, "part": table})
        counts[table] = found.rowcount
    return {table: count for table, count in counts.items() if count and table not in UNTOLD}


async def note(tx: AsyncConnection, merge_id: str, part: str, ids: Sequence[str]) -> None:
    """Note rows that a merge changed otherwise, under a name that is no table's."""
    if ids:
        await tx.execute(_NOTE, {"merge": merge_id, "part": part, "ids": list(ids)})


async def noted(tx: AsyncConnection, merge_id: str, part: str) -> Sequence[str]:
    """The rows that were noted under this name."""
    rows = await tx.execute(_NOTED, {"merge": merge_id, "part": part})
    return list(rows.scalars())


def _type(table: str, key: str) -> str:
    return str(metadata.tables[table].c[key].type.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


_MOVE = {
    table: text(f"""
        WITH moved AS (UPDATE {table} SET contact_id = :into WHERE contact_id = :from RETURNING {key}),
        noted AS (
            INSERT INTO merge_moved (merge_id, part, row_id) SELECT CAST(:merge AS uuid), '{table}', {key}::text
            FROM moved
        )
        SELECT count(*) FROM moved
    """)
    for table, key in MOVED.items()
}
_GIVE_BACK = {
    table: text(f"""
        UPDATE {table} t SET contact_id = :from FROM merge_moved m
        WHERE m.merge_id = CAST(:merge AS uuid) AND m.part = :part AND t.{key} = CAST(m.row_id AS {_type(table, key)})
            AND t.contact_id = :into
    """)
    for table, key in MOVED.items()
}
_NOTE = text("""
    INSERT INTO merge_moved (merge_id, part, row_id)
    SELECT CAST(:merge AS uuid), :part, unnest(CAST(:ids AS text[])) ON CONFLICT DO NOTHING
""")
_NOTED = text("SELECT row_id FROM merge_moved WHERE merge_id = CAST(:merge AS uuid) AND part = :part ORDER BY row_id")
