"""State and pending callbacks of a sandbox survive a restart."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.infra.sandbox.clients import ses_client, simple_email, twilio_client
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer, eventually


@pytest.fixture
def receiver() -> Any:
    """A receiver of this test's own, because it is going to fail."""
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_inbox_and_its_links_are_there_again(tmp_path: Path, end: str) -> None:
    server = SandboxServer(tmp_path)
    message_id = ses_client(server.url).send_email(**simple_email("ann@example.com"))["MessageId"]
    sms = twilio_client(server.url).messages.create(to="+41791234567", from_="+15005550006", body="Hi")
    eventually(lambda: server.message(message_id)["events"][-1]["type"] == "delivery")
    server.act(message_id, "click")
    server.act(sms.sid, "reply", text="STOP")
    before = server.message(message_id)
    certificate = server.http.get("/sns/cert.pem").text
    getattr(server, end)()

    with SandboxServer(tmp_path) as again:
        after = again.message(message_id)
        assert after["html"] == before["html"]
        assert again.http.get("/sns/cert.pem").text == certificate
        assert [e["type"] for e in after["events"]] == ["send", "delivery", "click"]
        assert [m["channel"] for m in again.messages()] == ["email", "sms", "sms"]
        assert again.http.get(after["links"][0]["tracked"]).status_code == 302
        assert "STOP" in again.http.get("/sms/%2B41791234567/%2B15005550006").text
        next_id = ses_client(again.url).send_email(**simple_email("ann@example.com"))["MessageId"]
        assert again.message(next_id)["seq"] == 4


def test_callbacks_wait_for_a_receiver_that_fails(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    with SandboxServer(tmp_path, callback_base=receiver.url) as server:
        message_id = ses_client(server.url).send_email(**simple_email("ann@example.com"))["MessageId"]
        eventually(lambda: len(receiver.received) >= 2)
        receiver.status = 200
        eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery"])
        eventually(lambda: server.callbacks()["waiting"] <= 1)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_undelivered_callbacks_are_delivered_by_the_next_sandbox(tmp_path: Path, receiver: Receiver, end: str) -> None:
    receiver.status = 503
    server = SandboxServer(tmp_path, callback_base=receiver.url)
    message_id = ses_client(server.url).send_email(**simple_email("ann@example.com"))["MessageId"]
    url = f"{receiver.url}/status"
    sms = twilio_client(server.url).messages.create(
        to="+41791234567", from_="+15005550006", body="Hi", status_callback=url
    )
    eventually(lambda: receiver.at("/status"))
    getattr(server, end)()
    receiver.received.clear()
    receiver.status = 200

    with SandboxServer(tmp_path, callback_base=receiver.url):
        eventually(lambda: receiver.event_types(message_id) == ["Send", "Delivery"])
        eventually(
            lambda: [r.form()["MessageStatus"] for r in receiver.at("/status")] == ["queued", "sent", "delivered"]
        )
        assert {r.form()["MessageSid"] for r in receiver.at("/status")} == {sms.sid}


def test_a_receiver_that_keeps_refusing_is_given_up_and_counted(tmp_path: Path) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(403)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    refusing = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=refusing.serve_forever, daemon=True).start()
    with SandboxServer(tmp_path) as server:
        twilio_client(server.url).messages.create(
            to="+41791234567",
            from_="+15005550006",
            body="Hi",
            status_callback=f"http://127.0.0.1:{refusing.server_port}/",
        )
        eventually(lambda: server.callbacks()["dropped"] >= 1, seconds=40)
        assert "403" in server.callbacks()["last_error"]
    refusing.shutdown()
    refusing.server_close()


def test_a_taken_port_is_one_sentence_and_no_journal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with SandboxServer(tmp_path / "one") as server, pytest.raises(RuntimeError, match="status 1"):
        SandboxServer(tmp_path / "two", port=int(server.url.rpartition(":")[2]))
    assert "cannot listen on 127.0.0.1" in capfd.readouterr().err
    assert not (tmp_path / "two").exists()


def test_resetting_forgets_messages_and_keeps_identities(tmp_path: Path) -> None:
    with SandboxServer(tmp_path) as server:
        ses = ses_client(server.url)
        ses.create_email_identity(EmailIdentity="kept.test")
        ses.send_email(**simple_email("ann@example.com"))
        server.reset()
        assert server.messages() == []
        assert server.callbacks()["waiting"] == 0
        assert ses.get_email_identity(EmailIdentity="kept.test")
