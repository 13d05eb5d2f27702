"""A `perennial up` in a process of its own, and what it may leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from cli.main import app
from infra.launch.state import started_at
from settings import get_settings

ROOT = Path(__file__).parents[3]
COMES_UP_WITHIN = 60.0


class Up:
    """A `perennial up` in a folder of its own."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.output = Path(tempfile.mkstemp(suffix=".out")[1])
        self.environment = os.environ | {"PERENNIAL_DATA": str(folder)} | environment
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", *(options or ("--no-crowd",))],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def running(self) -> dict[str, Any]:
        try:
            held: dict[str, Any] = json.loads((self.folder / "running.json").read_text())
        except FileNotFoundError:
            return {}
        return held

    def come_up(self) -> dict[str, str]:
        """Wait for the addresses."""
        deadline = time.monotonic() + COMES_UP_WITHIN
        while "Ctrl-C stops everything" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)
        addresses: dict[str, str] = self.running()["addresses"]
        return addresses

    def api(self) -> httpx.Client:
        key = json.loads((self.folder / "secrets.json").read_text())["api_key"]
        return httpx.Client(base_url=self.running()["addresses"]["api"], headers={"authorization": f"Bearer {key}"})

    def children(self) -> list[dict[str, Any]]:
        return list(self.running()["children"])

    def command(self, *words: str) -> Result:
        """Run another command of `perennial` beside the running stack. It runs in this process, to save the imports."""
        get_settings.cache_clear()
        try:
            return CliRunner().invoke(app, words, env={"PERENNIAL_DATA": str(self.folder)})
        finally:
            get_settings.cache_clear()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        self.output.unlink(missing_ok=True)


def left(children: list[dict[str, Any]], within: float = 0) -> list[int]:
    """The processes that still run after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        pids = [child["pid"] for child in children if started_at(child["pid"]) == child["started"]]
        if not pids or time.monotonic() >= deadline:
            return pids
        time.sleep(0.05)


def refusal(up: Up) -> str:
    """The last line of a failed start."""
    try:
        assert up.process.wait(60) == 1
        assert "Traceback" not in up.said
        return up.said.splitlines()[-1]
    finally:
        up.stop()


def everybody_may_read_its_command_lines(folder: Path) -> None:
    """Check that no process of this machine has a secret in its command line."""
    secrets = json.loads((folder / "secrets.json").read_text())
    assert {"postgres_password", "twilio_auth_token", "link_secret", "api_key"} <= secrets.keys()
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append(process.read_text(errors="replace"))
    assert any("infra.sandbox" in line for line in lines)
    shown = [name for name, secret in secrets.items() if any(secret in line for line in lines)]
    assert shown == []


def kept_files(folder: Path) -> Iterator[Path]:
    """All files that a stack keeps, without PostgreSQL's own folder."""
    for path in folder.iterdir():
        yield path
        if path.is_dir() and path.name != "postgres":
            yield from path.rglob("*")
