"""How many activities a second Temporal's server hands out of a task queue, to all workers together.

Set at run time; it overrides what workers ask for (`PERENNIAL_QUEUE_RATES`), until it is cleared (measured on
server 1.32). The server divides a queue, so a second may see almost twice the rate at the start of a burst. Workers
look at it as well, for what they send past the queue (`activities.sending.direct_send`).
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
"""Seconds: the server tells its queues of a new rate a moment after it took it."""
ANSWERED_WITHIN = timedelta(seconds=5)
LOOKED_AT_EVERY, TRUSTED_FOR = 1.0, 3.0
"""Seconds between a worker's looks at a rate, and from one until it is not trusted any more."""

_ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_BY_WORKERS = RateLimitSource.RATE_LIMIT_SOURCE_WORKER


@dataclass(frozen=True, slots=True)
class QueueRate:
    """What holds for a queue: activities per second, and who says so.

    `set_here` is the rate set at run time with its `reason`; None where none is, and then the workers' own rate
    (`by_workers`) or no rate of ours holds.
    """

    set_here: float | None
    reason: str
    by_workers: float | None

    @property
    def holds(self) -> float:
        """The rate that holds; infinite where none does."""
        rate = self.by_workers if self.set_here is None else self.set_here
        return math.inf if rate is None else rate


async def read(client: Client, queue: str) -> QueueRate:
    """The rate of a queue; raises RPCError where the server cannot say."""
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
    """Set the rate of a queue (0 stops it, None clears what was set), and wait until the queue says so itself.

    Whoever reads the rate afterwards finds this one: without the wait, a look by a worker that was told the old one
    would set the account's over an operator's. Workers go by the old one past the queue for up to `TRUSTED_FOR` more.
    Raises RPCError where the server refuses.
    """
    deadline, say_at = time.monotonic() + TOLD_WITHIN, 0.0
    while time.monotonic() < deadline:
        if time.monotonic() >= say_at:
            await _say(client, queue, per_second, reason)
            say_at = time.monotonic() + SAY_AGAIN_AFTER
        found = await read(client, queue)
        # the server keeps rates as 32 bits
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
