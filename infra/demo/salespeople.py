"""The salespeople of the demo: they take leads, reject them with a reason, or do not answer in time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from infra.demo.clients import DemoClients

LOOK = 0.3
"""Seconds between two looks at the leads."""


class Salespeople:
    """Answers each handoff once, as the seed says. `tally` counts the answers; `problems` are unexpected ones."""

    def __init__(self, clients: DemoClients, seed: int, tell: Callable[[str], None]) -> None:
        self.clients, self.seed, self.tell = clients, seed, tell
        self.tally: Counter[str] = Counter()
        self.problems: list[str] = []
        self._seen: set[str] = set()

    async def work(self) -> None:
        """Look for leads until the task is canceled."""
        while True:
            for handoff in await self.clients.waiting_handoffs():
                if handoff["id"] not in self._seen:
                    self._seen.add(handoff["id"])
                    await self._answer(handoff)
            await asyncio.sleep(LOOK)

    async def _answer(self, handoff: Mapping[str, Any]) -> None:
        answer = draw_answer_of_sales(self.seed, handoff["contact_id"], handoff["seq"])
        if answer is None:
            self.tally["no answer"] += 1
            return
        response = await self.clients.call("POST", f"/v1/handoffs/{handoff['id']}/feedback", json=answer)
        if response.status_code == 200 and response.json()["late"]:  # its time was over just now
            self.tally["too late"] += 1
        elif response.status_code == 200:
            self.tally[answer["status"]] += 1
            self.tell(f"{handoff['salesperson'].capitalize()} of sales has {answer['status']} a hot lead")
        else:
            self.problems.append(f"The answer to {handoff['id']} was answered {response.status_code}: {response.text}")


def draw_answer_of_sales(seed: int, contact_id: str, number: int) -> dict[str, str] | None:
    """What sales says of a contact's `number`-th handoff, as the body of the call; None for no answer."""
    fate = random.Random(f"{seed}/{contact_id}/handoff/{number}").random()
    if fate < 0.6:
        return {"status": "accepted"}
    return {"status": "rejected", "reason": "wrong-time"} if fate < 0.85 else None
