"""Processes are killed while people are scored, handed over, merged, met by dates and sent on.

Laws 2, 3, 7 and 13 hold. Three records are compared: what the API accepted, what the database says, and what the
sandbox received.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from bench.faults.load import HEAD, PATIENCE, TEMPLATE
from bench.installation.one_process import Installation
from tests.faults.conftest import FaultyInstallation

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

PEOPLE = 8
TURNS = 3
"""How often everybody acts. Both ids of a contact are merged in the second turn, and become a member in the third."""
KILLED = {1: "api", 2: "worker-1"}
"""The part that is killed in a turn."""
DUE = 3
"""Seconds that a salesperson has for an answer. Answers are given about then, before and after."""
POLICY = """
sales:
  teams: {fa: {people: [{id: ada, name: Ada}, {id: bea, name: Bea}]}}
  reject_reasons: {wrong-time: Not now}
"""
SCORE = """
score: fa-score
half_life: 30d
behaviour: [{id: used, event: fa.used, points: 10, cap: {most: 2}}]
grades: {cold: , warm: 15}
"""
SEGMENT = """
segment: fa-big
members: {any: [{sum: fa.used.amount, within: 30d, is: '>= 25'}, {distinct: fa.used.sku, within: 30d, is: '>= 9'}]}
"""
TRACKS = {
    "fa-entered": "entry: {segment: fa-big}\nsteps: [{id: hello, email: {template: TEMPLATE}}]\n",
    "fa-dated": "entry: {date: {attribute: fa_date, offset: -1h}}\nsteps: [{id: hello, email: {template: TEMPLATE}}]\n",
    "fa-sales": f"""
steps:
  - id: sales
    handoff:
      to: fa
      reason: Call them
      due: {DUE}s
      when_none: exit
      accepted: [{{id: taken, exit: {{reason: taken}}}}]
      rejected: [{{id: refused, exit: {{reason: refused}}}}]
      expired: [{{id: silent, exit: {{reason: silent}}}}]
