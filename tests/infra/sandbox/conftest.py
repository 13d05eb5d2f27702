"""One sandbox and one receiver per test session. Each test uses addresses of its own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.infra.sandbox import clients
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer

_numbers = itertools.count(random.randrange(10**6) * 100)


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """The application that gets the callbacks."""
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="session")
def sandbox(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox whose callbacks go to `receiver`."""
    with SandboxServer(tmp_path_factory.mktemp("sandbox"), callback_base=receiver.url) as server:
        yield server


@pytest.fixture(scope="session")
def ses(sandbox: SandboxServer) -> Any:
    """boto3 against the sandbox."""
    return clients.ses_client(sandbox.url)


@pytest.fixture(scope="session")
def twilio(sandbox: SandboxServer) -> Any:
    """Twilio's client against the sandbox."""
    return clients.twilio_client(sandbox.url)


@pytest.fixture(scope="session")
def crm(sandbox: SandboxServer) -> Any:
    """HubSpot's client against the sandbox."""
    return clients.hubspot_client(sandbox.url)


@pytest.fixture
def address() -> str:
    """A new email address."""
    return f"person-{next(_numbers)}@example.com"


@pytest.fixture
def number() -> str:
    """A new phone number."""
    return f"+4179{next(_numbers) % 10**7:07d}"


@pytest.fixture
def send(ses: Any, address: str) -> Callable[..., str]:
    """Send an email, by default to `address`, and return its id."""

    def send(to: str = address, **more: Any) -> str:
        message_id: str = ses.send_email(**clients.simple_email(to, **more))["MessageId"]
        return message_id

    return send
