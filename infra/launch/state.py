"""The state of a local stack: its folder, its secrets, and its running processes."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from infra.launch.errors import LaunchError
from infra.launch.process import Child, end_group

ROOM_NEEDED = 300_000_000  # bytes: a fresh PostgreSQL, its write-ahead log, Temporal's file
KEPT = (".gitignore", "lock")
OWN = {*KEPT, "secrets", "running", "ports", "crowd", "logs", "sandbox", "postgres", "temporal"}
"""Names of a stack's files and folders, without suffixes."""


def started_at(pid: int) -> str | None:
    """The start time of a process in the system's format; None if there is none. It detects reused process ids."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


class State:
    """The folder of one local stack. Only one stack at a time holds it, from `open` to `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def running(self) -> Path:
        """The file of running processes and their addresses, for the next start and for other commands."""
        return self.folder / "running.json"

    @property
    def is_kept(self) -> bool:
        """Whether the folder holds the data of a stack."""
        return (self.folder / "secrets.json").exists()

    def open(self, *, fresh: bool = False) -> None:
        """Lock the folder, end processes that a killed start left running, and with `fresh` empty the folder.

        Raises LaunchError if another stack runs here, the folder cannot be written, or the disk is full.
        """
        try:
            self._make_private()
            self._lock = (self.folder / "lock").open("a+")
            (self.folder / ".gitignore").write_text("*\n")
        except OSError as problem:
            raise LaunchError(f"Perennial cannot write to {self.folder}: {problem.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            who = read_json(self.running).get("pid", "?")
            raise LaunchError(f"Perennial already runs here (process {who}); stop it first.") from None
        try:
            self._end_leftovers()
            if fresh:
                self._empty()
            free = shutil.disk_usage(self.folder).free
            if free < ROOM_NEEDED:
                raise LaunchError(
                    f"The disk of {self.folder} is full: {free // 1_000_000} MB are free, "
                    f"Perennial needs {ROOM_NEEDED // 1_000_000} MB."
                )
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as problem:
            self.close()
            raise LaunchError(f"Perennial cannot use {self.folder}: {problem}.") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unlock the folder. Call it after every child has ended."""
        if self._lock is not None:
            self.running.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def record(self, children: Iterable[Child], addresses: dict[str, str]) -> None:
        """Record the running processes, so that the next start can end those that this one leaves if it is killed."""
        listed = [{"pid": c.pid, "started": started_at(c.pid), "signal": int(c.stop_signal)} for c in children]
        own = {"pid": os.getpid(), "started": started_at(os.getpid())}
        write_private(self.running, own | {"children": listed, "addresses": addresses})

    def addresses(self) -> dict[str, str] | None:
        """The addresses of the stack that runs here, for other commands; None if none runs.

        Addresses of a killed stack are ignored: other programs may have taken its ports. Empty while the stack starts.
        """
        held = read_json(self.running)
        pid, found = held.get("pid"), held.get("addresses")
        if not isinstance(pid, int) or (now := started_at(pid)) is None or held.get("started", now) != now:
            return None
        return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def secrets(self) -> dict[str, str]:
        """The stack's secrets. They are made at the first start; only the owner can read them."""
        path = self.folder / "secrets.json"
        kept = read_json(path)
        made = {
            "postgres_password": secrets.token_urlsafe(24),
            "link_secret": secrets.token_urlsafe(32),
            "address_secret": secrets.token_urlsafe(32),
            "twilio_account_sid": "AC" + secrets.token_hex(16),
            "twilio_auth_token": secrets.token_hex(16),
            "stripe_webhook_secret": "whsec_" + secrets.token_hex(16),
            "hubspot_client_secret": secrets.token_hex(16),
            "webhook_secret": "whsec_" + b64encode(secrets.token_bytes(24)).decode(),
        } | {name: str(value) for name, value in kept.items()}
        if made != kept:
            write_private(path, made)
        return made

    def keep_secret(self, name: str, value: str) -> None:
        """Add or change one secret."""
        write_private(self.folder / "secrets.json", self.secrets() | {name: value})

    def _make_private(self) -> None:
        """Make the folder, and close it and files that an older version left readable to all but the owner.

        A folder that holds anything else keeps its mode: its owner may share it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = all(path.stem in OWN for path in self.folder.iterdir())
        if not ours or self.folder.stat().st_uid != os.geteuid():
            return
        self.folder.chmod(0o700)
        for folder, below, files in os.walk(self.folder):
            if Path(folder) == self.folder and "postgres" in below:
                below.remove("postgres")  # it belongs to PostgreSQL's own user
            for path in (Path(folder) / name for name in (*below, *files)):
                mode = path.lstat().st_mode
                if not stat.S_ISLNK(mode) and mode & 0o077:
                    path.chmod(mode & ~0o077)

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            if path.name in KEPT:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _end_leftovers(self) -> None:
        left = [
            child
            for child in read_json(self.running).get("children") or ()
            if child.get("started") and started_at(child["pid"]) == child["started"]
        ]
        for child in left:
            try:
                os.kill(child["pid"], child["signal"])
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 4
        for child in left:
            while started_at(child["pid"]) == child["started"]:
                if time.monotonic() > deadline:
                    os.kill(child["pid"], signal.SIGKILL)
                time.sleep(0.02)
            end_group(child["pid"])


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is none or it is invalid."""
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def write_private(path: Path, value: dict[str, Any]) -> None:
    """Write an object to a file that only the owner may read. The write is atomic."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    draft.replace(path)
