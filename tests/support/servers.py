"""The servers of an installation in tests: a database, the shared Temporal and a sandbox."""

from __future__ import annotations

from bench.installation.one_process import Servers
from tests.conftest import DevServer
from tests.support.sandbox import Sandbox


def servers_of(database_url: str, temporal: DevServer, sandbox: Sandbox) -> Servers:
    return Servers(
        database_url,
        temporal.address,
        sandbox.url,
        sandbox.callback_port,
        sandbox.twilio_auth_token,
        temporal_namespace=temporal.namespace,
    )
