"""The embedded Temporal has the project's search attributes and keeps its workflows."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from infra.launch.errors import LaunchError
from infra.launch.ports import any_free
from infra.launch.temporal import SEARCH_ATTRIBUTES, Temporal
from tests.conftest import DevServer


async def test_every_search_attribute_can_be_queried(dev_server: DevServer) -> None:
    client = await dev_server.connect()
    for name in SEARCH_ATTRIBUTES:
        assert (await client.count_workflows(f"{name} IS NOT NULL AND WorkflowType = 'nobody'")).count == 0


def test_the_ui_is_served(dev_server: DevServer) -> None:
    assert "html" in httpx.get(dev_server.ui_url, follow_redirects=True).text


async def test_keeps_its_workflows_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")  # must be ignored
    name = f"nurture/{uuid.uuid4()}"
    for start in (1, 2):
        server = Temporal(any_free(), log=tmp_path / "temporal.log", file=tmp_path / "temporal.db")
        client = await Client.connect(server.start())
        try:
            if start == 1:
                track = SearchAttributePair(SearchAttributeKey.for_keyword("Track"), "welcome")
                await client.start_workflow(
                    "NurtureTrack", id=name, task_queue="q", search_attributes=TypedSearchAttributes([track])
                )
            description = await client.get_workflow_handle(name).describe()
            assert description.search_attributes["Track"] == ["welcome"]
        finally:
            server.stop()
    assert (tmp_path / "temporal.db-wal").exists()


def test_a_taken_port_is_one_clear_sentence_and_leaves_nothing(tmp_path: Path, dev_server: DevServer) -> None:
    server = Temporal(int(dev_server.address.split(":")[1]), log=tmp_path / "temporal.log", ui_port=any_free())
    with pytest.raises(LaunchError, match=r"Temporal cannot listen on .*: the port is taken"):
        server.start()
    assert server.child is None
