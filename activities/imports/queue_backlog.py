"""Whether Temporal's queues keep up; an import checks this before it adds work."""

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
"""More waiting tasks than this in one queue are too many, however recent they are."""
SOME_TASKS = 20
OLDEST = timedelta(seconds=2)
"""More waiting tasks than `SOME_TASKS`, one of them older than this: the queue does not keep up. The server's figures
are some 5 s old."""
_QUEUES = (
    (contract.QUEUE_RUNS, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (contract.QUEUE_EMAIL, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (contract.QUEUE_SMS, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (contract.QUEUE_CRM, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (contract.QUEUE_WEBHOOK, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)
_TIMEOUT = timedelta(seconds=5)


async def busy_queue(client: Client) -> str:
    """The first queue that does not keep up, or an empty text. If the server cannot tell, imports go on."""
    for name, kind in _QUEUES:
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind, report_stats=True
        )
        try:
            found = await client.workflow_service.describe_task_queue(request, timeout=_TIMEOUT)
        except RPCError:
            return ""
        waiting, age = found.stats.approximate_backlog_count, found.stats.approximate_backlog_age.ToTimedelta()
        if waiting > MOST_TASKS or (waiting > SOME_TASKS and age > OLDEST):
            return name
    return ""


async def busy_here() -> str:
    """`busy_queue` on the server of the current activity."""
    return await busy_queue(activity.client())
