"""The tutorial is correct: its files can be published, its calls give the shown answers, its test passes."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.api_client.publishing import publish, read_folder
from tests.docs.conftest import Installation
from tests.docs.documents import DOCS, ROOT, blocks, commands
from tests.docs.test_calls import Story

PAGE = DOCS / "tutorial.md"
FILE = re.compile(r"`(my-tracks/[\w./-]+)`:\n\n```[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that a reader of the tutorial has saved."""
    files = FILE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(files) == 4
    for name, text in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


async def test_its_track_is_published_and_its_calls_answer_what_it_says(perennial: Installation, folder: Path) -> None:
    headers = {"Authorization": f"Bearer {perennial.key}"}
    with httpx.Client(base_url=perennial.url, headers=headers, trust_env=False) as client:
        told = await asyncio.to_thread(publish, client, read_folder(folder / "my-tracks"))
    assert {document.outcome for document in told.documents} == {"new"}, told
    story = Story(perennial)
    asked = [words for block in blocks(PAGE, "sh") for words in commands(block) if words[0] == "curl"]
    contact, enrolled, other, entered, looked = [await story.run(words) for words in asked]
    assert [contact.status_code, enrolled.status_code, other.status_code] == [201, 201, 201]
    assert entered.json()["enrolled"] == looked.json()["matched"] == 1
    again = await story.run(asked[-1])
    assert again.json()["duplicate"] is True


def test_its_test_passes(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "my-tracks"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout
