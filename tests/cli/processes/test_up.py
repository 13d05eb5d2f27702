"""`perennial up` for a new user: everything starts, continues after a restart, and leaves no process running."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.main import app
from cli.processes.up import Wish, _live
from infra.launch.errors import LaunchError
from infra.launch.ports import any_free
from infra.launch.process import Child
from infra.launch.stack import Addresses, Stack
from infra.launch.state import KEPT, State
from infra.launch.temporal import find_temporal
from tests.cli.processes.up_process import (
    COMES_UP_WITHIN,
    Up,
    everybody_may_read_its_command_lines,
    kept_files,
    left,
    refusal,
)

TRACKS = ("abandoned-cart", "trial-to-paid", "win-back")
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "perennial"


@pytest.fixture
def up(folder: Path) -> Iterator[Up]:
    started = Up(folder)
    yield started
    started.stop()


def test_it_answers_a_killed_one_leaves_nothing_and_the_next_goes_on_until_ctrl_c_stops_it_in_five_seconds(
    up: Up, folder: Path, tmp_path: Path
) -> None:
    """One test, because each start takes some ten seconds of CPU."""
    answers(up, tmp_path)
    with up.api() as api:
        assert api.put("/v1/contacts/c-1", json={"attributes": {"role": "engineer"}}).is_success
    killed = up.children()
    assert len(left(killed)) == 5
    up.process.kill()
    up.process.wait()

    again = Up(folder)
    try:
        again.come_up()
        assert left(killed) == []
        with again.api() as api:
            assert api.get("/v1/contacts/c-1").json()["attributes"] == {"role": "engineer"}

        children = again.children()
        assert len(left(children)) == 5
        began = time.monotonic()
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert left(children) == []
        assert again.said.rstrip().endswith("./run --fresh starts over.")
    finally:
        again.stop()


def answers(up: Up, tmp_path: Path) -> None:
    """Check that every part of the stack answers, and that the commands speak to it."""
    addresses = up.come_up()
    assert httpx.get(f"{addresses['sandbox']}/healthz").is_success
    assert "html" in httpx.get(addresses["ui"], follow_redirects=True).text
    with up.api() as api:
        assert api.get("/readyz").json()["temporal"] == "ok"
    everybody_may_read_its_command_lines(up.folder)
    assert stat.S_IMODE(up.folder.stat().st_mode) == 0o700
    open_to_others = {path.name for path in kept_files(up.folder) if path.stat().st_mode & 0o077}
    assert open_to_others <= set(KEPT)  # empty files
    # the doctor finds this stack's database and Temporal, whatever listens at the default ports
    ports = json.loads((up.folder / "ports.json").read_text())
    assert addresses["temporal"] == f"127.0.0.1:{ports['temporal']}"
    assert addresses["database"].endswith(f"@127.0.0.1:{ports['postgres']}/perennial")
    looked = up.command("doctor")
    assert looked.exit_code == 0, looked.stdout + looked.stderr
    assert up.command("limits", "list").exit_code == 0

    made = up.command("key", "create", "backend")
    key = made.stdout.strip()
    assert key.startswith("pk_"), made.stderr
    listed = up.command("key", "list").stdout
    assert key not in listed
    key_id = next(line.split()[0] for line in listed.splitlines() if "backend" in line)
    first = up.command("publish", "tracks/library", "--key", key)
    assert "track win-back version 1 (new)" in first.stdout.splitlines(), first.stderr
    assert "track win-back version 1 (unchanged)" in up.command("publish", "tracks/library").stdout.splitlines()
    shown = up.command(
        "preview", "trial-welcome", "--attr", "role=engineer", "--locale", "de", "--html", str(tmp_path / "m")
    )
    assert "Willkommen bei Acme" in shown.stdout and "engineer" in shown.stdout, shown.stderr
    assert '<html lang="de"' in (tmp_path / "m").read_text()
    assert up.command("key", "revoke", key_id).exit_code == 0
    assert up.command("key", "revoke", key_id).exit_code == 1

    bad = tmp_path / "bad" / "wrong.yaml"
    bad.parent.mkdir()
    bad.write_text("track: wrong\nsteps:\n  - {id: a, wait: soon}\n  - {id: a, email: {template: nowhere}}\n")
    refused = up.command("publish", str(bad.parent))
    assert refused.exit_code == 1
    assert {f"{bad}:3", f"{bad}:4"} <= {":".join(line.split(":")[:2]) for line in refused.stderr.splitlines()}
    assert refused.stderr.rstrip().endswith("Nothing was published.")

    policy = bad.parent.with_name("good") / "policy.yaml"
    policy.parent.mkdir()
    policy.write_text(
        "topics: {product-tips: {name: Tips}, offers: {name: Offers}, service: {name: Service}}\n"
        "sales: {teams: {sales: {people: [{id: ada, name: Ada}]}}, reject_reasons: {no: 'No'}}\n"
    )
    dry = up.command("publish", str(policy.parent), "--dry-run")
    lines = dry.stdout.splitlines()
    assert (dry.exit_code, lines[0]) == (0, "policy version 2 (changed)"), dry.stderr
    assert "Nothing was published: this was a dry run. It would pass." in lines
    assert any(line.startswith("  caps: removed: ") for line in lines)
    assert up.command("publish", "tracks/library", "--dry-run").stdout.startswith("policy version 1 (unchanged)")
    unknown = up.command("publish", "tracks/library", "--key", "pk_bad")
    assert unknown.exit_code == 1
    assert unknown.stderr.count("does not know this key") == 1
    assert len(unknown.stderr.splitlines()) == 2


@pytest.fixture
def own_temporal(tmp_path: Path) -> Iterator[str]:
    """A Temporal that is not the stack's, without the search attributes."""
    log = tmp_path / "temporal.log"
    port = any_free()
    command = [str(find_temporal()), "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    child = Child("Temporal", command, log)
    child.wait_ready(lambda: child.said("Temporal Server:"), 30)
    yield f"127.0.0.1:{port}"
    child.stop(0)


def test_the_crowd_lives_to_the_end_on_servers_of_ones_own_and_every_law_is_kept(
    folder: Path, empty_postgres_url: str, own_temporal: str
) -> None:
    options = ("--exit", "--contacts", "12", "--pace", "400000")
    started = Up(folder, *options, DATABASE_URL=empty_postgres_url, TEMPORAL_ADDRESS=own_temporal)
    try:
        assert started.process.wait(200) == 0, started.said
        assert f"✓ Temporal          {own_temporal}" in started.said
        assert "✓ PostgreSQL        as DATABASE_URL says" in started.said
        assert "Nobody is stuck, no event was lost, no message went out twice." in started.said
        rows = {line.split()[0]: line.split()[1:] for line in started.said.splitlines() if line.strip()}
        assert {track: rows[track][-1] for track in TRACKS} == dict.fromkeys(TRACKS, "0")
        assert rows["trial-to-paid"][0] == "7"
        assert not (folder / "postgres").exists()
        assert not (folder / "temporal.db").exists()
    finally:
        started.stop()


def test_the_death_of_a_part_is_one_sentence(folder: Path) -> None:
    """Such a sentence ends a start as well as a running stack (see the refusals below)."""
    stack = Stack(State(folder), prepare=lambda _: None, say=lambda *_: None)
    part = Child("Temporal", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], folder / "log")
    stack.services.append(part)
    with pytest.raises(LaunchError, match="Temporal was ended by signal 9"):
        asyncio.run(_live(stack, Addresses("", "", "", "", "", ""), "", Console(), Wish(False, 1, 1, 1, stay=True)))
    part.stop(0)


