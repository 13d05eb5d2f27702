"""Clients of the API while its processes are killed: they enrol contacts, send events, and repeat unanswered calls.
All calls answered with 2xx are recorded: this is the first of the three records that `bench.faults.records` compares.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.installation.one_process import Installation
from infra.launch.stack import SENDER_DOMAIN

MAIL = """---
kind: email
subject: hello
---
Hello from {{ unsubscribe_url }}
"""
HEAD = f"defaults: {{email: {{from: 'Ada <ada@{SENDER_DOMAIN}>'}}, sms: {{from: '+15005550006'}}}}"
TEMPLATE = "faults-mail"
TRACKS = {
    # Every wait for an event is longer than any test, so a run that misses its event never ends.
    "faults-reply": """
steps:
  - {id: hello, email: {template: faults-mail}}
  - id: reply
    wait_for: {event: said, within: 30d, since: enrollment, then: [{id: thanks, sms: {text: 'Thanks.'}}]}
  - {id: book, crm: {note: 'Said something.'}}
""",
    "faults-silent": """
steps:
  - {id: hello, email: {template: faults-mail}}
  - {id: rest, wait: 2s}
  - {id: never, wait_for: {event: never, within: 2s, else: [{id: nudge, email: {template: faults-mail}}]}}
  - {id: tell, webhook: {url: 'SANDBOX/hooks/faults', payload: {}}}
""",
    "faults-goal": """
goal: {event: bought}
steps:
  - {id: hello, email: {template: faults-mail}}
  - {id: month, wait: 30d}
  - {id: late, email: {template: faults-mail}}
""",
    "faults-entry": """
entry: {event: signed}
steps:
  - {id: mark, set: {attributes: {signed: true}}}
  - {id: text, sms: {text: 'Welcome.'}}
""",
}
EXPECTED: dict[str, tuple[str, dict[str, str]]] = {
    # the outcome of a run and of each of its steps
    "faults-reply": ("completed", {"hello": "sent", "reply": "happened", "thanks": "sent", "book": "done"}),
    "faults-silent": (
        "completed",
        {"hello": "sent", "rest": "done", "never": "timed_out", "nudge": "sent", "tell": "done"},
    ),
    "faults-goal": ("converted", {"hello": "sent", "month": "skipped"}),
    "faults-entry": ("completed", {"mark": "done", "text": "sent"}),
}
PAUSE = 0.2
"""Seconds until a client repeats a call."""
PATIENCE = 10.0
"""Seconds that a client waits for an answer."""


async def prepare(installation: Installation) -> None:
    """Publish the templates and tracks."""
    await installation.publish(TEMPLATE, MAIL, "templates")
    for name, steps in TRACKS.items():
        text = f"track: {name}\n{HEAD}\n{steps}".replace("SANDBOX", installation.servers.sandbox_url)
        await installation.publish(name, text)


@dataclass
class Taken:
    """What the API accepted."""

    people: dict[str, str] = field(default_factory=dict)
    """The track of each enrolled contact."""
    phones: dict[str, str] = field(default_factory=dict)
    """The contact of each phone number."""
    events: dict[str, dict[str, str]] = field(default_factory=dict)
    """Each event as it was sent, by its id."""
    answers: Counter[str] = field(default_factory=Counter)
    """Counts of the API's answers: by status, `none` without a connection, `too late` after `PATIENCE`."""
    wrong: list[str] = field(default_factory=list)
    """Unexpected answers."""


