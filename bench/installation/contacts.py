"""Contacts of the benchmarks: create and enrol them, make them click, wait for their emails, compute latencies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from temporalio.client import Client

from bench.installation.mail_feed import Mail, MailFeed
from bench.installation.one_process import Installation
from store.people import contacts

BATCH = 500
AT_ONCE = 16
"""Concurrent calls of the load."""


async def for_each(people: Sequence[str], act: Callable[[str], Coroutine[Any, Any, object]]) -> None:
    """Call `act` for everybody, `AT_ONCE` at a time."""
    waiting = iter(people)

    async def lane() -> None:
        for who in waiting:
            await act(who)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))


async def contact(installation: Installation, who: str) -> None:
    """Create a contact."""
    body = {"email": f"{who}@people.test", "timezone": "Europe/Berlin", "attributes": {"first_name": "Ann"}}
    await installation.call("PUT", f"/v1/contacts/{who}", body)


async def enrol_one(installation: Installation, track: str, who: str) -> None:
    """Enrol a contact with a call of its own."""
    await installation.load.post("/v1/enrollments", {"track": track, "contact_id": who})


async def click(installation: Installation, who: str) -> None:
    """Send the event that the contact clicked."""
    body = {"event_id": f"click-{who}", "contact_id": who, "name": "site.clicked"}
    await installation.load.post("/v1/events", body)


async def make(installation: Installation, people: Sequence[str], attributes: Mapping[str, Any] | None = None) -> None:
    """Create the contacts directly in the database, because this is not measured."""
    for some in chunks(people):
        items: list[tuple[str, contacts.Changes]] = [
            (who, {"email": f"{who}@people.test", "timezone": "Europe/Berlin", "attributes": dict(attributes or {})})
            for who in some
        ]
        async with installation.database.transaction() as tx:
            await contacts.upsert_many(tx, items)


async def enrol(installation: Installation, track: str, people: Sequence[str]) -> None:
    """Enrol contacts in batches. Raises RuntimeError if one is refused."""
    for some in chunks(people):
        wishes = [{"track": track, "contact_id": who} for who in some]
        told = await installation.call("POST", "/v1/enrollments/batch", {"enrollments": wishes})
        refused = [result for result in told["results"] if result["status"] != 201]
        if refused:
            raise RuntimeError(f"{len(refused)} enrolments refused, the first: {refused[0]}")


async def asleep(client: Client, query: str, count: int, seconds: float, console: Console | None = None) -> None:
    """Wait until `count` runs match. Raises TimeoutError, which says how many match."""
    found, until, told = 0, time.monotonic() + seconds, time.monotonic()
    while (found := (await client.count_workflows(query)).count) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{found} of {count} runs sleep after {seconds:.0f} s")
        if console is not None and time.monotonic() - told > 10:
            told = time.monotonic()
            console.print(f"  {found:,} of {count:,} sleep")
        await asyncio.sleep(0.5)


async def poke(
    people: Sequence[str], act: Callable[[str], Coroutine[Any, Any, object]], gap: float
) -> dict[str, float]:
    """Call `act` for one contact after the other, `gap` seconds apart. Returns when each call was accepted (epoch)."""
    accepted: dict[str, float] = {}
    began = time.monotonic()
    for number, who in enumerate(people):
        await asyncio.sleep(max(0.0, began + number * gap - time.monotonic()))
        await act(who)
        accepted[who] = time.time()
    return accepted


def latencies(accepted: Mapping[str, float], mails: Sequence[Mail]) -> list[float]:
    """Seconds from acceptance to the contact's email. Raises LookupError if a contact got none.

    If the provider had the email before the API's answer was read, the latency counts as 0.
    """
    came: dict[str, float] = {}
    for mail in mails:
        came.setdefault(mail.contact, mail.at)
    if missing := accepted.keys() - came.keys():
        raise LookupError(f"{len(missing)} got no mail")
    return [max(0.0, came[who] - at) for who, at in accepted.items()]


async def clicked(
    installation: Installation, feed: MailFeed, people: Sequence[str], gap: float, patience: float
) -> list[float]:
    """Let contacts click one after the other, and wait for the emails that follow. Returns seconds from acceptance to
    each email."""
    already = len(feed.seen)
    accepted = await poke(people, lambda who: click(installation, who), gap)
    await feed.until(already + len(people), patience)
    return latencies(accepted, feed.seen[already:])


def chunks(people: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split contacts into batches."""
    for start in range(0, len(people), BATCH):
        yield people[start : start + BATCH]
