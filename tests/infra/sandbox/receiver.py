"""The application's side of the callbacks: an HTTP server that stores what it gets."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        data: dict[str, Any] = json.loads(self.body)
        return data


class Receiver:
    """Takes every POST and GET; confirms SNS subscriptions while `confirming`; answers `status`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.confirming = True
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                receiver.received.append(request)
                if receiver.status == 200 and receiver.confirming:
                    receiver._confirm(request)
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                receiver.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, b""))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()

    def at(self, path: str) -> list[Received]:
        """The requests to one path."""
        return [request for request in self.received if request.path == path]

    def notifications(self) -> list[dict[str, Any]]:
        """The SNS notifications' envelopes."""
        envelopes = [request.json() for request in self.at("/webhooks/ses")]
        return [envelope for envelope in envelopes if envelope["Type"] == "Notification"]

    def events(self, message_id: str) -> list[dict[str, Any]]:
        """The SES events of one message, in the order of arrival."""
        events = [json.loads(envelope["Message"]) for envelope in self.notifications()]
        return [event for event in events if event["mail"]["messageId"] == message_id]

    def event_types(self, message_id: str) -> list[str]:
        """Their types."""
        return [event["eventType"] for event in self.events(message_id)]

    def _confirm(self, request: Received) -> None:
        if request.headers.get("x-amz-sns-message-type") == "SubscriptionConfirmation":
            httpx.get(request.json()["SubscribeURL"], trust_env=False)
