"""A receiver of segments over real HTTP: it verifies signatures, applies batches as documented, and can fail."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from standardwebhooks import Webhook


class AudienceReceiver:
    """Holds who is a member, as it was told."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.calls: list[dict[str, Any]] = []
        """The body of each call, also of refused ones."""
        self.ids: list[str] = []
        self.answers: list[int] = []
        """The statuses of the next calls; then 204. A negative one: the call is applied, and the connection closed."""
        self.slow = 0.0
        self.at_once = 0
        """The most calls that came at the same time."""
        self.seqs: defaultdict[str, list[int]] = defaultdict(list)
        """The numbers of each contact in the order of arrival."""
        self.held: dict[str, dict[str, Any]] = {}
        self._now = 0

    @property
    def members(self) -> list[str]:
        return sorted(who for who, told in self.held.items() if told["member"])

    def forget(self) -> None:
        """Lose all that was told, as after a restored backup."""
        self.held.clear()

    def apply(self, body: dict[str, Any]) -> None:
        data = body["data"]
        for change in data.get("changes", ()):
            who = change["contact_id"]
            self.seqs[who].append(change["seq"])
            if who not in self.held or change["seq"] > self.held[who]["seq"]:
                self.held[who] = change
        if body["type"] == "segment.complete":
            self.held = {who: told for who, told in self.held.items() if told["seq"] > data["from_seq"]}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = (line.partition(": ") for line in head.split("\r\n")[1:])
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        if self.secret:
            Webhook(self.secret).verify(body, headers)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        if self.slow:
            await asyncio.sleep(self.slow)
        self._now -= 1
        told = json.loads(body)
        self.calls.append(told)
        self.ids.append(headers["webhook-id"])
        status = self.answers.pop(0) if self.answers else 204
        if status < 0 or 200 <= status < 300:
            self.apply(told)
        if status > 0:
            writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[AudienceReceiver]:
    """A running receiver."""
    one = AudienceReceiver()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/audience"
    try:
        yield one
    finally:
        server.close()
