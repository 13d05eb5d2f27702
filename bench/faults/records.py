"""Compare three records: what the API accepted, what the ledger says, what the sandbox received."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from bench.faults.load import EXPECTED, Taken
from bench.installation.one_process import Installation

LATE = timedelta(seconds=20)
"""How long after the end of its wait a live run counts as stuck."""
AT_ONCE = 8
PAGE = 2000
FEW = 30
"""How many live runs are queried one by one."""

MUST_BE_EMPTY = ("events_lost", "messages_doubled", "messages_lost", "contacts_stuck", "wrong")


@dataclass
class Findings:
    """Sentences about each kind of violation (there must be none), and other counts."""

    events_lost: list[str] = field(default_factory=list)
    messages_doubled: list[str] = field(default_factory=list)
    messages_lost: list[str] = field(default_factory=list)
    contacts_stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Unexpected answers of the API."""
    counts: Counter[str] = field(default_factory=Counter)
    """Numbers of contacts, events and received messages, and of messages assumed sent that were not."""

    @property
    def broken(self) -> list[str]:
        """All sentences about violations."""
        return [sentence for name in MUST_BE_EMPTY for sentence in getattr(self, name)]

    def add(self, other: Findings) -> None:
        """Add the findings of another round."""
        for name in MUST_BE_EMPTY:
            getattr(self, name).extend(getattr(other, name))
        self.counts.update(other.counts)


class Received:
    """Messages that the sandbox's providers accepted: by the ledger's id if the message has it, else by recipient."""

    def __init__(self) -> None:
        self.emails: Counter[str] = Counter()
        self.texts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.webhooks: Counter[str] = Counter()
        self._last = 0

    async def read(self, sandbox: httpx.AsyncClient) -> None:
        """Read the messages since the last call."""
        while True:
            params = {"after": str(self._last), "limit": str(PAGE)}
            answer = await sandbox.get("/_control/messages", params=params)
            found = answer.raise_for_status().json()["messages"]
            for message in found:
                self._last = message["seq"]
                if message["direction"] == "out":
                    self._take(message)
            if len(found) < PAGE:
                return

    def _take(self, message: Mapping[str, Any]) -> None:
        if message["channel"] == "email":
            self.emails[message["tags"]["perennial-message"]] += 1
        elif message["channel"] == "sms":
            self.texts[message["to"]][message["text"]] += 1
        else:
            self.webhooks[message["subject"]] += 1


async def caught_up(
    installation: Installation, contacts: Iterable[str], patience: float, *, reconciled: bool = True
) -> bool:
    """Wait, at most `patience` seconds, until all deliveries are done and every run has ended.

    Without `reconciled`, it does not wait for runs that wait for a message's outcome from its provider.
    """
    until, wanted = time.monotonic() + patience, set(contacts)
    while time.monotonic() < until:
        waiting = (await installation.sandbox.get("/_control/callbacks")).json()["waiting"]
        if not waiting and not await _outbox(installation):
            live = await _live(installation, wanted)
            if not live or (not reconciled and await _all_reconcile(installation, live)):
                return True
        await asyncio.sleep(0.5)
    return False


async def compare(installation: Installation, taken: Taken, received: Received) -> Findings:
    """Compare the records of these contacts after everything has settled."""
    found = Findings(wrong=list(taken.wrong))
    await received.read(installation.sandbox)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(contact: str) -> None:
        async with gate:
            _judge(found, contact, taken, await _enrollments(installation, contact), received)

    async def event(body: dict[str, Any]) -> None:
        async with gate:
            if not (await installation.call("POST", "/v1/events", body))["duplicate"]:
                found.events_lost.append(f"Event {body['event_id']} was accepted and is not known any more.")

    await asyncio.gather(*(one(contact) for contact in taken.people))
    await asyncio.gather(*(event(body) for body in taken.events.values()))
    callbacks = (await installation.sandbox.get("/_control/callbacks")).json()
    if callbacks["waiting"] or callbacks["dropped"]:
        found.wrong.append(f"Callbacks were not taken: {callbacks}.")
    if depth := await _outbox(installation):
        found.wrong.append(f"{depth} deliveries to Temporal are still due.")
    found.counts.update(contacts=len(taken.people), events=len(taken.events))
    return found


def _judge(
    found: Findings, contact: str, taken: Taken, enrollments: Sequence[Mapping[str, Any]], received: Received
) -> None:
    track = taken.people[contact]
    if len(enrollments) != 1:
        found.events_lost.append(f"{contact} was enrolled in {track} and has {len(enrollments)} enrollments.")
        return
    enrollment = enrollments[0]
    _judge_run(found, contact, enrollment)
    _judge_messages(found, contact, taken, enrollment, received)


