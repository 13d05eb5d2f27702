"""`perennial migrate`: upgrade the database's schema."""

from __future__ import annotations

import typer

from cli.shared.common import address_secret, database_url, fail
from cli.shared.printing import say


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(migrate)


def upgrade(url: str, secret: str) -> None:
    """Upgrade a database to the newest schema, and its address hashes to `secret`. Raises LaunchError."""
    from sqlalchemy.exc import DBAPIError

    from infra.launch.errors import LaunchError
    from store.schema import migrate

    try:
        migrate.upgrade(url, secret)
    except (DBAPIError, ValueError) as problem:
        reason = str(getattr(problem, "orig", None) or problem).strip().splitlines()[0]
        raise LaunchError(f"The database of DATABASE_URL cannot be used: {reason}") from None


def migrate() -> None:
    """Bring the database of DATABASE_URL to the newest schema."""
    from infra.launch.errors import LaunchError

    try:
        upgrade(database_url(), address_secret())
    except LaunchError as problem:
        fail(str(problem))
    say("The database is up to date.")