""",
}


_TOLD = text("SELECT contact_id, name, count(*) FROM event WHERE name = ANY(:names) GROUP BY 1, 2")


@dataclass
class Record:
    """What the API accepted."""

    events: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    """The run that hands a contact over, by contact."""
    answers: dict[str, str] = field(default_factory=dict)
    """What the API said to the answer of a handoff, by contact: `taken` or `too late`."""


class Clients:
    """Repeats a call until it is answered, as a correct client does."""

    def __init__(self, installation: Installation) -> None:
        self.installation, self.record = installation, Record()

    async def call(self, method: str, path: str, body: Any = None, *, also: tuple[int, ...] = ()) -> httpx.Response:
        while True:
            try:
                answer = await self.installation.api.request(method, path, json=body, timeout=PATIENCE)
            except httpx.HTTPError:
                pass
            else:
                if answer.is_success or answer.status_code in also:
                    return answer
                assert answer.status_code in (429, 500, 503), f"{method} {path}: {answer.status_code} {answer.text}"
            await asyncio.sleep(0.2)

    async def uses(self, contact: str, turn: int, by: str) -> None:
        body = {
            "event_id": f"{by}-used-{turn}",
            "contact_id": by,
            "name": "fa.used",
            "properties": {"amount": 6, "sku": f"s{turn}"},
        }
        await self.call("POST", "/v1/events", body)
        self.record.events.append(body)

    async def acts(self, contact: str, turn: int, luck: random.Random) -> None:
        """One turn of one contact: events under both ids, a handoff at first, the merge of both ids in between."""
        await asyncio.sleep(luck.uniform(0, 0.6))
        if turn == 0:
            comes = datetime.now(UTC) + timedelta(hours=1, seconds=luck.uniform(2, 6))
            person = {"email": f"{contact}@people.test", "attributes": {"fa_date": comes.isoformat()}}
            await self.call("PUT", f"/v1/contacts/{contact}", person)
            run = await self.call("POST", "/v1/enrollments", {"track": "fa-sales", "contact_id": contact}, also=(409,))
            said = run.json()
            self.record.runs[contact] = said.get("id") or said["enrollment_id"]
        await self.uses(contact, turn, luck.choice([contact, f"{contact}-anon"]))
        await self.uses(contact, turn + TURNS, f"{contact}-anon")
        if turn == 1:
            body = {"from": f"{contact}-anon"}
            await self.call("POST", f"/v1/contacts/{contact}/merge", body)

    async def answers(self, contact: str, after: float) -> None:
        """A salesperson accepts the lead, so many seconds after it was handed over."""
        while not (found := (await self.call("GET", f"/v1/handoffs?contact_id={contact}")).json()["handoffs"]):
            await asyncio.sleep(0.3)
        await asyncio.sleep(after)
        path = f"/v1/handoffs/{found[0]['id']}/feedback"
        answer = await self.call("POST", path, {"status": "accepted"})
        self.record.answers[contact] = "too late" if answer.json()["late"] else "taken"


@pytest_asyncio.fixture(loop_scope="session")
async def clients(faulty: FaultyInstallation) -> AsyncIterator[Clients]:
    installation = faulty.installation
    policy = await installation.api.put("/v1/policy", content=POLICY, headers={"Content-Type": "application/yaml"})
    assert policy.is_success, policy.text
    await installation.publish("fa-score", SCORE, "scores")
    await installation.publish("fa-big", SEGMENT, "segments")
    for name in ("segments/fa-big", "scores/fa-score"):
        async with asyncio.timeout(60):
            while (await installation.call("GET", f"/v1/{name}"))["live"] is None:
                await asyncio.sleep(0.1)
    for name, steps in TRACKS.items():
        await installation.publish(name, f"track: {name}\n{HEAD}\n{steps}".replace("TEMPLATE", TEMPLATE))
    hook = {"url": f"{installation.servers.sandbox_url}/hooks/fa-big", "wait": "0s", "batch": 3}
    await installation.call("PUT", "/v1/segments/fa-big/webhooks/sink", hook)
    yield Clients(installation)
    await installation.database.close()  # its connections were cut


async def test_what_happened_to_people_is_told_once_whatever_is_killed(
    faulty: FaultyInstallation, clients: Clients
) -> None:
    luck, people = random.Random(16), [f"fa-{number}" for number in range(PEOPLE)]
    answers = []
    for turn in range(TURNS):
        acting = [asyncio.create_task(clients.acts(one, turn, luck)) for one in people]
        if turn == 0:
            answers = [asyncio.create_task(clients.answers(one, luck.uniform(DUE - 2, DUE + 0.5))) for one in people]
        await asyncio.sleep(luck.uniform(0.1, 0.5))
        if turn in KILLED:
            faulty.processes.kill(KILLED[turn])
            await asyncio.sleep(luck.uniform(0, 0.5))
            await asyncio.to_thread(faulty.processes.all_up)
        await asyncio.gather(*acting)
    await asyncio.gather(*answers)
    await settled(clients, people)
    await compared(clients, people)


async def settled(clients: Clients, people: list[str]) -> None:
    """Wait until the runs are over and nothing waits to be sent."""
    installation = clients.installation
    for run in clients.record.runs.values():
        await installation.until(run, "exited", seconds=60)
    async with asyncio.timeout(60):
        for one in people:
            while {run["track"] for run in await over(clients, one)} != set(TRACKS):
                await asyncio.sleep(0.2)
        while (await installation.call("GET", "/v1/segments/fa-big/webhooks/sink"))["waiting"]:
            await asyncio.sleep(0.2)


async def over(clients: Clients, contact: str) -> list[dict[str, Any]]:
    found = await clients.installation.call("GET", f"/v1/contacts/{contact}/enrollments")
    return [run for run in found["enrollments"] if run["ended_at"]]


async def compared(clients: Clients, people: list[str]) -> None:
    installation, record = clients.installation, clients.record
    for event in record.events:
        again = await installation.call("POST", "/v1/events", event)
        assert again["duplicate"], f"{event['event_id']} was accepted and is not known any more"
    for name in ("segments/fa-big", "scores/fa-score"):
        assert (await installation.call("GET", f"/v1/{name}/check"))["differences"] == []
    told = await stored(installation)
    for one in people:
        assert {name: told[one, name] for name in ("segment.entered", "score.graded", "date.reached")} == {
            "segment.entered": 1,
            "score.graded": told[one, "score.graded"],
            "date.reached": 1,
        }, one
        assert told[one, "segment.left"] == told[f"{one}-anon", "segment.left"] == 0
        runs = Counter(run["track"] for run in await over(clients, one))
        assert runs == dict.fromkeys(TRACKS, 1), one
        await emails_compared(installation, one)
        (handoff,) = (await installation.call("GET", f"/v1/handoffs?contact_id={one}"))["handoffs"]
        ended = await installation.call("GET", f"/v1/enrollments/{record.runs[one]}")
        wanted = ("accepted", "taken") if record.answers[one] == "taken" else ("expired", "silent")
        assert (handoff["status"], ended["end_reason"]) == wanted, one
        tasks = (await installation.call("GET", f"/v1/crm/tasks?contact_id={one}"))["tasks"]
        assert len(tasks) == 1, one
    assert await sent_on(installation) == set(people)


async def emails_compared(installation: Installation, contact: str) -> None:
    """Each of both emails was received once. One whose worker was killed amid sending may be assumed sent, and was not
    received then."""
    messages = (await installation.call("GET", f"/v1/contacts/{contact}/messages"))["messages"]
    assert [message["status"] for message in messages] == ["sent", "sent"], messages
    assumed = sum(message["reason"] == "assumed" for message in messages)
    received = len(await installation.accepted(f"{contact}@people.test"))
    assert 2 - assumed <= received <= 2, f"{contact} received {received} emails, {assumed} of which are assumed"


async def stored(installation: Installation) -> Counter[tuple[str, str]]:
    """How often each contact was told what."""
    names = ["segment.entered", "segment.left", "score.graded", "date.reached"]
    async with installation.database.transaction() as tx:
        rows = await tx.execute(_TOLD, {"names": names})
        return Counter({(who, name): number for who, name, number in rows})


async def sent_on(installation: Installation) -> set[str]:
    """The members that a receiver knows who keeps the rule of `seq`."""
    newest: dict[str, tuple[int, bool]] = {}
    for message in await installation.accepted("/hooks/fa-big"):
        for change in json.loads(message["text"])["data"].get("changes", ()):
            if change["seq"] > newest.get(change["contact_id"], (0, False))[0]:
                newest[change["contact_id"]] = (change["seq"], change["member"])
    return {contact for contact, (_, member) in newest.items() if member}
