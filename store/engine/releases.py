"""Which release the processes are of that are connected to the database: each marks its connections with it.

A release is known by its newest migration. A process of an older release does not know what a newer one stores.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_MIGRATIONS = Path(__file__).parents[1] / "schema" / "migrations" / "versions"
RELEASE = max(path.name[:4] for path in _MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))
"""The number of the newest migration that this code knows."""


def marked(name: str) -> str:
    """The name of connections with the release of this process."""
    return f"{name}/{RELEASE}"


@dataclass(frozen=True, slots=True)
class OlderProcess:
    """A process of an older release. `release` is empty if it is older than the marks."""

    name: str
    host: str
    release: str
    since: datetime


async def older(tx: AsyncConnection, connected_before: datetime) -> list[OlderProcess]:
    """The processes of older releases that have been connected to this database since before that time."""
    values = {"release": RELEASE, "before": connected_before}
    return [OlderProcess(*row) for row in await tx.execute(_OLDER, values)]


_OLDER = text("""
    SELECT split_part(application_name, '/', 1), coalesce(host(client_addr), ''),
        split_part(application_name, '/', 2), min(backend_start)
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ '^perennial(-|/|$)'
        AND split_part(application_name, '/', 2) COLLATE "C" < :release
    GROUP BY 1, 2, 3 HAVING min(backend_start) < :before ORDER BY 4, 1
""")