def _judge_run(found: Findings, contact: str, enrollment: Mapping[str, Any]) -> None:
    """Check that the run ended as expected, with all of its steps."""
    track = enrollment["track"]
    status, steps = EXPECTED[track]
    if enrollment["ended_at"] is None:
        if not _waits(enrollment, datetime.now(UTC)):
            where = f"step {enrollment['step']}, {enrollment['state']}, until {enrollment['until_real']}"
            found.contacts_stuck.append(f"{contact} is stuck in {track} at {where} (as of {enrollment['as_of']}).")
        elif enrollment["state"] != "reconciling":
            found.events_lost.append(f"{contact} still waits in {track} at step {enrollment['step']}.")
        else:
            found.counts["still reconciling"] += 1
        return
    if enrollment["status"] != status:
        found.events_lost.append(f"{contact} ended {track} as {enrollment['status']} ({enrollment['end_reason']}).")
    outcomes = {entry["step"]: entry["outcome"] for entry in enrollment["path"]}
    for step, outcome in steps.items():
        if status == "converted" and outcomes.get(step) in (None, "skipped", "unknown"):
            continue  # the goal was reached before the step, or before its outcome was known
        if outcomes.get(step) != outcome:
            kind = found.messages_lost if outcome == "sent" else found.events_lost
            kind.append(f"{contact} in {track}: step {step} is {outcomes.get(step)}, not {outcome}.")
    if outcomes.keys() - steps.keys():
        found.events_lost.append(f"{contact} in {track} took steps {sorted(outcomes.keys() - steps.keys())}.")


def _waits(enrollment: Mapping[str, Any], now: datetime) -> bool:
    """Whether a live run names the end of its wait and this end is not past (law 7)."""
    until = enrollment["until_real"] and datetime.fromisoformat(enrollment["until_real"])
    return enrollment["as_of"] == "run" and until is not None and until > now - LATE


def _judge_messages(
    found: Findings, contact: str, taken: Taken, enrollment: Mapping[str, Any], received: Received
) -> None:
    """Check that each message was received as often as the ledger says: once or never."""
    phone = next((phone for phone, owner in taken.phones.items() if owner == contact), "")
    texts = Counter(received.texts.get(phone, {}))
    for message in enrollment["messages"]:
        name = f"Message {message['id']} ({enrollment['track']}, {message['step']}, {contact})"
        if message["channel"] == "email":
            count = received.emails.pop(message["id"], 0)
        else:
            count = texts.total()
            texts.clear()
        found.counts["messages"] += count
        if count > 1:
            found.messages_doubled.append(f"{name} was received {count} times.")
        match message["status"], message["reason"]:
            case "sent", "assumed":
                found.counts["assumed sent"] += 1
                found.counts["assumed sent, never received"] += not count
            case "sent", _ if not count:
                found.messages_lost.append(f"{name} is sent and was never received.")
            case (("unknown" | "sending" | "sent"), _):
                pass
            case status, reason if count:
                found.messages_doubled.append(f"{name} was received, and the ledger says {status} ({reason}).")
            case "skipped", "ended" | "goal":
                pass
            case status, reason:
                found.messages_lost.append(f"{name} is {status} ({reason}) and was never received.")
    if texts:
        found.messages_doubled.append(f"{contact} received texts that no row of the ledger has.")
    if enrollment["track"] == "faults-silent" and enrollment["ended_at"]:
        calls = received.webhooks[f"{enrollment['id']}/tell/1"]
        found.counts["webhooks repeated"] += max(0, calls - 1)
        if not calls:
            found.messages_lost.append(f"The webhook of {contact} was never received.")


async def _enrollments(installation: Installation, contact: str) -> list[dict[str, Any]]:
    page = await installation.call("GET", f"/v1/enrollments?contact_id={contact}")
    return [await installation.call("GET", f"/v1/enrollments/{one['id']}") for one in page["enrollments"]]


async def _outbox(installation: Installation) -> int:
    text = (await installation.api.get("/metrics")).text
    depth = re.search(r"^perennial_outbox_depth (\S+)", text, re.MULTILINE)
    return int(float(depth[1])) if depth else 0


async def _live(installation: Installation, wanted: set[str]) -> list[str]:
    """The live runs of these contacts, at most a limited number."""
    cursor, live = "", list[str]()
    while True:
        page = await installation.call("GET", f"/v1/enrollments?status=active&limit=100{cursor}")
        live += [one["id"] for one in page["enrollments"] if one["contact_id"] in wanted]
        if len(live) > FEW or not page["next"]:
            return live
        cursor = f"&cursor={page['next']}"


async def _all_reconcile(installation: Installation, runs: Sequence[str]) -> bool:
    if len(runs) > FEW:
        return False
    found = [await installation.call("GET", f"/v1/enrollments/{run}") for run in runs]
    return all(run["ended_at"] or run["state"] == "reconciling" for run in found)
