"""Temporal's dev server with its UI, one SQLite file, and the project's search attributes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.launch.errors import LOCAL, LaunchError
from infra.launch.ports import HOST, require_free
from infra.launch.process import Child

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "Track": "Keyword",
    "TrackVersion": "Int",
    "Step": "Keyword",
    "State": "Keyword",
    "NextActionAt": "Datetime",
}
NAMESPACE = "default"
SERVER_SETTINGS: Mapping[str, str] = {
    # Tracks take turns in a queue, so that a thousand contacts of one track that wake at once do not delay the contacts
    # of other tracks: docs/design/benchmarks.md#wake has the figures.
    "matching.useNewMatcher": "true",
    "matching.enableFairness": "true",
    # By default a shard polls for tasks at most 20 times a second, and the dev server has one shard: with more than a
    # few events a second, messages would wait for the next poll.
    "history.transferProcessorMaxPollRPS": "1000",
    "history.timerProcessorMaxPollRPS": "1000",
    # By default the dev server reads the definitions of search attributes from its file at each use, so that a new one
    # is known at once. With this value it caches them: a new one is known after seconds, as on other servers, and CPU
    # is saved.
    "system.forceSearchAttributesCacheRefreshOnRead": "false",
}
"""Changed defaults of the dev server, by the names of Temporal's dynamic configuration."""


def find_temporal() -> Path:
    """The `temporal` command, which includes the dev server: beside this Python, else on the path.

    Raises LaunchError if there is none.
    """
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if not found:
        raise LaunchError(f"No `temporal` command found, which is the server and registers search attributes: {LOCAL}.")
    return Path(found)


def without_temporal_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment (by default this process's) without variables that point Temporal's clients at another server."""
    kept = os.environ if environment is None else environment
    return {name: value for name, value in kept.items() if not name.startswith("TEMPORAL_")} | {
        "TEMPORAL_CONFIG_FILE": os.devnull  # the user's profile may name another server
    }


class Temporal:
    """One dev server. With `file` its workflows survive a restart; without, they are in memory."""

    def __init__(
        self,
        port: int,
        *,
        log: Path,
        file: Path | None = None,
        ui_port: int | None = None,
        more_namespaces: Sequence[str] = (),
    ) -> None:
        """Without `ui_port` there is no UI. New `more_namespaces` get the search attributes too."""
        self.port = port
        self.ui_port = ui_port
        self.file = file
        self.log = log
        self.more_namespaces = more_namespaces
        self.child: Child | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        return None if self.ui_port is None else f"http://{HOST}:{self.ui_port}"

    def start(self, timeout: float = 30) -> str:
        """Start the server and register the search attributes. Returns its address. Raises LaunchError."""
        self.begin()
        self.finish(timeout)
        return self.address

    def begin(self) -> None:
        """Start the server without waiting for it. Raises LaunchError."""
        for port in (self.port, self.ui_port):
            if port is not None:
                require_free("Temporal", port)
        command: list[str | Path] = [find_temporal(), "server", "start-dev", "--ip", HOST, "--port", str(self.port)]
        if self.file is not None:
            # The write-ahead log needs 1.7 times less CPU than SQLite's default, and survives a kill.
            command += ["--db-filename", self.file]
            command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"]
        if self.ui_port is None:
            command.append("--headless")
        else:
            command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        for namespace in self.more_namespaces:
            command += ["--namespace", namespace]
        for name, kind in SEARCH_ATTRIBUTES.items():
            command += ["--search-attribute", f"{name}={kind}"]
        for name, value in SERVER_SETTINGS.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        command += ["--log-level", "error"]
        self.child = Child("Temporal", command, self.log, env=without_temporal_environment())

    def finish(self, timeout: float = 30) -> None:
        """Wait until the server serves and has the search attributes. Raises LaunchError."""
        assert self.child is not None, "begin first"
        try:
            self.child.wait_ready(self._ready, timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self, grace: float = 3.0) -> None:
        """Stop the server; harmless if it is not running."""
        if self.child is not None:
            self.child.stop(grace)
            self.child = None

    def _ready(self) -> bool:
        """Whether the server serves and has every search attribute. It registers the missing ones."""
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)):
                return False  # a command to ask would cost 80 ms of CPU
        environment = without_temporal_environment() | {"TEMPORAL_ADDRESS": self.address}
        missing = missing_search_attributes(environment, NAMESPACE)
        if missing:
            add_search_attributes(environment, NAMESPACE, missing)
        return missing == []


def register_search_attributes(environment: Mapping[str, str], namespace: str) -> None:
    """Register the missing search attributes on the Temporal that `environment` names.

    Raises LaunchError if it does not answer or does not permit it.
    """
    missing = missing_search_attributes(environment, namespace)
    if missing is None:
        where = environment.get("TEMPORAL_ADDRESS") or "its profile's address"
        raise LaunchError(f"Temporal does not answer at {where}, namespace {namespace}.")
    if missing:
        add_search_attributes(environment, namespace, missing)
        if missing_search_attributes(environment, namespace):
            wanted = ", ".join(f"{name} ({SEARCH_ATTRIBUTES[name]})" for name in missing)
            raise LaunchError(f"Temporal's namespace {namespace} lacks these search attributes; add them: {wanted}.")


def missing_search_attributes(environment: Mapping[str, str], namespace: str) -> list[str] | None:
    """Names of the search attributes that the namespace lacks; None if the server does not answer."""
    listed = operator(environment, namespace, "search-attribute", "list", "--output", "json")
    if listed is None:
        return None
    known = json.loads(listed).get("customAttributes") or {}
    return [name for name in SEARCH_ATTRIBUTES if name not in known]


def add_search_attributes(environment: Mapping[str, str], namespace: str, names: list[str]) -> None:
    """Ask the server to add search attributes. The caller has to check whether it did."""
    options = [part for name in names for part in ("--name", name, "--type", SEARCH_ATTRIBUTES[name])]
    operator(environment, namespace, "search-attribute", "create", *options)


def operator(environment: Mapping[str, str], namespace: str, *command: str) -> str | None:
    """The output of a `temporal operator` command; None if the server did not answer."""
    answer = subprocess.run(
        [find_temporal(), "operator", *command, "--namespace", namespace, "--command-timeout", "5s"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout if answer.returncode == 0 else None
