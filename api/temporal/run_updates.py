"""Operators' commands to a live run, as Temporal Updates. The run validates each, processes it, and answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

log = structlog.get_logger(__name__)
PATIENCE = timedelta(seconds=5)
"""How long a run may take to answer. With a free worker it takes about 20 ms."""


class NoRunError(LookupError):
    """Temporal has no such live run."""


class RefusedError(ValueError):
    """The run refuses the Update. The text is the run's reason."""


class NotAnsweredError(RuntimeError):
    """Temporal or the workers are down or too slow. The command may still take effect."""


async def ask(client: Client | None, workflow_id: str, update: str, *given: Any) -> str:
    """Send an Update. Returns the run's answer.

    Raises NoRunError, RefusedError, NotAnsweredError.
    """
    if client is None:
        raise NotAnsweredError("this process has no connection to Temporal")
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return str(await handle.execute_update(update, args=given, result_type=str, rpc_timeout=PATIENCE))
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        raise RefusedError(cause.message if isinstance(cause, ApplicationError) else "the run refuses it") from None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NoRunError from None
        why = error.status.name
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError, RuntimeError) as error:
        why = type(error).__name__
    log.warning("update not answered", workflow=workflow_id, update=update, error=why)
    raise NotAnsweredError("no worker has answered")
