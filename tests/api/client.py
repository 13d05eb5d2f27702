"""Calls of the API for tests, each in one line."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

EMAIL_TEMPLATE = """---
kind: email
subject: Welcome
---
<mjml><mj-body><mj-section><mj-column>
  <mj-text>Good to have you. <a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


def track(name: str = "welcome", *, reentry: str = "never", steps: str = "", more: str = "") -> str:
    """A track that by default waits for a click."""
    steps = steps or "  - id: clicked\n    wait_for: {event: email.clicked, within: 3d, then: [], else: []}\n"
    return f"track: {name}\nreentry: {reentry}\n{more}steps:\n{steps}"


class Api:
    """A caller with a key."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self.client, self.key = client, key

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Any request, with the key."""
        headers = {"Authorization": f"Bearer {self.key}"} | more.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.call("GET", path, params=params)

    async def publish(self, source: str) -> httpx.Response:
        """Publish a track under the name inside it."""
        name = source.split("track:", 1)[1].split(None, 1)[0]
        return await self.call(
            "PUT", f"/v1/tracks/{name}", content=source, headers={"Content-Type": "application/yaml"}
        )

    async def template(self, name: str, source: str = EMAIL_TEMPLATE) -> httpx.Response:
        return await self.call("PUT", f"/v1/templates/{name}", content=source, headers={"Content-Type": "text/plain"})

    async def contact(self, contact_id: str, **fields: Any) -> httpx.Response:
        return await self.call("PUT", f"/v1/contacts/{contact_id}", json=fields)

    async def enroll(self, contact_id: str, track: str = "welcome", **more: Any) -> httpx.Response:
        return await self.call("POST", "/v1/enrollments", json={"track": track, "contact_id": contact_id} | more)

    async def event(self, contact_id: str, name: str, **more: Any) -> httpx.Response:
        body = {"event_id": str(uuid.uuid4()), "contact_id": contact_id, "name": name} | more
        return await self.call("POST", "/v1/events", json=body)
