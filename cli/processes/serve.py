"""Commands that run the long-running processes: the API, a worker, a relay alone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

import typer

HOST = "127.0.0.1"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(api)
    app.command()(worker)
    app.command("relay")(relay_alone)


def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the API, from the database (DATABASE_URL) and beside Temporal (TEMPORAL_ADDRESS)."""
    import uvicorn

    from api.app import create_app
    from api.health.api_health import operations_app
    from api.http.server import BoundedProtocol, OperationsServer, Server
    from api.temporal.connection import connect
    from infra import event_loop, logs
    from settings import RECEIVING, get_settings
    from store.engine.database import Database
    from store.engine.hash_secret import use_secret

    settings = get_settings()
    logs.set_up(json=settings.environment == "production")

    settings.require(*RECEIVING)

    async def serve() -> bool:
        use_secret(settings.hash_secret)
        patience = settings.longest_request_wait.total_seconds()
        database = Database(settings.database_url.get_secret_value(), settings.database_pool, patience=patience)
        try:
            client = await connect(lazy=True)  # the API accepts work while Temporal is down
            served = create_app(settings, database, client)
            drain = round(settings.drain.total_seconds())
            options = uvicorn.Config(
                served,
                host=host,
                port=port,
                http=BoundedProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=drain,
            )
            server = Server(options)
            async with AsyncExitStack() as stack:
                if settings.operations_port is not None:
                    operations = OperationsServer(
                        operations_app(served), host, settings.operations_port, "PERENNIAL_OPERATIONS_PORT"
                    )
                    await operations.start()
                    stack.push_async_callback(operations.stop)
                await server.serve()
            return server.started
        finally:
            await database.close()
            await asyncio.sleep(0.3)  # without this, threads of the Temporal client can crash the interpreter at exit

    if not event_loop.run(serve()):
        raise typer.Exit(1)


def worker(
    relay: Annotated[bool, typer.Option(help="Also run a relay. Of all relays, one at a time leads.")] = True,
    host: Annotated[str, typer.Option(help="Address to answer the orchestrator on (PERENNIAL_WORKER_PORT).")] = HOST,
) -> None:
    """Run the workers and the relay that delivers what the API accepted.

    They speak to the database (DATABASE_URL) and to Temporal (TEMPORAL_ADDRESS).
    """
    from worker import main

    main(relay=relay, host=host)


def relay_alone(
    host: Annotated[str, typer.Option(help="Address to answer the orchestrator on (PERENNIAL_WORKER_PORT).")] = HOST,
) -> None:
    """Run a relay in a process of its own, beside workers with --no-relay.

    It speaks to the database (DATABASE_URL) and to Temporal (TEMPORAL_ADDRESS).
    """
    from infra import event_loop, logs
    from settings import get_settings
    from worker import run_relay

    settings = get_settings()
    logs.set_up(json=settings.environment == "production")
    event_loop.run(run_relay(settings, host=host))
