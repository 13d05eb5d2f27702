"""The rate of a task queue: how many activities per second Temporal's server hands out, to all workers together.

A rate set at run time overrides the rate that workers request (`PERENNIAL_QUEUE_RATES`) until it is cleared (measured
on server 1.32). The server divides a queue into partitions, so the first second of a burst may have almost twice the
rate. Workers also read it, for the messages that they send past the queue (`activities.sending.direct_send`).
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import RateLimitSource, TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateTaskQueueConfigRequest
from temporalio.client import Client

from activities import contract

QUEUES = {
    "email": contract.QUEUE_EMAIL,
    "sms": contract.QUEUE_SMS,
    "crm": contract.QUEUE_CRM,
    "webhook": contract.QUEUE_WEBHOOK,
}
"""Short names of the providers' queues."""
TOLD_WITHIN, LOOK_EVERY, SAY_AGAIN_AFTER = 5.0, 0.05, 1.0
"""Seconds. The server's queues apply a new rate a moment after the server has accepted it."""
ANSWERED_WITHIN = timedelta(seconds=5)
LOOKED_AT_EVERY, TRUSTED_FOR = 1.0, 3.0
"""Seconds between a worker's reads of a rate, and for how long a rate that was read is trusted."""

_ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_BY_WORKERS = RateLimitSource.RATE_LIMIT_SOURCE_WORKER


@dataclass(frozen=True, slots=True)
class QueueRate:
    """The rate of a queue in activities per second, and who set it.

    `set_here` is the rate that was set at run time, with its `reason`. If it is None, the workers' own rate
    (`by_workers`) applies, or no rate of ours.
    """

    set_here: float | None
    reason: str
    by_workers: float | None

    @property
    def holds(self) -> float:
        """The rate that applies; infinite if there is none."""
        rate = self.by_workers if self.set_here is None else self.set_here
        return math.inf if rate is None else rate


async def read(client: Client, queue: str) -> QueueRate:
    """The rate of a queue. Raises RPCError if the server cannot tell."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=_ACTIVITIES,
        report_config=True,
    )
    told = await client.workflow_service.describe_task_queue(request, timeout=ANSWERED_WITHIN)
    limit, effective = told.config.queue_rate_limit, told.effective_rate_limit
    here = float(limit.rate_limit.requests_per_second) if limit.HasField("rate_limit") else None
    return QueueRate(
        set_here=here,
        reason=limit.metadata.reason if here is not None else "",
        by_workers=effective.requests_per_second if effective.rate_limit_source == _BY_WORKERS else None,
    )


async def write(client: Client, queue: str, per_second: float | None, reason: str) -> None:
    """Set the rate of a queue (0 stops it, None clears it), and wait until the queue itself reports the new rate.

    The wait makes sure that later reads return this rate. Otherwise a worker that still read the old rate could replace
    an operator's rate by the account's. For direct sends, workers may use the old rate for up to `TRUSTED_FOR` more.
    Raises RPCError if the server refuses.
    """
    deadline, say_at = time.monotonic() + TOLD_WITHIN, 0.0
    while time.monotonic() < deadline:
        if time.monotonic() >= say_at:
            await _say(client, queue, per_second, reason)
            say_at = time.monotonic() + SAY_AGAIN_AFTER
        found = await read(client, queue)
        # the server stores rates as 32-bit numbers
        if _same(found.set_here, per_second) and (per_second is None or found.reason == reason):
            return
        await asyncio.sleep(LOOK_EVERY)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-4 * max(one, other)


async def _say(client: Client, queue: str, per_second: float | None, reason: str) -> None:
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(reason=reason)
    if per_second is not None:
        update.rate_limit.CopyFrom(RateLimit(requests_per_second=per_second))
    await client.workflow_service.update_task_queue_config(
        UpdateTaskQueueConfigRequest(
            namespace=client.namespace,
            identity=client.identity,
            task_queue=queue,
            task_queue_type=_ACTIVITIES,
            update_queue_rate_limit=update,
        )
    )
