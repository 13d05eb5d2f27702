"""`perennial key`: the API's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.common import fail, in_database

if TYPE_CHECKING:
    from store.database import Database

key_commands = typer.Typer(help="Make, list and revoke the API's keys.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Wire them into the command line."""
    app.add_typer(key_commands, name="key")


@key_commands.command("create")
def create_key(name: str) -> None:
    """Make a key and print it: this is the only time that it can be read."""
    from store import keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            _, secret = await keys.create(tx, name)
        typer.echo(secret)

    in_database(work)


@key_commands.command("list")
def list_keys() -> None:
    """List the keys: id, name, when made, when revoked."""
    from store import keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            found = await keys.list_all(tx)
        for key in found:
            ended = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "in use"
            typer.echo(f"{key.id}  {key.name:<24} made {key.created_at:%Y-%m-%d %H:%M}  {ended}")

    in_database(work)


@key_commands.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")]) -> None:
    """Refuse a key from now on."""
    from store import keys

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            if not await keys.revoke(tx, key_id):
                fail(f"There is no key {key_id} in use.")
        typer.echo("Revoked.")

    in_database(work)
