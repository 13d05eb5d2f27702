"""Commands in the operators' pages work, against a whole installation with a real Temporal server."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from infra.launch.temporal import without_temporal_environment
from tests.docs.conftest import Installation
from tests.docs.documents import OPERATIONS, REFERENCE, blocks, commands
from tests.docs.test_calls import publish_library
from tests.docs.test_examples import ui_queries

WIN_BACK = {"track": "win-back", "contact_id": "user_1042"}


async def temporal(perennial: Installation, words: list[str]) -> tuple[int, str]:
    """Run a `temporal` command. Returns its status and output."""
    program = str(Path(sys.executable).parent / "temporal")
    environment = without_temporal_environment() | perennial.dev_server.environment
    told = await asyncio.to_thread(
        subprocess.run, [program, *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return told.returncode, told.stdout + told.stderr


async def test_the_operators_commands_do_what_the_pages_say(perennial: Installation) -> None:
    await publish_library(perennial)
    headers = {"Authorization": f"Bearer {perennial.key}"}
    address = {"email": "grace@example.com", "timezone": "Europe/Zurich"}
    await perennial.caller.put(f"{perennial.url}/v1/contacts/user_1042", json=address, headers=headers)
    enrolled = await perennial.caller.post(f"{perennial.url}/v1/enrollments", json=WIN_BACK, headers=headers)
    path = f"/v1/enrollments/{enrolled.json()['id']}"
    await perennial.until(lambda run: bool(run["state"] == "waiting"), path)

    typed = [
        words[1:]
        for page in sorted(OPERATIONS.glob("*.md"))
        for block in blocks(page, "sh")
        for words in commands(block)
        if words[:2] == ["temporal", "workflow"]
    ]
    named = {words[words.index("--name") + 1]: words for words in typed if "--name" in words}
    assert set(named) == {"skip_wait", "exit", "resolve_message"}

    status, said = await temporal(perennial, next(words for words in typed if words[1] == "query"))
    assert status == 0
    assert "its moment" in said

    status, said = await temporal(perennial, named["resolve_message"])
    assert status != 0
    assert "no message of this run is in review" in said

    status, said = await temporal(perennial, named["skip_wait"])
    assert status == 0, said
    await perennial.until(lambda run: bool(run["step"] == "hello"), path)

    status, said = await temporal(perennial, named["skip_wait"])
    assert status != 0
    assert "the run is not waiting" in said

    status, said = await temporal(perennial, named["exit"])
    assert status == 0, said
    await perennial.until(lambda run: bool(run["status"] == "exited"), path)
    ended = (await perennial.caller.get(perennial.url + path, headers=headers)).json()
    assert ended["end_reason"] == "asked-by-phone"
    assert [(step["step"], step["outcome"], step["detail"]) for step in ended["path"]] == [
        ("morning", "skipped", "by an operator"),
        ("hello", "skipped", "the run ended"),
    ]


async def test_temporal_understands_the_saved_queries(perennial: Installation) -> None:
    for query in ui_queries():
        await perennial.temporal.count_workflows(query)


async def test_every_metric_is_documented_and_no_other(perennial: Installation) -> None:
    await perennial.caller.get(f"{perennial.url}/healthz")
    shown = (await perennial.caller.get(f"{perennial.url}/metrics")).text
    families = {
        family.name + ("_total" if family.type == "counter" else "") for family in text_string_to_metric_families(shown)
    }
    named = set(re.findall(r"^\| `(perennial_\w+)` \|", (REFERENCE / "metrics.md").read_text(), re.MULTILINE))
    assert named == {name for name in families if not name.endswith("_created")}
