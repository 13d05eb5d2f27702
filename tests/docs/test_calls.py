"""Every command of the pages works as written: `curl` and Python against a whole installation."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from infra.api_client.publishing import publish, read_folder
from settings import Settings
from store.engine.database import Database
from tests.docs.conftest import Installation
from tests.docs.documents import API_PAGES, PAGES, ROOT, Block, blocks, commands, curl, differs, name_of, prose

LIBRARY = ROOT / "tracks" / "library"


class Story:
    """A page's commands, run in order. A command may use values from earlier answers."""

    def __init__(self, perennial: Installation) -> None:
        self.perennial = perennial
        self.variables = {"API": perennial.url, "KEY": perennial.key}

    async def run(self, command: list[str]) -> httpx.Response:
        """Run a `curl` command, and store the values that later ones need."""
        asked = curl(command, self.variables)
        answer = await self.perennial.caller.request(
            asked.method, asked.url, headers=asked.headers, auth=asked.auth, content=asked.content
        )
        if asked.url.endswith("/v1/enrollments") and answer.status_code == 201:
            self.variables["ENROLLMENT"] = answer.json()["id"]
        if "/v1/handoffs?" in asked.url:
            self.variables["HANDOFF"] = answer.json()["handoffs"][0]["id"] if answer.json()["handoffs"] else ""
        if "json" in answer.headers["content-type"] and answer.json().get("next"):
            self.variables["NEXT"] = answer.json()["next"]
        return answer

    async def tell(self, block: Block) -> None:
        """Run a Python example against the server."""
        names: dict[str, Any] = dict(self.variables)
        await asyncio.to_thread(exec, compile(block.text, str(block), "exec"), names)


def shown(block: Block) -> tuple[int, Any]:
    """The status and the JSON of an `http` block."""
    head, _, body = block.text.partition("\n\n")
    return int(head.split()[1]), json.loads(body)


async def publish_library(perennial: Installation) -> None:
    """Publish the library, as `./run` does first."""
    headers = {"Authorization": f"Bearer {perennial.key}"}
    with httpx.Client(base_url=perennial.url, headers=headers, trust_env=False) as client:
        answer = await asyncio.to_thread(publish, client, read_folder(LIBRARY))
    assert {document.outcome for document in answer.documents} == {"new"}, answer


async def test_the_readmes_commands_enrol_a_contact_and_convert_it(perennial: Installation) -> None:
    await publish_library(perennial)
    story = Story(perennial)
    answers = [
        await story.run(command)
        for block in blocks(ROOT / "README.md", "sh")
        for command in commands(block)
        if command[0] == "curl"
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 202]
    assert answers[-1].json()["matched"] == 1
    await perennial.until(
        lambda enrollment: bool(enrollment["status"] == "converted"), f"/v1/enrollments/{answers[1].json()['id']}"
    )


async def test_every_answer_in_the_api_pages_is_what_the_api_answers(perennial: Installation) -> None:
    story = Story(perennial)
    asked: list[str] = []
    for block in (block for page in API_PAGES for block in blocks(page, "sh", "http", "python")):
        if block.kind == "python":
            await story.tell(block)
        elif block.kind == "sh":
            assert not asked, f"{block}: the command before it has no answer"
            asked = next((command for command in commands(block) if command[0] == "curl"), [])
        else:
            status, body = shown(block)
            for _ in range(100):  # effects that need Temporal appear a moment later
                answer = await story.run(asked)
                wrong = differs(body, answer.json()) or differs(status, answer.status_code)
                if not wrong:
                    break
                await asyncio.sleep(0.1)
            assert not wrong, f"{block}: {wrong}\n{answer.text}"
            asked = []


@pytest.fixture
def document() -> dict[str, Any]:
    app: FastAPI = create_app(Settings(), Database("postgresql://nobody@127.0.0.1/nothing"))
    return app.openapi()


def test_the_api_pages_have_every_call_and_no_other(document: dict[str, Any]) -> None:
    calls = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    call = r"`((?:GET|HEAD|PUT|POST|DELETE|PATCH) /[^`]*)`"
    named = {name for page in API_PAGES for name in re.findall(call, prose(page))}
    assert named == calls
    headings = [name for page in API_PAGES for name in re.findall(rf"^##+ {call}$", prose(page), re.MULTILINE)]
    assert sorted(headings) == sorted(calls)


def test_the_api_pages_name_every_parameter_of_a_list(document: dict[str, Any]) -> None:
    sections = [section for page in API_PAGES for section in re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE)]
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            parameters = {p["name"] for p in call.get("parameters", ()) if p["in"] == "query"}
            section = next((s for s in sections if s.startswith(f"`{method.upper()} {path}`\n")), "")
            missing = {name for name in parameters if f"`{name}`" not in section}
            assert not missing, f"{method.upper()} {path}"


def test_the_api_pages_name_every_kind_of_problem() -> None:
    from api.http.problems import TITLES

    rows = [row for page in API_PAGES for row in re.findall(r"^\| \d{3} \| `([a-z-]+)` \|", prose(page), re.MULTILINE)]
    assert sorted(rows) == sorted(TITLES)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in API_PAGES], ids=name_of)
def test_python_examples_run(page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    for block in blocks(page, "python"):
        exec(compile(block.text, str(block), "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == ""
