"""Logs hold classes and codes and no personal data, also for failures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import text

from infra import logs
from store.engine.database import Database

ADDRESS = "ann@people.test"


@pytest.fixture
def untouched() -> Iterator[None]:
    """Restore logging afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("as_json", [True, False])
async def test_a_failure_is_logged_without_the_variables_of_its_frames(
    as_json: bool, capsys: pytest.CaptureFixture[str], empty_postgres_url: str
) -> None:
    logs.set_up(json=as_json)
    database = Database(empty_postgres_url, 1)
    address = ADDRESS
    try:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT :address FROM nowhere"), {"address": address})
    except Exception:
        logging.getLogger(__name__).warning("something failed", exc_info=True)
    await database.close()
    written = capsys.readouterr().err
    assert "ProgrammingError" in written and "test_logs.py" in written
    assert ADDRESS not in written
    if as_json:
        assert json.loads(written)["exception"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("as_json", [True, False])
def test_what_uvicorn_coloured_is_not_logged_a_second_time(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(json=as_json)
    logging.getLogger(__name__).info("Started [%d]", 7, extra={"color_message": "Started [\x1b[36m%d\x1b[0m]"})
    written = capsys.readouterr().err
    assert "Started [7]" in written
    assert "color_message" not in written and "[36m" not in written
