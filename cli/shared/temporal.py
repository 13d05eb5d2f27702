"""Choose the Temporal of a command: the one that the environment names, or the running local stack's, and no other.

While a local stack runs, Temporal's default address is not used: if the stack found that port taken, another
installation listens there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cli.shared.common import fail, local_stack, of_stack

if TYPE_CHECKING:
    from temporalio.client import Client


async def connect_alone() -> Client:
    """For commands that need only Temporal: the one that the environment names, else the local stack's."""
    from api.temporal.connection import connect

    if _is_named() or of_stack("temporal") is None:
        return await connect()
    return await _of_stack()


async def connect_beside(database: str) -> Client:
    """The Temporal that belongs to that database. If the two could be of different installations, the command ends."""
    from api.temporal.connection import connect

    stack = local_stack()
    if stack and stack.get("database") == database:
        return await _of_stack()
    if stack and not _is_named():
        fail("DATABASE_URL names another database than the local stack's: set TEMPORAL_ADDRESS to its Temporal too.")
    return await connect()


def _is_named() -> bool:
    """Whether the environment names a Temporal."""
    from infra.launch.stack import TEMPORAL_VARIABLES

    return any(os.environ.get(name) for name in TEMPORAL_VARIABLES)


async def _of_stack() -> Client:
    """The running local stack's own Temporal, or the user's one with which the stack was started."""
    from temporalio.client import Client

    from api.temporal.connection import connect, data_converter
    from infra.launch.stack import named_temporal
    from settings import get_settings

    address, namespace = of_stack("temporal") or "", of_stack("namespace") or ""
    named = named_temporal(os.environ) if _is_named() else None
    if named not in (None, (address, namespace)):
        fail(
            f"The local stack's Temporal is {address}, namespace {namespace}; the environment names {named[0]}, "
            f"namespace {named[1]}. Unset TEMPORAL_ADDRESS and the like, or name the database too: DATABASE_URL."
        )
    if named is not None:
        return await connect()  # with its credentials
    # Ignore the user's Temporal profile: it may name another server.
    converter = data_converter(get_settings().payload_keys)
    return await Client.connect(address, namespace=namespace, data_converter=converter)
