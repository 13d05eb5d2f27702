"""HTTP clients of the demo: for the public API, and for the sandbox, in which contacts read and click."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx

TRIES = 5


class DemoClients:
    """Calls the API and the sandbox. All calls may be repeated, so a call without an answer is tried again."""

    def __init__(self, api: str, key: str, sandbox: str) -> None:
        limits = httpx.Limits(max_connections=16)
        self.api = httpx.AsyncClient(
            base_url=api, headers={"authorization": f"Bearer {key}"}, timeout=30, limits=limits, trust_env=False
        )
        self.sandbox = httpx.AsyncClient(base_url=sandbox, timeout=40, limits=limits, trust_env=False)

    async def close(self) -> None:
        await self.api.aclose()
        await self.sandbox.aclose()

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the API, again while the status is 5xx. Returns the answer with any other status."""
        return await self._patient(self.api, method, path, **more)

    async def act(self, body: dict[str, Any]) -> httpx.Response:
        """Perform an action on a message, as its recipient."""
        return await self._patient(self.sandbox, "POST", "/_control/actions", json=body)

    async def messages(self, after: int, wait: float) -> list[dict[str, Any]]:
        """Messages that the sandbox accepted after number `after`. If there are none, wait at most `wait` seconds for
        one.
        """
        answer = await self._patient(
            self.sandbox, "GET", "/_control/messages", params={"after": after, "wait": wait, "limit": 1000}
        )
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    async def callbacks(self) -> dict[str, Any]:
        """How many callbacks of the sandbox are pending, and how many it gave up."""
        answer: dict[str, Any] = (await self._patient(self.sandbox, "GET", "/_control/callbacks")).json()
        return answer

    async def enrollments(self) -> AsyncIterator[dict[str, Any]]:
        """Every enrolment, from the database."""
        cursor: dict[str, str] = {}
        while True:
            page = (await self.call("GET", "/v1/enrollments", params={"limit": "100", **cursor})).json()
            for enrollment in page["enrollments"]:
                yield enrollment
            if not page["next"]:
                return
            cursor = {"cursor": page["next"]}

    async def enrollment(self, enrollment_id: str) -> dict[str, Any]:
        """One enrolment, from its live run."""
        answer: dict[str, Any] = (await self.call("GET", f"/v1/enrollments/{enrollment_id}")).json()
        return answer

    async def audience(self) -> list[str]:
        """The paths of all segments and scores; at most a hundred of each."""
        found = []
        for kind in ("segment", "score"):
            listed = (await self.call("GET", f"/v1/{kind}s")).json()[f"{kind}s"]
            found += [f"/v1/{kind}s/{one[kind]}" for one in listed]
        return found

    async def is_live(self, path: str) -> bool:
        """Whether all contacts are evaluated by the newest version of this segment or score."""
        shown: dict[str, Any] = (await self.call("GET", path)).json()
        return bool(shown["filling"]["state"] == "live")

    async def waiting_handoffs(self) -> list[dict[str, Any]]:
        """Leads for which nobody of sales has answered; at most a hundred."""
        answer = await self.call("GET", "/v1/handoffs", params={"status": "waiting", "limit": "100"})
        found: list[dict[str, Any]] = answer.json()["handoffs"]
        return found

    async def differences(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Contacts for whom this segment or score is not stored as a full evaluation gives it."""
        cursor: dict[str, str] = {}
        while True:
            page = (await self.call("GET", f"{path}/check", params=cursor)).json()
            for difference in page["differences"]:
                yield difference
            if not page["next"]:
                return
            cursor = {"cursor": page["next"]}

    async def outbox_depth(self) -> int:
        """Number of deliveries that Temporal has not received yet."""
        for line in (await self.call("GET", "/metrics")).text.splitlines():
            if line.startswith("perennial_outbox_depth "):
                return int(float(line.split()[1]))
        return 0

    async def _patient(self, client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
        for last in [*[False] * (TRIES - 1), True]:
            try:
                answer = await client.request(method, path, **more)
                if answer.status_code < 500 or last:
                    return answer
            except httpx.HTTPError:
                if last:
                    raise
            await asyncio.sleep(0.3)
        raise AssertionError("the last try returns or raises")
