"""Schemathesis, which knows the API from its OpenAPI document alone, finds no failure of the server."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.api.client import Api, track
from tests.api.server import serve

# A schema cannot say that a track has to exist; and a batch is accepted although some of its items are refused.
NOT_CHECKED = "positive_data_acceptance,negative_data_rejection"
SECONDS = 15
PROJECT = Path(__file__).parents[2]


@pytest.mark.timeout(180)
async def test_no_request_that_the_document_allows_breaks_the_server(
    app: FastAPI, api: Api, key: str, tmp_path: Path
) -> None:
    await api.publish(track())
    await api.contact("user-1", email="ada@example.com")
    async with serve(app) as address:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--no-color"]
        command += ["--exclude-checks", NOT_CHECKED, "--continue-on-failure"]
        command += ["--max-time", str(SECONDS), "--max-examples", "15"]
        command += ["--generation-database", "none", "--warnings", "off"]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks", "PYTHONPATH": str(PROJECT)}
        environment["PERENNIAL_API_KEY"] = key
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_the_documents_own_examples_work(app: FastAPI, api: Api) -> None:
    paths = app.openapi()["paths"]

    def example(path: str, media_type: str) -> str:
        text: str = paths[path]["put"]["requestBody"]["content"][media_type]["example"]
        return text

    assert (await api.template("trial-welcome", example("/v1/templates/{template}", "text/plain"))).status_code == 201
    assert (await api.publish(example("/v1/tracks/{track}", "application/yaml"))).status_code == 201
    batch = paths["/v1/batch"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert (await api.call("POST", "/v1/batch", json=batch)).json()["problems"] == []
