"""Whether Temporal's queues keep up: what an import looks at before it adds to their work."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from activities import contract

MOST_TASKS = 200
"""Tasks that may wait in one queue: some seconds of work, in which whoever is live takes turns."""
_QUEUES = (
    (contract.QUEUE_RUNS, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (contract.QUEUE_EMAIL, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (contract.QUEUE_SMS, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (contract.QUEUE_CRM, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (contract.QUEUE_WEBHOOK, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)
_TIMEOUT = timedelta(seconds=5)


async def busy_queue(client: Client, most: int = MOST_TASKS) -> str:
    """The first queue in which more tasks wait, or nothing. A server that cannot tell holds nobody back."""
    for name, kind in _QUEUES:
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind, report_stats=True
        )
        try:
            found = await client.workflow_service.describe_task_queue(request, timeout=_TIMEOUT)
        except RPCError:
            return ""
        if found.stats.approximate_backlog_count > most:
            return name
    return ""


async def busy_here() -> str:
    """The same, asked from within an activity of that server."""
    return await busy_queue(activity.client())
