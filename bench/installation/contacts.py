"""Contacts of the benchmarks: made, enrolled and clicking one by one or many at once, awaited; and latencies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from temporalio.client import Client

from bench.installation.mail_feed import Mail, MailFeed
from bench.installation.one_process import Stand
from store.people import contacts

BATCH = 500
AT_ONCE = 16
"""Calls of the load at the same time."""


async def for_each(people: Sequence[str], act: Callable[[str], Coroutine[Any, Any, object]]) -> None:
    """Do it for everybody, so many at a time."""
    waiting = iter(people)

    async def lane() -> None:
        for who in waiting:
            await act(who)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))


async def contact(stand: Stand, who: str) -> None:
    """Make a contact."""
    body = {"email": f"{who}@people.test", "timezone": "Europe/Berlin", "attributes": {"first_name": "Ann"}}
    await stand.call("PUT", f"/v1/contacts/{who}", body)


async def enrol_one(stand: Stand, track: str, who: str) -> None:
    """Enrol a contact by a call of its own."""
    await stand.load.post("/v1/enrollments", {"track": track, "contact_id": who})


async def click(stand: Stand, who: str) -> None:
    """Tell that the contact clicked."""
    body = {"event_id": f"click-{who}", "contact_id": who, "name": "site.clicked"}
    await stand.load.post("/v1/events", body)


async def make(stand: Stand, people: Sequence[str], attributes: Mapping[str, Any] | None = None) -> None:
    """Make the contacts, straight in the database: making them is not what is measured."""
    for some in chunks(people):
        items: list[tuple[str, contacts.Changes]] = [
            (who, {"email": f"{who}@people.test", "timezone": "Europe/Berlin", "attributes": dict(attributes or {})})
            for who in some
        ]
        async with stand.database.transaction() as tx:
            await contacts.upsert_many(tx, items)


async def enrol(stand: Stand, track: str, people: Sequence[str]) -> None:
    """Enrol them by batches. Raises RuntimeError where one is refused."""
    for some in chunks(people):
        wishes = [{"track": track, "contact_id": who} for who in some]
        told = await stand.call("POST", "/v1/enrollments/batch", {"enrollments": wishes})
        refused = [result for result in told["results"] if result["status"] != 201]
        if refused:
            raise RuntimeError(f"{len(refused)} enrolments refused, the first: {refused[0]}")


async def asleep(client: Client, query: str, count: int, seconds: float, console: Console | None = None) -> None:
    """Return once that many runs match. Raises TimeoutError, saying how many do."""
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
    """Do it to one after the other, `gap` seconds apart; answers when each was accepted (epoch)."""
    accepted: dict[str, float] = {}
    began = time.monotonic()
    for number, who in enumerate(people):
        await asyncio.sleep(max(0.0, began + number * gap - time.monotonic()))
        await act(who)
        accepted[who] = time.time()
    return accepted


def latencies(accepted: Mapping[str, float], mails: Sequence[Mail]) -> list[float]:
    """Seconds from acceptance to the first mail after it. Raises LookupError where somebody got none.

    A mail that the provider had before the answer of the API was read counts as 0.
    """
    came: dict[str, float] = {}
    for mail in mails:
        came.setdefault(mail.contact, mail.at)
    if missing := accepted.keys() - came.keys():
        raise LookupError(f"{len(missing)} got no mail")
    return [max(0.0, came[who] - at) for who, at in accepted.items()]


async def clicked(stand: Stand, feed: MailFeed, people: Sequence[str], gap: float, patience: float) -> list[float]:
    """Let one after the other click, and wait for the mails that answer; seconds from acceptance to each."""
    already = len(feed.seen)
    accepted = await poke(people, lambda who: click(stand, who), gap)
    await feed.until(already + len(people), patience)
    return latencies(accepted, feed.seen[already:])


def chunks(people: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many at a time as a batch takes well."""
    for start in range(0, len(people), BATCH):
        yield people[start : start + BATCH]
