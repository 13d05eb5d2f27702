"""The sandbox's Twilio against Twilio's published OpenAPI document, enforced by the proxy Prism.

Prism refuses requests of the client and answers of the sandbox that the document does not allow. So both the sandbox
and the application's client are checked against a document that we did not write.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException

from tests.infra.sandbox.clients import twilio_client
from tests.sandbox_server import ACCOUNT_SID, AUTH_TOKEN, SandboxServer

MODULES = Path(__file__).parents[3] / "contract" / "node_modules"
PRISM = MODULES / ".bin" / "prism"
DOCUMENT = MODULES / "@twilio-alpha" / "mcp" / "twilio-oai" / "spec" / "json" / "twilio_api_v2010.json"

pytestmark = pytest.mark.skipif(
    not (PRISM.exists() and DOCUMENT.exists()),
    reason="Prism and Twilio's OpenAPI document are not installed: npm ci --ignore-scripts --prefix tests/contract",
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twilio's document, with one correction that its own example needs.

    The addresses of a list's pages have the format `uri`, which must be absolute, but the example has relative ones.
    """
    data = json.loads(DOCUMENT.read_text())
    operation = data["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["get"]
    content = operation["responses"]["200"]["content"]["application/json"]
    assert content["examples"]["readFullPage1"]["value"]["first_page_uri"].startswith("/")
    for name in ("uri", "first_page_uri", "next_page_uri", "previous_page_uri"):
        content["schema"]["properties"][name]["format"] = "uri-reference"
    path = tmp_path_factory.mktemp("twilio") / "document.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture(scope="module")
def prism(sandbox: SandboxServer, document: Path) -> Iterator[str]:
    """Prism's address, in front of the sandbox."""
    command = [str(PRISM), "proxy", str(document), sandbox.url, "--errors", "--host", "127.0.0.1"]
    port = _free_port()
    with httpx.Client(trust_env=False) as client:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            until = time.monotonic() + 60
            while not _answers(client, url):
                assert process.poll() is None, "Prism ended"
                assert time.monotonic() < until, "Prism does not answer"
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _free_port() -> int:
    """A port that was free a moment ago: Prism does not accept an open socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        client.get(url)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture
def strict(prism: str) -> Any:
    """Twilio's client, through Prism."""
    return twilio_client(prism)


def test_every_stage_of_a_text_is_as_twilio_describes_it(strict: Any, sandbox: SandboxServer, number: str) -> None:
    sandbox.misbehave("twilio", "undelivered", match=number, times=1)
    failed = strict.messages.create(
        to=number, from_="+15005550006", body="Hi 👋", status_callback="https://acme.test/status"
    )
    message = strict.messages.create(to=number, messaging_service_sid="MG" + "0" * 32, body="Hi again")
    assert strict.messages(message.sid).fetch().to == number
    until = time.monotonic() + 10
    while strict.messages(failed.sid).fetch().status != "undelivered":
        assert time.monotonic() < until
    assert [m.sid for m in strict.messages.list(to=number)] == [message.sid, failed.sid]


def test_replies_and_pages_are_as_twilio_describes_them(strict: Any, sandbox: SandboxServer, number: str) -> None:
    sids = [strict.messages.create(to=number, from_="+15005550006", body=f"{n}").sid for n in range(3)]
    sandbox.act(sids[0], "reply", text="YES")
    assert strict.messages.list(from_=number)[0].direction == "inbound"
    assert len(list(strict.messages.stream(to=number, page_size=2))) == 3


def test_refusals_pass_as_they_are(strict: Any) -> None:
    with pytest.raises(TwilioRestException) as problem:
        strict.messages.create(to="+15005550001", from_="+15005550006", body="Hi")
    assert (problem.value.status, problem.value.code) == (400, 21211)


def test_prism_is_watching(prism: str) -> None:
    url = f"{prism}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    response = httpx.post(url, data={"Body": "nobody to send it to"}, auth=(ACCOUNT_SID, AUTH_TOKEN), trust_env=False)
    assert response.status_code == 422
