"""`perennial key`: the API's keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.shared.common import fail, in_database
from cli.shared.printing import Json, minute, say, say_json, say_table

if TYPE_CHECKING:
    from store.engine.database import Database

key_commands = typer.Typer(
    help="Make, list and revoke the API's keys.",
    epilog="Speaks to the database (DATABASE_URL).",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(key_commands, name="key")


@key_commands.command("create")
def create_key(name: Annotated[str, typer.Argument(help="Whose key it is, for `key list`.")]) -> None:
    """Make a key and print it: this is the only time that it can be read.

    Example: perennial key create backend
    """
    from store.operations import api_keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            _, secret = await api_keys.create(tx, name)
        say(secret)

    in_database(work)


@key_commands.command("list")
def list_keys(as_json: Json = False) -> None:
    """List the keys: id, name, when made, when revoked."""
    from store.operations import api_keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            found = await api_keys.list_all(tx)
        if as_json:
            say_json([asdict(key) for key in found])
            return
        rows = [
            (
                key.id,
                key.name,
                minute(key.created_at),
                f"revoked {minute(key.revoked_at)}" if key.revoked_at else "in use",
            )
            for key in found
        ]
        say_table(
            ("id", "name", "made (UTC)", "state"), rows, empty="There is no key: make one with `key create NAME`."
        )

    in_database(work)


@key_commands.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")]) -> None:
    """Refuse a key from now on.

    Example: perennial key revoke 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90
    """
    from store.operations import api_keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            if not await api_keys.revoke(tx, key_id):
                fail(f"There is no key {key_id} in use.")
        say("Revoked.")

    in_database(work)
