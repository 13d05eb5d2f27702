"""The bare worker's process: `python -m bench.bare.worker TEMPORAL SANDBOX`, tuned like the project's own worker."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from bench.bare.workflow import QUEUE, QUEUE_EMAIL, BareMails, BareSleeper, BareTrack

THREADS = 20
RATE = 1000.0
"""Emails a second over all workers: the same limit as on the project's side."""


def ses_client(sandbox: str) -> Any:
    """Amazon's SES client, pointed at the sandbox."""
    return boto3.client(
        "sesv2",
        region_name="us-east-1",
        endpoint_url=sandbox,
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=THREADS),
    )


async def main(temporal: str, sandbox: str) -> None:
    """Work until the process ends."""
    client = await Client.connect(temporal, data_converter=pydantic_data_converter)
    ses = ses_client(sandbox)
    drain = timedelta(seconds=1)
    with ThreadPoolExecutor(THREADS) as threads:
        runs = Worker(
            client,
            task_queue=QUEUE,
            workflows=[BareTrack, BareSleeper],
            build_id="bare",
            max_concurrent_workflow_tasks=24,
            max_cached_workflows=1000,
            workflow_task_poller_behavior=PollerBehaviorAutoscaling(maximum=8),
            graceful_shutdown_timeout=drain,
        )
        mails = Worker(
            client,
            task_queue=QUEUE_EMAIL,
            activities=[BareMails(ses).send_bare_mail],
            activity_executor=threads,
            max_concurrent_activities=THREADS,
            max_task_queue_activities_per_second=RATE,
            activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            build_id="bare",
            graceful_shutdown_timeout=drain,
        )
        async with runs, mails:
            print("worker started", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
