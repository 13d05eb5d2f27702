"""All of Perennial on this machine: PostgreSQL, Temporal, the provider sandbox, the API and a worker."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.launch.errors import LaunchError
from infra.launch.ports import HOST, Claims
from infra.launch.postgres import Postgres
from infra.launch.process import Child
from infra.launch.state import State, read_json, write_private
from infra.launch.temporal import NAMESPACE, Temporal, register_search_attributes, without_temporal_environment

USUAL = {"postgres": 5432, "temporal": 7233, "ui": 8233, "api": 8000, "sandbox": 8025}
TEMPORAL_VARIABLES = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")
PROJECT = Path(__file__).parents[2]
SENDER_DOMAIN = "acme.test"
USUAL_TEMPORAL = f"{HOST}:{USUAL['temporal']}"
"""The default address of Temporal's clients."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of a running stack's parts. `ui` is None if the user's own Temporal is used.

    Other commands read them from `State.addresses` and from no other place.
    """

    database: str
    temporal: str
    namespace: str
    ui: str | None
    api: str
    sandbox: str


class Stack:
    """The parts. They are started in order, and stopped in the opposite order within 5 seconds."""

    def __init__(
        self,
        state: State,
        *,
        prepare: Callable[[str], None],
        say: Callable[[str, str], None],
        environment: Mapping[str, str] | None = None,
        entry_pace: float = 1.0,
    ) -> None:
        """`prepare(database_url)` is called before anything uses the database; `say(part, words)` gets the progress.

        `entry_pace` is the pace of runs that an entry rule starts.
        """
        self.state = state
        self.prepare = prepare
        self.say = say
        self.environment = dict(os.environ if environment is None else environment)
        self.postgres: Postgres | None = None
        self.temporal: Temporal | None = None
        self.entry_pace = entry_pace
        self.claims = Claims()
        self.services: list[Child] = []

    def start(self) -> Addresses:
        """Start every part. Returns their addresses. Raises LaunchError, and then leaves nothing running."""
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raise LaunchError if a part has died."""
        for child in self._children():
            if not child.running:
                raise LaunchError(child.epitaph())

    def stop(self) -> None:
        """Stop every part, each before the parts that it uses; by force after 3.4 seconds, which loses no data."""
        deadline = time.monotonic() + 3.4
        for wave, share in (
            (self.services, 1.9),
            ([child for child in self._children() if child not in self.services], 1.5),
        ):
            for child in wave:
                child.ask_to_stop()
            until = min(deadline, time.monotonic() + share)
            for child in wave:
                child.stop(max(0.0, until - time.monotonic()))
        self.services.clear()
        self.postgres = self.temporal = None
        self.claims.release()

    def _children(self) -> list[Child]:
        servers = [server.child for server in (self.postgres, self.temporal) if server is not None]
        return [child for child in servers if child is not None] + self.services

    def _start(self) -> Addresses:
        secrets = self.state.secrets()
        ports = self._ports()
        embedded = not any(self.environment.get(name) for name in TEMPORAL_VARIABLES)
        ui: str | None = None
        if embedded:
            self.say("Temporal", "starting")
            self.temporal = Temporal(
                ports["temporal"],
                log=self.state.logs / "temporal.log",
                file=self.state.folder / "temporal.db",
                ui_port=ports["ui"],
            )
            self.temporal.begin()  # it starts while PostgreSQL does
            temporal, namespace, ui = self.temporal.address, NAMESPACE, self.temporal.ui_url
        else:
            temporal, namespace = named_temporal(self.environment)
            # First, because nothing else is worth starting if it does not answer.
            register_search_attributes(self.environment, namespace)
        sandbox_url, api_url = f"http://{HOST}:{ports['sandbox']}", f"http://{HOST}:{ports['api']}"
        database = self.environment.get("DATABASE_URL", "")
        if not database:
            self.postgres = Postgres(
                self.state.folder / "postgres",
                ports["postgres"],
                secrets["postgres_password"],
                log=self.state.logs / "postgres.log",
            )
            database = self.postgres.url()
        environment = self._environment(secrets, sandbox_url, api_url) | {"DATABASE_URL": database}
        if embedded:
            environment = without_temporal_environment(environment)
            environment |= {"TEMPORAL_ADDRESS": temporal, "TEMPORAL_NAMESPACE": namespace}
        # Python processes start slowly, so they start in parallel with the rest. Nobody calls the API before the
        # database is prepared.
        api = self._serve("API", ["cli", "api", "--port", ports["api"]], environment=environment)
        sandbox = self._serve(
            "provider sandbox",
            ["infra.sandbox", "--port", ports["sandbox"], "--data", self.state.folder / "sandbox"],
            ["--callback-base", api_url, "--verify-domain", SENDER_DOMAIN, "--no-tracking"],
            environment=environment,
        )
        self.say("PostgreSQL", "starting")
        if self.postgres:
            self.postgres.start()
        self.prepare(database)
        self.say("PostgreSQL", f"{HOST}:{ports['postgres']}" if self.postgres else "as DATABASE_URL says")
        if self.temporal:
            self.temporal.finish()
        self.say("Temporal", temporal)
        worker = self._serve("worker", ["cli", "worker"], environment=environment)
        sandbox.wait_ready(lambda: answers(f"{sandbox_url}/healthz"), 30)
        self.say("provider sandbox", sandbox_url)
        api.wait_ready(lambda: answers(f"{api_url}/readyz"), 60)
        self.say("API", api_url)
        worker.wait_ready(lambda: worker.said("worker started"), 60)
        self.say("worker", "polls")
        addresses = Addresses(database, temporal, namespace, ui, api_url, sandbox_url)
        self._record(
            {"database": database, "temporal": temporal, "namespace": namespace}
            | {"api": api_url, "sandbox": sandbox_url}
            | ({"ui": ui} if ui else {})
        )
        self.check()
        return addresses

    def _ports(self) -> dict[str, int]:
        """The ports of the last start if they are free, so that links in old messages work; else the usual ones."""
        last = read_json(self.state.folder / "ports.json")
        ports = {}
        for name, usual in USUAL.items():
            kept = last.get(name)
            ports[name] = kept if isinstance(kept, int) and self.claims.claim(kept) else self.claims.first_free(usual)
        write_private(self.state.folder / "ports.json", ports)
        return ports

    def _serve(self, name: str, *parts: list[str | int | Path], environment: Mapping[str, str]) -> Child:
        self.say(name, "starting")
        command = [sys.executable, "-m", *(str(part) for group in parts for part in group)]
        log = self.state.logs / f"{name.split()[-1].lower()}.log"
        child = Child(name, command, log, env=environment, cwd=PROJECT)
        self.services.append(child)
        self._record({})
        return child

    def _record(self, addresses: dict[str, str]) -> None:
        self.state.record(self._children(), addresses)

    def _environment(self, secrets: Mapping[str, str], sandbox_url: str, api_url: str) -> dict[str, str]:
        """The configuration that points the production code at the local parts."""
        own = {
            "PERENNIAL_PUBLIC_URL": api_url,
            "PERENNIAL_SECRET": secrets["link_secret"],
            "PERENNIAL_ADDRESS_SECRET": secrets["address_secret"],
            "PERENNIAL_SES_ENDPOINT_URL": sandbox_url,
            "PERENNIAL_SNS_CERTIFICATE_URL": sandbox_url,
            "PERENNIAL_TWILIO_BASE_URL": sandbox_url,
            "PERENNIAL_TWILIO_ACCOUNT_SID": secrets["twilio_account_sid"],
            "PERENNIAL_TWILIO_AUTH_TOKEN": secrets["twilio_auth_token"],
            "PERENNIAL_STRIPE_WEBHOOK_SECRET": secrets["stripe_webhook_secret"],
            "PERENNIAL_HUBSPOT_BASE_URL": sandbox_url,
            "PERENNIAL_HUBSPOT_TOKEN": "sandbox",
            "PERENNIAL_HUBSPOT_CLIENT_SECRET": secrets["hubspot_client_secret"],
            "PERENNIAL_WEBHOOK_SECRET": secrets["webhook_secret"],
            "PERENNIAL_DRAIN": "PT0.5S",
            # Here a message arrives at once, and the user may be waiting for it and click early.
            "PERENNIAL_CLICK_SOON": "PT0S",
            "PERENNIAL_CLICK_HOLD": "PT1S",
            "PERENNIAL_ENTRY_PACE": str(self.entry_pace),
            # The sandbox must never get real credentials.
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
        }
        dropped = {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PERENNIAL_OPERATIONS_PORT"}  # health checks use the API's port
        return {name: value for name, value in self.environment.items() if name not in dropped} | own


def named_temporal(environment: Mapping[str, str]) -> tuple[str, str]:
    """Address and namespace of the Temporal that an environment, or its Temporal profile, names.

    Raises LaunchError if the profile cannot be read.
    """
    from temporalio.envconfig import ClientConfig

    try:
        found = ClientConfig.load_client_connect_config(override_env_vars=dict(environment))
    except (OSError, RuntimeError, ValueError) as problem:
        raise LaunchError(f"Temporal's profile cannot be read: {problem}.") from None
    return found.get("target_host") or USUAL_TEMPORAL, found.get("namespace") or NAMESPACE


def answers(url: str) -> bool:
    """Whether the answer to a GET is 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return 200 <= int(response.status) < 300
    except (OSError, urllib.error.URLError, ValueError):
        return False
