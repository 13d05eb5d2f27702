"""What the modules of the command line share: ending with a sentence, and the database that commands work on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from store.database import Database


def fail(words: str) -> NoReturn:
    """End with one clear sentence."""
    typer.echo(words, err=True)
    raise typer.Exit(1)


def database_url() -> str:
    """That of DATABASE_URL; where it is not set, the running local stack's."""
    from infra.launch.state import State, read_json
    from settings import get_settings

    settings = get_settings()
    running = read_json(State(settings.data).running).get("addresses")
    if "database_url" not in settings.model_fields_set and isinstance(running, dict) and running.get("database"):
        return str(running["database"])
    return settings.database_url.get_secret_value()


def in_database(work: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    """Do something in that database."""
    from store.database import Database

    async def run() -> None:
        database = Database(database_url(), 1)
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())
