"""A whole installation on real servers, one per test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bench.installation.one_process import Installation, Servers, installation_on
from tests.conftest import DevServer
from tests.support.sandbox import Sandbox
from tests.support.servers import servers_of

MAIL = """---
kind: email
subject: 'Hello {{ contact.attributes.first_name | default: "you" }}'
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ contact.attributes.first_name | default: "you" }}.
<a href="https://acme.test/start">Start</a> <a href="{{ unsubscribe_url }}">No more of these</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


@pytest.fixture
def servers(postgres_url: str, dev_server: DevServer, sandbox: Sandbox) -> Servers:
    """A database of this test's own; Temporal and the sandbox are shared, so ids and addresses must differ."""
    return servers_of(postgres_url, dev_server, sandbox)


@pytest.fixture
async def installation(servers: Servers) -> AsyncIterator[Installation]:
    """The API, the relay and the workers in this process."""
    async with installation_on(servers, provider_timeout=1) as opened:
        await opened.publish("hello", MAIL, "templates")
        yield opened
        await opened.sandbox.delete("/_control/faults")
