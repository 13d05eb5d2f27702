"""Run the crowd of sample contacts: perform each action at its time, react to messages, until every run has ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from infra.demo.behaviour import QUIET_AFTER, Act, draw_answer, draw_life
from infra.demo.clients import DemoClients
from infra.demo.progress import SavedProgress
from infra.demo.sample_contacts import Person

QUIET = 2.0  # the crowd has finished after so many seconds without an action or a live run


class Crowd:
    """The sample contacts, at the pace in the memory."""

    def __init__(
        self, clients: DemoClients, progress: SavedProgress, people: list[Person], tell: Callable[[str], None]
    ) -> None:
        self.clients = clients
        self.progress = progress
        self.people = {person.id: person for person in people}
        self.tell = tell
        self.tally: dict[str, Counter[str]] = {}
        """Number of enrolments by track and status."""
        self.problems: list[str] = []
        """Unexpected answers."""
        self.acts: dict[str, Act] = {}
        """Every action that was due, for the audit."""
        self._to = {address: person for person in people for address in (person.email, person.phone) if address}
        self._numbers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def day(self) -> float:
        """Days since the beginning, on the crowd's clock."""
        return (time.time() - self.progress.began) * self.progress.pace / 86_400

    async def introduce(self) -> None:
        """Create the contacts in the API."""
        gate = asyncio.Semaphore(8)

        async def put(person: Person) -> None:
            async with gate:
                answer = await self.clients.call("PUT", f"/v1/contacts/{person.id}", json=person.body())
            if answer.status_code not in (200, 201):
                self.problems.append(f"contact {person.id} was refused: {answer.text[:300]}")

        await asyncio.gather(*(put(person) for person in self.people.values()))

    async def live(self, patience: float) -> None:
        """Perform actions until every run has ended and no action is left, at most `patience` seconds."""
        if not self.progress.continued:
            self.progress.data["began"] = time.time()
        for person in self.people.values():
            for act in draw_life(self.progress.seed, person):
                self._plan(act, self.progress.began)
        reader = asyncio.create_task(self._read())
        deadline = time.monotonic() + patience
        quiet_since = time.monotonic()
        try:
            while time.monotonic() < deadline:
                await asyncio.sleep(0.5)
                live = await self._count()
                if reader.done():
                    reader.result()
                if live or self._tasks:
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > QUIET:
                    return
        finally:
            reader.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(reader, *self._tasks, return_exceptions=True)
            self.progress.save()

    async def _count(self) -> int:
        """Update the tally. Returns the number of live runs."""
        tally: dict[str, Counter[str]] = {}
        live = 0
        async for enrollment in self.clients.enrollments():
            if enrollment["contact_id"] not in self.people:
                continue  # not a sample contact's
            tally.setdefault(enrollment["track"], Counter())[enrollment["status"]] += 1
            live += enrollment["ended_at"] is None
        self.tally = tally
        return live

    async def _read(self) -> None:
        """Plan the recipient's reaction, if any, to every message that arrives."""
        after = 0
        while True:
            for message in await self.clients.messages(after, 5):
                after = message["seq"]
                person = self._to.get(message["to"]) if message["direction"] == "out" else None
                if person is None:
                    continue
                self._numbers[person.id] += 1
                arrived = time.time()
                for act in draw_answer(self.progress.seed, person, message, self._numbers[person.id]):
                    self._plan(act, arrived)

    def _plan(self, act: Act, since: float) -> None:
        self.acts[act.id] = act
        if self.progress.done(act.id):
            return
        task = asyncio.create_task(self._perform(act, since + act.days * 86_400 / self.progress.pace))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, act: Act, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.time()))
        kept: dict[str, Any] = {}
        if act.kind == "enroll":
            answer = await self.clients.call("POST", "/v1/enrollments", json=act.body | {"pace": self.progress.pace})
            fine = answer.status_code in (200, 201)
        elif act.kind == "event":
            answer = await self.clients.call("POST", "/v1/events", json=act.body | self._happened(act))
            fine = answer.status_code == 202
            if fine:
                kept = {"matched": answer.json()["matched"], "enrolled": answer.json()["enrolled"]}
        else:
            answer = await self.clients.act(act.body)
            fine = answer.status_code == 200
        self.progress.mark(act.id, kept)
        if not fine:
            self.problems.append(f"{act.id} was answered {answer.status_code}: {answer.text[:300]}")
        elif act.story:
            self.tell(act.story)

    def _happened(self, act: Act) -> dict[str, str]:
        """When an event happened, if that was before the demo."""
        if act.quiet_on is None:
            return {}
        quiet = datetime.fromtimestamp(self.progress.began + act.quiet_on * 86_400 / self.progress.pace, UTC)
        return {"occurred_at": (quiet - QUIET_AFTER).isoformat()}