def test_terminating_it_stops_it_too_even_while_it_comes_up(up: Up, folder: Path) -> None:
    deadline = time.monotonic() + COMES_UP_WITHIN
    while len(up.running().get("children", ())) < 2:
        assert time.monotonic() < deadline, up.said
        time.sleep(0.02)
    second = Up(folder)
    children = up.children()
    assert second.process.wait(30) == 1
    assert f"✗ Perennial already runs here (process {up.process.pid}); stop it first." in second.said
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(6) == 0
    assert left(children) == []
    assert "Traceback" not in up.said


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(Up(tmp_path / "file" / "data")).startswith("✗ Perennial cannot write to")


def test_a_temporal_that_does_not_answer_is_one_sentence(folder: Path) -> None:
    refused = refusal(Up(folder, TEMPORAL_ADDRESS="127.0.0.1:1"))
    assert refused == "✗ Temporal does not answer at 127.0.0.1:1, namespace default."


def test_a_database_that_does_not_answer_is_one_sentence(folder: Path) -> None:
    refused = refusal(Up(folder, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"))
    assert refused.startswith("✗ The database of DATABASE_URL cannot be used: connection failed")


def test_the_schema_is_json() -> None:
    assert json.loads(CliRunner().invoke(app, ["schema"]).stdout)["type"] == "object"