class Load:
    """Creates contacts at a rate until `stop`, then finishes their actions. It runs in a thread of its own."""

    def __init__(self, installation: Installation, name: str, rate: float, rng: random.Random) -> None:
        """`rate` is contacts per second. All their ids begin with `name`."""
        self.taken = Taken()
        self._base, self._key = installation.settings.public_url, installation.key
        self._name, self._rate, self._rng = name, rate, rng
        self._prefix = rng.randrange(10_000)
        self._count = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="load")
        self._lives: set[asyncio.Task[None]] = set()
        self._died: list[BaseException] = []

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Create no more contacts. The existing ones do the rest of their actions at once."""
        self._enough.set()

    def finish(self, timeout: float = 120) -> None:
        """Wait until all calls have been accepted. The API must be up."""
        self.stop()
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError("the clients' calls were not answered in time")
        if self._died:
            raise self._died[0]

    async def _live(self) -> None:
        limits = httpx.Limits(max_connections=32)
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(
            base_url=self._base, headers=headers, timeout=PATIENCE, limits=limits, trust_env=False
        ) as api:
            self._api = api
            stories: list[Callable[[], Coroutine[Any, Any, None]]] = [
                self._replies,
                self._replies_through_segment,
                self._stays_silent,
                self._buys,
                self._signs,
            ]
            while not self._enough.is_set():
                life = asyncio.create_task(self._rng.choice(stories)())
                self._lives.add(life)
                life.add_done_callback(self._ended)
                await asyncio.sleep(self._rng.expovariate(self._rate))
            await asyncio.gather(*self._lives, return_exceptions=True)

    def _ended(self, life: asyncio.Task[None]) -> None:
        self._lives.discard(life)
        if error := life.exception():
            self._died.append(error)

    async def _replies(self) -> None:
        contact = await self._person()
        await self._enrolled(contact, "faults-reply")
        await self._thinks()
        await self._tells(contact, "said", again=self._rng.random() < 0.3)

    async def _replies_through_segment(self) -> None:
        contacts = [await self._person() for _ in range(3)]
        wishes = [{"track": "faults-reply", "contact_id": contact} for contact in contacts]
        answer = await self._ask("POST", "/v1/enrollments/batch", {"enrollments": wishes})
        for item in answer.json()["results"]:
            self._expect(item["status"] in (200, 201), f"batch item: {item}")
        self.taken.people |= dict.fromkeys(contacts, "faults-reply")
        await self._thinks()
        batch = [
            {"type": "track", "userId": contact, "event": "said", "messageId": f"{contact}-said"}
            for contact in contacts
        ]
        answer = await self._ask("POST", "/v1/batch", {"batch": batch}, auth=httpx.BasicAuth(self._key, ""))
        self._expect(answer.json()["accepted"] == len(contacts), answer.text)
        for contact in contacts:
            self._accepted(_event(contact, "said"))
        await self._tells(self._rng.choice(contacts), "said")  # once more: a duplicate

    async def _stays_silent(self) -> None:
        contact = await self._person()
        await self._enrolled(contact, "faults-silent")
        await self._tells(contact, "irrelevant")

    async def _buys(self) -> None:
        contact = await self._person()
        await self._enrolled(contact, "faults-goal")
        while self._rng.random() < 0.8:  # some buy before the email is sent, others long after
            await self._thinks()
        await self._tells(contact, "bought", again=self._rng.random() < 0.3)

    async def _signs(self) -> None:
        contact = await self._person()
        await self._tells(contact, "signed", again=self._rng.random() < 0.5)
        self.taken.people[contact] = "faults-entry"

    async def _thinks(self) -> None:
        if not self._enough.is_set():
            await asyncio.sleep(self._rng.uniform(0, 2))

    async def _person(self) -> str:
        self._count += 1
        contact = f"{self._name}-{self._count}"
        phone = (
            f"+1415{self._prefix:04}{self._count:03}" if self._count < 1000 else f"+44{self._prefix:04}{self._count:06}"
        )
        self.taken.phones[phone] = contact
        await self._ask("PUT", f"/v1/contacts/{contact}", {"email": f"{contact}@people.test", "phone": phone})
        return contact

    async def _enrolled(self, contact: str, track: str) -> None:
        answer = await self._ask("POST", "/v1/enrollments", {"track": track, "contact_id": contact}, also=(409,))
        # After a lost answer, the repeated call may find that the run has already ended; the answer then names it.
        self._expect(answer.status_code != 409 or bool(answer.json()["enrollment_id"]), answer.text)
        self.taken.people[contact] = track

    async def _tells(self, contact: str, name: str, again: bool = False) -> None:
        event = _event(contact, name)
        for _ in range(2 if again else 1):
            await self._ask("POST", "/v1/events", event)
            self._accepted(event)

    def _accepted(self, event: dict[str, str]) -> None:
        self.taken.events[event["event_id"]] = event

    async def _ask(
        self, method: str, path: str, body: Any, *, also: tuple[int, ...] = (), auth: httpx.Auth | None = None
    ) -> httpx.Response:
        """Repeat a call until the answer is neither 429 nor 5xx, as a correct client does."""
        more: dict[str, Any] = {"auth": auth} if auth else {}
        while True:
            try:
                answer = await self._api.request(method, path, json=body, **more)
            except httpx.TimeoutException:
                self.taken.answers["too late"] += 1
            except httpx.HTTPError:
                self.taken.answers["none"] += 1
            else:
                self.taken.answers[str(answer.status_code)] += 1
                if answer.status_code not in (429, 503):
                    fine = answer.is_success or answer.status_code in also
                    self._expect(fine, f"{method} {path}: {answer.status_code} {answer.text[:300]}")
                    if answer.status_code < 500:
                        return answer
            await asyncio.sleep(PAUSE * (1 + random.random()))

    def _expect(self, fine: bool, otherwise: str) -> None:
        if not fine:
            self.taken.wrong.append(otherwise)


def _event(contact: str, name: str) -> dict[str, str]:
    return {"event_id": f"{contact}-{name}", "contact_id": contact, "name": name}
